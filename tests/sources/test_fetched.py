"""What is at hand of a far file: whatever is asked, the bytes are right and little is fetched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weigh._sources.fetched import Fetched

SIZE = 3_000_000
DATA = memoryview(bytes(i * i % 251 for i in range(1000)) * (SIZE // 1000))

spans = st.tuples(st.integers(0, SIZE), st.one_of(st.integers(0, 300), st.integers(0, SIZE))).map(
    lambda pair: (pair[0], min(SIZE, sum(pair)))
)


def view(fetched: Fetched, start: int, stop: int) -> tuple[int, int] | None:
    """Do as a file does: fetch what is missing, and check what is put together."""
    missing = fetched.missing(start, stop, SIZE)
    if missing is None:
        assert fetched.join(start, stop) == DATA[start:stop]
        return None
    first, end = missing
    assert 0 <= first < end <= SIZE
    before = fetched.join(start, max(start, first))
    after = fetched.join(min(end, stop), stop)
    piece = DATA[first:end][max(start - first, 0) : stop - first]
    assert b"".join((before, piece, after)) == DATA[start:stop]
    fetched.add(first, DATA[first:end])
    return missing


@given(st.integers(1, 70_000), st.lists(spans, max_size=40))
def test_every_byte_is_right(first: int, asked: list[tuple[int, int]]) -> None:
    fetched = Fetched(DATA[:first])
    for start, stop in asked:
        missing = view(fetched, start, stop)
        if missing is not None:
            assert missing[1] - missing[0] <= max(2 * (1 << 20), stop - start + (1 << 20))
            if stop - start <= 300:
                assert view(fetched, start, stop) is None  # it is at hand now
        starts = fetched._starts
        ends = [at + len(fetched._pieces[at]) for at in starts]
        assert starts == sorted(set(fetched._pieces))
        assert ends == sorted(ends)


def test_many_pieces_are_forgotten_in_the_order_of_their_use() -> None:
    fetched = Fetched(DATA[:10])
    for start in range(100, SIZE - 10, 100):
        fetched.add(start, DATA[start : start + 50])
    kept = sum(len(piece) for piece in fetched._pieces.values())
    assert kept <= (1 << 23) + 10
    big = Fetched(DATA[:10])
    whole = memoryview(bytes(1 << 20))
    for i in range(1, 12):
        big.add(i << 21, whole)
        big.join(1 << 21, (1 << 21) + 1)  # the first is used all the time
    assert big.missing(1 << 21, (1 << 21) + 9, 1 << 30) is None
    assert big.missing(2 << 21, (2 << 21) + 9, 1 << 30) is not None
    assert big.missing(11 << 21, (11 << 21) + 9, 1 << 30) is None


def test_small_steps_grow() -> None:
    fetched = Fetched(DATA[:65536])
    requests = [view(fetched, at, at + 100) for at in range(65536, 2_000_000, 100)]
    assert sum(one is not None for one in requests) <= 12
    assert view(Fetched(DATA[:65536]), 65536, 65546) == (65536, 65536 + 4096)


def test_what_is_large_is_not_kept() -> None:
    fetched = Fetched(DATA[:65536])
    assert view(fetched, 500_000, 2_000_000) == (500_000, 2_000_000)
    assert view(fetched, 500_000, 2_000_000) == (500_000, 2_000_000)
