// A table as bytes, and back: what comes back is believed only where it agrees with itself.
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "table.hpp"

namespace weigh {

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
    const auto digits = [](const Sum& sum) { return sum.plain().digits; };
    for (const Sum* sum : {&sums_.power[1], &sums_.power[3], &sums_.absolute})
        if (!digits(*sum).empty() && digits(*sum).back() >> 31) return false;  // of squares, sizes
    if (type_->narrow() || count_ == nan_ + posinf_ + neginf_) {
        if (!digits(sums_.absolute).empty()) return false;
        for (const Sum& sum : sums_.power)
            if (!digits(sum).empty()) return false;
    }
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

}  // namespace weigh
