// Moments of blocks of numbers, in double precision and always in the same order.
//
// A tensor is cut into blocks of 16,384 values from its first one on. Within a block, the value
// at i is added to lane i % 16, and the lanes are added up as a tree: whatever the machine's
// vectors are like, the same additions are made in the same order. The sums of blocks are then
// added exactly (exact.hpp), so threads and their order cannot be seen in the answer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lanes.hpp"

namespace weigh {

// Sums about half-way between a block's extremes, when all its values have one sign. Moments
// about a far mean follow from sums about zero only with a loss of digits; about the middle of
// the range, no deviation is more than the range, which the moments themselves are not below
// by more than the number of values.
template <typename T>
double pivot_of(const Range<T>& range) {
    if (range.empty || (range.low <= 0 && range.high >= 0)) return 0;
    return 0.5 * static_cast<double>(range.low) + 0.5 * static_cast<double>(range.high);
}

template <typename T>
void about_pivot(const T* values, std::size_t count, const Range<T>& range, Block& block) {
    const double pivot = pivot_of(range);
    if (pivot == 0) return;
    const double absolute = block.absolute;
    wide::pass<T>(values, count, pivot, block, nullptr, nullptr);
    block.absolute = absolute;
}

// A block with NaN, infinities or, of doubles, numbers whose fourth power is none: the finite
// ones are scaled by a power of two, and the others take part as the pivot, which adds nothing.
template <typename T>
void careful_block(const T* values, std::size_t count, Block& block, Range<T>& range) {
    static thread_local double copy[block_values];
    static thread_local bool holes[block_values];
    block = Block{};
    const std::uint64_t bits = range.bits;
    range = Range<T>{};
    range.bits = bits;
    for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, values + i, sizeof(T));
        holes[i] = !std::isfinite(value);
        if (holes[i]) continue;
        range.empty = false;
        ++block.finite;
        range.low = std::min(range.low, value);
        range.high = std::max(range.high, value);
    }
    if (range.empty) return;
    int scale = 0;
    const double most = std::max(std::fabs(static_cast<double>(range.low)),
                                 std::fabs(static_cast<double>(range.high)));
    if (most > 0x1p200 || (most > 0 && most < 0x1p-200)) std::frexp(most, &scale);
    Range<double> scaled;
    scaled.empty = false;
    scaled.low = std::ldexp(static_cast<double>(range.low), -scale);
    scaled.high = std::ldexp(static_cast<double>(range.high), -scale);
    const double pivot = pivot_of(scaled);
    for (std::size_t i = 0; i < count; ++i) {
        T value = 0;
        if (!holes[i]) std::memcpy(&value, values + i, sizeof(T));
        copy[i] = holes[i] ? 0 : std::ldexp(static_cast<double>(value), -scale);
    }
    Range<double> seen;
    const std::uint64_t finite = block.finite;
    wide::pass<double>(copy, count, 0, block, &seen, nullptr);
    if (pivot != 0) {
        for (std::size_t i = 0; i < count; ++i)
            if (holes[i]) copy[i] = pivot;
        about_pivot(copy, count, scaled, block);
    }
    block.finite = finite;
    block.scale = scale;
}

// Measures a block, and counts its values' top 16 bits where there are counters.
inline void measure_block(const float* values, std::size_t count, Block& block,
                          Range<float>& range, const Counters* counters) {
    wide::pass<float>(values, count, 0, block, &range, counters);
    block.scale = 0;
    block.finite = count;
    // Squares of floats are finite doubles, so this tells NaN and infinities alone.
    if (std::isfinite(block.sum2))
        about_pivot(values, count, range, block);
    else
        careful_block(values, count, block, range);
}

inline void measure_block(const double* values, std::size_t count, Block& block,
                          Range<double>& range, const Counters* counters) {
    wide::pass<double>(values, count, 0, block, &range, counters);
    block.scale = 0;
    block.finite = count;
    const double most = std::max(std::fabs(range.low), std::fabs(range.high));
    if (std::isfinite(block.sum4) && most <= 0x1p200 && (most == 0 || most >= 0x1p-200))
        about_pivot(values, count, range, block);
    else
        careful_block(values, count, block, range);
}

// Integers of 32 and 64 bits: as the nearest doubles.
template <typename T>
void measure_block(const T* values, std::size_t count, Block& block, Range<T>& range,
                   const Counters*) {
    static thread_local double copy[block_values];
    wide::convert(values, count, copy, range.low, range.high);
    range.empty = count == 0;
    Range<double> seen;
    measure_block(copy, count, block, seen, nullptr);
}

}  // namespace weigh
