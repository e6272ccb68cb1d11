// What Python sees of the counting: see _kernels.pyi for the words.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <type_traits>

#include "channels.hpp"
#include "compare.hpp"
#include "refiner.hpp"
#include "shrink.hpp"
#include "table.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace weigh {
namespace {

// The bytes of any object with the buffer protocol, held while they are counted.
class Bytes {
   public:
    explicit Bytes(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE)) throw nb::python_error();
    }
    ~Bytes() { PyBuffer_Release(&view_); }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;

    const std::uint8_t* data() const { return static_cast<const std::uint8_t*>(view_.buf); }
    std::size_t size() const { return static_cast<std::size_t>(view_.len); }

   private:
    Py_buffer view_;
};

template <typename Counter>
void add(Counter& counter, nb::handle buffer, std::size_t count) {
    const Bytes bytes(buffer);
    nb::gil_scoped_release release;
    counter.add(bytes.data(), bytes.size(), count);
}

template <typename T>
Block block_of(const Bytes& bytes, std::size_t count) {
    if (count > block_values || count * sizeof(T) > bytes.size())
        throw std::invalid_argument("this is no block of values");
    Block block;
    Range<T> range;
    measure_block(reinterpret_cast<const T*>(bytes.data()), count, block, range, nullptr);
    return block;
}

// Adds the sums of one block, and counts nothing.
void add_sums_of(Table& table, nb::handle buffer, std::size_t count) {
    const Bytes bytes(buffer);
    if (table.type().narrow() || table.type().family == Family::mixed)
        throw std::invalid_argument("of narrow types no sums are made");
    with_wide(table.type(), [&](auto value) {
        table.add_block(block_of<decltype(value)>(bytes, count));
    });
}

// The number of an ordered integer, exactly: an int for integers, else a float.
nb::object python_number(const Table& table, std::uint64_t key) {
    const Type& type = table.type();
    if (type.floating()) return nb::float_(number_of(type, key) + 0.0);
    if (type.narrow()) return nb::int_(static_cast<std::int64_t>(number_of(type, key)));
    return with_wide(type, [key](auto value) -> nb::object {
        unordered(key, value);
        if constexpr (std::is_integral<decltype(value)>::value) return nb::int_(value);
        return nb::float_(value);
    });
}

// An exact sum as (integer, exponent): integer * 2^exponent.
std::pair<nb::bytes, int> python_sum(const Sum& sum) {
    const Sum::Plain plain = sum.plain();
    return {nb::bytes(reinterpret_cast<const char*>(plain.digits.data()), 4 * plain.digits.size()),
            plain.exponent};
}

// Where the finite value of rank `rank` is: an estimate, whether it is that exactly, and the
// range of ordered integers it is in, its rank there, and how many values are there.
using Place = std::tuple<double, bool, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>;

Place place_of(const std::vector<Cell>& cells, std::uint64_t rank) {
    const auto after = std::upper_bound(
        cells.begin(), cells.end(), rank,
        [](std::uint64_t wanted, const Cell& cell) { return wanted < cell.before; });
    if (after == cells.begin()) throw nb::index_error("there are no finite values");
    const Cell& cell = *(after - 1);
    if (rank - cell.before >= cell.count) throw nb::index_error("there are not so many values");
    const double share = (static_cast<double>(rank - cell.before) + 0.5) / static_cast<double>(cell.count);
    const double value = cell.low + (cell.high - cell.low) * share;
    return {std::min(std::max(value, cell.low), cell.high), cell.low == cell.high, cell.first,
            cell.last, rank - cell.before, cell.count};
}

// How many finite values are smaller than `edge` (or equal to it, if `with_equal`): exact where
// no pattern has values on both sides.
std::uint64_t below(const std::vector<Cell>& cells, double edge, bool with_equal) {
    const auto at = std::partition_point(cells.begin(), cells.end(), [&](const Cell& cell) {
        return with_equal ? cell.high <= edge : cell.high < edge;
    });
    if (at == cells.end())
        return cells.empty() ? 0 : cells.back().before + cells.back().count;
    if (at->low >= edge) return at->before;
    const double share = (edge - at->low) / (at->high - at->low);
    return at->before + static_cast<std::uint64_t>(share * static_cast<double>(at->count) + 0.5);
}

std::vector<std::uint64_t> histogram(const Table& table, const std::vector<double>& edges) {
    const std::vector<Cell>& cells = table.cells();
    std::vector<std::uint64_t> made;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
        const bool last = i + 2 == edges.size();
        const std::uint64_t from = below(cells, edges[i], false);
        const std::uint64_t to = below(cells, edges[i + 1], last);
        made.push_back(to - std::min(from, to));
    }
    return made;
}

void add_pairs(Comparison& comparison, nb::handle first, nb::handle second, std::size_t count,
               std::uint64_t start, bool skip) {
    const Bytes a(first), b(second);
    nb::gil_scoped_release release;
    comparison.add(a.data(), b.data(), a.size(), b.size(), count, start, skip);
}

// Whether the bytes of two buffers are the same.
bool same_bytes(nb::handle first, nb::handle second) {
    const Bytes a(first), b(second);
    if (a.size() != b.size()) return false;
    nb::gil_scoped_release release;
    return !std::memcmp(a.data(), b.data(), a.size());
}

nb::bytes python_bytes(const std::vector<double>& numbers) {
    return nb::bytes(reinterpret_cast<const char*>(numbers.data()), 8 * numbers.size());
}

// Adds values to a table and, while they are in the cache, the squares of each channel up. Gives
// the sums of the channels that these values touch, as the bytes of doubles.
nb::bytes add_with_squares(Table& table, nb::handle buffer, std::size_t count,
                           std::uint64_t start, std::uint64_t channels, std::uint64_t inner) {
    const Bytes bytes(buffer);
    channels::Sums sums(table.type().name, count, start, channels, inner);
    {
        nb::gil_scoped_release release;
        const Seen seen = [&sums](const std::uint8_t* part, std::size_t many) {
            sums.add(part, many);
        };
        table.add(bytes.data(), bytes.size(), count, &seen);
    }
    return python_bytes(sums.sums());
}

// The sums of squares alone, of a type by its name.
nb::bytes channel_squares(const std::string& dtype, nb::handle buffer, std::size_t count,
                          std::uint64_t channels, std::uint64_t inner) {
    const Bytes bytes(buffer);
    channels::Sums sums(dtype, count, 0, channels, inner);
    if (count > bytes.size() / static_cast<std::size_t>(type_named(dtype).bytes()))
        throw std::invalid_argument("the buffer is shorter than so many values");
    {
        nb::gil_scoped_release release;
        sums.add(bytes.data(), count);
    }
    return python_bytes(sums.sums());
}

// Shrinks a matrix to cells, and counts its values while they are in the cache, if there is a table.
// Gives the numbers of the cells, as the bytes of doubles, and what else they hold.
nb::tuple shrink_matrix(const std::string& dtype, nb::handle buffer, std::size_t columns,
                        const std::vector<std::size_t>& row_starts,
                        const std::vector<std::size_t>& column_starts, std::size_t rows,
                        const std::string& how, Table* table) {
    const Bytes bytes(buffer);
    const Type& type = type_named(dtype);
    const auto width = static_cast<std::size_t>(type.bytes());
    if (!columns || !rows || rows > bytes.size() / width / columns)
        throw std::invalid_argument("the buffer is shorter than so many rows");
    if (table && &table->type() != &type)
        throw std::invalid_argument("the table counts values of another type");
    const auto shrinker = shrink::shrinker(type, shrink::how_named(how), bytes.data(), rows,
                                           columns, row_starts, column_starts);
    {
        nb::gil_scoped_release release;
        if (table) {
            const Seen seen = [&](const std::uint8_t*, std::size_t many) { shrinker->add(many); };
            table->add(bytes.data(), bytes.size(), rows * columns, &seen);
        } else {
            shrinker->add(rows * columns);
        }
    }
    const shrink::Cells& found = shrinker->found();
    return nb::make_tuple(python_bytes(found.values),
                          nb::bytes(reinterpret_cast<const char*>(found.flags.data()),
                                    found.flags.size()));
}

}  // namespace
}  // namespace weigh

NB_MODULE(_kernels, m) {
    using weigh::Refiner;
    using weigh::Table;

    // A table that a traceback or a session holds to the very end is no fault to report.
    nb::set_leak_warnings(false);

    nb::class_<Table>(m, "PatternTable")
        .def(nb::init<const std::string&>(), "dtype"_a)
        .def("add", &weigh::add<Table>, "buffer"_a, "count"_a)
        .def("add_with_squares", &weigh::add_with_squares, "buffer"_a, "count"_a, "start"_a,
             "channels"_a, "inner"_a)
        .def("add_counts", &Table::add_counts, "counts"_a)
        .def("add_block",
             [](Table& self, std::uint64_t finite, double pivot, double sum1, double sum2,
                double sum3, double sum4, double absolute) {
                 weigh::Block block;
                 block.finite = finite;
                 block.pivot = pivot;
                 block.sum1 = sum1;
                 block.sum2 = sum2;
                 block.sum3 = sum3;
                 block.sum4 = sum4;
                 block.absolute = absolute;
                 self.add_block(block);
             },
             "finite"_a, "pivot"_a, "sum1"_a, "sum2"_a, "sum3"_a, "sum4"_a, "absolute"_a)
        .def("add_sums_of", &weigh::add_sums_of, "buffer"_a, "count"_a)
        .def("add_found", &Table::add_found, "count"_a, "nan"_a, "posinf"_a, "neginf"_a, "zeros"_a,
             "at_limit"_a, "low"_a, "high"_a, "bits"_a)
        .def("merge", &Table::merge, "other"_a)
        .def("widened", &Table::widened)
        .def_prop_ro("dtype", [](const Table& self) { return self.type().name; })
        .def_prop_ro("spare_bits", &Table::spare_bits)
        .def("summary",
             [](const Table& self) {
                 const weigh::Summary all = self.summary();
                 return std::make_tuple(all.count, all.nan, all.posinf, all.neginf, all.zeros,
                                        all.subnormal, all.at_limit, all.distinct, all.entropy);
             })
        .def("extremes",
             [](const Table& self) -> nb::object {
                 std::uint64_t low, high;
                 if (!self.extremes(low, high)) return nb::none();
                 return nb::make_tuple(weigh::python_number(self, low),
                                       weigh::python_number(self, high));
             })
        .def("sums",
             [](const Table& self) {
                 const weigh::Sums all = self.sums();
                 return std::make_tuple(
                     weigh::python_sum(all.power[0]), weigh::python_sum(all.power[1]),
                     weigh::python_sum(all.power[2]), weigh::python_sum(all.power[3]),
                     weigh::python_sum(all.absolute));
             })
        .def("places",
             [](const Table& self, const std::vector<std::uint64_t>& ranks) {
                 const std::vector<weigh::Cell>& cells = self.cells();
                 std::vector<weigh::Place> made;
                 for (std::uint64_t rank : ranks) made.push_back(weigh::place_of(cells, rank));
                 return made;
             },
             "ranks"_a)
        .def("number", &weigh::python_number, "ordered"_a)
        .def("histogram", &weigh::histogram, "edges"_a)
        .def("below",
             [](const Table& self, double edge, bool with_equal) {
                 return weigh::below(self.cells(), edge, with_equal);
             },
             "edge"_a, "with_equal"_a = false)
        .def("counts", &Table::counts)
        .def("cells",
             [](const Table& self) {
                 std::vector<std::tuple<double, double, std::uint64_t>> made;
                 for (const weigh::Cell& cell : self.cells())
                     made.emplace_back(cell.low, cell.high, cell.count);
                 return made;
             })
        .def("__getstate__",
             [](const Table& self) {
                 const std::string state = self.state();
                 return nb::bytes(state.data(), state.size());
             })
        .def("__setstate__",
             [](Table& self, nb::bytes state) {
                 new (&self) Table(
                     Table::of_state(std::string(static_cast<const char*>(state.data()), state.size())));
             });

    nb::class_<Refiner>(m, "Refiner")
        .def(nb::init<const std::string&, std::vector<std::pair<std::uint64_t, std::uint64_t>>,
                      bool>(),
             "dtype"_a, "ranges"_a, "few"_a = false)
        .def("add", &weigh::add<Refiner>, "buffer"_a, "count"_a)
        .def("merge", &Refiner::merge, "other"_a)
        .def("find",
             [](Refiner& self, std::size_t which, std::uint64_t rank) {
                 const Refiner::Found found = self.find(which, rank);
                 return std::make_tuple(found.first, found.last, found.rank, found.count);
             },
             "which"_a, "rank"_a);

    nb::class_<weigh::channels::Totals>(m, "ChannelSums")
        .def(nb::init<std::size_t>(), "channels"_a)
        .def("add",
             [](weigh::channels::Totals& self, nb::bytes piece, std::size_t first) {
                 std::vector<double> sums(piece.size() / sizeof(double));
                 std::memcpy(sums.data(), piece.c_str(), 8 * sums.size());
                 self.add(sums.data(), sums.size(), first);
             },
             "piece"_a, "first"_a)
        .def("__len__", [](const weigh::channels::Totals& self) { return self.sums().size(); })
        .def("spread", &weigh::channels::Totals::spread)
        .def("alike", &weigh::channels::Totals::alike, "near"_a)
        .def("to_bytes",
             [](const weigh::channels::Totals& self) { return weigh::python_bytes(self.sums()); });
    nb::class_<weigh::Comparison>(m, "Comparison")
        .def(nb::init<const std::string&, const std::string&, bool>(), "first"_a, "second"_a,
             "counted"_a = true)
        .def("add", &weigh::add_pairs, "first"_a, "second"_a, "count"_a, "start"_a, "skip"_a)
        .def("merge", &weigh::Comparison::merge, "other"_a)
        .def("found",
             [](const weigh::Comparison& self) {
                 const weigh::Compared& all = self.found();
                 return std::make_tuple(all.count, all.changed, all.finite, all.flipped,
                                        all.zeros_a, all.zeros_b, all.zeros_both, all.odd_a,
                                        all.odd_b, all.most, all.most_at);
             })
        .def("sums",
             [](const weigh::Comparison& self) {
                 const weigh::Compared& all = self.found();
                 return std::make_tuple(weigh::python_sum(all.aa), weigh::python_sum(all.bb),
                                        weigh::python_sum(all.dd));
             })
        .def("equal", &weigh::Comparison::equal)
        .def("changes", [](const weigh::Comparison& self) {
            const std::string state = self.changes().state();
            return nb::bytes(state.data(), state.size());
        });
    m.def("shrink", &weigh::shrink_matrix, "dtype"_a, "buffer"_a, "columns"_a, "row_starts"_a,
          "column_starts"_a, "rows"_a, "how"_a, "table"_a = nb::none());
    m.def("same_bytes", &weigh::same_bytes, "first"_a, "second"_a);
    m.def("channel_squares", &weigh::channel_squares, "dtype"_a, "buffer"_a, "count"_a,
          "channels"_a, "inner"_a);
    m.def(
        "vector_level",
        [](int wanted) {
            const int before = weigh::wide::level();
            if (wanted >= 0) weigh::wide::level() = std::min(wanted, weigh::wide::best_level());
            return before;
        },
        "wanted"_a = -1);
}
