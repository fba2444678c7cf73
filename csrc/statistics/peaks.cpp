#include "statistics/peaks.hpp"

#include <algorithm>

#include "statistics/moments.hpp"
#include "statistics/quantiles.hpp"

namespace patchtst_har::statistics {
namespace {

void find_peaks(const float* signal, std::size_t n, std::vector<std::size_t>& peaks) {
    peaks.clear();
    for (std::size_t i = 1; i + 1 < n; ++i) {
        if (!(signal[i - 1] < signal[i])) continue;
        std::size_t ahead = i + 1;
        while (ahead + 1 < n && signal[ahead] == signal[i]) ++ahead;
        if (signal[ahead] < signal[i]) {
            peaks.push_back((i + ahead - 1) / 2);
            i = ahead - 1;
        }
    }
}

float lowest_between(const float* signal, std::size_t from, std::size_t to) {
    return *std::min_element(signal + std::min(from, to), signal + std::max(from, to) + 1);
}

// bases[k] = lowest value between peak k and the nearest strictly higher sample on the side of `edge` (or the
// edge). A peak that is not lower than an earlier one sees past it, as far as that one saw, so the earlier
// one never has to be visited again.
template <typename Index>
void find_bases(const float* signal, std::size_t edge, Workspace& workspace, Index peak_order,
                std::vector<float>& bases) {
    const auto& peaks = workspace.peaks;
    auto& rivals = workspace.rivals;
    rivals.clear();
    std::size_t previous = edge;
    for (std::size_t step = 0; step < peaks.size(); ++step) {
        const std::size_t k = peak_order(step);
        float base = lowest_between(signal, previous, peaks[k]);
        while (!rivals.empty() && signal[peaks[rivals.back()]] <= signal[peaks[k]]) {
            base = std::min(base, bases[rivals.back()]);
            rivals.pop_back();
        }
        bases[k] = base;
        rivals.push_back(k);
        previous = peaks[k];
    }
}

}  // namespace

PeakFeatures peaks_of(const float* signal, std::size_t n, Workspace& workspace) {
    find_peaks(signal, n, workspace.peaks);
    const std::size_t n_peaks = workspace.peaks.size();
    if (n_peaks == 0) return {0.0, 0.0};
    workspace.left_bases.resize(n_peaks);
    workspace.right_bases.resize(n_peaks);
    workspace.prominences.resize(n_peaks);
    const auto from_left = [](std::size_t step) { return step; };
    const auto from_right = [n_peaks](std::size_t step) { return n_peaks - 1 - step; };
    find_bases(signal, 0, workspace, from_left, workspace.left_bases);
    find_bases(signal, n - 1, workspace, from_right, workspace.right_bases);
    for (std::size_t k = 0; k < n_peaks; ++k) {
        const double base = std::max(workspace.left_bases[k], workspace.right_bases[k]);
        workspace.prominences[k] = static_cast<double>(signal[workspace.peaks[k]]) - base;
    }
    const double* prominences = workspace.prominences.data();
    const Extremes extremes = extremes_of(prominences, n_peaks);
    const double median = median_of(prominences, n_peaks, extremes, workspace.double_selection.data());
    return {static_cast<double>(n_peaks), median};
}

}  // namespace patchtst_har::statistics
