#include <cmath>
#include <cstdint>

#include "statistics/workspace.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;

}  // namespace

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

}  // namespace patchtst_har::statistics
