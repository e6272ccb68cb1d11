#include "table.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <type_traits>

namespace weigh {

namespace {

// So many patterns are listed; more are counted in a place for each.
constexpr std::size_t sparse_most = 8192;

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

Table::Table(const std::string& type) : type_(&type_named(type)) {
    if (type_->bits <= 8) dense_.assign(patterns_of(*type_), 0);
}

void Table::changed() {
    closed_.reset();
    cells_.reset();
}

void Table::add(const std::uint8_t* bytes, std::size_t size, std::size_t count, const Seen* seen) {
    changed();
    if (type_->family == Family::mixed) throw std::invalid_argument("a mixed table only merges");
    check_size(*type_, size, count);
    const std::size_t needed = count * static_cast<std::size_t>(type_->bytes());
    if (type_->narrow()) {
        count_ += count;
        add_narrow(bytes, count, seen);
        return;
    }
    const auto width = static_cast<std::size_t>(type_->bytes()), whole = block_values * width;
    if (!open_.empty()) {
        const std::size_t taken = std::min(needed, whole - open_.size());
        open_.insert(open_.end(), bytes, bytes + taken);
        if (seen) (*seen)(bytes, taken / width);
        bytes += taken;
        count -= taken / width;
        if (open_.size() < whole) return;
        close();
    }
    const std::size_t closed = count / block_values * block_values;
    add_wide(bytes, closed, seen);
    open_.assign(bytes + closed * width, bytes + count * width);
    if (seen && closed != count) (*seen)(bytes + closed * width, count - closed);
}

void Table::close() {
    if (open_.empty()) return;
    changed();
    std::vector<std::uint8_t> rest;
    rest.swap(open_);
    add_wide(rest.data(), rest.size() / static_cast<std::size_t>(type_->bytes()), nullptr);
}

const Table& Table::closed() const {
    if (!closed_) {
        auto made = std::make_shared<Table>(*this);
        made->close();
        closed_ = std::move(made);
    }
    return *closed_;
}

void Table::add_narrow(const std::uint8_t* bytes, std::size_t count, const Seen* seen) {
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
                for (std::size_t at = 0, step; at < part; at += step) {
                    step = seen ? std::min(part - at, block_values) : part;
                    scratch.count_words(bytes + 2 * at, step);
                    if (seen) (*seen)(bytes + 2 * at, step);
                }
            if (few && seen) (*seen)(bytes, part);
            take(scratch, few);
            bytes += 2 * part;
            count -= part;
        }
        return;
    }
    if (seen) (*seen)(bytes, count);
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

void Table::add_wide(const std::uint8_t* bytes, std::size_t count, const Seen* seen) {
    with_wide(*type_, [&](auto value) { add_blocks<decltype(value)>(bytes, count, seen); });
}

void Table::add_of_many(const std::uint8_t* bytes, std::size_t count) {
    changed();
    if (type_->family == Family::f64)
        add_blocks<double>(bytes, count, nullptr, false);
    else
        add_blocks<float>(bytes, count, nullptr, false);
}

void Table::settle() { take(Scratch::mine(), false); }

template <typename T>
void Table::add_blocks(const std::uint8_t* bytes, std::size_t count, const Seen* seen,
                       bool settled) {
    constexpr bool is_float = std::is_floating_point<T>::value;
    Scratch& scratch = Scratch::mine();
    const Counters counters = scratch.counters();
    const Special keys = special(*type_);
    const bool few = settled && count < Scratch::few;
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
            low_ = std::min(low_, lower_end(range.low));
            high_ = std::max(high_, upper_end(range.high));
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
        if (seen) (*seen)(bytes + at * sizeof(T), part);
        counted += part;
        if (counted > Scratch::most - block_values) {
            take(scratch, few);
            counted = 0;
        }
    }
    if (settled) take(scratch, few);
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
                      std::uint64_t neginf, std::uint64_t zeros, std::uint64_t at_limit,
                      std::uint64_t low, std::uint64_t high, std::uint64_t bits) {
    changed();
    count_ += count;
    nan_ += nan;
    posinf_ += posinf;
    neginf_ += neginf;
    zeros_ += zeros;
    at_limit_ += at_limit;
    bits_ |= bits;
    low_ = std::min(low_, low);
    high_ = std::max(high_, high);
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

}  // namespace weigh
