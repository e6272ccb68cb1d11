// A matrix shrunk to cells: of each, the value furthest from 0 with its sign, the root of the mean
// square or the mean of its finite values, and what it holds that is not finite.
//
// The values of a band of rows are brought together column by column, which vectors do, and only
// then cell by cell.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "lanes.hpp"
#include "type.hpp"

namespace weigh {
namespace shrink {

enum Flag : std::uint8_t { has_nan = 1, has_posinf = 2, has_neginf = 4, has_finite = 8 };
enum class How { extreme, rms, mean };

inline How how_named(const std::string& name) {
    if (name == "extreme") return How::extreme;
    if (name == "rms") return How::rms;
    if (name == "mean") return How::mean;
    throw std::invalid_argument("there is no such way to shrink: " + name);
}

struct Cells {
    std::vector<double> values;
    std::vector<std::uint8_t> flags;
};

// What a cell holds, value by value.
struct One {
    How how;
    double best = 0;
    long double sum = 0;  // its range holds the squares of all doubles, where it is wider than they
    std::size_t finite = 0;
    std::uint8_t flags = 0;

    void add(double value) {
        if (!std::isfinite(value)) {
            flags |= std::isnan(value) ? has_nan : value > 0 ? has_posinf : has_neginf;
            return;
        }
        ++finite;
        // Of two that are equally far from 0 the negative one: the same in any order.
        const double size = std::fabs(value), most = std::fabs(best);
        if (finite == 1 || size > most || (size == most && value < best)) best = value;
        if (how == How::mean) sum += value;
        if (how == How::rms) sum += static_cast<long double>(value) * value;
    }
    double value() const {
        if (!finite) return 0;
        if (how == How::extreme) return best;
        const long double mean = sum / static_cast<long double>(finite);
        return static_cast<double>(how == How::rms ? std::sqrt(mean) : mean);
    }
    std::uint8_t all_flags() const {
        return static_cast<std::uint8_t>(flags | (finite ? has_finite : 0));
    }
};

// How the values of a type become numbers.
template <typename T>
struct Plain {
    typedef T Stored;
    double operator()(T value) const { return static_cast<double>(value); }
};
struct Brain {
    typedef std::uint16_t Stored;
    double operator()(std::uint16_t bits) const {
        return float_of(static_cast<std::uint32_t>(bits) << 16);
    }
};
template <typename T>
struct Known {
    typedef T Stored;
    const std::vector<Decoded>* patterns;
    double operator()(T pattern) const { return (*patterns)[pattern & (patterns->size() - 1)].value; }
};

// The bits of a float turned so that they are ordered by size, and the sign comes last.
template <typename U>
WEIGH_INLINE U turned(U bits) {
    return static_cast<U>(static_cast<U>(bits << 1) | static_cast<U>(bits >> (8 * sizeof(U) - 1)));
}
template <typename U>
WEIGH_INLINE U turned_back(U key) {
    return static_cast<U>(static_cast<U>(key >> 1) | static_cast<U>(key << (8 * sizeof(U) - 1)));
}

// Values lie in a file wherever its writer put them, at odd places too.
template <typename T>
WEIGH_INLINE T stored_at(const std::uint8_t* bytes, std::size_t place) {
    T value;
    std::memcpy(&value, bytes + place * sizeof(T), sizeof(T));
    return value;
}

template <typename U>
WEIGH_INLINE void raise(const std::uint8_t* bytes, std::size_t count, U* most) {
    for (std::size_t i = 0; i < count; ++i) {
        const U key = turned(stored_at<U>(bytes, i));
        most[i] = key > most[i] ? key : most[i];
    }
}
#if defined(__x86_64__)
template <typename U>
WEIGH_AVX512 void raise_avx512(const std::uint8_t* bytes, std::size_t count, U* most) {
    raise(bytes, count, most);
}
template <typename U>
WEIGH_AVX2 void raise_avx2(const std::uint8_t* bytes, std::size_t count, U* most) {
    raise(bytes, count, most);
}
#endif
template <typename U>
void raise_plain(const std::uint8_t* bytes, std::size_t count, U* most) {
    raise(bytes, count, most);
}
template <typename U>
auto fastest_raise() {
#if defined(__x86_64__)
    if (wide::level() == 2) return raise_avx512<U>;
    if (wide::level() == 1) return raise_avx2<U>;
#endif
    return raise_plain<U>;
}

// Takes the values of a matrix in their order, some at a time, wherever each part ends.
class Shrinker {
   public:
    Shrinker(const std::uint8_t* bytes, std::size_t rows, std::size_t columns,
             std::vector<std::size_t> row_starts, std::vector<std::size_t> column_starts)
        : bytes_(bytes), rows_(rows), columns_(columns), row_starts_(std::move(row_starts)),
          column_starts_(std::move(column_starts)) {
        check(row_starts_, rows);
        check(column_starts_, columns);
        row_starts_.push_back(rows);
        column_starts_.push_back(columns);
        const std::size_t cells = (row_starts_.size() - 1) * (column_starts_.size() - 1);
        found_.values.resize(cells);
        found_.flags.resize(cells);
    }
    virtual ~Shrinker() = default;

    void add(std::size_t count) {
        while (count) {
            const std::size_t many = std::min(count, columns_ - column_);
            take(row_ * columns_ + column_, column_, many);
            count -= many;
            column_ += many;
            if (column_ < columns_) continue;
            column_ = 0;
            if (++row_ < row_starts_[band_ + 1]) continue;
            finish(band_++);
        }
    }
    const Cells& found() const { return found_; }

   protected:
    // Takes values from a place of the matrix on, which are in one row.
    virtual void take(std::size_t place, std::size_t column, std::size_t count) = 0;
    virtual void finish(std::size_t band) = 0;

    // Looks at a cell value by value.
    template <typename Load>
    void look(std::size_t band, std::size_t cell, How how, const Load& load) {
        One one{how};
        for (std::size_t row = row_starts_[band]; row < row_starts_[band + 1]; ++row)
            for (std::size_t at = column_starts_[cell]; at < column_starts_[cell + 1]; ++at)
                one.add(load(stored_at<typename Load::Stored>(bytes_, row * columns_ + at)));
        set(band, cell, one.value(), one.all_flags());
    }
    void set(std::size_t band, std::size_t cell, double value, std::uint8_t flags) {
        const std::size_t at = band * (column_starts_.size() - 1) + cell;
        found_.values[at] = value;
        found_.flags[at] = flags;
    }

    const std::uint8_t* bytes_;
    std::size_t rows_, columns_;
    std::vector<std::size_t> row_starts_, column_starts_;
    std::size_t row_ = 0, column_ = 0, band_ = 0;
    Cells found_;

   private:
    static void check(const std::vector<std::size_t>& starts, std::size_t size) {
        bool good = !starts.empty() && starts[0] == 0 && starts.back() < size;
        for (std::size_t i = 1; i < starts.size(); ++i) good = good && starts[i - 1] < starts[i];
        if (!good) throw std::invalid_argument("cells begin at 0, then further and further on");
    }
};

// The extremes of floats by their bits alone; a cell in which something is not finite is looked
// at again, value by value.
template <typename Load, typename U, U Infinite>
class ByBits : public Shrinker {
   public:
    template <typename... Rest>
    explicit ByBits(Load load, Rest&&... rest)
        : Shrinker(std::forward<Rest>(rest)...), load_(load), raise_(fastest_raise<U>()),
          most_(columns_) {}

   protected:
    void take(std::size_t place, std::size_t column, std::size_t count) override {
        raise_(bytes_ + place * sizeof(U), count, most_.data() + column);
    }
    void finish(std::size_t band) override {
        for (std::size_t cell = 0; cell + 1 < column_starts_.size(); ++cell) {
            const auto from = most_.begin() + static_cast<std::ptrdiff_t>(column_starts_[cell]);
            const auto to = most_.begin() + static_cast<std::ptrdiff_t>(column_starts_[cell + 1]);
            const U key = *std::max_element(from, to);
            if (static_cast<U>(key >> 1) >= Infinite) {
                look(band, cell, How::extreme, load_);
                continue;
            }
            typename Load::Stored value;
            const U bits = turned_back(key);
            std::memcpy(&value, &bits, sizeof(value));
            set(band, cell, load_(value), has_finite);
        }
        std::fill(most_.begin(), most_.end(), U{0});
    }

   private:
    Load load_;
    void (*raise_)(const std::uint8_t*, std::size_t, U*);
    std::vector<U> most_;
};

// Any type, any way: sums of the columns of a band, then of its cells.
template <typename Load>
class ByNumbers : public Shrinker {
   public:
    template <typename... Rest>
    explicit ByNumbers(How how, Load load, Rest&&... rest)
        : Shrinker(std::forward<Rest>(rest)...), how_(how), load_(load), sums_(columns_) {}

   protected:
    void take(std::size_t place, std::size_t column, std::size_t count) override {
        if (how_ == How::extreme) return;  // `finish` looks at them
        typedef typename Load::Stored Stored;
        const std::uint8_t* from = bytes_ + place * sizeof(Stored);
        double* sums = sums_.data() + column;
        if (how_ == How::mean)
            for (std::size_t i = 0; i < count; ++i) sums[i] += load_(stored_at<Stored>(from, i));
        else
            for (std::size_t i = 0; i < count; ++i) {
                const double value = load_(stored_at<Stored>(from, i));
                sums[i] += value * value;
            }
    }
    void finish(std::size_t band) override {
        const std::size_t rows = row_starts_[band + 1] - row_starts_[band];
        for (std::size_t cell = 0; cell + 1 < column_starts_.size(); ++cell) {
            double sum = 0;
            for (std::size_t at = column_starts_[cell]; at < column_starts_[cell + 1]; ++at)
                sum += sums_[at];
            // Sums lose small squares, and large ones have no room.
            const bool plain = how_ == How::mean || (sum > 1e-250 && sum < 1e300) || sum == 0;
            if (how_ == How::extreme || !std::isfinite(sum) || !plain || sum == 0) {
                look(band, cell, how_, load_);
                continue;
            }
            const std::size_t width = column_starts_[cell + 1] - column_starts_[cell];
            const double mean = sum / static_cast<double>(rows * width);
            set(band, cell, how_ == How::rms ? std::sqrt(mean) : mean, has_finite);
        }
        std::fill(sums_.begin(), sums_.end(), 0.0);
    }

   private:
    How how_;
    Load load_;
    std::vector<double> sums_;
};

template <typename Load, typename... Rest>
std::unique_ptr<Shrinker> by_numbers(How how, Load load, Rest&&... rest) {
    return std::make_unique<ByNumbers<Load>>(how, load, std::forward<Rest>(rest)...);
}

template <typename... Rest>
std::unique_ptr<Shrinker> shrinker(const Type& type, How how, Rest&&... rest) {
    const std::string name = type.name;
    if (type.packed || type.family == Family::mixed)
        throw std::invalid_argument("values of this type are not shrunk");
    if (name == "bfloat16") {
        if (how == How::extreme)
            return std::make_unique<ByBits<Brain, std::uint16_t, 0x7f80>>(
                Brain{}, std::forward<Rest>(rest)...);
        return by_numbers(how, Brain{}, std::forward<Rest>(rest)...);
    }
    if (name == "float32") {
        if (how == How::extreme)
            return std::make_unique<ByBits<Plain<float>, std::uint32_t, 0x7f800000>>(
                Plain<float>{}, std::forward<Rest>(rest)...);
        return by_numbers(how, Plain<float>{}, std::forward<Rest>(rest)...);
    }
    if (type.narrow()) {
        const auto* patterns = &decoding_of(type).patterns;
        if (type.bits <= 8)
            return by_numbers(how, Known<std::uint8_t>{patterns}, std::forward<Rest>(rest)...);
        const Known<std::uint16_t> load{patterns};
        if (name == "float16" && how == How::extreme)
            return std::make_unique<ByBits<Known<std::uint16_t>, std::uint16_t, 0x7c00>>(
                load, std::forward<Rest>(rest)...);
        return by_numbers(how, load, std::forward<Rest>(rest)...);
    }
    return with_wide(type, [&](auto value) -> std::unique_ptr<Shrinker> {
        return by_numbers(how, Plain<decltype(value)>{}, std::forward<Rest>(rest)...);
    });
}

}  // namespace shrink
}  // namespace weigh
