// Samples of a live stream with any values and stamps, states that are saved, changed and restored, the grid
// of a recording, and causal smoothing.
#include <algorithm>
#include <cmath>

#include "fuzz/fuzz.hpp"
#include "stream/causal_smoother.hpp"
#include "stream/interpolation.hpp"
#include "stream/window_buffer.hpp"

namespace patchtst_har::fuzz {
namespace {

using stream::kAxes;

// Feeds everything, whatever is refused in between; returns the windows that became complete.
Floats feed(stream::WindowBuffer& buffer, const Floats& samples, const std::vector<std::int64_t>& stamps) {
    Floats windows;
    const std::size_t n = stamps.size();
    std::size_t first = 0;
    for (std::size_t turns = 0; turns < 2000; ++turns) {
        try {
            first = buffer.feed(samples.data(), stamps.data(), first, n);
        } catch (const stream::TooFastError&) {
            ++first;
        }
        if (buffer.ready()) {
            windows.insert(windows.end(), buffer.window(),
                           buffer.window() + kAxes * buffer.options().window_size);
        } else if (first >= n) {
            break;
        }
    }
    tests::require_finite("stream", windows);
    return windows;
}

std::vector<std::int64_t> make_stamps(Input& input, std::size_t n, std::int64_t start) {
    std::vector<std::int64_t> stamps(n);
    for (std::int64_t& stamp : stamps) {
        const std::size_t kind = input.between(0, 9);
        start += kind < 7    ? 10'000'000 + input.whole(-100'000, 100'000)
                 : kind == 7 ? 0
                 : kind == 8 ? input.whole(-3'000'000'000, 3'000'000'000)
                             : input.whole(-stream::kMostNs, stream::kMostNs) / 4;
        start = std::clamp(start, -stream::kMostNs, stream::kMostNs);
        stamp = start;
    }
    return stamps;
}

void change(stream::BufferState& state, Input& input) {
    std::int64_t* const numbers[] = {&state.start_ns,          &state.next_point,      &state.segment,
                                     &state.last_stamp_ns,     &state.last_place_ns,   &state.n_same_stamp,
                                     &state.span_start_ns,     &state.n_span,          &state.n_unstamped,
                                     &state.previous.stamp_ns, &state.current.stamp_ns};
    const bool is_small = input.flag();
    std::int64_t& number = *numbers[input.between(0, std::size(numbers) - 1)];
    number = is_small ? number / 2 + input.whole(-100, 100) : input.whole(INT64_MIN, INT64_MAX);
    if (input.flag()) state.has_stamp = !state.has_stamp;
    if (input.flag()) state.in_segment = !state.in_segment;
}

void buffer(Input& input) {
    const std::size_t window_size = input.between(1, 40);
    const stream::BufferOptions options{input.flag() ? 100.0 : static_cast<double>(input.between(1, 5000)),
                                        window_size, input.between(1, window_size),
                                        input.flag() ? 1e9 : 1e9 * static_cast<double>(input.between(1, 60))};
    const std::size_t n = input.between(0, 200);
    const bool any_bits = input.flag();
    const std::vector<std::int64_t> stamps =
        make_stamps(input, n, input.whole(-1000, 1'700'000'000) * 1'000'000'000);
    stream::WindowBuffer original(options);
    const Floats samples = input.floats(kAxes * n, any_bits);
    feed(original, samples, stamps);
    stream::BufferState state = original.state();
    Floats kept(kAxes * original.n_kept());
    original.copy_kept(kept.data());
    const bool is_changed = input.flag();
    if (is_changed) change(state, input);
    stream::WindowBuffer other(options);
    other.restore(state, kept.data(), kept.size() / kAxes);
    const std::int64_t last = n == 0 ? 0 : stamps.back();
    const std::vector<std::int64_t> later = make_stamps(input, 30, last);
    const Floats more = input.floats(kAxes * later.size(), any_bits);
    const Floats windows = feed(other, more, later);
    if (!is_changed && !original.ready() && !tests::same_bits(windows, feed(original, more, later))) {
        fail("stream", "goes on differently from its own state");
    }
    other.finish();
}

void interpolation(Input& input) {
    const std::size_t n = input.between(1, 60);
    const std::size_t count = input.between(0, 200);
    const std::int64_t most = input.flag() ? 1000 : stream::kMostNs;
    const auto sorted = [&](std::size_t length) {
        std::vector<std::int64_t> moments(length);
        for (std::int64_t& moment : moments) moment = input.whole(-most, most);
        std::sort(moments.begin(), moments.end());
        return moments;
    };
    const std::vector<std::int64_t> stamps = sorted(n);
    const std::vector<std::int64_t> grid = sorted(count);
    const Floats samples = input.floats(kAxes * n, false);
    std::vector<double> points(kAxes * count + 1, 7.0);
    stream::interpolate(stamps.data(), samples.data(), n, grid.data(), count, points.data());
    if (points.back() != 7.0) fail("interpolation", "a neighbour was written");
    for (std::size_t i = 0; i < count; ++i) {
        const auto after = std::upper_bound(stamps.begin(), stamps.end(), grid[i]) - stamps.begin();
        const std::size_t high = std::min(static_cast<std::size_t>(after), n - 1);
        const std::size_t low = after == 0 ? 0 : static_cast<std::size_t>(after) - 1;
        for (std::size_t axis = 0; axis < kAxes; ++axis) {
            const auto [least, largest] =
                std::minmax(samples[kAxes * low + axis], samples[kAxes * high + axis]);
            const double point = points[kAxes * i + axis];
            const bool is_between = point >= least - 1e-6 && point <= largest + 1e-6;
            if (!is_between) fail("interpolation", "leaves the line");
        }
    }
}

std::vector<double> row(Input& input, std::size_t n) {
    std::vector<double> values(n);
    double sum = 0.0;
    for (double& value : values) sum += value = static_cast<double>(input.between(0, 255));
    for (double& value : values) value = sum > 0.0 ? value / sum : 1.0 / static_cast<double>(n);
    return values;
}

std::vector<double> table(Input& input, std::size_t n) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) {
        for (const double value : row(input, n)) values.push_back(value);
    }
    return values;
}

void smoother(Input& input) {
    const std::size_t n = input.between(1, 6);
    const std::vector<double> start = row(input, n);
    const std::vector<double> transitions = table(input, n);
    const std::vector<double> emissions = table(input, n);
    stream::CausalSmoother made(
        {start, transitions, emissions, static_cast<double>(input.between(1, 100)) / 50.0},
        input.between(0, 5));
    std::vector<double> posterior(n);
    const auto require_sum = [&] {
        double sum = 0.0;
        for (const double value : posterior) sum += value;
        if (!(std::fabs(sum - 1.0) < 1e-6)) fail("smoother", "probabilities do not add up to 1");
    };
    while (!input.is_empty()) {
        const std::size_t kind = input.between(0, 7);
        if (kind == 1) {
            made.skip();
        } else if (kind == 0 || !made.observe(row(input, n).data())) {
            made.restart();
        }
        if (made.n_held() == 0) continue;
        made.filtered(posterior.data());
        require_sum();
        made.look_ahead(input.between(0, made.n_held() - 1), posterior.data());
        require_sum();
    }
}

}  // namespace

void fuzz(Input& input) {
    const std::size_t kind = input.between(0, 3);
    if (kind == 0) return interpolation(input);
    if (kind == 1) return smoother(input);
    buffer(input);
}

}  // namespace patchtst_har::fuzz
