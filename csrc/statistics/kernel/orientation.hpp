// Gravity filter and circular statistics of roll, pitch and yaw, from unit vectors alone.
#pragma once

#include "statistics/kernel/blocks.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {
namespace {

// Accelerations are scaled so that the squares of all that are valid fit a float32; directions do not care.
constexpr double kUnit = 0x1p-10;
// A shorter vector (1e-6 g) has no direction.
constexpr double kShortest2 = 1e-12 * kUnit * kUnit;
// Resultants below this are rounding noise.
constexpr double kNoResultant = 1e-12;

struct CircularStatistics {
    double mean, std;  // radians; the mean of directions that cancel out is 0
};

struct Orientation {
    CircularStatistics roll, pitch, yaw;
};

struct Axes {
    Doubles x, y, z;
};

// Squared lengths that the angles of a vector refer to, and their inverse roots.
struct Lengths {
    Doubles yz2, whole2, xy2;
    Doubles per_yz, per_whole, per_xy;

    explicit PATCHTST_HAR_INLINE Lengths(const Axes& v) {
        const Doubles xx = v.x * v.x;
        const Doubles yy = v.y * v.y;
        yz2 = yy + v.z * v.z;
        xy2 = xx + yy;
        whole2 = xx + yz2;
    }
};

// Sums of sines and cosines of the three angles.
struct DirectionSums {
    Doubles roll_sine{}, roll_cosine{}, pitch_sine{}, pitch_cosine{}, yaw_sine{}, yaw_cosine{};

    PATCHTST_HAR_INLINE void add(const Axes& v, const Lengths& lengths) {
        const Doubles yz = lengths.yz2 * lengths.per_yz;
        const Doubles roll = zero_if_below(lengths.yz2, kShortest2, lengths.per_yz);
        const Doubles pitch = zero_if_below(lengths.whole2, kShortest2, lengths.per_whole);
        const Doubles yaw = zero_if_below(lengths.xy2, kShortest2, lengths.per_xy);
        roll_sine += v.y * roll;
        roll_cosine += v.z * roll;
        pitch_sine += v.x * pitch;
        pitch_cosine += yz * pitch;
        yaw_sine += v.x * yaw;
        yaw_cosine += v.y * yaw;
    }
};

struct Split {
    DirectionSums gravity, dynamic;

    // An error of an inverse length is the same in an angle's sine and cosine: it does not turn a direction,
    // and single precision does for gravity. But it changes the resultant, which a circular deviation near 0
    // needs to the last digits: those of the dynamic part are refined.
    PATCHTST_HAR_INLINE void add(const Axes& still, const Axes& moving) {
        Lengths rest(still);
        Lengths motion(moving);
        inverse_roots(rest.yz2, rest.whole2, rest.per_yz, rest.per_whole);
        inverse_roots(rest.xy2, motion.xy2, rest.per_xy, motion.per_xy);
        inverse_roots(motion.yz2, motion.whole2, motion.per_yz, motion.per_whole);
        motion.per_yz = refined(motion.yz2, motion.per_yz);
        motion.per_whole = refined(motion.whole2, motion.per_whole);
        motion.per_xy = refined(motion.xy2, motion.per_xy);
        gravity.add(still, rest);
        dynamic.add(moving, motion);
    }
};

PATCHTST_HAR_INLINE CircularStatistics circular(double sine, double cosine) {
    const double length = __builtin_sqrt(sine * sine + cosine * cosine);
    const double resultant = length < 1.0 ? length : 1.0;
    if (resultant < kNoResultant) return {0.0, __builtin_sqrt(-2.0 * __builtin_log(kNoResultant))};
    return {__builtin_atan2(sine, cosine), __builtin_sqrt(-2.0 * __builtin_log(resultant))};
}

Orientation orientation_of(const DirectionSums& sums, std::size_t n) {
    const double scale = 1.0 / static_cast<double>(n);
    return {circular(sum_of(sums.roll_sine) * scale, sum_of(sums.roll_cosine) * scale),
            circular(-sum_of(sums.pitch_sine) * scale, sum_of(sums.pitch_cosine) * scale),
            circular(sum_of(sums.yaw_sine) * scale, sum_of(sums.yaw_cosine) * scale)};
}

// The recursion g(t) = g(t-1) + gain (a(t) - g(t-1)) is a chain of dependent operations. It is cut in eight
// segments that lie in the lanes: each is filtered as if it began at 0, and as the filter is linear, what the
// segments before it left behind is added later, faded by decay[k]. All accelerations are relative to the
// first one, so a constant signal stays exactly constant.
PATCHTST_HAR_STAGE void filter_segments(const Plan& plan, std::size_t length, const double* first,
                                        double* last) {
    double* relative = plan.relative;
    double* filtered = plan.filtered;
    const Doubles gain = Doubles::all(plan.gain);
    Doubles state[3] = {};
    for (std::size_t k = 0; k < length; ++k) {
        for (std::size_t axis = 0; axis < 3; ++axis) {
            const Doubles raw = Doubles::spread(plan.channels[axis] + k, length);
            const Doubles a = (raw - Doubles::all(first[axis])) * Doubles::all(kUnit);
            a.to(relative);
            state[axis] += gain * (a - state[axis]);
            state[axis].to(filtered);
            relative += kLanes;
            filtered += kLanes;
        }
    }
    for (std::size_t axis = 0; axis < 3; ++axis) state[axis].to(last + axis * kLanes);
}

// Turns the states at the end of each segment, filtered alone, into the true states at its start; returns the
// one after the last segment.
double carry_states(double* states, double fade) {
    double state = 0.0;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const double alone = states[lane];
        states[lane] = state;
        state = alone + fade * state;
    }
    return state;
}

PATCHTST_HAR_STAGE void add_segments(const Plan& plan, std::size_t length, const double* first,
                                     const double* starts, Split& split) {
    const double* relative = plan.relative;
    const double* filtered = plan.filtered;
    Split sums;  // a local object stays in registers
    for (std::size_t k = 0; k < length; ++k) {
        const Doubles decay = Doubles::all(plan.decay[k]);
        Doubles gravity[3];
        Doubles dynamic[3];
        for (std::size_t axis = 0; axis < 3; ++axis) {
            const Doubles state = Doubles::at(filtered) + decay * Doubles::at(starts + axis * kLanes);
            gravity[axis] = Doubles::all(first[axis] * kUnit) + state;
            dynamic[axis] = Doubles::at(relative) - state;
            relative += kLanes;
            filtered += kLanes;
        }
        sums.add({gravity[0], gravity[1], gravity[2]}, {dynamic[0], dynamic[1], dynamic[2]});
    }
    split = sums;
}

// The samples after the last whole segment, at most seven; lanes without a sample hold vectors of length 0.
void add_rest(const Plan& plan, std::size_t start, const double* first, double* states, Split& split) {
    double gravity[3][kLanes] = {};
    double dynamic[3][kLanes] = {};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        for (std::size_t i = start; i < plan.n; ++i) {
            const double a = (static_cast<double>(plan.channels[axis][i]) - first[axis]) * kUnit;
            states[axis] += plan.gain * (a - states[axis]);
            gravity[axis][i - start] = first[axis] * kUnit + states[axis];
            dynamic[axis][i - start] = a - states[axis];
        }
    }
    split.add({Doubles::at(gravity[0]), Doubles::at(gravity[1]), Doubles::at(gravity[2])},
              {Doubles::at(dynamic[0]), Doubles::at(dynamic[1]), Doubles::at(dynamic[2])});
}

void split_orientation(const Plan& plan, Orientation& posture, Orientation& motion) {
    const std::size_t length = plan.n / kLanes;
    const double first[3] = {plan.channels[0][0], plan.channels[1][0], plan.channels[2][0]};
    double states[3 * kLanes] = {};
    double ends[3] = {};
    Split split;
    if (length > 0) {
        filter_segments(plan, length, first, states);
        for (std::size_t axis = 0; axis < 3; ++axis) {
            ends[axis] = carry_states(states + axis * kLanes, plan.decay[length - 1]);
        }
        add_segments(plan, length, first, states, split);
    }
    if (length * kLanes < plan.n) add_rest(plan, length * kLanes, first, ends, split);
    posture = orientation_of(split.gravity, plan.n);
    motion = orientation_of(split.dynamic, plan.n);
}

}  // namespace
}  // namespace patchtst_har::statistics
