#include "statistics/workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kCutoffHz = 0.5;
constexpr std::size_t kSegments = 8;
// Values before the first peak, valley or turning point; two are needed, so many keep arrays at cache lines.
constexpr std::size_t kRoomBefore = 16;
constexpr std::size_t kMostPlans = 8;
// Plans of longer windows than this in all are not kept beside a new one.
constexpr std::size_t kMostSamples = 262144;

// The kernels read and write whole blocks, of buckets the longest: 64. Some blocks begin a value late.
std::size_t padded(std::size_t n) {
    return (n + 127) / 64 * 64;
}

}  // namespace

Planned::Planned(std::size_t n_samples, double rate_hz) : rate_hz_(rate_hz) {
    plan_.n = n_samples;
    const auto n = static_cast<double>(n_samples);
    plan_.bin_width_hz = rate_hz / n;
    plan_.entropy_scale = n_samples < 4 ? 0.0 : 1.0 / std::log(std::floor(n / 2.0));
    plan_.lag = static_cast<std::size_t>(std::min(std::nearbyint(rate_hz), n - 1.0));
    plan_spectrum();
    plan_filter();
    lend_memory();
}

void Planned::plan_spectrum() {
    const std::size_t n = plan_.n;
    const bool even = n % 2 == 0;
    const std::size_t size = even ? n / 2 : n;
    fft_ = std::make_unique<Fft>(size);
    unpack_.resize(even ? size : 0);
    for (std::size_t k = 0; k < unpack_.re.size(); ++k) {
        const double angle = 2.0 * kPi * static_cast<double>(k) / static_cast<double>(n);
        unpack_.re[k] = std::cos(angle);
        unpack_.im[k] = -std::sin(angle);
    }
    signal_.resize(padded(size));
    plan_.spectrum = {&fft_->plan(), unpack_.re.data(), unpack_.im.data()};
    plan_.re = signal_.re.data();
    plan_.im = signal_.im.data();
}

void Planned::plan_filter() {
    // In the form state += gain (a - state) a constant signal stays exactly constant.
    plan_.gain = -std::expm1(-2.0 * kPi * kCutoffHz / rate_hz_);
    decay_.resize(plan_.n / kSegments);
    for (std::size_t k = 0; k < decay_.size(); ++k) {
        decay_[k] = std::exp(-2.0 * kPi * kCutoffHz / rate_hz_ * static_cast<double>(k + 1));
    }
    plan_.decay = decay_.data();
}

void Planned::lend_memory() {
    const std::size_t n = padded(plan_.n);
    const std::size_t half = padded(plan_.n / 2) + kRoomBefore;
    floats_.resize(7 * n + 7 * half + kRoomBefore);
    doubles_.resize(8 * n);
    buckets_.resize(n);
    float* floats = floats_.data();
    const auto take_floats = [&floats](std::size_t size) {
        floats += size;
        return floats - size;
    };
    for (auto& channel : plan_.channels) channel = take_floats(n);
    plan_.selection = take_floats(n);
    plan_.prominences = take_floats(n);
    plan_.turning = take_floats(n + kRoomBefore) + kRoomBefore;
    for (auto& peaks : plan_.peaks) peaks = take_floats(half) + kRoomBefore;
    for (auto& valleys : plan_.valleys) valleys = take_floats(half) + kRoomBefore;
    plan_.height = take_floats(half);
    plan_.gap = take_floats(half);
    plan_.left = take_floats(half);
    plan_.centred = doubles_.data();
    plan_.filtered = plan_.centred + n;
    plan_.relative = plan_.filtered + 3 * n;
    plan_.power = plan_.relative + 3 * n;
    plan_.buckets = buckets_.data();
}

void Workspace::make_room(std::size_t n_samples) {
    std::size_t total = n_samples;
    const auto is_too_much = [&total](const auto& planned) {
        total += planned->plan().n;
        return total > kMostSamples;
    };
    recent_.erase(std::find_if(recent_.begin(), recent_.end(), is_too_much), recent_.end());
    if (recent_.size() >= kMostPlans) recent_.pop_back();
}

const Plan& Workspace::plan(std::size_t n_samples, double rate_hz) {
    const auto fits = [=](const auto& planned) { return planned->is_for(n_samples, rate_hz); };
    const auto found = std::find_if(recent_.begin(), recent_.end(), fits);
    if (found == recent_.end()) {
        make_room(n_samples);
        recent_.insert(recent_.begin(), std::make_unique<Planned>(n_samples, rate_hz));
        ++n_plans_made_;
    } else {
        std::rotate(recent_.begin(), found, found + 1);
    }
    return recent_.front()->plan();
}

}  // namespace patchtst_har::statistics
