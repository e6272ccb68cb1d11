#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <stdexcept>
#include <type_traits>

namespace weigh {

namespace {

constexpr std::size_t sparse_most = 8192;

std::size_t patterns_of(const Type& type) {
    return type.narrow() ? std::size_t{1} << std::max(type.bits, 1) : patterns;
}

void check_size(const Type& type, std::size_t size, std::size_t count) {
    // Divided, not multiplied: a product may be too large for its type.
    const bool fits = type.packed ? count / 2 + count % 2 <= size
                                  : count <= size / static_cast<std::size_t>(type.bytes());
    if (!fits) throw std::invalid_argument("there are fewer bytes than the values take");
}

template <typename T>
std::uint64_t count_equal(const T* values, std::size_t count, T wanted) {
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, values + i, sizeof(T));
        found += value == wanted;
    }
    return found;
}

// The patterns under which zeros and a type's largest values are counted, among others.
struct Special {
    std::uint16_t zero[2], limit[2];
};
Special special(const Type& type) {
    if (type.family == Family::f64) return {{0x0000, 0x8000}, {0x7fef, 0xffef}};
    return {{0x0000, 0x8000}, {0x7f7f, 0xff7f}};
}

}  // namespace

double number_of(const Type& type, std::uint64_t key) {
    if (type.narrow()) {
        double value;
        unordered(key, value);
        return value;
    }
    switch (type.family) {
        case Family::f32: {
            float value;
            unordered(key, value);
            return value;
        }
        case Family::uint:
            return static_cast<double>(key);
        case Family::sint:
            if (type.bits == 32) {
                std::int32_t value;
                unordered(key, value);
                return value;
            } else {
                std::int64_t value;
                unordered(key, value);
                return static_cast<double>(value);
            }
        default: {
            double value;
            unordered(key, value);
            return value;
        }
    }
}

Table::Table(const std::string& type) : type_(&type_named(type)) {
    if (type_->bits <= 8) dense_.assign(patterns_of(*type_), 0);
}

void Table::changed() {
    closed_.reset();
    cells_.reset();
}

void Table::add(const std::uint8_t* bytes, std::size_t size, std::size_t count) {
    changed();
    if (type_->family == Family::mixed) throw std::invalid_argument("a mixed table only merges");
    check_size(*type_, size, count);
    const std::size_t needed = count * static_cast<std::size_t>(type_->bytes());
    if (type_->narrow()) {
        count_ += count;
        add_narrow(bytes, count);
        return;
    }
    const auto width = static_cast<std::size_t>(type_->bytes()), whole = block_values * width;
    if (!open_.empty()) {
        const std::size_t taken = std::min(needed, whole - open_.size());
        open_.insert(open_.end(), bytes, bytes + taken);
        bytes += taken;
        count -= taken / width;
        if (open_.size() < whole) return;
        close();
    }
    const std::size_t closed = count / block_values * block_values;
    add_wide(bytes, closed);
    open_.assign(bytes + closed * width, bytes + count * width);
}

void Table::close() {
    if (open_.empty()) return;
    changed();
    std::vector<std::uint8_t> rest;
    rest.swap(open_);
    add_wide(rest.data(), rest.size() / static_cast<std::size_t>(type_->bytes()));
}

const Table& Table::closed() const {
    if (!closed_) {
        auto made = std::make_shared<Table>(*this);
        made->close();
        closed_ = std::move(made);
    }
    return *closed_;
}

void Table::add_narrow(const std::uint8_t* bytes, std::size_t count) {
    if (type_->bits == 16) {
        Scratch& scratch = Scratch::mine();
        while (count) {
            const std::size_t part = std::min(count, Scratch::most);
            const bool few = part < Scratch::few;
            if (few)
                scratch.count_few(part, [bytes](std::size_t i) {
                    std::uint16_t pattern;
                    std::memcpy(&pattern, bytes + 2 * i, 2);
                    return pattern;
                });
            else
                scratch.count_words(bytes, part);
            take(scratch, few);
            bytes += 2 * part;
            count -= part;
        }
        return;
    }
    std::uint64_t counts[256] = {};
    const std::size_t whole = type_->packed ? count / 2 : count;
    for (std::size_t at = 0; at < whole; at += Scratch::most)
        count_bytes(bytes + at, std::min(whole - at, Scratch::most), counts);
    for (std::size_t pattern = 0; pattern < 256; ++pattern) {
        if (type_->packed) {
            dense_[pattern & 15] += counts[pattern];
            dense_[pattern >> 4] += counts[pattern];
        } else if (type_->bits == 1) {
            dense_[pattern ? 1 : 0] += counts[pattern];
        } else {
            dense_[pattern & (dense_.size() - 1)] += counts[pattern];
        }
    }
    if (type_->packed && count % 2) ++dense_[bytes[whole] & 15];
}

void Table::add_wide(const std::uint8_t* bytes, std::size_t count) {
    switch (type_->family) {
        case Family::f32:
            return add_blocks<float>(bytes, count);
        case Family::f64:
            return add_blocks<double>(bytes, count);
        case Family::sint:
            return type_->bits == 32 ? add_blocks<std::int32_t>(bytes, count)
                                     : add_blocks<std::int64_t>(bytes, count);
        default:
            return type_->bits == 32 ? add_blocks<std::uint32_t>(bytes, count)
                                     : add_blocks<std::uint64_t>(bytes, count);
    }
}

template <typename T>
void Table::add_blocks(const std::uint8_t* bytes, std::size_t count) {
    constexpr bool is_float = std::is_floating_point<T>::value;
    Scratch& scratch = Scratch::mine();
    const Counters counters = scratch.counters();
    const Special keys = special(*type_);
    const bool few = count < Scratch::few;
    std::size_t counted = 0;
    for (std::size_t at = 0; at < count; at += block_values) {
        const std::size_t part = std::min(block_values, count - at);
        const T* values = reinterpret_cast<const T*>(bytes) + at;
        const std::uint32_t zeros = scratch.at(keys.zero[0]) + scratch.at(keys.zero[1]);
        const std::uint32_t limits = scratch.at(keys.limit[0]) + scratch.at(keys.limit[1]);
        const auto key = [values](std::size_t i) {
            T value;
            std::memcpy(&value, values + i, sizeof(T));
            return pattern_of(value);
        };
        if (few)
            scratch.count_few(part, key);
        else if (!is_float)
            scratch.count_many(part, key);
        Block block;
        Range<T> range;
        measure_block(values, part, block, range, few ? nullptr : &counters);
        add_block(block);
        count_ += part;
        if (!range.empty) {
            low_ = std::min(low_, ordered(range.low));
            high_ = std::max(high_, ordered(range.high));
        }
        if (scratch.at(keys.zero[0]) + scratch.at(keys.zero[1]) != zeros)
            zeros_ += count_equal<T>(values, part, 0);
        if (is_float) {
            if (scratch.at(keys.limit[0]) + scratch.at(keys.limit[1]) != limits)
                at_limit_ += count_equal(values, part, std::numeric_limits<T>::max()) +
                             count_equal(values, part, std::numeric_limits<T>::lowest());
            if (block.finite != part) {
                const T infinity = std::numeric_limits<T>::infinity();
                const std::uint64_t above = count_equal(values, part, infinity),
                                    below = count_equal(values, part, static_cast<T>(-infinity));
                posinf_ += above;
                neginf_ += below;
                nan_ += part - block.finite - above - below;
            }
            bits_ |= range.bits;
        } else if (!range.empty) {
            if (range.high == std::numeric_limits<T>::max())
                at_limit_ += count_equal(values, part, range.high);
            if (std::is_signed<T>::value && range.low == std::numeric_limits<T>::lowest())
                at_limit_ += count_equal(values, part, range.low);
        }
        counted += part;
        if (counted > Scratch::most - block_values) {
            take(scratch, few);
            counted = 0;
        }
    }
    take(scratch, few);
}

void Table::add_block(const Block& block) {
    changed();
    if (!block.finite) return;
    const int scale = block.scale;
    const Number n = Number::whole(block.finite);
    const Number d1 = Number::of(block.sum1, scale), d2 = Number::of(block.sum2, 2 * scale),
                 d3 = Number::of(block.sum3, 3 * scale), d4 = Number::of(block.sum4, 4 * scale);
    sums_.power[0].add(d1);
    sums_.power[1].add(d2);
    sums_.power[2].add(d3);
    sums_.power[3].add(d4);
    sums_.absolute.add(Number::of(block.absolute, scale));
    if (block.pivot == 0) return;
    // (p + d)^k, multiplied out.
    const Number p = Number::of(block.pivot, scale), pp = p * p, ppp = pp * p;
    const Number three = Number::whole(3), four = Number::whole(4), six = Number::whole(6);
    sums_.power[0].add(n * p);
    sums_.power[1].add(Number::whole(2) * p * d1);
    sums_.power[1].add(n * pp);
    sums_.power[2].add(three * p * d2);
    sums_.power[2].add(three * pp * d1);
    sums_.power[2].add(n * ppp);
    sums_.power[3].add(four * p * d3);
    sums_.power[3].add(six * pp * d2);
    sums_.power[3].add(four * ppp * d1);
    sums_.power[3].add(n * (pp * pp));
}

void Table::add_counts(const std::vector<std::uint64_t>& counts) {
    changed();
    if (counts.size() != patterns_of(*type_))
        throw std::invalid_argument("there must be one count for each pattern");
    make_dense();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        dense_[i] += counts[i];
        if (type_->narrow()) count_ += counts[i];
    }
}

void Table::add_found(std::uint64_t count, std::uint64_t nan, std::uint64_t posinf,
                      std::uint64_t neginf, std::uint64_t zeros, std::uint64_t at_limit, double low,
                      double high, std::uint64_t bits) {
    changed();
    count_ += count;
    nan_ += nan;
    posinf_ += posinf;
    neginf_ += neginf;
    zeros_ += zeros;
    at_limit_ += at_limit;
    bits_ |= bits;
    if (low > high) return;
    const bool single = type_->family == Family::f32;
    low_ = std::min(low_, single ? ordered(static_cast<float>(low)) : ordered(low));
    high_ = std::max(high_, single ? ordered(static_cast<float>(high)) : ordered(high));
}

void Table::make_dense() {
    if (!dense_.empty()) return;
    dense_.assign(patterns, 0);
    for (std::size_t i = 0; i < keys_.size(); ++i) dense_[keys_[i]] += sparse_[i];
    keys_.clear();
    sparse_.clear();
}

void Table::take(Scratch& scratch, bool few) {
    if (few) {
        std::vector<std::uint16_t> keys;
        std::vector<std::uint64_t> counts;
        scratch.take_few(keys, counts);
        add_sparse(keys, counts);
    } else {
        make_dense();
        scratch.take_all(dense_.data());
    }
}

void Table::add_sparse(const std::vector<std::uint16_t>& keys,
                       const std::vector<std::uint64_t>& counts) {
    if (dense_.empty() && keys_.size() + keys.size() > sparse_most) make_dense();
    if (!dense_.empty()) {
        for (std::size_t i = 0; i < keys.size(); ++i) dense_[keys[i]] += counts[i];
        return;
    }
    std::vector<std::uint16_t> all;
    std::vector<std::uint64_t> sums;
    all.reserve(keys_.size() + keys.size());
    sums.reserve(keys_.size() + keys.size());
    std::size_t i = 0, j = 0;
    while (i < keys_.size() || j < keys.size()) {
        const bool mine = j == keys.size() || (i < keys_.size() && keys_[i] <= keys[j]);
        const bool theirs = i == keys_.size() || (j < keys.size() && keys[j] <= keys_[i]);
        all.push_back(mine ? keys_[i] : keys[j]);
        sums.push_back((mine ? sparse_[i] : 0) + (theirs ? counts[j] : 0));
        i += mine;
        j += theirs;
    }
    keys_.swap(all);
    sparse_.swap(sums);
}

void Table::merge(const Table& other) {
    if (&other == this) return merge(Table(other));
    changed();
    close();
    if (!other.open_.empty()) return merge(other.closed());
    if (type_ != other.type_) {
        if (type_->family != Family::mixed)
            throw std::invalid_argument("tables of two types merge into a mixed one");
        return other.widen_into(*this);
    }
    count_ += other.count_;
    nan_ += other.nan_;
    posinf_ += other.posinf_;
    neginf_ += other.neginf_;
    zeros_ += other.zeros_;
    subnormal_ += other.subnormal_;
    at_limit_ += other.at_limit_;
    low_ = std::min(low_, other.low_);
    high_ = std::max(high_, other.high_);
    bits_ |= other.bits_;
    for (int k = 0; k < 4; ++k) sums_.power[k].add(other.sums_.power[k]);
    sums_.absolute.add(other.sums_.absolute);
    if (other.dense_.empty()) return add_sparse(other.keys_, other.sparse_);
    make_dense();
    for (std::size_t i = 0; i < dense_.size(); ++i) dense_[i] += other.dense_[i];
}

template <typename Visit>
void Table::visit(Visit visit_pattern) const {
    for (std::size_t i = 0; i < dense_.size(); ++i)
        if (dense_[i]) visit_pattern(static_cast<std::uint32_t>(i), dense_[i]);
    for (std::size_t i = 0; i < keys_.size(); ++i)
        visit_pattern(static_cast<std::uint32_t>(keys_[i]), sparse_[i]);
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> Table::counts() const {
    if (!open_.empty()) return closed().counts();
    std::vector<std::pair<std::uint32_t, std::uint64_t>> made;
    visit([&](std::uint32_t pattern, std::uint64_t count) { made.emplace_back(pattern, count); });
    return made;
}

template <typename Visit>
void Table::visit_in_order(Visit visit_pattern) const {
    const auto all = counts();
    const bool signs = type_->narrow() ? type_->sign_magnitude() || type_->family == Family::sint
                                       : true;
    const std::uint32_t negative = static_cast<std::uint32_t>(patterns_of(*type_) / 2);
    if (!signs) {
        for (const auto& [pattern, count] : all) visit_pattern(pattern, count);
        return;
    }
    const auto middle = std::partition_point(
        all.begin(), all.end(), [&](const auto& entry) { return entry.first < negative; });
    if (type_->narrow() && type_->family == Family::sint)
        for (auto at = middle; at != all.end(); ++at) visit_pattern(at->first, at->second);
    else
        for (auto at = all.end(); at != middle;) --at, visit_pattern(at->first, at->second);
    for (auto at = all.begin(); at != middle; ++at) visit_pattern(at->first, at->second);
}

Summary Table::summary() const {
    if (!open_.empty()) return closed().summary();
    Summary made;
    made.count = count_;
    made.nan = nan_;
    made.posinf = posinf_;
    made.neginf = neginf_;
    made.zeros = zeros_;
    made.subnormal = subnormal_;
    made.at_limit = at_limit_;
    const bool narrow = type_->narrow();
    const Decoding* decoding = narrow ? &decoding_of(*type_) : nullptr;
    const auto total = static_cast<double>(count_);
    std::uint64_t tiny = 0;
    double entropy = 0, lost = 0;
    visit([&](std::uint32_t pattern, std::uint64_t count) {
        ++made.distinct;
        const double share = static_cast<double>(count) / total;
        // Kahan's sum: there may be many small terms.
        const double term = -share * std::log2(share) - lost, next = entropy + term;
        lost = (next - entropy) - term;
        entropy = next;
        if (!narrow) {
            const std::uint32_t magnitude = pattern & 0x7fff;
            if (type_->floating() && magnitude < (type_->family == Family::f64 ? 0x10u : 0x80u))
                tiny += count;
            return;
        }
        const Decoded& one = decoding->patterns[pattern];
        const double value = one.value;
        if (std::isnan(value)) made.nan += count;
        else if (!one.finite) (value > 0 ? made.posinf : made.neginf) += count;
        else if (value == 0) made.zeros += count;
        if (one.subnormal) made.subnormal += count;
        if (type_->bits > 1 && value != 0 && (value == decoding->least || value == decoding->most))
            made.at_limit += count;
    });
    if (type_->family == Family::f32 || type_->family == Family::f64)
        made.subnormal = tiny - made.zeros;
    made.entropy = entropy > 0 ? entropy : 0;
    return made;
}

Sums Table::sums() const {
    if (!open_.empty()) return closed().sums();
    if (!type_->narrow()) return sums_;
    // The wholes of one exponent first, in 128 bits: 2^17 to the fourth, 2^16 patterns and counts
    // of up to 2^43 fit.
    __extension__ typedef __int128 Wide;
    struct Level {
        Wide power[4] = {}, absolute = 0;
    };
    std::map<int, Level> levels;
    const Decoding& decoding = decoding_of(*type_);
    int at = 0;
    Level* level = nullptr;
    visit([&](std::uint32_t pattern, std::uint64_t count) {
        const Decoded& one = decoding.patterns[pattern];
        if (!one.finite || !one.whole) return;
        if (!level || at != one.exponent) level = &levels[at = one.exponent];
        Wide term = static_cast<Wide>(count);
        level->absolute += term * std::abs(one.whole);
        for (Wide& power : level->power) power += term *= one.whole;
    });
    Sums made;
    const auto put = [](Sum& sum, Wide whole, int exponent) {
        Wide rest = whole < 0 ? -whole : whole;
        for (int part = 0; part < 2; ++part, rest >>= 64) {
            Number number = Number::whole(static_cast<std::uint64_t>(rest));
            number.negative = whole < 0;
            number.exponent = exponent + 64 * part;
            sum.add(number);
        }
    };
    for (const auto& [exponent, one] : levels) {
        for (int k = 0; k < 4; ++k) put(made.power[k], one.power[k], (k + 1) * exponent);
        put(made.absolute, one.absolute, exponent);
    }
    return made;
}

bool Table::extremes(std::uint64_t& low, std::uint64_t& high) const {
    if (!open_.empty()) return closed().extremes(low, high);
    if (type_->narrow()) {
        const std::vector<Cell>& all = cells();
        if (all.empty()) return false;
        low = all.front().first;
        high = all.back().last;
        return true;
    }
    low = low_;
    high = high_;
    return low_ <= high_;
}

int Table::spare_bits() const {
    if (!open_.empty()) return closed().spare_bits();
    if (type_->family != Family::f32 && type_->family != Family::f64) return 0;
    int spare = 0;
    while (spare < type_->bits && !((bits_ >> spare) & 1)) ++spare;
    return spare;
}

const std::vector<Cell>& Table::cells() const {
    if (!open_.empty()) return closed().cells();
    if (!cells_) cells_ = std::make_shared<const std::vector<Cell>>(make_cells());
    return *cells_;
}

// The ordered integers, first and last, that the values of a wide type's pattern can be. `fine`
// are the bits below a pattern's 16 that can be set.
static std::pair<std::uint64_t, std::uint64_t> keys_of(const Type& type, std::uint32_t pattern,
                                                       std::uint64_t fine) {
    const bool negative = pattern & 0x8000;
    const std::uint64_t magnitude = pattern & 0x7fff;
    if (type.floating()) {
        const bool doubled = type.family == Family::f64;
        const auto key = [&](std::uint64_t low_bits) {
            const std::uint64_t bits = magnitude << (doubled ? 48 : 16) | low_bits;
            if (doubled) return ordered(double_of(bits | static_cast<std::uint64_t>(negative) << 63));
            const auto single = static_cast<std::uint32_t>(bits) | (negative ? 0x80000000u : 0u);
            if (type.family == Family::f32) return ordered(float_of(single));
            // Doubles beyond a float32 are counted as its largest.
            if (low_bits && magnitude == 0x7f7f) {
                const double most = std::numeric_limits<double>::max();
                return ordered(negative ? -most : most);
            }
            return ordered(static_cast<double>(float_of(single)));
        };
        return negative ? std::make_pair(key(fine), key(0)) : std::make_pair(key(0), key(fine));
    }
    // In whole numbers throughout: doubles have not all those of 64 bits.
    const std::uint64_t zero = type.family == Family::sint ? 1ull << (type.bits - 1) : 0;
    const std::uint64_t end = type.bits == 64 ? ~0ull : 0xffffffffull;
    if (!magnitude) return {zero, zero};
    const int exponent = static_cast<int>(magnitude >> 7) - 127;
    if (exponent < 0 || exponent > 63) return {zero, zero};  // only in damaged tables
    const std::uint64_t mantissa = 128 | (magnitude & 0x7f);
    const std::uint64_t near = exponent < 7 ? mantissa >> (7 - exponent) : mantissa << (exponent - 7);
    const std::uint64_t far = exponent < 7 ? near : near + ((1ull << (exponent - 7)) - 1);
    if (negative) return {zero - std::min(far, zero), zero - std::min(near, zero)};
    return {zero + std::min(near, end - zero), zero + std::min(far, end - zero)};
}

std::vector<Cell> Table::make_cells() const {
    std::vector<Cell> made;
    std::uint64_t before = 0;
    const bool narrow = type_->narrow(), doubled = type_->family == Family::f64;
    const std::uint32_t special = doubled ? 0x7ff0 : 0x7f80;
    const bool only_zeros = type_->floating() && type_->family != Family::mixed && !narrow &&
                            !summary().subnormal;
    const std::uint64_t fine = narrow || spare_bits() >= type_->bits - 16 ? 0
                               : doubled                                  ? 0xffffffffffffull
                                                                          : 0xffff;
    const Decoding* decoding = narrow ? &decoding_of(*type_) : nullptr;
    visit_in_order([&](std::uint32_t pattern, std::uint64_t count) {
        Cell cell{};
        if (narrow) {
            if (!decoding->patterns[pattern].finite) return;
            const double value = decoding->patterns[pattern].value;
            cell.low = cell.high = value == 0 ? 0 : value;
            cell.first = cell.last = ordered(cell.low);
        } else {
            const std::uint32_t magnitude = pattern & 0x7fff;
            if (type_->floating() && magnitude >= special) return;
            const auto [first, last] =
                keys_of(*type_, pattern, !magnitude && only_zeros ? 0 : fine);
            // No value is beyond the extremes.
            cell.first = std::max(first, low_);
            cell.last = std::max(cell.first, std::min(last, high_));
            // There is no -0 among the answers.
            cell.low = number_of(*type_, cell.first) + 0.0;
            cell.high = number_of(*type_, cell.last) + 0.0;
        }
        cell.count = count;
        cell.before = before;
        before += count;
        made.push_back(cell);
    });
    return made;
}

Table Table::widened() const {
    Table made("mixed");
    made.merge(*this);
    return made;
}

void Table::widen_into(Table& mixed) const {
    const Summary all = summary();
    const Sums added = sums();
    mixed.count_ += all.count;
    mixed.nan_ += all.nan;
    mixed.posinf_ += all.posinf;
    mixed.neginf_ += all.neginf;
    mixed.zeros_ += all.zeros;
    mixed.subnormal_ += all.subnormal;
    mixed.at_limit_ += all.at_limit;
    for (int k = 0; k < 4; ++k) mixed.sums_.power[k].add(added.power[k]);
    mixed.sums_.absolute.add(added.absolute);
    std::uint64_t low, high;
    if (extremes(low, high)) {
        const double least = number_of(*type_, low), most = number_of(*type_, high);
        mixed.low_ = std::min(mixed.low_, ordered(least));
        mixed.high_ = std::max(mixed.high_, ordered(most));
    }
    mixed.make_dense();
    // Where a pattern goes must not depend on what else is in the table, or it would matter
    // in which order tables are merged.
    visit([&](std::uint32_t pattern, std::uint64_t count) {
        if (!type_->narrow() && type_->family != Family::f64) {
            if ((pattern & 0x7fff) < 0x7f80 || !type_->floating()) mixed.dense_[pattern] += count;
            return;
        }
        const double value = type_->narrow()
                                 ? value_of(*type_, pattern)
                                 : double_of(static_cast<std::uint64_t>(pattern) << 48);
        if (!type_->narrow() && (pattern & 0x7fff) >= 0x7ff0) return;
        if (!std::isfinite(value)) return;
        const double most = std::numeric_limits<float>::max();
        auto single = static_cast<float>(std::min(std::max(value, -most), most));
        if (std::fabs(static_cast<double>(single)) > std::fabs(value))
            single = std::nextafter(single, 0.0f);
        mixed.dense_[pattern_of(single)] += count;
    });
    mixed.dense_[0x7f80] += all.posinf;
    mixed.dense_[0xff80] += all.neginf;
    mixed.dense_[0x7fc0] += all.nan;
}

std::size_t Table::bytes() const {
    return sizeof(*this) + 8 * dense_.size() + 10 * keys_.size() + open_.size();
}

namespace {

constexpr char magic[] = "weigh table 1\n";

class Writer {
   public:
    std::string made = magic;
    template <typename T>
    void put(T value) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        made.append(bytes, sizeof(T));
    }
    void put_sum(const Sum& sum) {
        const Sum::Plain plain = sum.plain();
        put<std::int32_t>(plain.exponent);
        put<std::uint32_t>(static_cast<std::uint32_t>(plain.digits.size()));
        for (std::uint32_t digit : plain.digits) put(digit);
    }
};

class Reader {
   public:
    explicit Reader(const std::string& state) : state_(state) {
        if (state.compare(0, sizeof(magic) - 1, magic)) bad();
        at_ = sizeof(magic) - 1;
    }
    template <typename T>
    T get() {
        if (state_.size() - at_ < sizeof(T)) bad();
        T value;
        std::memcpy(&value, state_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }
    Sum get_sum() {
        Sum::Plain plain;
        plain.exponent = get<std::int32_t>();
        // Products of four doubles reach from 2^-4296 to 2^4096, and counts add 64 bits.
        if (plain.exponent % 32 || plain.exponent < -8192 || plain.exponent > 8192) bad();
        const auto digits = get<std::uint32_t>();
        if (digits > 512) bad();
        for (std::uint32_t i = 0; i < digits; ++i) plain.digits.push_back(get<std::uint32_t>());
        return Sum::of(plain);
    }
    std::string get_text(std::size_t size) {
        if (state_.size() - at_ < size) bad();
        at_ += size;
        return state_.substr(at_ - size, size);
    }
    void end() const {
        if (at_ != state_.size()) bad();
    }
    [[noreturn]] static void bad() {
        throw std::invalid_argument("these bytes are not the state of a table");
    }

   private:
    const std::string& state_;
    std::size_t at_ = 0;
};

}  // namespace

std::string Table::state() const {
    if (!open_.empty()) return closed().state();
    Writer out;
    const std::string name = type_->name;
    out.put(static_cast<std::uint8_t>(name.size()));
    out.made += name;
    for (std::uint64_t number : {count_, nan_, posinf_, neginf_, zeros_, subnormal_, at_limit_,
                                 low_, high_, bits_})
        out.put(number);
    for (const Sum& sum : sums_.power) out.put_sum(sum);
    out.put_sum(sums_.absolute);
    const auto all = counts();
    out.put(static_cast<std::uint32_t>(all.size()));
    for (const auto& [pattern, count] : all) {
        out.put(static_cast<std::uint16_t>(pattern));
        out.put(count);
    }
    return out.made;
}

// Whether the counts agree with each other: others would be told of ranks that are not there.
bool Table::consistent() const {
    std::uint64_t left = count_, special = 0;
    bool fits = true;
    const std::uint32_t first = type_->family == Family::f64 ? 0x7ff0 : 0x7f80;
    visit([&](std::uint32_t pattern, std::uint64_t count) {
        fits = fits && count <= left;
        left -= count;
        if (!type_->narrow() && type_->floating() && (pattern & 0x7fff) >= first) special += count;
    });
    if (!fits || left) return false;
    for (const std::uint64_t part : {nan_, posinf_, neginf_}) {
        fits = fits && part <= special;
        special -= part;
    }
    if (!fits || special) return false;
    if (type_->narrow())
        return !zeros_ && !subnormal_ && !at_limit_ && low_ == ~0ull && !high_ && !bits_;
    const std::uint64_t finite = count_ - nan_ - posinf_ - neginf_;
    const std::uint64_t end = type_->bits == 32 && type_->family != Family::mixed ? ~0u : ~0ull;
    return finite ? low_ <= high_ && high_ <= end && std::isfinite(number_of(*type_, low_)) &&
                        std::isfinite(number_of(*type_, high_)) && zeros_ <= finite &&
                        at_limit_ <= finite && subnormal_ <= finite - zeros_
                  : low_ == ~0ull && !high_ && !zeros_ && !at_limit_ && !subnormal_;
}

Table Table::of_state(const std::string& state) {
    Reader in(state);
    Table made(in.get_text(in.get<std::uint8_t>()));
    for (std::uint64_t* number : {&made.count_, &made.nan_, &made.posinf_, &made.neginf_,
                                  &made.zeros_, &made.subnormal_, &made.at_limit_, &made.low_,
                                  &made.high_, &made.bits_})
        *number = in.get<std::uint64_t>();
    for (Sum& sum : made.sums_.power) sum = in.get_sum();
    made.sums_.absolute = in.get_sum();
    const auto many = in.get<std::uint32_t>();
    if (many > patterns_of(*made.type_)) Reader::bad();
    std::vector<std::uint16_t> keys;
    std::vector<std::uint64_t> counts;
    for (std::uint32_t i = 0; i < many; ++i) {
        keys.push_back(in.get<std::uint16_t>());
        counts.push_back(in.get<std::uint64_t>());
        if (keys.back() >= patterns_of(*made.type_) || !counts.back() ||
            (i && keys[i] <= keys[i - 1]))
            Reader::bad();
    }
    in.end();
    made.add_sparse(keys, counts);
    if (!made.consistent()) Reader::bad();
    return made;
}

Refiner::Refiner(const std::string& type,
                 std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges, bool few)
    : type_(&type_named(type)), ranges_(std::move(ranges)), few_(few), touched_(patterns, 0) {
    if (type_->narrow() || type_->family == Family::mixed)
        throw std::invalid_argument("values of this type need no second look");
    const int drop = type_->bits - 16;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
        const auto [first, last] = ranges_[i];
        if (first > last || (i && first <= ranges_[i - 1].second) ||
            (type_->bits == 32 && last >> 32))
            throw std::invalid_argument("ranges must be apart from each other and in order");
        int shift = 0;
        while (((last - first) >> shift) >= patterns) ++shift;
        shifts_.push_back(shift);
        counts_.emplace_back(few ? 0 : ((last - first) >> shift) + 1, 0);
        for (std::uint64_t top = first >> drop; top <= last >> drop; ++top) touched_[top] = 1;
    }
}

void Refiner::add(const std::uint8_t* bytes, std::size_t size, std::size_t count) {
    check_size(*type_, size, count);
    switch (type_->family) {
        case Family::f32:
            return add_values<float>(bytes, count);
        case Family::f64:
            return add_values<double>(bytes, count);
        case Family::sint:
            return type_->bits == 32 ? add_values<std::int32_t>(bytes, count)
                                     : add_values<std::int64_t>(bytes, count);
        default:
            return type_->bits == 32 ? add_values<std::uint32_t>(bytes, count)
                                     : add_values<std::uint64_t>(bytes, count);
    }
}

template <typename T>
void Refiner::add_values(const std::uint8_t* bytes, std::size_t count) {
    const int drop = type_->bits - 16;
    for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        const std::uint64_t key = ordered(value);
        if (!touched_[key >> drop]) continue;
        for (std::size_t which = 0; which < ranges_.size(); ++which) {
            if (key > ranges_[which].second) continue;
            if (key < ranges_[which].first) break;
            if (few_)
                counts_[which].push_back(key);
            else
                ++counts_[which][(key - ranges_[which].first) >> shifts_[which]];
            break;
        }
    }
}

void Refiner::merge(const Refiner& other) {
    if (type_ != other.type_ || ranges_ != other.ranges_ || few_ || other.few_)
        throw std::invalid_argument("these refiners look at different ranges");
    for (std::size_t i = 0; i < counts_.size(); ++i)
        for (std::size_t j = 0; j < counts_[i].size(); ++j) counts_[i][j] += other.counts_[i][j];
}

Refiner::Found Refiner::find(std::size_t which, std::uint64_t rank) {
    std::vector<std::uint64_t>& counts = counts_.at(which);
    if (few_) {
        if (rank >= counts.size()) throw std::out_of_range("there are not so many values");
        std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(rank),
                         counts.end());
        return {counts[rank], counts[rank], 0, 1};
    }
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (rank < before + counts[i]) {
            const std::uint64_t first = ranges_[which].first + (std::uint64_t{i} << shifts_[which]);
            const std::uint64_t wide = (std::uint64_t{1} << shifts_[which]) - 1;
            return {first, std::min(ranges_[which].second, first + wide), rank - before, counts[i]};
        }
        before += counts[i];
    }
    throw std::out_of_range("there are not so many values in this range");
}

}  // namespace weigh
