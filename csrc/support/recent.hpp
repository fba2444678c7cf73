// Plans that were used last, so that alternating lengths of windows need no new ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

namespace patchtst_har::support {

// A Plan is made from its key, and has is_for(key...) and n_samples().
template <typename Plan>
class Recent {
  public:
    // Plans of longer windows than `most_samples` in all are not kept when a new one comes.
    explicit Recent(std::size_t most_samples = std::numeric_limits<std::size_t>::max())
        : most_samples_(most_samples) {}

    // Valid until the next call.
    template <typename... Key>
    Plan& plan(std::size_t n_samples, const Key&... key) {
        const auto fits = [&](const auto& plan) { return plan->is_for(n_samples, key...); };
        const auto found = std::find_if(plans_.begin(), plans_.end(), fits);
        if (found == plans_.end()) {
            make_room(n_samples);
            plans_.insert(plans_.begin(), std::make_unique<Plan>(n_samples, key...));
            ++n_made_;
        } else {
            std::rotate(plans_.begin(), found, found + 1);
        }
        return *plans_.front();
    }

    [[nodiscard]] std::size_t n_made() const { return n_made_; }

  private:
    void make_room(std::size_t n_samples) {
        constexpr std::size_t kMostPlans = 8;
        std::size_t total = n_samples;
        const auto is_too_much = [&](const auto& plan) {
            total += plan->n_samples();
            return total > most_samples_;
        };
        plans_.erase(std::find_if(plans_.begin(), plans_.end(), is_too_much), plans_.end());
        if (plans_.size() >= kMostPlans) plans_.pop_back();
    }

    std::size_t most_samples_;
    std::vector<std::unique_ptr<Plan>> plans_;  // last used first
    std::size_t n_made_ = 0;
};

}  // namespace patchtst_har::support
