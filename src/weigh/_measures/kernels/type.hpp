// The types of number: how the bits of a pattern say which number it is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace weigh {

enum class Family { uint, sint, small_float, f32, f64, mixed };

// What the patterns at the end of a small float's range mean.
enum class Specials { ieee, fn, fnuz, none, power };

struct Type {
    const char* name;
    Family family;
    int bits;  // of one value as it is stored; 4 and 6 stand in a byte each, but see `packed`
    int exponent_bits = 0, mantissa_bits = 0, bias = 0;
    Specials specials = Specials::ieee;
    bool packed = false;  // two values in a byte, the low half first

    bool narrow() const { return bits <= 16 && family != Family::mixed; }
    int bytes() const { return bits <= 8 ? 1 : bits / 8; }
    bool floating() const { return family != Family::uint && family != Family::sint; }
    bool sign_magnitude() const {
        return floating() && specials != Specials::power;
    }
};

inline const Type& type_named(const std::string& name) {
    static const Type types[] = {
        {"bool", Family::uint, 1},
        {"uint4", Family::uint, 4, 0, 0, 0, Specials::ieee, true},
        {"uint8", Family::uint, 8},
        {"uint16", Family::uint, 16},
        {"uint32", Family::uint, 32},
        {"uint64", Family::uint, 64},
        {"int4", Family::sint, 4, 0, 0, 0, Specials::ieee, true},
        {"int8", Family::sint, 8},
        {"int16", Family::sint, 16},
        {"int32", Family::sint, 32},
        {"int64", Family::sint, 64},
        {"float4_e2m1fn", Family::small_float, 4, 2, 1, 1, Specials::none, true},
        {"float6_e2m3fn", Family::small_float, 6, 2, 3, 1, Specials::none},
        {"float6_e3m2fn", Family::small_float, 6, 3, 2, 3, Specials::none},
        {"float8_e4m3fn", Family::small_float, 8, 4, 3, 7, Specials::fn},
        {"float8_e4m3fnuz", Family::small_float, 8, 4, 3, 8, Specials::fnuz},
        {"float8_e5m2", Family::small_float, 8, 5, 2, 15, Specials::ieee},
        {"float8_e5m2fnuz", Family::small_float, 8, 5, 2, 16, Specials::fnuz},
        {"float8_e8m0fnu", Family::small_float, 8, 8, 0, 127, Specials::power},
        {"float16", Family::small_float, 16, 5, 10, 15, Specials::ieee},
        {"bfloat16", Family::small_float, 16, 8, 7, 127, Specials::ieee},
        {"float32", Family::f32, 32, 8, 23, 127},
        {"float64", Family::f64, 64, 11, 52, 1023},
        // Tables of several types together: by the top 16 bits of a float32.
        {"mixed", Family::mixed, 32, 8, 23, 127},
    };
    for (const Type& type : types)
        if (name == type.name) return type;
    throw std::invalid_argument("no patterns are counted of the type " + name);
}

// The number that a pattern of a narrow type stands for; NaN and infinities are themselves.
inline double value_of(const Type& type, std::uint32_t pattern) {
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    switch (type.family) {
        case Family::uint:
            return type.bits == 1 ? (pattern ? 1.0 : 0.0) : pattern;
        case Family::sint:
            return pattern >> (type.bits - 1) ? static_cast<double>(pattern) - (1 << type.bits)
                                              : pattern;
        default:
            break;
    }
    if (type.specials == Specials::power)
        return pattern == 255 ? nan : std::ldexp(1.0, static_cast<int>(pattern) - type.bias);
    const std::uint32_t sign = pattern >> (type.bits - 1);
    const std::uint32_t magnitude = pattern & ((1u << (type.bits - 1)) - 1);
    const std::uint32_t exponent = magnitude >> type.mantissa_bits;
    const std::uint32_t mantissa = magnitude & ((1u << type.mantissa_bits) - 1);
    const std::uint32_t top = (1u << type.exponent_bits) - 1;
    if (type.specials == Specials::ieee && exponent == top)
        return mantissa ? nan : sign ? -HUGE_VAL : HUGE_VAL;
    if (type.specials == Specials::fn && magnitude == (1u << (type.bits - 1)) - 1) return nan;
    if (type.specials == Specials::fnuz && sign && !magnitude) return nan;
    const double size =
        exponent ? std::ldexp(static_cast<double>(mantissa | (1u << type.mantissa_bits)),
                              static_cast<int>(exponent) - type.bias - type.mantissa_bits)
                 : std::ldexp(static_cast<double>(mantissa), 1 - type.bias - type.mantissa_bits);
    return sign ? -size : size;
}

inline bool subnormal_pattern(const Type& type, std::uint32_t pattern) {
    if (type.family != Family::small_float || type.specials == Specials::power) return false;
    const std::uint32_t magnitude = pattern & ((1u << (type.bits - 1)) - 1);
    return magnitude && !(magnitude >> type.mantissa_bits);
}

// What is known of a pattern of a narrow type: its number is whole * 2^exponent.
struct Decoded {
    double value = 0;
    std::int32_t whole = 0;
    std::int16_t exponent = 0;
    bool finite = false, subnormal = false;
};

struct Decoding {
    std::vector<Decoded> patterns;
    double least = 0, most = 0;  // the type's extreme finite numbers
};

// All patterns of a narrow type, worked out once.
inline const Decoding& decoding_of(const Type& type) {
    static std::mutex lock;
    static std::map<const Type*, Decoding> known;
    const std::lock_guard<std::mutex> guard(lock);
    Decoding& made = known[&type];
    if (!made.patterns.empty()) return made;
    made.patterns.resize(std::size_t{1} << type.bits);
    for (std::uint32_t pattern = 0; pattern < made.patterns.size(); ++pattern) {
        Decoded& one = made.patterns[pattern];
        one.value = value_of(type, pattern);
        one.finite = std::isfinite(one.value);
        if (!one.finite) continue;
        one.subnormal = subnormal_pattern(type, pattern);
        made.least = std::min(made.least, one.value);
        made.most = std::max(made.most, one.value);
        int exponent = 0;
        // No narrow type has more than 16 bits that count.
        one.whole = static_cast<std::int32_t>(std::ldexp(std::frexp(one.value, &exponent), 17));
        one.exponent = static_cast<std::int16_t>(exponent - 17);
    }
    return made;
}

inline float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

inline double double_of(std::uint64_t bits) {
    double value;
    std::memcpy(&value, &bits, 8);
    return value;
}

inline std::uint64_t bits_of(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, 8);
    return bits;
}

// Numbers as unsigned integers in the same order. -0 comes right before +0.
inline std::uint64_t ordered(float value) {
    const std::uint32_t bits = bits_of(value);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
inline std::uint64_t ordered(double value) {
    const std::uint64_t bits = bits_of(value);
    return bits >> 63 ? ~bits : bits | (1ull << 63);
}
inline std::uint64_t ordered(std::int32_t value) {
    return static_cast<std::uint32_t>(value) ^ 0x80000000u;
}
inline std::uint64_t ordered(std::int64_t value) {
    return static_cast<std::uint64_t>(value) ^ (1ull << 63);
}
inline std::uint64_t ordered(std::uint32_t value) { return value; }
inline std::uint64_t ordered(std::uint64_t value) { return value; }

// The ends of a range. Where both zeros are among the values, which of them a comparison met is
// chance: a zero stands for both.
template <typename T>
std::uint64_t lower_end(T value) {
    return ordered(value == 0 ? static_cast<T>(-0.0) : value);
}
template <typename T>
std::uint64_t upper_end(T value) {
    return ordered(value == 0 ? static_cast<T>(0) : value);
}

inline void unordered(std::uint64_t key, float& value) {
    const auto bits = static_cast<std::uint32_t>(key);
    value = float_of(bits >> 31 ? bits ^ 0x80000000u : ~bits);
}
inline void unordered(std::uint64_t key, double& value) {
    value = double_of(key >> 63 ? key ^ (1ull << 63) : ~key);
}
inline void unordered(std::uint64_t key, std::int32_t& value) {
    value = static_cast<std::int32_t>(static_cast<std::uint32_t>(key) ^ 0x80000000u);
}
inline void unordered(std::uint64_t key, std::int64_t& value) {
    value = static_cast<std::int64_t>(key ^ (1ull << 63));
}
inline void unordered(std::uint64_t key, std::uint32_t& value) {
    value = static_cast<std::uint32_t>(key);
}
inline void unordered(std::uint64_t key, std::uint64_t& value) { value = key; }

// Calls `visit` with a value, 0, of what holds the numbers of a wide type; of tables of several
// types, that is a double.
template <typename Visit>
auto with_wide(const Type& type, Visit visit) {
    const bool single = type.bits == 32;
    switch (type.family) {
        case Family::f32:
            return visit(float{});
        case Family::sint:
            return single ? visit(std::int32_t{}) : visit(std::int64_t{});
        case Family::uint:
            return single ? visit(std::uint32_t{}) : visit(std::uint64_t{});
        default:
            return visit(double{});
    }
}

}  // namespace weigh
