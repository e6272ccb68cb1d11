// A second look at values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "type.hpp"

namespace weigh {

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
