#include "refiner.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "table.hpp"

namespace weigh {

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
    with_wide(*type_, [&](auto value) { add_values<decltype(value)>(bytes, count); });
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
