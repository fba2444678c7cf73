#include "stream/window_buffer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace patchtst_har::stream {

namespace {

constexpr double kClearlyFaster = 1.1;
constexpr double kLeastWatchedS = 2.0;
constexpr std::int64_t kMostRestoredNs = 0x4000'0000'0000'0000;

std::int64_t rounded(double value) {
    return static_cast<std::int64_t>(std::rint(value));
}

void require(bool condition) {
    if (!condition) throw std::invalid_argument("the state contradicts itself");
}

}  // namespace

WindowBuffer::WindowBuffer(const BufferOptions& options)
    : options_(options),
      period_ns_(1e9 / options.rate_hz),
      n_watched_(std::max(static_cast<std::int64_t>(options.window_size),
                          rounded(std::min(kLeastWatchedS * options.rate_hz, 1e15)))),
      ring_(2 * kAxes * options.window_size) {}

std::size_t WindowBuffer::feed(const float* samples, const std::int64_t* stamps_ns, std::size_t first,
                               std::size_t n) {
    ready_ = false;
    while (!advance() && first < n) {
        const std::int64_t stamp = stamps_ns == nullptr
                                       ? rounded(static_cast<double>(state_.n_unstamped++) * period_ns_)
                                       : stamps_ns[first];
        take(samples + kAxes * first, stamp);
        ++first;
        // The end of a segment completed a window before the new segment began.
        if (ready_) return first;
    }
    return first;
}

void WindowBuffer::finish() {
    ready_ = false;
    end_segment();
    state_.has_stamp = false;
}

void WindowBuffer::take(const float* sample, std::int64_t stamp_ns) {
    if (stamp_ns > kMostNs || stamp_ns < -kMostNs) {
        throw std::invalid_argument("stamp " + std::to_string(stamp_ns) +
                                    " is not within 145 years of 1970, in ns");
    }
    ++state_.counts.n_samples;
    const std::int64_t place = place_of(stamp_ns);
    if (!is_usable(sample)) return;
    if (state_.in_segment && static_cast<double>(place - state_.current.stamp_ns) > options_.max_gap_ns) {
        ++state_.counts.n_gaps;
        end_segment();
    }
    state_.previous = state_.current;
    std::copy_n(sample, kAxes, state_.current.value.begin());
    state_.current.stamp_ns = place;
    if (!state_.in_segment) {
        state_.in_segment = true;
        state_.previous = state_.current;
        state_.start_ns = place;
        state_.next_point = 0;
        ++state_.segment;
    }
}

// Where a sample lies in time: at its stamp, or, if that repeats, one period after the sample before it.
std::int64_t WindowBuffer::place_of(std::int64_t stamp_ns) {
    if (state_.has_stamp && stamp_ns < state_.last_stamp_ns) {
        ++state_.counts.n_jumps;
        end_segment();
        state_.has_stamp = false;
    }
    watch_rate(stamp_ns);
    std::int64_t place = stamp_ns;
    if (state_.has_stamp) {
        const bool repeats = stamp_ns == state_.last_stamp_ns;
        state_.counts.n_repeated_stamps += repeats ? 1 : 0;
        state_.n_same_stamp = repeats ? state_.n_same_stamp + 1 : 0;
        place += rounded(static_cast<double>(state_.n_same_stamp) * period_ns_);
        place = std::max(place, state_.last_place_ns + 1);
    } else {
        state_.n_same_stamp = 0;
    }
    state_.has_stamp = true;
    state_.last_stamp_ns = stamp_ns;
    state_.last_place_ns = place;
    return place;
}

// Measures the rate over as many samples as a window has (or 2 s), so that a fast device gets no decision.
void WindowBuffer::watch_rate(std::int64_t stamp_ns) {
    const double step_ns = state_.has_stamp ? static_cast<double>(stamp_ns - state_.last_stamp_ns) : 0.0;
    if (!state_.has_stamp || step_ns > options_.max_gap_ns) {
        state_.span_start_ns = stamp_ns;
        state_.n_span = 0;
        return;
    }
    ++state_.n_span;
    // Devices that stamp batches: a span ends where a batch does.
    if (state_.n_span < n_watched_ || stamp_ns == state_.last_stamp_ns) return;
    const auto n_steps = static_cast<double>(state_.n_span);
    const double span_s = static_cast<double>(stamp_ns - state_.span_start_ns) * 1e-9;
    state_.span_start_ns = stamp_ns;
    state_.n_span = 0;
    if (n_steps <= kClearlyFaster * options_.rate_hz * span_s) return;
    state_.in_segment = state_.has_stamp = false;
    throw TooFastError(std::to_string(static_cast<std::int64_t>(n_steps)) + " samples came within " +
                       std::to_string(span_s) + " s");
}

bool WindowBuffer::is_usable(const float* sample) {
    if (!(std::isfinite(sample[0]) && std::isfinite(sample[1]) && std::isfinite(sample[2]))) {
        ++state_.counts.n_nonfinite;
        return false;
    }
    if (sample[0] == 0.0F && sample[1] == 0.0F && sample[2] == 0.0F) {
        ++state_.counts.n_zero;
        return false;
    }
    if (std::max({std::abs(sample[0]), std::abs(sample[1]), std::abs(sample[2])}) > kMostG) {
        ++state_.counts.n_out_of_range;
        return false;
    }
    return true;
}

// The grid may reach half a step past the last sample; there it takes that sample's value.
void WindowBuffer::end_segment() {
    if (!state_.in_segment) return;
    const auto duration_ns = static_cast<double>(state_.current.stamp_ns - state_.start_ns);
    const double last_point = std::floor(duration_ns * 1e-9 * options_.rate_hz + 0.5);
    if (static_cast<double>(state_.next_point) <= last_point) write(state_.current.value);
    state_.in_segment = false;
}

// Writes the points of the grid up to the current sample; stops and returns true when a window is complete.
bool WindowBuffer::advance() {
    while (!ready_ && state_.in_segment) {
        const std::int64_t due_ns = grid_ns(state_, state_.next_point);
        if (due_ns > state_.current.stamp_ns) return false;
        write(interpolate(due_ns));
    }
    return ready_;
}

void WindowBuffer::put(std::size_t slot, const float* point) {
    std::copy_n(point, kAxes, ring_.data() + kAxes * slot);
    std::copy_n(point, kAxes, ring_.data() + kAxes * (slot + options_.window_size));
}

void WindowBuffer::write(const std::array<float, kAxes>& value) {
    const std::size_t size = options_.window_size;
    put(slot_, value.data());
    slot_ = slot_ + 1 == size ? 0 : slot_ + 1;
    ++state_.next_point;
    const std::int64_t spare = state_.next_point - static_cast<std::int64_t>(size);
    const auto hop = static_cast<std::int64_t>(options_.hop_size);
    if (spare < 0 || spare % hop != 0) return;
    ready_ = true;
    window_slot_ = slot_;
    place_ = {grid_ns(state_, spare), state_.segment, spare / hop, state_.counts.n_jumps};
}

std::int64_t WindowBuffer::grid_ns(const BufferState& state, std::int64_t point) const {
    return state.start_ns + rounded(static_cast<double>(point) * period_ns_);
}

std::array<float, kAxes> WindowBuffer::interpolate(std::int64_t at_ns) const {
    const Sample& before = state_.previous;
    const Sample& after = state_.current;
    if (at_ns == after.stamp_ns) return after.value;
    const auto passed_ns = static_cast<double>(at_ns - before.stamp_ns);
    const auto step_ns = static_cast<double>(after.stamp_ns - before.stamp_ns);
    std::array<float, kAxes> value{};
    for (std::size_t axis = 0; axis < kAxes; ++axis) {
        const double low = before.value[axis];
        const double high = after.value[axis];
        value[axis] = static_cast<float>((high - low) / step_ns * passed_ns + low);
    }
    return value;
}

std::size_t WindowBuffer::n_kept() const {
    if (!state_.in_segment) return 0;
    return std::min(static_cast<std::size_t>(state_.next_point), options_.window_size);
}

void WindowBuffer::copy_kept(float* points) const {
    const std::size_t n = n_kept();
    const std::size_t first = (slot_ + options_.window_size - n) % options_.window_size;
    std::copy_n(ring_.data() + kAxes * first, kAxes * n, points);
}

void WindowBuffer::require_consistent(const BufferState& state) const {
    for (const std::int64_t stamp : {state.previous.stamp_ns, state.current.stamp_ns, state.start_ns,
                                     state.last_stamp_ns, state.last_place_ns, state.span_start_ns}) {
        require(stamp > -kMostRestoredNs && stamp < kMostRestoredNs);
    }
    const BufferCounts& counts = state.counts;
    for (const std::int64_t count :
         {state.next_point, state.segment, state.n_same_stamp, state.n_span, state.n_unstamped,
          counts.n_samples, counts.n_nonfinite, counts.n_zero, counts.n_repeated_stamps, counts.n_gaps,
          counts.n_jumps, counts.n_out_of_range}) {
        require(count >= 0 && count < kMostRestoredNs);
    }
    // What is multiplied by the period must stay within 64 bits.
    for (const std::int64_t steps : {state.next_point, state.n_same_stamp, state.n_unstamped}) {
        require(static_cast<double>(steps) * period_ns_ < static_cast<double>(kMostRestoredNs));
    }
    require(state.previous.stamp_ns <= state.current.stamp_ns && state.start_ns <= state.current.stamp_ns);
    require(!state.in_segment || state.has_stamp);
    if (state.has_stamp) {
        require(state.last_stamp_ns <= state.last_place_ns && state.span_start_ns <= state.last_stamp_ns);
        require(!state.in_segment || state.current.stamp_ns <= state.last_place_ns);
    }
    if (state.in_segment) {
        // No point beyond the last sample was written. Points before it may be due after a window that could
        // not be decided, at most as many as lie in a gap that is bridged.
        require(state.segment >= 1);
        require(state.next_point == 0 || grid_ns(state, state.next_point - 1) <= state.current.stamp_ns);
        require(static_cast<double>(state.current.stamp_ns - grid_ns(state, state.next_point)) <=
                options_.max_gap_ns);
    }
}

void WindowBuffer::restore(const BufferState& state, const float* kept, std::size_t n_kept) {
    require_consistent(state);
    const auto size = static_cast<std::int64_t>(options_.window_size);
    const std::int64_t expected = state.in_segment ? std::min(state.next_point, size) : 0;
    require(static_cast<std::int64_t>(n_kept) == expected);
    state_ = state;
    ready_ = false;
    for (std::size_t i = 0; i < n_kept; ++i) put(i, kept + kAxes * i);
    slot_ = n_kept % options_.window_size;
}

}  // namespace patchtst_har::stream
