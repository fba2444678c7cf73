#include "statistics/fft.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;

bool only_small_factors(std::size_t n) {
    for (const std::size_t factor : {2, 3, 5}) {
        while (n % factor == 0) n /= factor;
    }
    return n == 1;
}

// Transforms R values in place; the textbook butterflies.
template <std::size_t R>
void butterfly(double* re, double* im);

template <>
inline void butterfly<2>(double* re, double* im) {
    const double first_re = re[0];
    const double first_im = im[0];
    re[0] = first_re + re[1];
    im[0] = first_im + im[1];
    re[1] = first_re - re[1];
    im[1] = first_im - im[1];
}

template <>
inline void butterfly<3>(double* re, double* im) {
    constexpr double kSin = 0.86602540378443864676;  // sin(2 pi / 3)
    const double sum_re = re[1] + re[2];
    const double sum_im = im[1] + im[2];
    const double turn_re = kSin * (im[1] - im[2]);
    const double turn_im = kSin * (re[2] - re[1]);
    const double half_re = re[0] - 0.5 * sum_re;
    const double half_im = im[0] - 0.5 * sum_im;
    re[0] += sum_re;
    im[0] += sum_im;
    re[1] = half_re + turn_re;
    im[1] = half_im + turn_im;
    re[2] = half_re - turn_re;
    im[2] = half_im - turn_im;
}

template <>
inline void butterfly<4>(double* re, double* im) {
    const double even_re = re[0] + re[2];
    const double even_im = im[0] + im[2];
    const double odd_re = re[1] + re[3];
    const double odd_im = im[1] + im[3];
    const double rest_re = re[0] - re[2];
    const double rest_im = im[0] - im[2];
    const double turn_re = im[1] - im[3];
    const double turn_im = re[3] - re[1];
    re[0] = even_re + odd_re;
    im[0] = even_im + odd_im;
    re[1] = rest_re + turn_re;
    im[1] = rest_im + turn_im;
    re[2] = even_re - odd_re;
    im[2] = even_im - odd_im;
    re[3] = rest_re - turn_re;
    im[3] = rest_im - turn_im;
}

template <>
inline void butterfly<5>(double* re, double* im) {
    constexpr double kCos1 = 0.30901699437494742410;   // cos(2 pi / 5)
    constexpr double kCos2 = -0.80901699437494742410;  // cos(4 pi / 5)
    constexpr double kSin1 = 0.95105651629515357212;   // sin(2 pi / 5)
    constexpr double kSin2 = 0.58778525229247312917;   // sin(4 pi / 5)
    const double outer_re = re[1] + re[4];
    const double outer_im = im[1] + im[4];
    const double inner_re = re[2] + re[3];
    const double inner_im = im[2] + im[3];
    const double outer_diff_re = re[1] - re[4];
    const double outer_diff_im = im[1] - im[4];
    const double inner_diff_re = re[2] - re[3];
    const double inner_diff_im = im[2] - im[3];
    const double even1_re = re[0] + kCos1 * outer_re + kCos2 * inner_re;
    const double even1_im = im[0] + kCos1 * outer_im + kCos2 * inner_im;
    const double even2_re = re[0] + kCos2 * outer_re + kCos1 * inner_re;
    const double even2_im = im[0] + kCos2 * outer_im + kCos1 * inner_im;
    const double odd1_re = kSin1 * outer_diff_im + kSin2 * inner_diff_im;
    const double odd1_im = -kSin1 * outer_diff_re - kSin2 * inner_diff_re;
    const double odd2_re = kSin2 * outer_diff_im - kSin1 * inner_diff_im;
    const double odd2_im = kSin1 * inner_diff_re - kSin2 * outer_diff_re;
    re[0] += outer_re + inner_re;
    im[0] += outer_im + inner_im;
    re[1] = even1_re + odd1_re;
    im[1] = even1_im + odd1_im;
    re[2] = even2_re + odd2_re;
    im[2] = even2_im + odd2_im;
    re[3] = even2_re - odd2_re;
    im[3] = even2_im - odd2_im;
    re[4] = even1_re - odd1_re;
    im[4] = even1_im - odd1_im;
}

struct Signal {
    const double *re, *im;
};

struct MutableSignal {
    double *re, *im;
};

// One Stockham pass: n_groups x stride butterflies of R values each; output group p holds its R results side
// by side, result k multiplied by twiddle (p, k).
template <std::size_t R>
void stockham(Signal in, MutableSignal out, Signal twiddles, std::size_t n_groups, std::size_t stride) {
    const double* __restrict in_re = in.re;
    const double* __restrict in_im = in.im;
    double* __restrict out_re = out.re;
    double* __restrict out_im = out.im;
    for (std::size_t p = 0; p < n_groups; ++p) {
        const double* twiddle_re = twiddles.re + p * R;
        const double* twiddle_im = twiddles.im + p * R;
        for (std::size_t q = 0; q < stride; ++q) {
            double re[R];
            double im[R];
            for (std::size_t j = 0; j < R; ++j) {
                re[j] = in_re[stride * (p + n_groups * j) + q];
                im[j] = in_im[stride * (p + n_groups * j) + q];
            }
            butterfly<R>(re, im);
            for (std::size_t k = 0; k < R; ++k) {
                const std::size_t target = stride * (R * p + k) + q;
                out_re[target] = re[k] * twiddle_re[k] - im[k] * twiddle_im[k];
                out_im[target] = re[k] * twiddle_im[k] + im[k] * twiddle_re[k];
            }
        }
    }
}

}  // namespace

ComplexFft::ComplexFft(std::size_t n) : n_(n) {
    if (only_small_factors(n)) {
        plan_passes();
    } else {
        plan_bluestein();
    }
}

void ComplexFft::plan_passes() {
    scratch_.resize(n_);
    std::size_t stride = 1;
    for (std::size_t rest = n_; rest > 1;) {
        std::size_t radix = 4;
        for (const std::size_t candidate : {2, 3, 5, 4}) {
            if (rest % candidate == 0) radix = candidate;
        }
        const std::size_t n_groups = rest / radix;
        passes_.push_back({radix, n_groups, stride, twiddles_.re.size()});
        for (std::size_t p = 0; p < n_groups; ++p) {
            for (std::size_t k = 0; k < radix; ++k) {
                const double angle = 2.0 * kPi * static_cast<double>(p * k) / static_cast<double>(rest);
                twiddles_.re.push_back(std::cos(angle));
                twiddles_.im.push_back(-std::sin(angle));
            }
        }
        stride *= radix;
        rest = n_groups;
    }
}

void ComplexFft::plan_bluestein() {
    std::size_t padded_size = 1;
    while (padded_size < 2 * n_ - 1) padded_size *= 2;
    padded_ = std::make_unique<ComplexFft>(padded_size);
    scratch_.resize(padded_size);
    chirp_.resize(n_);
    chirp_spectrum_.resize(padded_size);
    for (std::size_t k = 0; k < n_; ++k) {
        // Reducing k^2 modulo 2n in integers keeps the angle exact for long signals.
        const std::uint64_t square = static_cast<std::uint64_t>(k) * k % (2 * n_);
        const double angle = kPi * static_cast<double>(square) / static_cast<double>(n_);
        chirp_.re[k] = std::cos(angle);
        chirp_.im[k] = -std::sin(angle);
        const std::size_t mirror = (padded_size - k) % padded_size;
        chirp_spectrum_.re[k] = chirp_spectrum_.re[mirror] = chirp_.re[k];
        chirp_spectrum_.im[k] = chirp_spectrum_.im[mirror] = -chirp_.im[k];
    }
    padded_->forward(chirp_spectrum_.re.data(), chirp_spectrum_.im.data());
}

void ComplexFft::forward(double* re, double* im) {
    if (padded_) {
        run_bluestein(re, im);
        return;
    }
    MutableSignal from{re, im};
    MutableSignal to{scratch_.re.data(), scratch_.im.data()};
    for (const Pass& pass : passes_) {
        run_pass(pass, from.re, from.im, to.re, to.im);
        std::swap(from, to);
    }
    if (from.re != re) {
        std::copy(from.re, from.re + n_, re);
        std::copy(from.im, from.im + n_, im);
    }
}

void ComplexFft::run_pass(const Pass& pass, const double* re_in, const double* im_in, double* re_out,
                          double* im_out) {
    const Signal in{re_in, im_in};
    const MutableSignal out{re_out, im_out};
    const Signal twiddles{twiddles_.re.data() + pass.first_twiddle, twiddles_.im.data() + pass.first_twiddle};
    switch (pass.radix) {
        case 2:
            stockham<2>(in, out, twiddles, pass.n_groups, pass.stride);
            break;
        case 3:
            stockham<3>(in, out, twiddles, pass.n_groups, pass.stride);
            break;
        case 4:
            stockham<4>(in, out, twiddles, pass.n_groups, pass.stride);
            break;
        default:
            stockham<5>(in, out, twiddles, pass.n_groups, pass.stride);
            break;
    }
}

void ComplexFft::run_bluestein(double* re, double* im) {
    double* work_re = scratch_.re.data();
    double* work_im = scratch_.im.data();
    const std::size_t padded_size = scratch_.re.size();
    std::fill(work_re + n_, work_re + padded_size, 0.0);
    std::fill(work_im + n_, work_im + padded_size, 0.0);
    for (std::size_t k = 0; k < n_; ++k) {
        work_re[k] = re[k] * chirp_.re[k] - im[k] * chirp_.im[k];
        work_im[k] = re[k] * chirp_.im[k] + im[k] * chirp_.re[k];
    }
    padded_->forward(work_re, work_im);
    for (std::size_t k = 0; k < padded_size; ++k) {
        const double product_re = work_re[k] * chirp_spectrum_.re[k] - work_im[k] * chirp_spectrum_.im[k];
        work_im[k] = work_re[k] * chirp_spectrum_.im[k] + work_im[k] * chirp_spectrum_.re[k];
        work_re[k] = product_re;
    }
    // Exchanging the parts before and after a forward transform makes it the inverse one.
    padded_->forward(work_im, work_re);
    const double scale = 1.0 / static_cast<double>(padded_size);
    for (std::size_t k = 0; k < n_; ++k) {
        re[k] = (work_re[k] * chirp_.re[k] - work_im[k] * chirp_.im[k]) * scale;
        im[k] = (work_re[k] * chirp_.im[k] + work_im[k] * chirp_.re[k]) * scale;
    }
}

}  // namespace patchtst_har::statistics
