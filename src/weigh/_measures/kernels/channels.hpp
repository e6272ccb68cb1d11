// Sums of squares of the channels of a tensor: of each filter, of each row of a look-up table.
//
// The values lie in runs of `inner` values of one channel, the channels one after the other and
// then from the first again.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "lanes.hpp"
#include "type.hpp"

namespace weigh {
namespace channels {

typedef wide::D8 D8;
typedef float F16 __attribute__((vector_size(64)));
typedef std::uint32_t U16 __attribute__((vector_size(64)));
typedef wide::F8 F8;

// Sixteen values as doubles. `load` leaves out the signs of small floats, which it squares.
struct Sixteen {
    D8 low, high;
};

WEIGH_INLINE Sixteen doubles(const F16& values) {
    F8 halves[2];
    std::memcpy(halves, &values, sizeof(values));
    return {__builtin_convertvector(halves[0], D8), __builtin_convertvector(halves[1], D8)};
}

template <typename T>
WEIGH_INLINE U16 widened(const T* values) {
    typedef T Narrow __attribute__((vector_size(16 * sizeof(T))));
    Narrow loaded;
    std::memcpy(&loaded, values, sizeof(loaded));
    return __builtin_convertvector(loaded, U16);
}

struct Float {
    typedef float Stored;
    static WEIGH_INLINE F16 signed_floats(const float* values) {
        F16 loaded;
        std::memcpy(&loaded, values, sizeof(loaded));
        return loaded;
    }
    static WEIGH_INLINE Sixteen load(const float* values) {
        return doubles(signed_floats(values));
    }
};
struct Double {
    typedef double Stored;
    static WEIGH_INLINE Sixteen load(const double* values) {
        Sixteen loaded;
        std::memcpy(&loaded, values, sizeof(loaded));
        return loaded;
    }
};
struct Brain {
    typedef std::uint16_t Stored;
    static WEIGH_INLINE F16 floats(const std::uint16_t* values) {
        return reinterpret_cast<F16>(widened(values) << 16);
    }
    static WEIGH_INLINE F16 signed_floats(const std::uint16_t* values) { return floats(values); }
    static WEIGH_INLINE Sixteen load(const std::uint16_t* values) {
        return doubles(floats(values));
    }
};
// An IEEE-like float of M bits of mantissa, whose magnitudes from `Top` on are not finite.
template <typename T, int Bits, int M, int Bias, std::uint32_t Top>
struct Small {
    typedef T Stored;
    static WEIGH_INLINE F16 floats(const T* values) { return sizes(widened(values)); }
    static WEIGH_INLINE F16 signed_floats(const T* values) {
        const U16 bits = widened(values), signs = (bits >> (Bits - 1)) << 31;
        return reinterpret_cast<F16>(reinterpret_cast<U16>(sizes(bits)) | signs);
    }
    static WEIGH_INLINE F16 sizes(const U16& stored) {
        // The exponent is put right by a multiplication, which makes subnormals right too.
        const float scale = float_of(static_cast<std::uint32_t>(127 + 127 - Bias) << 23);
        const U16 magnitude = stored & ((1u << (Bits - 1)) - 1);
        const U16 infinite = U16{} + 0x7f800000u;
        const U16 bits = magnitude >= Top ? infinite : magnitude << (23 - M);
        return reinterpret_cast<F16>(bits) * scale;
    }
    static WEIGH_INLINE Sixteen load(const T* values) { return doubles(floats(values)); }
};
typedef Small<std::uint16_t, 16, 10, 15, 0x7c00> Half;
typedef Small<std::uint8_t, 8, 3, 7, 0x7f> E4M3;
typedef Small<std::uint8_t, 8, 2, 15, 0x7c> E5M2;

// The last values, fewer than sixteen, and zeros after them.
template <typename How>
WEIGH_INLINE Sixteen rest(const typename How::Stored* values, std::size_t count) {
    typename How::Stored padded[lanes] = {};
    std::memcpy(padded, values, count * sizeof(padded[0]));
    return How::load(padded);
}

WEIGH_INLINE double total_of(const Sixteen& sums) {
    double lane[lanes];
    std::memcpy(lane, &sums, sizeof(lane));
    return wide::total(lane);
}

template <typename How>
WEIGH_INLINE double run_of(const typename How::Stored* values, std::size_t count) {
    Sixteen sums{};
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        const Sixteen value = How::load(values + i);
        sums.low += value.low * value.low;
        sums.high += value.high * value.high;
    }
    if (i < count) {
        const Sixteen value = rest<How>(values + i, count - i);
        sums.low += value.low * value.low;
        sums.high += value.high * value.high;
    }
    return total_of(sums);
}

// Of narrow floats, eight squares of a lane are added as floats before they become doubles, which
// takes half the time; within 2^-21 of the sum. Where a float has no room for them, doubles do it.
template <typename How>
WEIGH_INLINE double quick_run_of(const typename How::Stored* values, std::size_t count) {
    constexpr std::size_t eight = 8 * lanes;
    Sixteen sums{};
    std::size_t i = 0;
    for (; i + eight <= count; i += eight) {
        F16 squares{};
        for (std::size_t k = i; k < i + eight; k += lanes) {
            const F16 value = How::floats(values + k);
            squares += value * value;
        }
        const Sixteen wide = doubles(squares);
        sums.low += wide.low;
        sums.high += wide.high;
    }
    const double sum = total_of(sums);
    // Not so where it is NaN, infinite, or so small that squares may have been lost.
    const bool held = i == 0 || (sum > 1e-25 && sum < std::numeric_limits<double>::infinity());
    return held ? sum + run_of<How>(values + i, count - i) : run_of<How>(values, count);
}

template <typename How>
WEIGH_INLINE void columns_of(const typename How::Stored* values, std::size_t count, double* sums) {
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        const Sixteen value = How::load(values + i);
        Sixteen before;
        std::memcpy(&before, sums + i, sizeof(before));
        before.low += value.low * value.low;
        before.high += value.high * value.high;
        std::memcpy(sums + i, &before, sizeof(before));
    }
    if (i == count) return;
    const Sixteen value = rest<How>(values + i, count - i);
    const Sixteen squares{value.low * value.low, value.high * value.high};
    double last[lanes];
    std::memcpy(last, &squares, sizeof(last));
    for (int k = 0; i < count; ++i, ++k) sums[i] += last[k];
}

template <typename How>
WEIGH_INLINE double run(const typename How::Stored* values, std::size_t count) {
    if constexpr (sizeof(typename How::Stored) < sizeof(float))
        return quick_run_of<How>(values, count);
    else
        return run_of<How>(values, count);
}

// Adds `count` values to the sums of channels, from the given one on, of which `left` values are
// still to come.
template <typename How>
WEIGH_INLINE void add(const std::uint8_t* bytes, std::size_t count, std::uint64_t channel,
                      std::uint64_t left, std::uint64_t inner, std::vector<double>& sums) {
    const auto* values = reinterpret_cast<const typename How::Stored*>(bytes);
    while (count) {
        const std::size_t many =
            std::min<std::uint64_t>(count, inner == 1 ? sums.size() - channel : left);
        if (inner == 1)
            columns_of<How>(values, many, sums.data() + channel);
        else
            sums[channel] += run<How>(values, many);
        values += many;
        count -= many;
        left = inner;
        channel = (channel + (inner == 1 ? many : 1)) % sums.size();
    }
}

typedef void (*Add)(const std::uint8_t*, std::size_t, std::uint64_t, std::uint64_t, std::uint64_t,
                    std::vector<double>&);

#if defined(__x86_64__)
template <typename How>
WEIGH_AVX512 void add_avx512(const std::uint8_t* bytes, std::size_t count, std::uint64_t channel,
                             std::uint64_t left, std::uint64_t inner, std::vector<double>& sums) {
    add<How>(bytes, count, channel, left, inner, sums);
}
template <typename How>
WEIGH_AVX2 void add_avx2(const std::uint8_t* bytes, std::size_t count, std::uint64_t channel,
                         std::uint64_t left, std::uint64_t inner, std::vector<double>& sums) {
    add<How>(bytes, count, channel, left, inner, sums);
}
#endif
template <typename How>
void add_plain(const std::uint8_t* bytes, std::size_t count, std::uint64_t channel,
               std::uint64_t left, std::uint64_t inner, std::vector<double>& sums) {
    add<How>(bytes, count, channel, left, inner, sums);
}

template <typename How>
Add fastest() {
#if defined(__x86_64__)
    if (wide::level() == 2) return add_avx512<How>;
    if (wide::level() == 1) return add_avx2<How>;
#endif
    return add_plain<How>;
}

inline Add add_for(const std::string& dtype) {
    if (dtype == "float32") return fastest<Float>();
    if (dtype == "float64") return fastest<Double>();
    if (dtype == "bfloat16") return fastest<Brain>();
    if (dtype == "float16") return fastest<Half>();
    if (dtype == "float8_e4m3fn") return fastest<E4M3>();
    if (dtype == "float8_e5m2") return fastest<E5M2>();
    throw std::invalid_argument("no squares are added up of the type " + dtype);
}

// The sums of a piece of a tensor: those of the channels that it touches, from that of its first
// value on; past the last channel the first one follows.
class Sums {
   public:
    Sums(const std::string& dtype, std::size_t count, std::uint64_t start, std::uint64_t channels,
         std::uint64_t inner)
        : add_(add_for(dtype)), first_(start), at_(start), inner_(inner) {
        if (!channels || !inner) throw std::invalid_argument("these are no channels");
        const std::uint64_t runs = count ? (start + count - 1) / inner - start / inner + 1 : 0;
        sums_.resize(std::min(runs, channels));
    }

    void add(const std::uint8_t* bytes, std::size_t count) {
        if (!count) return;
        const std::uint64_t channel = (at_ / inner_ - first_ / inner_) % sums_.size();
        add_(bytes, count, channel, inner_ - at_ % inner_, inner_, sums_);
        at_ += count;
    }

    const std::vector<double>& sums() const { return sums_; }

   private:
    Add add_;
    std::uint64_t first_, at_, inner_;
    std::vector<double> sums_;
};

// The sums of all channels of a tensor, put together from those of its pieces.
class Totals {
   public:
    explicit Totals(std::size_t channels) : sums_(channels) {}

    // Adds the sums of a piece, whose first value is of channel `first`.
    void add(const double* sums, std::size_t count, std::size_t first) {
        if (first >= sums_.size() || count > sums_.size())
            throw std::invalid_argument("there are not so many channels");
        for (std::size_t i = 0; i < count; ++i) sums_[(first + i) % sums_.size()] += sums[i];
    }

    const std::vector<double>& sums() const { return sums_; }

    // The smallest and the largest sum; (0, infinity) if one is not finite.
    std::pair<double, double> spread() const {
        double least = std::numeric_limits<double>::infinity(), most = 0;
        for (double sum : sums_) {
            if (!std::isfinite(sum)) return {0, std::numeric_limits<double>::infinity()};
            least = std::min(least, sum);
            most = std::max(most, sum);
        }
        return {std::min(least, most), most};
    }

    // The channels whose sums differ from the next larger one by no more than a share of it, in
    // groups of neighbours in that order. Sums of 0 and those that are not finite are left out.
    std::vector<std::vector<std::size_t>> alike(double near) const {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < sums_.size(); ++i)
            if (std::isfinite(sums_[i]) && sums_[i] > 0) order.push_back(i);
        std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
            return sums_[a] != sums_[b] ? sums_[a] < sums_[b] : a < b;
        });
        std::vector<std::vector<std::size_t>> groups;
        bool open = false;
        for (std::size_t i = 1; i < order.size(); ++i) {
            const double before = sums_[order[i - 1]], after = sums_[order[i]];
            const bool close = after - before <= near * after;
            if (close && !open) groups.push_back({order[i - 1]});
            if (close) groups.back().push_back(order[i]);
            open = close;
        }
        return groups;
    }

   private:
    std::vector<double> sums_;
};

}  // namespace channels
}  // namespace weigh
