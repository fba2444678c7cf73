#include "stream/causal_smoother.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace patchtst_har::stream {

CausalSmoother::CausalSmoother(SmootherModel model, std::size_t lag)
    : model_(std::move(model)),
      n_slots_(lag + 1),
      filters_(n_slots_ * n_classes()),
      likelihoods_(n_slots_ * n_classes()),
      backward_(n_classes()),
      message_(n_classes()) {}

bool CausalSmoother::observe(const double* probabilities) {
    const std::size_t size = n_classes();
    double* likelihood = likelihoods_.data() + (newest_ + 1) % n_slots_ * size;
    for (std::size_t k = 0; k < size; ++k) {
        double total = 0.0;
        for (std::size_t j = 0; j < size; ++j) total += probabilities[j] * model_.emissions[k * size + j];
        likelihood[k] = model_.exponent == 1.0 ? total : std::pow(total, model_.exponent);
    }
    return step();
}

void CausalSmoother::skip() {
    const std::size_t size = n_classes();
    std::fill_n(likelihoods_.data() + (newest_ + 1) % n_slots_ * size, size, 1.0);
    step();
}

bool CausalSmoother::step() {
    const std::size_t size = n_classes();
    // With no lag there is one slot: the filter before is read from a copy.
    std::copy_n(filters_.data() + newest_ * size, size, message_.data());
    newest_ = (newest_ + 1) % n_slots_;
    double* filter = filters_.data() + newest_ * size;
    const double* likelihood = likelihoods_.data() + newest_ * size;
    double sum = 0.0;
    for (std::size_t k = 0; k < size; ++k) {
        double prior = model_.start[k];
        if (n_held_ != 0) {
            prior = 0.0;
            for (std::size_t j = 0; j < size; ++j) prior += message_[j] * model_.transitions[j * size + k];
        }
        filter[k] = prior * likelihood[k];
        sum += filter[k];
    }
    // Not a number is no probability either.
    if (!(sum > 0.0)) {
        n_held_ = 0;
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
    const std::size_t size = n_classes();
    std::fill(backward_.begin(), backward_.end(), 1.0);
    for (std::size_t u = 0; u < back; ++u) {
        const double* likelihood = likelihood_row(u);
        for (std::size_t k = 0; k < size; ++k) message_[k] = likelihood[k] * backward_[k];
        double largest = 0.0;
        for (std::size_t k = 0; k < size; ++k) {
            backward_[k] = 0.0;
            for (std::size_t j = 0; j < size; ++j) {
                backward_[k] += model_.transitions[k * size + j] * message_[j];
            }
            largest = std::max(largest, backward_[k]);
        }
        for (std::size_t k = 0; k < size; ++k) backward_[k] /= largest;
    }
    const double* filter = filter_row(back);
    double sum = 0.0;
    for (std::size_t k = 0; k < size; ++k) {
        posterior[k] = filter[k] * backward_[k];
        sum += posterior[k];
    }
    for (std::size_t k = 0; k < size; ++k) posterior[k] /= sum;
}

std::size_t CausalSmoother::slot_of(std::size_t back) const {
    return (newest_ + n_slots_ - back) % n_slots_;
}

const double* CausalSmoother::filter_row(std::size_t back) const {
    return filters_.data() + slot_of(back) * n_classes();
}

const double* CausalSmoother::likelihood_row(std::size_t back) const {
    return likelihoods_.data() + slot_of(back) * n_classes();
}

void CausalSmoother::restore(const double* filters, const double* likelihoods, std::size_t n) {
    const std::size_t size = n_classes();
    newest_ = 0;
    n_held_ = n;
    for (std::size_t back = 0; back < n; ++back) {
        std::copy_n(filters + back * size, size, filters_.data() + slot_of(back) * size);
        std::copy_n(likelihoods + back * size, size, likelihoods_.data() + slot_of(back) * size);
    }
}

}  // namespace patchtst_har::stream
