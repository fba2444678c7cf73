// Samples of a live stream, put on a regular grid as they come and cut into windows without copying them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace patchtst_har::stream {

constexpr std::size_t kAxes = 3;
constexpr std::size_t kMostWindowSize = std::size_t{1} << 20U;
// Stamps beyond this many ns from 1970 (145 years) are refused, so that no difference overflows, not even
// after a year of samples that repeat one stamp.
constexpr std::int64_t kMostNs = 0x4000'0000'0000'0000 - 0x80'0000'0000'0000;

// No wrist sensor measures more on an axis: beyond it stand markers of missing values and wrong units.
constexpr float kMostG = 50.0F;

struct BufferOptions {
    double rate_hz;
    std::size_t window_size, hop_size;
    double max_gap_ns;
};

struct BufferCounts {
    std::int64_t n_samples, n_nonfinite, n_zero, n_repeated_stamps, n_gaps, n_jumps, n_out_of_range;
};

// Where a complete window stands.
struct WindowPlace {
    std::int64_t start_ns;
    std::int64_t segment;   // pause-free part, counted from 1
    std::int64_t number;    // of the window in its segment, from 0
    std::int64_t restarts;  // how often the clock had jumped backwards
};

// The device is clearly faster than the grid: samples would have to be low-passed first.
class TooFastError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Everything that a buffer remembers, in plain numbers.
struct BufferState {
    struct Sample {
        std::array<float, kAxes> value{};
        std::int64_t stamp_ns = 0;
    };
    BufferCounts counts{};
    Sample previous, current;
    std::int64_t start_ns = 0;    // of the segment
    std::int64_t next_point = 0;  // of the grid
    std::int64_t segment = 0;
    std::int64_t last_stamp_ns = 0;  // as it came
    std::int64_t last_place_ns = 0;  // with repeated stamps spread
    std::int64_t n_same_stamp = 0;
    std::int64_t span_start_ns = 0;  // of the samples over which the rate is watched
    std::int64_t n_span = 0;
    std::int64_t n_unstamped = 0;
    bool has_stamp = false, in_segment = false;
};

class WindowBuffer {
  public:
    explicit WindowBuffer(const BufferOptions& options);

    // Takes samples (n, 3) from `first` on until a window is complete or none is left; returns the first
    // sample that was not taken. As long as ready(), windows may still be made of what was taken already.
    // Without stamps (nullptr), samples follow each other at the grid's own rate.
    std::size_t feed(const float* samples, const std::int64_t* stamps_ns, std::size_t first, std::size_t n);

    // Ends the segment; ready() is true if that completed a window.
    void finish();

    [[nodiscard]] bool ready() const { return ready_; }

    // The window that is ready: (window_size, 3) in order of time, valid until the next call of feed().
    [[nodiscard]] const float* window() const { return ring_.data() + kAxes * window_slot_; }
    [[nodiscard]] const WindowPlace& place() const { return place_; }

    [[nodiscard]] const BufferOptions& options() const { return options_; }
    [[nodiscard]] const BufferState& state() const { return state_; }

    // Points of the segment's grid that a later window may need: (n_kept(), 3), oldest first.
    [[nodiscard]] std::size_t n_kept() const;
    void copy_kept(float* points) const;
    // Goes on from a state; throws std::invalid_argument if it cannot be one.
    void restore(const BufferState& state, const float* kept, std::size_t n_kept);

  private:
    using Sample = BufferState::Sample;

    void take(const float* sample, std::int64_t stamp_ns);
    std::int64_t place_of(std::int64_t stamp_ns);
    void watch_rate(std::int64_t stamp_ns);
    bool is_usable(const float* sample);
    void end_segment();
    bool advance();
    void put(std::size_t slot, const float* point);
    void write(const std::array<float, kAxes>& value);
    [[nodiscard]] std::int64_t grid_ns(const BufferState& state, std::int64_t point) const;
    void require_consistent(const BufferState& state) const;
    [[nodiscard]] std::array<float, kAxes> interpolate(std::int64_t at_ns) const;

    BufferOptions options_;
    double period_ns_;
    std::int64_t n_watched_;  // samples over which the rate is measured
    BufferState state_;
    // Every point stands at i and at i + window_size, so that any window is one slice.
    std::vector<float> ring_;
    std::size_t slot_ = 0;         // of the next point
    std::size_t window_slot_ = 0;  // of the first point of the window that is ready
    WindowPlace place_{};
    bool ready_ = false;
};

}  // namespace patchtst_har::stream
