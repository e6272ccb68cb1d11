// What follows from a table: all that needs a look at every pattern.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "table.hpp"

namespace weigh {

double number_of(const Type& type, std::uint64_t key) {
    if (type.narrow()) {
        double value;
        unordered(key, value);
        return value;
    }
    return with_wide(type, [key](auto value) {
        unordered(key, value);
        return static_cast<double>(value);
    });
}

std::size_t Table::occurring() const {
    const auto none = std::count(dense_.begin(), dense_.end(), std::uint64_t{0});
    return dense_.size() - static_cast<std::size_t>(none) + keys_.size();
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> Table::counts() const {
    if (!open_.empty()) return closed().counts();
    std::vector<std::pair<std::uint32_t, std::uint64_t>> made;
    made.reserve(occurring());
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
    // A vector that grows takes new memory again and again, which the system has to clear.
    made.reserve(occurring());
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
        mixed.low_ = std::min(mixed.low_, lower_end(least));
        mixed.high_ = std::max(mixed.high_, upper_end(most));
    }
    mixed.make_dense();
    const Decoding* decoding = type_->narrow() ? &decoding_of(*type_) : nullptr;
    // Where a pattern goes must not depend on what else is in the table, or it would matter
    // in which order tables are merged.
    visit([&](std::uint32_t pattern, std::uint64_t count) {
        if (!type_->narrow() && type_->family != Family::f64) {
            if ((pattern & 0x7fff) < 0x7f80 || !type_->floating()) mixed.dense_[pattern] += count;
            return;
        }
        const double value = decoding ? decoding->patterns[pattern].value
                                      : double_of(static_cast<std::uint64_t>(pattern) << 48);
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

}  // namespace weigh
