// The additions of one block, in sixteen lanes, by whatever vectors the machine has.
//
// The values are written with GCC's and Clang's vector types, which become those of the target.
// Products and sums must not be fused (-ffp-contract=off): fused ones round otherwise, and not
// every machine has them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "type.hpp"

namespace weigh {

constexpr std::size_t block_values = 16384;
constexpr int lanes = 16;

// Asks for values that come soon, and says that they are used once: else they drive the counters
// out of the cache, which are used again and again. To ask beyond the end does no harm.
inline __attribute__((always_inline)) void prefetch(const void* values) {
    __builtin_prefetch(static_cast<const char*>(values) + 4096, 0, 0);
}

// What a block adds to a table: sums of (value - pivot)^k * 2^(-k * scale) over the finite ones.
struct Block {
    std::uint64_t finite = 0;
    double pivot = 0, sum1 = 0, sum2 = 0, sum3 = 0, sum4 = 0;
    double absolute = 0;  // of the values themselves, scaled alike
    int scale = 0;
};

template <typename T>
struct Range {
    T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
    bool empty = true;
    std::uint64_t bits = 0;  // all that are set in any value
};

// Two sets of 65,536 counters, to which neighbouring values are added in turn.
struct Counters {
    std::uint32_t *even, *odd;
};

namespace wide {

typedef double D8 __attribute__((vector_size(64)));
typedef float F8 __attribute__((vector_size(32)));
typedef std::int64_t I8 __attribute__((vector_size(64)));

typedef std::uint32_t U8 __attribute__((vector_size(32)));

template <typename T>
struct Loaded;
template <>
struct Loaded<float> {
    typedef F8 Vector;
    typedef U8 Bits;
};
template <>
struct Loaded<double> {
    typedef D8 Vector;
    typedef I8 Bits;
};

#define WEIGH_INLINE inline __attribute__((always_inline))

// The lanes of one sum.
struct Lanes {
    D8 low, high;
};

WEIGH_INLINE double total(const double* lane) {
    double left[lanes];
    std::memcpy(left, lane, sizeof(left));
    for (int half = lanes / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) left[i] += left[i + half];
    return left[0];
}

// Counts the top 16 bits of 16 values. It stands between the additions of the same values, which
// fill the time that counters take to be stored: together they take no longer than counting.
template <typename T>
WEIGH_INLINE void count_tops(const T* values, const Counters& counters) {
    for (std::size_t i = 0; i < lanes; i += 4) {
        std::uint64_t a, b;
        std::memcpy(&a, values + i, 8);
        std::memcpy(&b, values + i + 2, 8);
        ++counters.even[(a >> 16) & 0xffff];
        ++counters.odd[(b >> 16) & 0xffff];
        ++counters.even[a >> 48];
        ++counters.odd[b >> 48];
    }
}
template <>
WEIGH_INLINE void count_tops<double>(const double* values, const Counters& counters) {
    for (std::size_t i = 0; i < lanes; i += 2) {
        std::uint64_t a, b;
        std::memcpy(&a, values + i, 8);
        std::memcpy(&b, values + i + 1, 8);
        ++counters.even[a >> 48];
        ++counters.odd[b >> 48];
    }
}

template <typename T, bool pivoted, bool counted>
struct Pass {
    double sum1[lanes], sum2[lanes], sum3[lanes], sum4[lanes], absolute[lanes];
    T low[8], high[8];
    std::uint64_t bits;

    WEIGH_INLINE void run(const T* values, std::size_t count, double pivot,
                          const Counters& counters) {
        typedef typename Loaded<T>::Vector V;
        typedef typename Loaded<T>::Bits Bits;
        Lanes s1{}, s2{}, s3{}, s4{}, sa{};
        V least, most;
        Bits any{};
        for (int i = 0; i < 8; ++i) {
            least[i] = std::numeric_limits<T>::max();
            most[i] = std::numeric_limits<T>::lowest();
        }
        const std::size_t steps = count / lanes;
        for (std::size_t step = 0; step < steps; ++step) {
            V a, b;
            std::memcpy(&a, values + lanes * step, sizeof(V));
            std::memcpy(&b, values + lanes * step + 8, sizeof(V));
            if (counted) {
                if (sizeof(T) == 4) prefetch(values + lanes * step);
                count_tops(values + lanes * step, counters);
            }
            if (!pivoted) {
                any |= (Bits)a | (Bits)b;
                least = a < least ? a : least;
                most = a > most ? a : most;
                least = b < least ? b : least;
                most = b > most ? b : most;
            }
            half(__builtin_convertvector(a, D8), pivot, s1.low, s2.low, s3.low, s4.low, sa.low);
            half(__builtin_convertvector(b, D8), pivot, s1.high, s2.high, s3.high, s4.high,
                 sa.high);
        }
        std::memcpy(sum1, &s1, sizeof(s1));
        std::memcpy(sum2, &s2, sizeof(s2));
        std::memcpy(sum3, &s3, sizeof(s3));
        std::memcpy(sum4, &s4, sizeof(s4));
        std::memcpy(absolute, &sa, sizeof(sa));
        std::memcpy(low, &least, sizeof(low));
        std::memcpy(high, &most, sizeof(high));
        bits = 0;
        for (int i = 0; i < 8; ++i) bits |= static_cast<std::uint64_t>(any[i]);
        for (std::size_t i = lanes * steps; i < count; ++i) {
            T value;
            std::memcpy(&value, values + i, sizeof(T));
            const double d = pivoted ? value - pivot : static_cast<double>(value), square = d * d;
            const std::size_t lane = i % lanes;
            sum1[lane] += d;
            sum2[lane] += square;
            sum3[lane] += square * d;
            sum4[lane] += square * square;
            absolute[lane] += std::fabs(d);
            if (value < low[0]) low[0] = value;
            if (value > high[0]) high[0] = value;
            bits |= bits_of(value);
            if (counted) ++counters.even[bits_of(value) >> (8 * sizeof(T) - 16)];
        }
    }

   private:
    static WEIGH_INLINE void half(D8 value, double pivot, D8& s1, D8& s2, D8& s3, D8& s4, D8& sa) {
        const D8 d = pivoted ? value - pivot : value;
        const D8 square = d * d;
        s1 += d;
        s2 += square;
        s3 += square * d;
        s4 += square * square;
        if (!pivoted) sa += (D8)((I8)d & 0x7fffffffffffffffLL);
    }
};

template <typename T, bool pivoted, bool counted>
WEIGH_INLINE void pass_of(const T* values, std::size_t count, double pivot, Block& block,
                          Range<T>* range, const Counters& counters) {
    Pass<T, pivoted, counted> pass;
    pass.run(values, count, pivot, counters);
    block.pivot = pivot;
    block.sum1 = total(pass.sum1);
    block.sum2 = total(pass.sum2);
    block.sum3 = total(pass.sum3);
    block.sum4 = total(pass.sum4);
    block.absolute = pivoted ? 0 : total(pass.absolute);
    if (range) {
        range->low = *std::min_element(pass.low, pass.low + 8);
        range->high = *std::max_element(pass.high, pass.high + 8);
        range->empty = range->low > range->high;
        range->bits = pass.bits;
    }
}

// About a pivot, or else with the range, and with the patterns counted or not.
template <typename T>
WEIGH_INLINE void any_pass(const T* values, std::size_t count, double pivot, Block& block,
                           Range<T>* range, const Counters* counters) {
    if (!range)
        pass_of<T, true, false>(values, count, pivot, block, range, Counters{});
    else if (counters)
        pass_of<T, false, true>(values, count, 0, block, range, *counters);
    else
        pass_of<T, false, false>(values, count, 0, block, range, Counters{});
}

// Integers as the nearest doubles, with their extremes.
template <typename T>
WEIGH_INLINE void doubles_of(const T* values, std::size_t count, double* made, T& low, T& high) {
    T least = std::numeric_limits<T>::max(), most = std::numeric_limits<T>::lowest();
    for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, values + i, sizeof(T));
        least = value < least ? value : least;
        most = value > most ? value : most;
        made[i] = static_cast<double>(value);
    }
    low = least;
    high = most;
}

#if defined(__x86_64__)
#define WEIGH_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,prefer-vector-width=512")))
#define WEIGH_AVX2 __attribute__((target("avx2")))
template <typename T>
WEIGH_AVX512 void pass_avx512(const T* v, std::size_t n, double p, Block& b, Range<T>* r,
                              const Counters* c) {
    any_pass(v, n, p, b, r, c);
}
template <typename T>
WEIGH_AVX2 void pass_avx2(const T* v, std::size_t n, double p, Block& b, Range<T>* r,
                          const Counters* c) {
    any_pass(v, n, p, b, r, c);
}
template <typename T>
WEIGH_AVX512 void convert_avx512(const T* v, std::size_t n, double* made, T& low, T& high) {
    doubles_of(v, n, made, low, high);
}
inline int best_level() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return 2;
    return __builtin_cpu_supports("avx2") ? 1 : 0;
}
#else
inline int best_level() { return 0; }
#endif

// Which vectors are used: 0 what every machine of this kind has, 1 AVX2, 2 AVX-512.
inline int& level() {
    static int used = best_level();
    return used;
}

template <typename T>
void pass(const T* v, std::size_t n, double p, Block& b, Range<T>* r, const Counters* c) {
#if defined(__x86_64__)
    if (level() == 2) return pass_avx512(v, n, p, b, r, c);
    if (level() == 1) return pass_avx2(v, n, p, b, r, c);
#endif
    any_pass(v, n, p, b, r, c);
}

template <typename T>
void convert(const T* v, std::size_t n, double* made, T& low, T& high) {
#if defined(__x86_64__)
    if (level() == 2) return convert_avx512(v, n, made, low, high);
#endif
    doubles_of(v, n, made, low, high);
}

}  // namespace wide

}  // namespace weigh
