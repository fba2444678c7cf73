#include "stream/causal_smoother.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace patchtst_har::stream {

CausalSmoother::CausalSmoother(SmootherModel model, std::size_t lag)
    : model_(std::move(model)),
      n_slots_(lag + 1),
      filters_(n_slots_ * n_classes()),
      likelihood_(n_classes()),
      before_(n_classes()),
      later_(n_classes()) {}

bool CausalSmoother::observe(const double* probabilities) {
    const std::size_t size = n_classes();
    for (std::size_t k = 0; k < size; ++k) {
        double total = 0.0;
        for (std::size_t j = 0; j < size; ++j) total += probabilities[j] * model_.emissions[k * size + j];
        likelihood_[k] = model_.exponent == 1.0 ? total : std::pow(total, model_.exponent);
    }
    return step();
}

void CausalSmoother::skip() {
    std::fill(likelihood_.begin(), likelihood_.end(), 1.0);
    step();
}

bool CausalSmoother::step() {
    const std::size_t size = n_classes();
    // With no lag there is one slot: the filter before is read from a copy.
    std::copy_n(filters_.data() + newest_ * size, size, before_.data());
    newest_ = (newest_ + 1) % n_slots_;
    double* filter = filters_.data() + newest_ * size;
    double sum = 0.0;
    for (std::size_t k = 0; k < size; ++k) {
        double prior = model_.start[k];
        if (n_held_ != 0) {
            prior = 0.0;
            for (std::size_t j = 0; j < size; ++j) prior += before_[j] * model_.transitions[j * size + k];
        }
        filter[k] = prior * likelihood_[k];
        sum += filter[k];
    }
    // The negation refuses NaN, too. Only the slot that was written is lost: the oldest, where all were held.
    if (!(sum > 0.0)) {
        newest_ = (newest_ + n_slots_ - 1) % n_slots_;
        n_held_ = std::min(n_held_, n_slots_ - 1);
        return false;
    }
    for (std::size_t k = 0; k < size; ++k) filter[k] /= sum;
    n_held_ = std::min(n_held_ + 1, n_slots_);
    return true;
}

void CausalSmoother::filtered(double* posterior) const {
    std::copy_n(filter_row(0), n_classes(), posterior);
}

void CausalSmoother::look_ahead(std::size_t back, double* posterior) {
    filtered(posterior);
    for (std::size_t u = 1; u <= back; ++u) step_back(filter_row(u), posterior);
}

// From the posterior of a window to that of the one before, whose filter is given.
void CausalSmoother::step_back(const double* filter, double* posterior) {
    const std::size_t size = n_classes();
    std::copy_n(posterior, size, later_.data());
    std::fill_n(posterior, size, 0.0);
    for (std::size_t j = 0; j < size; ++j) {
        double prior = 0.0;
        for (std::size_t k = 0; k < size; ++k) prior += filter[k] * model_.transitions[k * size + j];
        if (!(prior > 0.0)) continue;
        for (std::size_t k = 0; k < size; ++k) {
            posterior[k] += filter[k] * model_.transitions[k * size + j] / prior * later_[j];
        }
    }
    double sum = 0.0;
    for (std::size_t k = 0; k < size; ++k) sum += posterior[k];
    for (std::size_t k = 0; k < size; ++k) posterior[k] /= sum;
}

std::size_t CausalSmoother::slot_of(std::size_t back) const {
    return (newest_ + n_slots_ - back) % n_slots_;
}

const double* CausalSmoother::filter_row(std::size_t back) const {
    return filters_.data() + slot_of(back) * n_classes();
}

void CausalSmoother::restore(const double* filters, std::size_t n) {
    const std::size_t size = n_classes();
    newest_ = 0;
    n_held_ = n;
    for (std::size_t back = 0; back < n; ++back) {
        std::copy_n(filters + back * size, size, filters_.data() + slot_of(back) * size);
    }
}

}  // namespace patchtst_har::stream
