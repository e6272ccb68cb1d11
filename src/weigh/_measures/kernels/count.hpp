// Counting patterns, as fast as the memory that the counts are in allows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "blocks.hpp"
#include "type.hpp"

namespace weigh {

constexpr std::size_t patterns = 65536;

// Where one thread counts before it adds to a table: neighbouring values go to two sets of
// counters, since equal neighbours would wait for each other's count in one. The counters are
// of 32 bits, to stay in the cache; `most` values fit before they must be taken out.
class Scratch {
   public:
    static constexpr std::size_t most = 1u << 31;
    static constexpr std::size_t few = 32768;

    static Scratch& mine() {
        static thread_local std::unique_ptr<Scratch> made(new Scratch());
        return *made;
    }

    std::uint32_t at(std::size_t pattern) const { return even_[pattern] + odd_[pattern]; }

    // With few values, which patterns were met is noted, so that the others need no look.
    template <typename Key>
    void count_few(std::size_t count, Key key) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint16_t pattern = key(i);
            if (!at(pattern)) met_.push_back(pattern);
            ++even_[pattern];
        }
    }

    template <typename Key>
    void count_many(std::size_t count, Key key) {
        std::size_t i = 0;
        for (; i + 2 <= count; i += 2) {
            ++even_[key(i)];
            ++odd_[key(i + 1)];
        }
        if (i < count) ++even_[key(i)];
    }

    // 16-bit patterns that lie end to end.
    void count_words(const std::uint8_t* bytes, std::size_t count) {
        std::size_t i = 0;
        for (; i + 32 <= count; i += 32) {
            prefetch(bytes + 2 * i);
            for (std::size_t j = i; j < i + 32; j += 8) {
                std::uint64_t a, b;
                std::memcpy(&a, bytes + 2 * j, 8);
                std::memcpy(&b, bytes + 2 * j + 8, 8);
                ++even_[a & 0xffff];
                ++odd_[b & 0xffff];
                ++even_[(a >> 16) & 0xffff];
                ++odd_[(b >> 16) & 0xffff];
                ++even_[(a >> 32) & 0xffff];
                ++odd_[(b >> 32) & 0xffff];
                ++even_[a >> 48];
                ++odd_[b >> 48];
            }
        }
        for (; i < count; ++i) {
            std::uint16_t pattern;
            std::memcpy(&pattern, bytes + 2 * i, 2);
            ++even_[pattern];
        }
    }

    Counters counters() { return {even_, odd_}; }

    // Takes out what was counted by count_few: the patterns in order, with their counts.
    void take_few(std::vector<std::uint16_t>& keys, std::vector<std::uint64_t>& counts) {
        std::sort(met_.begin(), met_.end());
        keys = met_;
        counts.clear();
        for (std::uint16_t pattern : met_) {
            counts.push_back(at(pattern));
            even_[pattern] = odd_[pattern] = 0;
        }
        met_.clear();
    }

    // Adds what was counted to `counts`, and begins anew.
    void take_all(std::uint64_t* counts) {
        for (std::size_t i = 0; i < patterns; ++i)
            counts[i] += static_cast<std::uint64_t>(even_[i]) + odd_[i];
        std::memset(even_, 0, sizeof(even_));
        std::memset(odd_, 0, sizeof(odd_));
    }

   private:
    alignas(64) std::uint32_t even_[patterns] = {};
    alignas(64) std::uint32_t odd_[patterns] = {};
    std::vector<std::uint16_t> met_;
};

// Counts bytes. Many are counted two at a time, as 16-bit patterns, which are then taken apart.
inline void count_bytes(const std::uint8_t* bytes, std::size_t count, std::uint64_t* counts) {
    if (count >= 8 * patterns) {
        std::vector<std::uint64_t> pairs(patterns, 0);
        Scratch& scratch = Scratch::mine();
        scratch.count_words(bytes, count / 2);
        scratch.take_all(pairs.data());
        for (std::size_t pair = 0; pair < patterns; ++pair) {
            counts[pair & 0xff] += pairs[pair];
            counts[pair >> 8] += pairs[pair];
        }
        if (count & 1) ++counts[bytes[count - 1]];
        return;
    }
    std::uint32_t apart[4][256] = {};
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (std::size_t j = 0; j < 4; ++j) ++apart[j][bytes[i + j]];
    for (; i < count; ++i) ++apart[0][bytes[i]];
    for (std::size_t p = 0; p < 256; ++p)
        counts[p] += static_cast<std::uint64_t>(apart[0][p]) + apart[1][p] + apart[2][p] + apart[3][p];
}

// The pattern under which a wide value is counted: its top 16 bits. Integers are counted by
// those of the float32 they become when what does not fit in it is dropped, so those below 256
// have a pattern of their own.
inline std::uint16_t pattern_of(float value) {
    return static_cast<std::uint16_t>(bits_of(value) >> 16);
}
inline std::uint16_t pattern_of(double value) {
    return static_cast<std::uint16_t>(bits_of(value) >> 48);
}
inline std::uint16_t pattern_of(std::uint64_t magnitude, std::uint64_t sign) {
    // Without branches: signs and sizes are as good as random.
    const int zeros = __builtin_clzll(magnitude | 1);
    const std::uint64_t mantissa = ((magnitude << zeros) >> 56) & 0x7f;
    const auto exponent = static_cast<std::uint64_t>(127 + 63 - zeros);
    return static_cast<std::uint16_t>(sign | (magnitude ? exponent << 7 | mantissa : 0));
}
inline std::uint16_t pattern_of(std::int64_t value) {
    const auto all = static_cast<std::uint64_t>(value >> 63);
    return pattern_of((static_cast<std::uint64_t>(value) ^ all) - all, all & 0x8000);
}
inline std::uint16_t pattern_of(std::int32_t value) {
    return pattern_of(static_cast<std::int64_t>(value));
}
inline std::uint16_t pattern_of(std::uint64_t value) { return pattern_of(value, 0); }
inline std::uint16_t pattern_of(std::uint32_t value) {
    return pattern_of(static_cast<std::uint64_t>(value), 0);
}

}  // namespace weigh
