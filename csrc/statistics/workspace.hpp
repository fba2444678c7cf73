// Memory and plans that are reused from window to window. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <memory>

#include "statistics/kernels.hpp"
#include "support/aligned.hpp"
#include "support/recent.hpp"

namespace patchtst_har::statistics {

using support::AlignedVector;

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
    void plan_spectrum();
    void plan_filter();
    void lend_memory();

    Plan plan_{};
    double rate_hz_;
    std::unique_ptr<Fft> fft_;
    ComplexVector unpack_, signal_;
    AlignedVector<double> decay_;
    AlignedVector<float> floats_;
    AlignedVector<double> doubles_;
    AlignedVector<std::uint8_t> buckets_;
};

class Workspace {
  public:
    const Plan& plan(std::size_t n_samples, double rate_hz) {
        return recent_.plan(n_samples, rate_hz).plan();
    }

    // How often plan() had to make one: the only occasion on which the features allocate.
    [[nodiscard]] std::size_t n_plans_made() const { return recent_.n_made(); }

  private:
    static constexpr std::size_t kMostSamples = 262144;

    support::Recent<Planned> recent_{kMostSamples};
};

}  // namespace patchtst_har::statistics
