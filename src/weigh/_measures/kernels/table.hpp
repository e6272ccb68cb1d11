// How often each pattern of bits occurs, and what follows from it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "blocks.hpp"
#include "count.hpp"
#include "exact.hpp"
#include "type.hpp"

namespace weigh {

// The values that share a pattern. Those of narrow types are all the same.
struct Cell {
    double low, high;       // of what a value there can be
    std::uint64_t count;    // how many there are
    std::uint64_t before;   // how many finite values are smaller
    std::uint64_t first, last;  // low and high as integers in the same order (type.hpp)
};

struct Summary {
    std::uint64_t count = 0, nan = 0, posinf = 0, neginf = 0, zeros = 0, subnormal = 0;
    std::uint64_t at_limit = 0;  // values at the type's largest finite size, either sign
    std::uint64_t distinct = 0;  // patterns that occur
    double entropy = 0;          // of the patterns, in bits per value
};

struct Sums {
    Sum power[4];  // of value^1 .. value^4 over the finite values
    Sum absolute;  // of |value|
};

// Is shown values that were counted: their bytes, and how many there are.
typedef std::function<void(const std::uint8_t*, std::size_t)> Seen;

class Table {
   public:
    explicit Table(const std::string& type);

    const Type& type() const { return *type_; }

    // Adds `count` values that lie end to end. Values added in several calls are as if they had
    // come in one, also where the calls do not end at the ends of blocks.
    // `seen` is shown each part of them right after it was counted, while it is in the cache.
    void add(const std::uint8_t* bytes, std::size_t size, std::size_t count,
             const Seen* seen = nullptr);

    // Adds whole blocks of floats or doubles, the last one perhaps not whole, of many that come one
    // after the other: their counts stay in this thread's counters until `settle`, and nothing
    // else may be counted by this thread before.
    void add_of_many(const std::uint8_t* bytes, std::size_t count);
    void settle();

    // What another device has counted: see the class's documentation in table.py.
    void add_counts(const std::vector<std::uint64_t>& counts);
    void add_block(const Block& block);
    void add_found(std::uint64_t count, std::uint64_t nan, std::uint64_t posinf,
                   std::uint64_t neginf, std::uint64_t zeros, std::uint64_t at_limit,
                   std::uint64_t low, std::uint64_t high, std::uint64_t bits);

    // Adds another table: of the same type, or of any if this one is mixed.
    void merge(const Table& other);
    Table widened() const;

    Summary summary() const;
    Sums sums() const;
    // The finite values' patterns, in the order of their values.
    const std::vector<Cell>& cells() const;
    // The finite values' extremes, as ordered integers; false if there are none.
    bool extremes(std::uint64_t& low, std::uint64_t& high) const;
    // How many of the lowest bits are 0 in every value of a float32 or float64.
    int spare_bits() const;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> counts() const;

    std::string state() const;
    static Table of_state(const std::string& state);

   private:
    const Type* type_;
    std::uint64_t count_ = 0;
    // Counts of all patterns, or (dense_ empty) of those that occur, in order.
    std::vector<std::uint64_t> dense_;
    std::vector<std::uint16_t> keys_;
    std::vector<std::uint64_t> sparse_;
    // Only of wide types: narrow ones' patterns say it all.
    std::uint64_t nan_ = 0, posinf_ = 0, neginf_ = 0, zeros_ = 0, subnormal_ = 0, at_limit_ = 0;
    std::uint64_t low_ = ~0ull, high_ = 0, bits_ = 0;
    Sums sums_;
    // The values after the last whole block, until more come.
    std::vector<std::uint8_t> open_;

    // Worked out when first asked for, until the table changes: this table without an open
    // block, and the patterns in order.
    mutable std::shared_ptr<const Table> closed_;
    mutable std::shared_ptr<const std::vector<Cell>> cells_;

    void changed();
    const Table& closed() const;
    void close();
    std::vector<Cell> make_cells() const;
    bool consistent() const;
    std::size_t occurring() const;  // patterns
    void make_dense();
    void take(Scratch& scratch, bool few);
    void add_sparse(const std::vector<std::uint16_t>& keys, const std::vector<std::uint64_t>& counts);
    void add_narrow(const std::uint8_t* bytes, std::size_t count, const Seen* seen);
    void add_wide(const std::uint8_t* bytes, std::size_t count, const Seen* seen);
    template <typename T>
    void add_blocks(const std::uint8_t* bytes, std::size_t count, const Seen* seen,
                    bool settled = true);
    template <typename Visit>
    void visit(Visit visit_pattern) const;
    template <typename Visit>
    void visit_in_order(Visit visit_pattern) const;
    void widen_into(Table& mixed) const;
};

// The number that an ordered integer of a wide type stands for.
double number_of(const Type& type, std::uint64_t ordered_key);

// How many patterns a type has, or its values are counted by.
inline std::size_t patterns_of(const Type& type) {
    return type.narrow() ? std::size_t{1} << std::max(type.bits, 1) : patterns;
}

// Refuses more values than there are bytes for.
inline void check_size(const Type& type, std::size_t size, std::size_t count) {
    // Divided, not multiplied: a product may be too large for its type.
    const bool fits = type.packed ? count / 2 + count % 2 <= size
                                  : count <= size / static_cast<std::size_t>(type.bytes());
    if (!fits) throw std::invalid_argument("there are fewer bytes than the values take");
}

template <typename Visit>
void Table::visit(Visit visit_pattern) const {
    for (std::size_t i = 0; i < dense_.size(); ++i)
        if (dense_[i]) visit_pattern(static_cast<std::uint32_t>(i), dense_[i]);
    for (std::size_t i = 0; i < keys_.size(); ++i)
        visit_pattern(static_cast<std::uint32_t>(keys_[i]), sparse_[i]);
}

}  // namespace weigh
