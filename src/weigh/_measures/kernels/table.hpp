// How often each pattern of bits occurs, and what follows from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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
    std::uint64_t finite() const { return count - nan - posinf - neginf; }
};

struct Sums {
    Sum power[4];  // of value^1 .. value^4 over the finite values
    Sum absolute;  // of |value|
};

class Table {
   public:
    explicit Table(const std::string& type);

    const Type& type() const { return *type_; }

    // Adds `count` values that lie end to end. Values added in several calls are as if they had
    // come in one, also where the calls do not end at the ends of blocks.
    void add(const std::uint8_t* bytes, std::size_t size, std::size_t count);

    // What another device has counted: see the class's documentation in table.py.
    void add_counts(const std::vector<std::uint64_t>& counts);
    void add_block(const Block& block);
    void add_found(std::uint64_t count, std::uint64_t nan, std::uint64_t posinf,
                   std::uint64_t neginf, std::uint64_t zeros, std::uint64_t at_limit, double low,
                   double high, std::uint64_t bits);

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
    std::size_t bytes() const;

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
    void make_dense();
    void take(Scratch& scratch, bool few);
    void add_sparse(const std::vector<std::uint16_t>& keys, const std::vector<std::uint64_t>& counts);
    void add_narrow(const std::uint8_t* bytes, std::size_t count);
    void add_wide(const std::uint8_t* bytes, std::size_t count);
    template <typename T>
    void add_blocks(const std::uint8_t* bytes, std::size_t count);
    template <typename Visit>
    void visit(Visit visit_pattern) const;
    template <typename Visit>
    void visit_in_order(Visit visit_pattern) const;
    void widen_into(Table& mixed) const;
};

// The number that an ordered integer of a wide type stands for.
double number_of(const Type& type, std::uint64_t ordered_key);

// A second look at values whose patterns are known: counts those of some ranges more finely, or,
// where they are few, keeps them.
class Refiner {
   public:
    // Ranges of ordered integers, both ends in, apart from each other and in order.
    Refiner(const std::string& type, std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges,
            bool few);

    void add(const std::uint8_t* bytes, std::size_t size, std::size_t count);
    void merge(const Refiner& other);

    // Where in range `which` the value of rank `rank` (0 for the range's smallest) is: a
    // narrower range, its rank in it, and how many are there.
    struct Found {
        std::uint64_t first, last, rank, count;
    };
    Found find(std::size_t which, std::uint64_t rank);

   private:
    const Type* type_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_;
    std::vector<int> shifts_;
    bool few_;
    // The counts of a range's parts; or, of few values, these themselves.
    std::vector<std::vector<std::uint64_t>> counts_;
    std::vector<std::uint8_t> touched_;  // by the top 16 bits: whether any range is there

    template <typename T>
    void add_values(const std::uint8_t* bytes, std::size_t count);
};

}  // namespace weigh
