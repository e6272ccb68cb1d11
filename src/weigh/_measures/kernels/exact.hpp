// Sums that are exact: the order in which numbers are added cannot be seen in them.
//
// A sum is kept as one wide integer, in digits of 32 bits, so that it covers what doubles and
// products of a few doubles can be. It is Kulisch's long accumulator ("Computer Arithmetic and
// Validity", 2008), as long as the numbers in it need and no longer.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace weigh {

// sign * (limbs, least significant first) * 2^exponent: a double, or a product of some.
struct Number {
    static constexpr int capacity = 16;
    bool negative = false;
    int exponent = 0;
    int size = 0;
    std::uint32_t limbs[capacity];

    Number() = default;

    static Number whole(std::uint64_t number) {
        Number made;
        for (; number; number >>= 32) made.limbs[made.size++] = static_cast<std::uint32_t>(number);
        return made;
    }

    // The value must be finite.
    static Number of(double value, int scale = 0) {
        int exponent = 0;
        const double fraction = std::frexp(std::fabs(value), &exponent);
        auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
        if (!mantissa) return {};
        exponent -= 53;
        while (!(mantissa & 0xff)) mantissa >>= 8, exponent += 8;
        Number made = whole(mantissa);
        made.negative = value < 0;
        made.exponent = exponent + scale;
        return made;
    }

    friend Number operator*(const Number& a, const Number& b) {
        Number made;
        if (!a.size || !b.size) return made;
        if (a.size + b.size > capacity) throw std::logic_error("a product of too many numbers");
        made.negative = a.negative != b.negative;
        made.exponent = a.exponent + b.exponent;
        made.size = a.size + b.size;
        std::memset(made.limbs, 0, sizeof(made.limbs));
        for (int i = 0; i < a.size; ++i) {
            std::uint64_t carry = 0;
            for (int j = 0; j < b.size; ++j) {
                carry += static_cast<std::uint64_t>(a.limbs[i]) * b.limbs[j] + made.limbs[i + j];
                made.limbs[i + j] = static_cast<std::uint32_t>(carry);
                carry >>= 32;
            }
            made.limbs[i + b.size] = static_cast<std::uint32_t>(carry);
        }
        while (made.size && !made.limbs[made.size - 1]) --made.size;
        return made;
    }
};

class Sum {
   public:
    void add(const Number& number) {
        if (!number.size) return;
        // Rounds down, also where it is negative.
        const int place = number.exponent >> 5, shift = number.exponent & 31;
        cover(place, place + number.size + 1);
        std::int64_t* digit = digits_.data() + (place - base_);
        for (int i = 0; i < number.size; ++i) {
            const std::uint64_t limb = static_cast<std::uint64_t>(number.limbs[i]) << shift;
            const auto low = static_cast<std::int64_t>(limb & 0xffffffffu);
            const auto high = static_cast<std::int64_t>(limb >> 32);
            digit[i] += number.negative ? -low : low;
            digit[i + 1] += number.negative ? -high : high;
        }
        // A digit takes less than 2^33 each time, and holds 2^63.
        if (++loose_ >= (1u << 28)) carry();
    }

    void add(const Sum& other) {
        if (other.digits_.empty()) return;
        Sum tidy = other;
        tidy.carry();
        cover(tidy.base_, tidy.base_ + static_cast<int>(tidy.digits_.size()));
        for (std::size_t i = 0; i < tidy.digits_.size(); ++i)
            digits_[static_cast<std::size_t>(tidy.base_ - base_) + i] += tidy.digits_[i];
        if (++loose_ >= (1u << 28)) carry();
    }

    // The digits without what is zero or follows from the sign, so that equal sums look equal:
    // 32 bits each, least significant first, the last one with a sign.
    struct Plain {
        int exponent = 0;
        std::vector<std::uint32_t> digits;
    };

    Plain plain() const {
        Sum tidy = *this;
        tidy.carry();
        std::size_t first = 0, last = tidy.digits_.size();
        while (first < last && !tidy.digits_[first]) ++first;
        Plain made;
        if (first == last) return made;
        made.exponent = 32 * (tidy.base_ + static_cast<int>(first));
        for (std::size_t i = first; i < last; ++i)
            made.digits.push_back(static_cast<std::uint32_t>(tidy.digits_[i]));
        while (made.digits.size() > 1) {
            const std::uint32_t top = made.digits.back(), next = made.digits[made.digits.size() - 2];
            if (top != ((next & 0x80000000u) ? 0xffffffffu : 0u)) break;
            made.digits.pop_back();
        }
        return made;
    }

    static Sum of(const Plain& plain) {
        Sum made;
        made.base_ = plain.exponent >> 5;
        for (std::uint32_t digit : plain.digits) made.digits_.push_back(digit);
        if (!made.digits_.empty())
            made.digits_.back() = static_cast<std::int32_t>(plain.digits.back());
        return made;
    }

   private:
    // The digit i stands for digits_[i] * 2^(32 * (base_ + i)).
    int base_ = 0;
    std::vector<std::int64_t> digits_;
    std::uint32_t loose_ = 0;

    void cover(int first, int last) {
        if (digits_.empty()) base_ = first;
        if (first < base_) {
            digits_.insert(digits_.begin(), static_cast<std::size_t>(base_ - first), 0);
            base_ = first;
        }
        const auto needed = static_cast<std::size_t>(last - base_);
        if (digits_.size() < needed) digits_.resize(needed, 0);
    }

    // Brings every digit but the last into [0, 2^32), and the last into [-2^31, 2^31).
    void carry() {
        loose_ = 0;
        std::int64_t over = 0;
        for (std::size_t i = 0; i < digits_.size(); ++i) {
            const std::int64_t value = digits_[i] + over;
            over = value >> 32;
            digits_[i] = value & 0xffffffff;
        }
        if (digits_.empty()) return;
        while (over != (digits_.back() & 0x80000000 ? -1 : 0)) {
            digits_.push_back(over & 0xffffffff);
            over >>= 32;
        }
        digits_.back() = static_cast<std::int32_t>(digits_.back());
    }
};

}  // namespace weigh
