// Complex discrete Fourier transform in float64 by a plan made beforehand.
#pragma once

#include "statistics/kernel/blocks.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {
namespace {

// One complex number a lane.
template <typename Lane>
struct Complex {
    Lane re, im;
};

template <typename Lane>
PATCHTST_HAR_INLINE Complex<Lane> operator+(const Complex<Lane>& a, const Complex<Lane>& b) {
    return {a.re + b.re, a.im + b.im};
}
template <typename Lane>
PATCHTST_HAR_INLINE Complex<Lane> operator-(const Complex<Lane>& a, const Complex<Lane>& b) {
    return {a.re - b.re, a.im - b.im};
}
template <typename Lane>
PATCHTST_HAR_INLINE Complex<Lane> operator*(double scale, const Complex<Lane>& a) {
    return {scale * a.re, scale * a.im};
}
// -i a
template <typename Lane>
PATCHTST_HAR_INLINE Complex<Lane> turned(const Complex<Lane>& a) {
    return {a.im, -a.re};
}

// Transforms R numbers in place; the textbook butterflies.
template <std::size_t R, typename Lane>
PATCHTST_HAR_INLINE void butterfly(Complex<Lane>* v) {
    if constexpr (R == 2) {
        const Complex<Lane> first = v[0];
        v[0] = first + v[1];
        v[1] = first - v[1];
    } else if constexpr (R == 3) {
        constexpr double kSin = 0.86602540378443864676;  // sin(2 pi / 3)
        const Complex<Lane> sum = v[1] + v[2];
        const Complex<Lane> turn = kSin * turned(v[1] - v[2]);
        const Complex<Lane> half = v[0] - 0.5 * sum;
        v[0] = v[0] + sum;
        v[1] = half + turn;
        v[2] = half - turn;
    } else if constexpr (R == 4) {
        const Complex<Lane> even = v[0] + v[2];
        const Complex<Lane> odd = v[1] + v[3];
        const Complex<Lane> rest = v[0] - v[2];
        const Complex<Lane> turn = turned(v[1] - v[3]);
        v[0] = even + odd;
        v[1] = rest + turn;
        v[2] = even - odd;
        v[3] = rest - turn;
    } else {
        constexpr double kCos1 = 0.30901699437494742410;   // cos(2 pi / 5)
        constexpr double kCos2 = -0.80901699437494742410;  // cos(4 pi / 5)
        constexpr double kSin1 = 0.95105651629515357212;   // sin(2 pi / 5)
        constexpr double kSin2 = 0.58778525229247312917;   // sin(4 pi / 5)
        const Complex<Lane> outer = v[1] + v[4];
        const Complex<Lane> inner = v[2] + v[3];
        const Complex<Lane> outer_turn = turned(v[1] - v[4]);
        const Complex<Lane> inner_turn = turned(v[2] - v[3]);
        const Complex<Lane> even1 = v[0] + kCos1 * outer + kCos2 * inner;
        const Complex<Lane> even2 = v[0] + kCos2 * outer + kCos1 * inner;
        const Complex<Lane> odd1 = kSin1 * outer_turn + kSin2 * inner_turn;
        const Complex<Lane> odd2 = kSin2 * outer_turn - kSin1 * inner_turn;
        v[0] = v[0] + outer + inner;
        v[1] = even1 + odd1;
        v[2] = even2 + odd2;
        v[3] = even2 - odd2;
        v[4] = even1 - odd1;
    }
}

// Multiplies v[1..R) by the twiddles (p, k) of this and, if a vector spans groups, the next p.
template <std::size_t R, typename Lane, typename Read>
PATCHTST_HAR_INLINE void twist(Complex<Lane>* v, Read twiddle) {
    for (std::size_t k = 1; k < R; ++k) {
        const auto [re, im] = twiddle(k);
        v[k] = {v[k].re * re - v[k].im * im, v[k].re * im + v[k].im * re};
    }
}

template <std::size_t R, typename Lane>
PATCHTST_HAR_INLINE void read_group(Complex<Lane>* v, Signal in, std::size_t first, std::size_t step) {
    for (std::size_t j = 0; j < R; ++j) {
        v[j] = {load<Lane>(in.re + first + j * step), load<Lane>(in.im + first + j * step)};
    }
}

// Butterflies q = from, from + width, ... of group p, as long as whole vectors fit in the stride.
template <std::size_t R, std::size_t width>
PATCHTST_HAR_INLINE std::size_t run_group(Signal in, MutableSignal out, Signal twiddles, const FftPass& pass,
                                          std::size_t p, std::size_t from) {
    using Lane = Vector<double, width>;
    const std::size_t stride = pass.stride;
    std::size_t q = from;
    for (; q + width <= stride; q += width) {
        Complex<Lane> v[R];
        read_group<R>(v, in, stride * p + q, stride * pass.n_groups);
        butterfly<R>(v);
        if (p > 0) {
            twist<R>(v, [&](std::size_t k) {
                return Complex<double>{twiddles.re[k * pass.n_groups + p],
                                       twiddles.im[k * pass.n_groups + p]};
            });
        }
        for (std::size_t k = 0; k < R; ++k) {
            store(out.re + stride * (R * p + k) + q, v[k].re);
            store(out.im + stride * (R * p + k) + q, v[k].im);
        }
    }
    return q;
}

// The pass of stride 1: a vector takes `width` groups at once and its results are dealt out.
template <std::size_t R, std::size_t width>
PATCHTST_HAR_INLINE std::size_t run_first(Signal in, MutableSignal out, Signal twiddles, std::size_t n_groups,
                                          std::size_t from) {
    using Lane = Vector<double, width>;
    std::size_t p = from;
    for (; p + width <= n_groups; p += width) {
        Complex<Lane> v[R];
        read_group<R>(v, in, p, n_groups);
        butterfly<R>(v);
        twist<R>(v, [&](std::size_t k) {
            return Complex<Lane>{load<Lane>(twiddles.re + k * n_groups + p),
                                 load<Lane>(twiddles.im + k * n_groups + p)};
        });
        double re[R][width];
        double im[R][width];
        for (std::size_t k = 0; k < R; ++k) {
            store(re[k], v[k].re);
            store(im[k], v[k].im);
        }
        for (std::size_t lane = 0; lane < width; ++lane) {
            for (std::size_t k = 0; k < R; ++k) {
                out.re[R * (p + lane) + k] = re[k][lane];
                out.im[R * (p + lane) + k] = im[k][lane];
            }
        }
    }
    return p;
}

// One Stockham pass: n_groups x stride butterflies; output group p holds its R results side by side, result k
// multiplied by twiddle (p, k).
template <std::size_t R>
void run_pass(Signal in, MutableSignal out, Signal twiddles, const FftPass& pass) {
    if (pass.stride == 1) {
        const std::size_t done = run_first<R, kWidth<double>>(in, out, twiddles, pass.n_groups, 0);
        run_first<R, 1>(in, out, twiddles, pass.n_groups, done);
        return;
    }
    for (std::size_t p = 0; p < pass.n_groups; ++p) {
        std::size_t q = run_group<R, kWidth<double>>(in, out, twiddles, pass, p, 0);
        if constexpr (kWidth<double> > 4) q = run_group<R, 4>(in, out, twiddles, pass, p, q);
        if constexpr (kWidth<double> > 2) q = run_group<R, 2>(in, out, twiddles, pass, p, q);
        run_group<R, 1>(in, out, twiddles, pass, p, q);
    }
}

void run_passes(const FftPlan& plan, MutableSignal signal) {
    MutableSignal from = signal;
    MutableSignal to = plan.scratch;
    for (std::size_t i = 0; i < plan.n_passes; ++i) {
        const FftPass& pass = plan.passes[i];
        const Signal twiddles{plan.twiddles.re + pass.first_twiddle, plan.twiddles.im + pass.first_twiddle};
        if (pass.radix == 2) run_pass<2>(from, to, twiddles, pass);
        if (pass.radix == 3) run_pass<3>(from, to, twiddles, pass);
        if (pass.radix == 4) run_pass<4>(from, to, twiddles, pass);
        if (pass.radix == 5) run_pass<5>(from, to, twiddles, pass);
        const MutableSignal done = to;
        to = from;
        from = done;
    }
    if (from.re == signal.re) return;
    __builtin_memcpy(signal.re, from.re, plan.n * sizeof(double));
    __builtin_memcpy(signal.im, from.im, plan.n * sizeof(double));
}

// target[k] = a[k] * b[k] for k < n.
void multiply(Signal a, Signal b, std::size_t n, MutableSignal target) {
    for (std::size_t k = 0; k < n; ++k) {
        const double re = a.re[k] * b.re[k] - a.im[k] * b.im[k];
        target.im[k] = a.re[k] * b.im[k] + a.im[k] * b.re[k];
        target.re[k] = re;
    }
}

// Replaces a signal of plan.n numbers by its unnormalised transform with the kernel exp(-2 pi i j k / n).
PATCHTST_HAR_STAGE void transform(const FftPlan& plan, MutableSignal signal) {
    if (plan.padded == nullptr) {
        run_passes(plan, signal);
        return;
    }
    const std::size_t padded_size = plan.padded->n;
    const MutableSignal work = plan.work;
    multiply(signal, plan.chirp, plan.n, work);
    for (std::size_t k = plan.n; k < padded_size; ++k) work.re[k] = work.im[k] = 0.0;
    run_passes(*plan.padded, work);
    multiply(work, plan.chirp_spectrum, padded_size, work);
    // Exchanging the parts before and after a forward transform makes it the inverse one.
    run_passes(*plan.padded, {work.im, work.re});
    multiply(work, plan.chirp, plan.n, signal);
}

}  // namespace
}  // namespace patchtst_har::statistics
