// Memory and plans that are reused from window to window. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <memory>

#include "statistics/kernels.hpp"
#include "support/aligned.hpp"
#include "support/recent.hpp"

namespace patchtst_har::statistics {

using support::AlignedVector;

// Room for n values of which the kernels read and write whole blocks, of buckets the longest: 64. Some blocks
// begin a value late.
std::size_t padded(std::size_t n);

// Whether a transform of n values needs no padding.
bool only_small_factors(std::size_t n);

// Real and imaginary parts apart.
struct ComplexVector {
    AlignedVector<double> re, im;

    void resize(std::size_t n) {
        re.assign(n, 0.0);
        im.assign(n, 0.0);
    }
    MutableSignal signal() { return {re.data(), im.data()}; }
};

// Owns what an FftPlan points to.
class Fft {
  public:
    explicit Fft(std::size_t n);

    [[nodiscard]] const FftPlan& plan() const { return plan_; }

  private:
    void plan_passes();
    void plan_bluestein();

    FftPlan plan_{};
    ComplexVector twiddles_, scratch_;
    std::unique_ptr<Fft> padded_;
    ComplexVector chirp_, chirp_spectrum_, work_;
};

// Owns what a SpectrumPlan points to.
class Spectrum {
  public:
    explicit Spectrum(std::size_t n);

    [[nodiscard]] const SpectrumPlan& plan() const { return plan_; }

  private:
    SpectrumPlan plan_{};
    std::unique_ptr<Fft> fft_;
    ComplexVector unpack_, signal_;
};

// Owns what the Plan of one window length and rate points to.
class Planned {
  public:
    Planned(std::size_t n_samples, double rate_hz);

    [[nodiscard]] const Plan& plan() const { return plan_; }
    [[nodiscard]] std::size_t n_samples() const { return plan_.n; }
    [[nodiscard]] bool is_for(std::size_t n_samples, double rate_hz) const {
        return plan_.n == n_samples && rate_hz_ == rate_hz;
    }

  private:
    void plan_filter();
    void lend_memory();

    Plan plan_{};
    double rate_hz_;
    Spectrum spectrum_;
    AlignedVector<double> decay_;
    AlignedVector<float> floats_;
    AlignedVector<double> doubles_;
    AlignedVector<std::uint8_t> buckets_;
};

// Owns what a MovementPlan points to.
class PlannedMovement {
  public:
    PlannedMovement(std::size_t n_samples, double rate_hz);

    [[nodiscard]] const MovementPlan& plan() const { return plan_; }
    [[nodiscard]] std::size_t n_samples() const { return n_samples_; }
    [[nodiscard]] bool is_for(std::size_t n_samples, double rate_hz) const {
        return n_samples_ == n_samples && plan_.rate_hz == rate_hz;
    }

  private:
    void plan_bands();
    void plan_taper();

    MovementPlan plan_{};
    std::size_t n_samples_;
    std::unique_ptr<Spectrum> padded_;
    AlignedVector<double> taper_, doubles_;
    AlignedVector<float> floats_;
};

class Workspace {
  public:
    const Plan& plan(std::size_t n_samples, double rate_hz) {
        return recent_.plan(n_samples, rate_hz).plan();
    }

    const MovementPlan& movement_plan(std::size_t n_samples, double rate_hz) {
        return recent_movement_.plan(n_samples, rate_hz).plan();
    }

    // How often a plan had to be made: the only occasion on which the features allocate.
    [[nodiscard]] std::size_t n_plans_made() const { return recent_.n_made() + recent_movement_.n_made(); }

  private:
    static constexpr std::size_t kMostSamples = 262144;

    support::Recent<Planned> recent_{kMostSamples};
    support::Recent<PlannedMovement> recent_movement_{kMostSamples};
};

}  // namespace patchtst_har::statistics
