// The hidden Markov model of the activities, one window at a time.
#pragma once

#include <cstddef>
#include <vector>

namespace patchtst_har::stream {

struct SmootherModel {
    std::vector<double> start;                   // (K,)
    std::vector<double> transitions, emissions;  // (K, K)
    double exponent;                             // of the likelihoods
};

// Sums run in the order of smoothing/kernels.py, so that the bits are the same.
class CausalSmoother {
  public:
    CausalSmoother(SmootherModel model, std::size_t lag);

    [[nodiscard]] std::size_t n_classes() const { return model_.start.size(); }
    [[nodiscard]] std::size_t lag() const { return n_slots_ - 1; }
    // Windows of the sequence whose posterior can be asked for, at most lag + 1.
    [[nodiscard]] std::size_t n_held() const { return n_held_; }

    // The next window begins a new sequence.
    void restart() { n_held_ = 0; }

    // Takes a window's class probabilities (K,); false if it is impossible after the windows before it: it is
    // left out then, and the caller decides the windows that are still held and restarts.
    bool observe(const double* probabilities);
    // A window of which nothing is known.
    void skip();

    // p(state of the last window | windows so far).
    void filtered(double* posterior) const;
    // p(state of the window `back` before the last | windows so far), back < n_held().
    void look_ahead(std::size_t back, double* posterior);

    // Row `back` of what is held, newest first.
    [[nodiscard]] const double* filter_row(std::size_t back) const;
    // Goes on from rows (n, K), newest first.
    void restore(const double* filters, std::size_t n);

  private:
    bool step();
    void step_back(const double* filter, double* posterior);
    [[nodiscard]] std::size_t slot_of(std::size_t back) const;

    SmootherModel model_;
    std::size_t n_slots_;
    std::vector<double> filters_;  // (n_slots, K), a ring
    std::vector<double> likelihood_, before_, later_;
    std::size_t newest_ = 0;
    std::size_t n_held_ = 0;
};

}  // namespace patchtst_har::stream
