#include "statistics/workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kCutoffHz = 0.5;
constexpr std::size_t kSegments = 8;
// Values before the first peak, valley or turning point; two are needed, so many keep arrays at cache lines.
constexpr std::size_t kRoomBefore = 16;

}  // namespace

std::size_t padded(std::size_t n) {
    return (n + 127) / 64 * 64;
}

bool only_small_factors(std::size_t n) {
    for (const std::size_t factor : {2, 3, 5}) {
        while (n % factor == 0) n /= factor;
    }
    return n == 1;
}

Fft::Fft(std::size_t n) {
    plan_.n = n;
    if (only_small_factors(n)) {
        plan_passes();
    } else {
        plan_bluestein();
    }
}

void Fft::plan_passes() {
    scratch_.resize(plan_.n);
    std::size_t stride = 1;
    for (std::size_t rest = plan_.n; rest > 1;) {
        std::size_t radix = 4;
        for (const std::size_t candidate : {2, 3, 5, 4}) {
            if (rest % candidate == 0) radix = candidate;
        }
        const std::size_t n_groups = rest / radix;
        plan_.passes[plan_.n_passes++] = {radix, n_groups, stride, twiddles_.re.size()};
        for (std::size_t k = 0; k < radix; ++k) {
            for (std::size_t p = 0; p < n_groups; ++p) {
                const double angle = 2.0 * kPi * static_cast<double>(p * k) / static_cast<double>(rest);
                twiddles_.re.push_back(std::cos(angle));
                twiddles_.im.push_back(-std::sin(angle));
            }
        }
        stride *= radix;
        rest = n_groups;
    }
    plan_.twiddles = twiddles_.signal();
    plan_.scratch = scratch_.signal();
}

void Fft::plan_bluestein() {
    const std::size_t n = plan_.n;
    std::size_t padded_size = 1;
    while (padded_size < 2 * n - 1) padded_size *= 2;
    padded_ = std::make_unique<Fft>(padded_size);
    work_.resize(padded_size);
    chirp_.resize(n);
    chirp_spectrum_.resize(padded_size);
    const double scale = 1.0 / static_cast<double>(padded_size);
    for (std::size_t k = 0; k < n; ++k) {
        // Reducing k^2 modulo 2n in integers keeps the angle exact for long signals.
        const std::uint64_t square = static_cast<std::uint64_t>(k) * k % (2 * n);
        const double angle = kPi * static_cast<double>(square) / static_cast<double>(n);
        chirp_.re[k] = std::cos(angle);
        chirp_.im[k] = -std::sin(angle);
        const std::size_t mirror = (padded_size - k) % padded_size;
        chirp_spectrum_.re[k] = chirp_spectrum_.re[mirror] = chirp_.re[k] * scale;
        chirp_spectrum_.im[k] = chirp_spectrum_.im[mirror] = -chirp_.im[k] * scale;
    }
    active_kernels().transform(padded_->plan(), chirp_spectrum_.signal());
    plan_.padded = &padded_->plan();
    plan_.chirp = chirp_.signal();
    plan_.chirp_spectrum = chirp_spectrum_.signal();
    plan_.work = work_.signal();
}

Spectrum::Spectrum(std::size_t n) {
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
    plan_ = {n, &fft_->plan(), unpack_.signal(), signal_.signal()};
}

Planned::Planned(std::size_t n_samples, double rate_hz) : rate_hz_(rate_hz), spectrum_(n_samples) {
    plan_.n = n_samples;
    const auto n = static_cast<double>(n_samples);
    plan_.bin_width_hz = rate_hz / n;
    plan_.entropy_scale = n_samples < 4 ? 0.0 : 1.0 / std::log(std::floor(n / 2.0));
    plan_.lag = static_cast<std::size_t>(std::min(std::nearbyint(rate_hz), n - 1.0));
    plan_.spectrum = spectrum_.plan();
    plan_filter();
    lend_memory();
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
    floats_.assign(7 * n + 7 * half + kRoomBefore, 0.0F);
    doubles_.assign(8 * n, 0.0);
    buckets_.assign(n, 0);
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

}  // namespace patchtst_har::statistics
