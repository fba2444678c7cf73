// The kernels of one instruction set, and what the host prepares for them: plain data, so that a per-ISA unit
// contains no code but its own. Every set gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "statistics/columns.hpp"

namespace patchtst_har::statistics {

// Complex numbers, real and imaginary parts apart.
struct Signal {
    const double *re, *im;
};

struct MutableSignal {
    double *re, *im;

    operator Signal() const { return {re, im}; }
};

struct FftPass {
    std::size_t radix, n_groups, stride, first_twiddle;
};

// A complex transform of n values. Lengths of the form 2^a 3^b 5^c are done in Stockham passes
// (self-sorting, so no bit reversal); all others by Bluestein's chirp convolution of length padded->n.
struct FftPlan {
    static constexpr std::size_t kMostPasses = 24;

    std::size_t n, n_passes;
    FftPass passes[kMostPasses];
    Signal twiddles;        // of a pass: twiddle (p, k) at first_twiddle + k n_groups + p
    MutableSignal scratch;  // as long as the passes need
    const FftPlan* padded;  // null unless Bluestein
    Signal chirp;           // exp(-i pi k^2 / n)
    Signal chirp_spectrum;  // of its conjugate, divided by padded->n
    MutableSignal work;     // padded->n
};

// The power spectrum of n real values: even n by a complex transform of n / 2, odd n by one of n.
struct SpectrumPlan {
    std::size_t n;
    const FftPlan* fft;
    Signal unpack;         // exp(-2 pi i k / n): takes an even signal's transform apart
    MutableSignal signal;  // of the transform
};

// Everything one window needs; each array holds n values and is padded to whole lanes unless noted.
struct Plan {
    std::size_t n;
    double bin_width_hz, entropy_scale;  // rate / n and 1 / ln(n / 2)
    std::size_t lag;                     // samples in a second, at most n - 1
    SpectrumPlan spectrum;
    double gain;          // of the gravity filter
    const double* decay;  // decay[k] = (1 - gain)^(k + 1) for the n / 8 samples of a segment

    float* channels[4];  // x, y, z after repair; their magnitude m
    float* selection;    // candidates for a rank
    std::uint8_t* buckets;
    double* centred;      // m - mean
    double* relative;     // 3 n, x, y, z relative to their first samples, the eight segments side by side
    double* filtered;     // 3 n, their low-pass part, by the segment alone
    double* power;        // n / 2
    float* prominences;   // of the peaks of m
    float* turning;       // m without plateaus, a place before and after it
    float* peaks[2];      // of m, at most n / 2; two places before and one after them
    float* valleys[2];    // between them; one place before and after them
    float *height, *gap;  // at most n / 2, stack of the peaks that later ones have not exceeded
    float* left;          // at most n / 2, their lowest value to the left
};

// What the movement features of one window need in addition; n and the arrays' lengths as above.
struct MovementPlan {
    double rate_hz, power_scale;       // 1 / (n sum of taper^2)
    const double* taper;               // Hann's, n
    std::size_t bands[kBands + 1];     // bins of a band: from its number to before the next
    std::size_t cadence[2], cycle[2];  // bins and lags in which a peak is looked for, the second excluded
    SpectrumPlan padded;               // so much longer than n that no lag of interest wraps around
    double *signal, *power;            // as long as that, and half
    double* correlation;               // cycle[1] + 1
    float *vertical, *horizontal;      // movement along and across gravity, n
};

struct Kernels {
    // Writes the features of `window` (plan.n x 3, row major) to features[0..kFeatureCount).
    void (*features)(const float* window, const Plan& plan, float* features);
    // Writes the movement features of `window` to features[0..kMovementCount).
    void (*movement)(const float* window, const Plan& plan, const MovementPlan& movement, float* features);
    // Fills plan.channels: the repaired axes and their magnitude.
    void (*load)(const float* window, const Plan& plan);
    // Replaces the signal by its unnormalised transform with the kernel exp(-2 pi i j k / n).
    void (*transform)(const FftPlan& plan, MutableSignal signal);
};

// One a unit; see cpu/isa.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::statistics
