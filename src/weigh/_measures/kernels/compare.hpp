// Two tensors held against each other, value by value, in one pass over both.
//
// Both are read as floats (as doubles, where one of them is), in blocks of 16,384 values. Sums are
// made in 16 lanes in one order and then added exactly, as those of a table are, so pieces may come
// in any order. Blocks that are equal bit for bit are told by comparing memory, which takes no
// longer than reading them; what they add to the norms is asked for later, if at all.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "channels.hpp"
#include "exact.hpp"
#include "table.hpp"

namespace weigh {

// What is known of the pairs (a, b) of two tensors' values.
struct Compared {
    std::uint64_t count = 0;    // pairs that were measured
    std::uint64_t changed = 0;  // whose bits differ, or whose numbers do if the types do
    std::uint64_t finite = 0;   // of two finite numbers: the rest is about these
    std::uint64_t flipped = 0;  // of unequal signs, neither being 0
    std::uint64_t zeros_a = 0, zeros_b = 0, zeros_both = 0;
    std::uint64_t odd_a = 0, odd_b = 0;  // that are not finite
    double most = 0;              // the largest |b - a|
    std::uint64_t most_at = ~0ull;  // where it is first
    Sum aa, bb, dd;               // of a^2, b^2 and (b - a)^2; 2 a b follows from them

    void merge(const Compared& other) {
        count += other.count;
        changed += other.changed;
        finite += other.finite;
        flipped += other.flipped;
        zeros_a += other.zeros_a;
        zeros_b += other.zeros_b;
        zeros_both += other.zeros_both;
        odd_a += other.odd_a;
        odd_b += other.odd_b;
        if (other.most > most || (other.most == most && other.most_at < most_at)) {
            most = other.most;
            most_at = other.most_at;
        }
        aa.add(other.aa);
        bb.add(other.bb);
        dd.add(other.dd);
    }
};

namespace compare {

typedef channels::D8 D8;
typedef channels::F16 F16;
typedef std::int32_t I16 __attribute__((vector_size(64)));
typedef wide::I8 I8;

// The sums of a block, and how large its largest change is, rounded as changes are.
struct Sums {
    double aa, bb, dd, most;
    std::uint64_t flipped, zeros_a, zeros_b, zeros_both, differing, signed_zeros;
};

WEIGH_INLINE double total(const D8* both) {
    double lane[lanes];
    std::memcpy(lane, both, sizeof(lane));
    return wide::total(lane);
}
template <typename V>
WEIGH_INLINE std::uint64_t counted(const V& each) {
    std::uint64_t all = 0;
    for (std::size_t k = 0; k < sizeof(V) / sizeof(each[0]); ++k)
        all += static_cast<std::uint64_t>(each[k]);
    return all;
}

// Sixteen pairs of floats at a time: what differs is worked out in floats, what is added in doubles.
template <typename How>
WEIGH_INLINE void measure(const typename How::Stored* a, const typename How::Stored* b,
                          std::size_t count, float* change, Sums& sums) {
    D8 aa[2] = {}, bb[2] = {}, dd[2] = {};
    F16 most{};
    typename How::Stored left_a[lanes] = {}, left_b[lanes] = {};
    for (std::size_t at = 0; at < count; at += lanes) {
        const auto *from = a + at, *to = b + at;
        const std::size_t part = std::min<std::size_t>(lanes, count - at);
        if (part < lanes) {
            std::memcpy(left_a, from, part * sizeof(left_a[0]));
            std::memcpy(left_b, to, part * sizeof(left_b[0]));
            from = left_a;
            to = left_b;
        }
        const F16 x = How::signed_floats(from), y = How::signed_floats(to), d = y - x;
        std::memcpy(change + at, &d, part < lanes ? part * sizeof(float) : sizeof(d));
        const F16 size = (F16)((I16)d & 0x7fffffff);
        most = size > most ? size : most;
        const channels::Sixteen xs = channels::doubles(x), ys = channels::doubles(y);
        const D8 xd[2] = {xs.low, xs.high}, yd[2] = {ys.low, ys.high};
        for (int half = 0; half < 2; ++half) {
            const D8 exact = yd[half] - xd[half];
            aa[half] += xd[half] * xd[half];
            bb[half] += yd[half] * yd[half];
            dd[half] += exact * exact;
        }
    }
    sums.aa = total(aa);
    sums.bb = total(bb);
    sums.dd = total(dd);
    sums.most = 0;
    for (std::size_t k = 0; k < lanes; ++k)
        sums.most = std::max<double>(sums.most, most[k]);
}

// Sixteen pairs of doubles at a time.
WEIGH_INLINE void measure_doubles(const double* a, const double* b, std::size_t count,
                                  double* change, Sums& sums) {
    D8 aa[2] = {}, bb[2] = {}, dd[2] = {}, most{};
    double left_a[lanes] = {}, left_b[lanes] = {}, left[lanes];
    for (std::size_t at = 0; at < count; at += lanes) {
        const double *from = a + at, *to = b + at;
        double* into = change + at;
        const std::size_t part = std::min<std::size_t>(lanes, count - at);
        if (part < lanes) {
            std::memcpy(left_a, from, part * sizeof(double));
            std::memcpy(left_b, to, part * sizeof(double));
            from = left_a;
            to = left_b;
            into = left;
        }
        for (int half = 0; half < 2; ++half) {
            D8 x, y;
            std::memcpy(&x, from + 8 * half, sizeof(x));
            std::memcpy(&y, to + 8 * half, sizeof(y));
            const D8 d = y - x;
            std::memcpy(into + 8 * half, &d, sizeof(d));
            const D8 size = (D8)((I8)d & 0x7fffffffffffffffLL);
            most = size > most ? size : most;
            aa[half] += x * x;
            bb[half] += y * y;
            dd[half] += d * d;
        }
        if (part < lanes) std::memcpy(change + at, left, part * sizeof(double));
    }
    sums.aa = total(aa);
    sums.bb = total(bb);
    sums.dd = total(dd);
    sums.most = 0;
    for (int k = 0; k < 8; ++k) sums.most = std::max(sums.most, most[k]);
}

// What the bits of floats of one type tell, sign and magnitude: as many at a time as there is room
// for in their own width.
template <typename T>
WEIGH_INLINE void compare_bits(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                               Sums& sums) {
    typedef T V __attribute__((vector_size(64)));
    constexpr std::size_t each = 64 / sizeof(T);
    // In lanes of T a count may wrap: they are emptied before.
    constexpr std::size_t often = sizeof(T) == 1 ? 255 : 16384;
    constexpr T sign = static_cast<T>(T{1} << (8 * sizeof(T) - 1)), size = static_cast<T>(~sign);
    sums.differing = sums.zeros_a = sums.zeros_b = sums.zeros_both = sums.flipped = 0;
    sums.signed_zeros = 0;
    T left_a[each] = {}, left_b[each] = {};
    for (std::size_t i = 0; i < count;) {
        V differing{}, zeros_a{}, zeros_b{}, zeros_both{}, flipped{}, signed_zeros{};
        for (std::size_t k = 0; k < often && i < count; ++k, i += each) {
            const auto *from = a + i * sizeof(T), *to = b + i * sizeof(T);
            if (count - i < each) {  // the rest are ones, which are equal and no zeros
                for (std::size_t l = 0; l < each; ++l) left_a[l] = left_b[l] = 1;
                std::memcpy(left_a, from, (count - i) * sizeof(T));
                std::memcpy(left_b, to, (count - i) * sizeof(T));
                from = reinterpret_cast<const std::uint8_t*>(left_a);
                to = reinterpret_cast<const std::uint8_t*>(left_b);
            }
            V x, y;
            std::memcpy(&x, from, sizeof(V));
            std::memcpy(&y, to, sizeof(V));
            // Masks are all ones, -1, where they hold.
            const V other = x ^ y;
            const V x_zero = (V)((x & size) == 0), y_zero = (V)((y & size) == 0);
            const V both = x_zero & y_zero, differ = (V)(other != 0);
            differing -= differ;
            zeros_a -= x_zero;
            zeros_b -= y_zero;
            zeros_both -= both;
            signed_zeros -= both & differ;
            flipped -= (V)((other & sign) != 0) & ~(x_zero | y_zero);
        }
        sums.differing += counted(differing);
        sums.zeros_a += counted(zeros_a);
        sums.zeros_b += counted(zeros_b);
        sums.zeros_both += counted(zeros_both);
        sums.signed_zeros += counted(signed_zeros);
        sums.flipped += counted(flipped);
    }
}

template <typename How>
WEIGH_INLINE void widen(const std::uint8_t* bytes, std::size_t count, float* made) {
    const auto* values = reinterpret_cast<const typename How::Stored*>(bytes);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        const F16 sixteen = How::signed_floats(values + i);
        std::memcpy(made + i, &sixteen, sizeof(sixteen));
    }
    if (i == count) return;
    typename How::Stored padded[lanes] = {};
    std::memcpy(padded, values + i, (count - i) * sizeof(padded[0]));
    const F16 sixteen = How::signed_floats(padded);
    std::memcpy(made + i, &sixteen, (count - i) * sizeof(float));
}

// What is done with one type, by whatever vectors the machine has.
struct Doing {
    void (*measure)(const std::uint8_t*, const std::uint8_t*, std::size_t, float*, Sums&);
    void (*widen)(const std::uint8_t*, std::size_t, float*);
    void (*bits)(const std::uint8_t*, const std::uint8_t*, std::size_t, Sums&);
};

#define WEIGH_DOING(NAME, TARGET)                                                               \
    template <typename How>                                                                     \
    struct NAME {                                                                               \
        typedef typename How::Stored Stored;                                                    \
        TARGET static void measured(const std::uint8_t* a, const std::uint8_t* b, std::size_t n, \
                                    float* change, Sums& sums) {                                \
            measure<How>(reinterpret_cast<const Stored*>(a),                                    \
                         reinterpret_cast<const Stored*>(b), n, change, sums);                  \
        }                                                                                       \
        TARGET static void widened(const std::uint8_t* bytes, std::size_t n, float* made) {     \
            widen<How>(bytes, n, made);                                                         \
        }                                                                                       \
        TARGET static void bits(const std::uint8_t* a, const std::uint8_t* b, std::size_t n,      \
                                Sums& sums) {                                                     \
            typedef std::conditional_t<                                                         \
                sizeof(Stored) == 1, std::uint8_t,                                              \
                std::conditional_t<sizeof(Stored) == 2, std::uint16_t, std::uint32_t>>          \
                Bits;                                                                           \
            compare_bits<Bits>(a, b, n, sums);                                                  \
        }                                                                                       \
        static Doing doing() { return {measured, widened, bits}; }                              \
    };                                                                                          \
    struct NAME##Doubles {                                                                      \
        TARGET static void measured(const double* a, const double* b, std::size_t n,            \
                                    double* change, Sums& sums) {                               \
            measure_doubles(a, b, n, change, sums);                                             \
        }                                                                                       \
        TARGET static void bits(const double* a, const double* b, std::size_t n, Sums& sums) {  \
            compare_bits<std::uint64_t>(reinterpret_cast<const std::uint8_t*>(a),               \
                                        reinterpret_cast<const std::uint8_t*>(b), n, sums);     \
        }                                                                                       \
    };
WEIGH_DOING(Plain, )
#if defined(__x86_64__)
WEIGH_DOING(Avx2, WEIGH_AVX2)
// The byte and word instructions are there wherever the three others are.
#define WEIGH_AVX512BW \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,prefer-vector-width=512")))
WEIGH_DOING(Avx512, WEIGH_AVX512BW)
#endif
#undef WEIGH_DOING

template <typename How>
Doing doing() {
#if defined(__x86_64__)
    if (wide::level() == 2) return Avx512<How>::doing();
    if (wide::level() == 1) return Avx2<How>::doing();
#endif
    return Plain<How>::doing();
}

inline Doing doing_of(const std::string& dtype) {
    if (dtype == "float32") return doing<channels::Float>();
    if (dtype == "bfloat16") return doing<channels::Brain>();
    if (dtype == "float16") return doing<channels::Half>();
    if (dtype == "float8_e4m3fn") return doing<channels::E4M3>();
    if (dtype == "float8_e5m2") return doing<channels::E5M2>();
    return {nullptr, nullptr, nullptr};
}

// Measures doubles, and compares their bits.
inline void measure_of_doubles(const double* a, const double* b, std::size_t n, double* change,
                               Sums& sums) {
#if defined(__x86_64__)
    if (wide::level() == 2) {
        Avx512Doubles::measured(a, b, n, change, sums);
        return Avx512Doubles::bits(a, b, n, sums);
    }
    if (wide::level() == 1) {
        Avx2Doubles::measured(a, b, n, change, sums);
        return Avx2Doubles::bits(a, b, n, sums);
    }
#endif
    PlainDoubles::measured(a, b, n, change, sums);
    PlainDoubles::bits(a, b, n, sums);
}

}  // namespace compare

// Holds pieces of two tensors against each other.
class Comparison {
   public:
    // Changes are counted as float32, or as float64 where one of the types is that.
    Comparison(const std::string& first, const std::string& second, bool counted)
        : first_(&type_named(first)), second_(&type_named(second)),
          double_(first == "float64" || second == "float64"), counted_(counted),
          first_doing_(compare::doing_of(first)), second_doing_(compare::doing_of(second)),
          changes_(double_ ? "float64" : "float32") {
        check(first, first_doing_);
        check(second, second_doing_);
    }

    // `start`: the place of the first value in the tensors. `skip`: whether blocks that are equal
    // bit for bit are only noted, see `equal`.
    void add(const std::uint8_t* a, const std::uint8_t* b, std::size_t size_a, std::size_t size_b,
             std::size_t count, std::uint64_t start, bool skip) {
        check_size(*first_, size_a, count);
        check_size(*second_, size_b, count);
        if (double_)
            add_as<double>(a, b, count, start, skip);
        else
            add_as<float>(a, b, count, start, skip);
    }

    void merge(const Comparison& other) {
        found_.merge(other.found_);
        if (counted_) changes_.merge(other.changes_);
        for (const auto& run : other.equal_) note(run.first, run.second);
    }

    const Compared& found() const { return found_; }
    const Table& changes() const { return changes_; }
    // Runs of values that were equal, and whose sums nobody has made.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> equal() const {
        auto runs = equal_;
        std::sort(runs.begin(), runs.end());
        std::vector<std::pair<std::uint64_t, std::uint64_t>> joined;
        for (const auto& run : runs)
            if (!joined.empty() && joined.back().second == run.first)
                joined.back().second = run.second;
            else
                joined.push_back(run);
        return joined;
    }

   private:
    // So many changes are kept until they are counted: they are in the cache still.
    static constexpr std::size_t several = 2 * block_values;
    const Type *first_, *second_;
    bool double_, counted_;
    compare::Doing first_doing_, second_doing_;
    Compared found_;
    Table changes_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> equal_;

    static void check(const std::string& dtype, const compare::Doing& doing) {
        if (!doing.measure && dtype != "float64")
            throw std::invalid_argument("no differences are measured of the type " + dtype);
    }

    void note(std::uint64_t start, std::uint64_t stop) {
        if (!equal_.empty() && equal_.back().second == start)
            equal_.back().second = stop;
        else
            equal_.emplace_back(start, stop);
    }

    template <typename Change>
    void add_as(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                std::uint64_t start, bool skip) {
        static thread_local std::vector<Change> changes;
        changes.resize(std::min(count, several) + lanes);
        const auto width_a = static_cast<std::size_t>(first_->bytes()),
                   width_b = static_cast<std::size_t>(second_->bytes());
        const bool many = count > several;
        std::size_t waiting = 0;
        const auto hand_over = [&] {
            if (counted_ && waiting) {
                const auto* bytes = reinterpret_cast<const std::uint8_t*>(changes.data());
                if (many)
                    changes_.add_of_many(bytes, waiting);
                else
                    changes_.add(bytes, sizeof(Change) * waiting, waiting);
            }
            waiting = 0;
        };
        for (std::size_t at = 0; at < count; at += block_values) {
            const std::size_t part = std::min(block_values, count - at);
            const std::uint8_t *from = a + at * width_a, *to = b + at * width_b;
            if (skip && first_ == second_ && !std::memcmp(from, to, part * width_a)) {
                note(start + at, start + at + part);
                continue;
            }
            add_block(from, to, part, start + at, changes.data() + waiting);
            waiting += part;
            if (waiting + block_values > several) hand_over();
        }
        hand_over();
        if (counted_ && many) changes_.settle();
    }

    template <typename Change>
    void add_block(const std::uint8_t* a, const std::uint8_t* b, std::size_t count,
                   std::uint64_t start, Change* change) {
        static thread_local float singles[2][block_values + lanes];
        static thread_local double doubles[2][block_values];
        compare::Sums sums;
        std::uint64_t finite = count;
        int scale = 0;
        const bool alike = first_ == second_;
        const auto singled = [&](const compare::Doing& doing, const std::uint8_t* bytes,
                                 float* made) {
            doing.widen(bytes, count, made);
            return reinterpret_cast<const std::uint8_t*>(made);
        };
        bool direct = false;
        if constexpr (std::is_same<Change, float>::value) {
            if (alike) {
                first_doing_.measure(a, b, count, change, sums);
                first_doing_.bits(a, b, count, sums);
            } else {
                const compare::Doing floats = compare::doing<channels::Float>();
                const auto* x = singled(first_doing_, a, singles[0]);
                const auto* y = singled(second_doing_, b, singles[1]);
                floats.measure(x, y, count, change, sums);
                floats.bits(x, y, count, sums);
            }
            direct = std::isfinite(sums.aa) && std::isfinite(sums.bb);
        } else if (alike) {
            compare::measure_of_doubles(reinterpret_cast<const double*>(a),
                                        reinterpret_cast<const double*>(b), count, change, sums);
            direct = held(sums.aa, sums.zeros_a, count) && held(sums.bb, sums.zeros_b, count) &&
                     std::isfinite(sums.dd);
        }
        if (!direct) {
            as_doubles(first_doing_, a, count, singles[0], doubles[0]);
            as_doubles(second_doing_, b, count, singles[1], doubles[1]);
            for (std::size_t i = 0; i < count; ++i) {
                found_.odd_a += !std::isfinite(doubles[0][i]);
                found_.odd_b += !std::isfinite(doubles[1][i]);
            }
            finite = without_holes(doubles[0], doubles[1], count, scale);
            static thread_local double differences[block_values];
            compare::measure_of_doubles(doubles[0], doubles[1], count, differences, sums);
            for (std::size_t i = 0; i < count; ++i)
                change[i] = static_cast<Change>(differences[i]);
            if (scale) {  // the sums alone: what is small beside the largest would become 0
                compare::Sums scaled;
                for (double* each : {doubles[0], doubles[1]})
                    for (std::size_t i = 0; i < count; ++i) each[i] = std::ldexp(each[i], -scale);
                compare::measure_of_doubles(doubles[0], doubles[1], count, differences, scaled);
                sums.aa = scaled.aa;
                sums.bb = scaled.bb;
                sums.dd = scaled.dd;
            }
            sums.most = 0;
            for (std::size_t i = 0; i < count; ++i)
                sums.most = std::max<double>(sums.most, std::fabs(change[i]));
        }
        const auto number = [&](std::size_t i) {
            if (direct && double_) {
                double x, y;
                std::memcpy(&x, a + i * sizeof(x), sizeof(x));
                std::memcpy(&y, b + i * sizeof(y), sizeof(y));
                return std::fabs(y - x);
            }
            if (direct) {
                float x, y;
                first_doing_.widen(a + i * static_cast<std::size_t>(first_->bytes()), 1, &x);
                second_doing_.widen(b + i * static_cast<std::size_t>(second_->bytes()), 1, &y);
                return std::fabs(static_cast<double>(y) - static_cast<double>(x));
            }
            return std::ldexp(std::fabs(doubles[1][i] - doubles[0][i]), scale);
        };
        largest(change, count, start, sums.most, number);
        found_.count += count;
        found_.finite += finite;
        // Of one type bits are held against each other, of two types numbers.
        found_.changed += alike && direct ? sums.differing
                          : alike         ? differing(a, b, count)
                                          : sums.differing - sums.signed_zeros + (count - finite);
        found_.flipped += sums.flipped;
        found_.zeros_a += sums.zeros_a - (count - finite);
        found_.zeros_b += sums.zeros_b - (count - finite);
        found_.zeros_both += sums.zeros_both - (count - finite);
        found_.aa.add(Number::of(sums.aa, 2 * scale));
        found_.bb.add(Number::of(sums.bb, 2 * scale));
        found_.dd.add(Number::of(sums.dd, 2 * scale));
    }

    // Whether a sum of squares of doubles lost nothing to the ends of their range.
    static bool held(double sum, std::uint64_t zeros, std::size_t count) {
        return std::isfinite(sum) && (sum > 1e-280 || (sum == 0 && zeros == count));
    }

    // Keeps the place of the largest change: changes are rounded, so those that share the largest
    // rounded size are looked at exactly.
    template <typename Change, typename Exact>
    void largest(const Change* change, std::size_t count, std::uint64_t start, double most,
                 Exact exact) {
        if (!(most > 0) || most < static_cast<double>(static_cast<Change>(found_.most))) return;
        const auto wanted = static_cast<Change>(most);
        for (std::size_t i = 0; i < count; ++i) {
            if (std::fabs(change[i]) != wanted) continue;
            const double size = exact(i);
            if (size > found_.most || (size == found_.most && start + i < found_.most_at)) {
                found_.most = size;
                found_.most_at = start + i;
            }
        }
    }

    static void as_doubles(const compare::Doing& doing, const std::uint8_t* bytes,
                           std::size_t count, float* singles, double* made) {
        if (!doing.widen) {
            std::memcpy(made, bytes, count * sizeof(double));
            return;
        }
        doing.widen(bytes, count, singles);
        for (std::size_t i = 0; i < count; ++i) made[i] = singles[i];
    }

    // Pairs with NaN or an infinity take no part: both become 0. Where squares are too large or too
    // small for a double, sums are to be made of the numbers divided by 2^scale.
    static std::uint64_t without_holes(double* a, double* b, std::size_t count, int& scale) {
        std::uint64_t finite = 0;
        double most = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const bool both = std::isfinite(a[i]) && std::isfinite(b[i]);
            finite += both;
            if (!both) a[i] = b[i] = 0;
            most = std::max({most, std::fabs(a[i]), std::fabs(b[i])});
        }
        scale = 0;
        if (most > 0x1p500 || (most > 0 && most < 0x1p-500)) std::frexp(most, &scale);
        return finite;
    }

    std::uint64_t differing(const std::uint8_t* a, const std::uint8_t* b, std::size_t count) {
        compare::Sums sums;
        if (first_doing_.bits)
            first_doing_.bits(a, b, count, sums);
        else
            compare::PlainDoubles::bits(reinterpret_cast<const double*>(a),
                                        reinterpret_cast<const double*>(b), count, sums);
        return sums.differing;
    }
};

}  // namespace weigh
