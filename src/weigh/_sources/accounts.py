"""Where the bytes of a file went, worked out from the places of its tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from weigh._facts import Accounts, FoundTensor
from weigh._sources.bytes import ByteSource


def account(
    source: ByteSource, tensors: Iterable[FoundTensor], *, metadata: int, padding: int = 0
) -> Accounts:
    """Account for every byte of a file.

    Tensors that share bytes count them once. What is neither in a tensor, nor metadata, nor
    padding is unreachable: no name leads to it.

    Args:
        source: the file.
        tensors: all that it holds. Those whose storage is told by a tuple that begins with the
            file's identity lie in it; others (in a pickle's own bytes) are metadata.
        metadata: how many bytes describe the tensors.
        padding: how many bytes only round an address.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> account(MemoryBytes(bytes(100)), [], metadata=60).unreachable
        40
    """
    spans: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    for tensor in tensors:
        extent = tensor.values.extent
        if extent is None or not isinstance(extent.storage, tuple):
            continue
        if extent.storage[0] == source.identity:
            spans[extent.storage].append((extent.start, extent.stop))
    touched = sum(map(_covered, spans.values()))
    rest = source.size - touched - metadata - padding
    # Headers that lie about themselves are the reader's to refuse; sums must still be sums.
    return Accounts(source.size, touched, min(metadata, source.size), padding, max(rest, 0))


def _covered(spans: list[tuple[int, int]]) -> int:
    covered, end = 0, -1
    for start, stop in sorted(spans):
        covered += max(0, stop - max(start, end))
        end = max(end, stop)
    return covered
