// Memory and plans that are reused from window to window. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "statistics/plan.hpp"

namespace patchtst_har::statistics {

// Registers are as long as a cache line at most; a load across two lines takes twice the time.
template <typename Value>
struct CacheLineAllocator {
    using value_type = Value;
    static constexpr std::align_val_t kAlignment{64};

    CacheLineAllocator() = default;
    template <typename Other>
    explicit CacheLineAllocator(const CacheLineAllocator<Other>& /*other*/) {}

    Value* allocate(std::size_t n) {
        return static_cast<Value*>(::operator new(n * sizeof(Value), kAlignment));
    }
    void deallocate(Value* memory, std::size_t /*n*/) { ::operator delete(memory, kAlignment); }

    friend bool operator==(const CacheLineAllocator& /*a*/, const CacheLineAllocator& /*b*/) { return true; }
    friend bool operator!=(const CacheLineAllocator& /*a*/, const CacheLineAllocator& /*b*/) { return false; }
};

template <typename Value>
using AlignedVector = std::vector<Value, CacheLineAllocator<Value>>;

// Real and imaginary parts apart.
struct ComplexVector {
    AlignedVector<double> re, im;

    void resize(std::size_t n) {
        re.resize(n);
        im.resize(n);
    }
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

// Keeps the plans that were used last, so that alternating lengths allocate nothing either.
class Workspace {
  public:
    const Plan& plan(std::size_t n_samples, double rate_hz);

    // How often plan() had to make one: the only occasion on which the features allocate.
    [[nodiscard]] std::size_t n_plans_made() const { return n_plans_made_; }

  private:
    void make_room(std::size_t n_samples);

    std::vector<std::unique_ptr<Planned>> recent_;  // last used first
    std::size_t n_plans_made_ = 0;
};

}  // namespace patchtst_har::statistics
