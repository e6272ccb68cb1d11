"""What people do today for the statistics of a file, as one writes it: ``usual.py WAY FILE``.

PyTorch and NumPy give the same set of answers for every tensor, as far as they can: counts of NaN,
infinities and zeros, extremes, mean, deviation, root mean square, norms, skewness, kurtosis, nine
quantiles and the entropy of the 16-bit values. They calculate in float32, as is usual, where Weigh
is exact; for the entropy they count with ``bincount``, which is quicker than ``unique``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
CHUNK = 1 << 18  # a megabyte of float32, which stays in a cache


def _torch_tensors(path: str) -> Iterator[Any]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            yield file.get_tensor(name).flatten()


def _numpy_tensors(path: str) -> Iterator[tuple[Any, Any]]:
    """The 16-bit patterns of each tensor, and its type, which ml_dtypes lets NumPy have."""
    import ml_dtypes
    from safetensors.numpy import load_file

    assert ml_dtypes.bfloat16
    for stored in load_file(path).values():
        yield stored.reshape(-1).view("u2"), stored.dtype


def with_torch(path: str) -> None:
    import torch

    for stored in _torch_tensors(path):
        values = stored.float()
        finite = values[torch.isfinite(values)]
        mean, deviation = finite.mean(), finite.std(correction=0)
        centred = finite - mean
        told = [
            torch.isnan(values).sum(),
            torch.isposinf(values).sum(),
            torch.isneginf(values).sum(),
            (values == 0).sum(),
            finite.min(),
            finite.max(),
            mean,
            deviation,
            finite.square().mean().sqrt(),
            finite.abs().sum(),
            finite.norm(),
            centred.pow(3).mean() / deviation**3,
            centred.pow(4).mean() / deviation**4 - 3,
            _torch_quantiles(finite),
            _torch_entropy(_torch_counts(stored)),
        ]
        assert len(told) == 15


def with_torch_in_chunks(path: str) -> None:
    """All but the quantiles, for which everything is sorted, from chunks that stay in a cache."""
    import torch

    for stored in _torch_tensors(path):
        found = _Sums()
        counts = torch.zeros(1 << 16, dtype=torch.long)
        for chunk in stored.split(CHUNK):
            values = chunk.float()
            finite = values[torch.isfinite(values)]
            square = finite.square()
            found.add(
                torch.isnan(values).sum().item(),
                torch.isposinf(values).sum().item(),
                torch.isneginf(values).sum().item(),
                (values == 0).sum().item(),
                finite.min().item(),
                finite.max().item(),
                [
                    finite.sum().item(),
                    square.sum().item(),
                    (square * finite).sum().item(),
                    (square * square).sum().item(),
                    finite.abs().sum().item(),
                ],
            )
            counts += _torch_counts(chunk)
        values = stored.float()
        finite = values[torch.isfinite(values)]
        told = [
            *found.told(len(finite)),
            _torch_quantiles(finite),
            _torch_entropy(counts),
        ]
        assert len(told) == 15


def _torch_counts(stored: Any) -> Any:
    import torch

    return torch.bincount(stored.view(torch.int16).int() & 0xFFFF, minlength=1 << 16)


def _torch_entropy(counts: Any) -> Any:
    shares = counts[counts > 0].double() / counts.sum()
    return -(shares * shares.log2()).sum()


def _torch_quantiles(finite: Any) -> Any:
    import torch

    ordered = finite.sort().values
    places = torch.tensor(QUANTILES, dtype=torch.float64) * (len(ordered) - 1)
    low = places.long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], (places - low).float())


def with_numpy(path: str) -> None:
    import numpy as np

    for patterns, dtype in _numpy_tensors(path):
        values = patterns.view(dtype).astype(np.float32)
        finite = values[np.isfinite(values)]
        mean, deviation = finite.mean(dtype=np.float64), finite.std(dtype=np.float64)
        centred = finite - np.float32(mean)
        square = centred * centred
        told = [
            np.isnan(values).sum(),
            np.isposinf(values).sum(),
            np.isneginf(values).sum(),
            (values == 0).sum(),
            finite.min(),
            finite.max(),
            mean,
            deviation,
            np.sqrt(np.mean(np.square(finite))),
            np.abs(finite).sum(),
            np.linalg.norm(finite),
            np.mean(square * centred) / deviation**3,
            np.mean(square * square) / deviation**4 - 3,
            np.quantile(finite, QUANTILES),
            _numpy_entropy(np.bincount(patterns, minlength=1 << 16)),
        ]
        assert len(told) == 15


def with_numpy_in_chunks(path: str) -> None:
    """All but the quantiles, which need everything, from chunks that stay in a cache."""
    import numpy as np

    for patterns, dtype in _numpy_tensors(path):
        found = _Sums()
        counts = np.zeros(1 << 16, np.int64)
        for at in range(0, len(patterns), CHUNK):
            chunk = patterns[at : at + CHUNK]
            values = chunk.view(dtype).astype(np.float32)
            finite = values[np.isfinite(values)]
            square = finite * finite
            found.add(
                np.isnan(values).sum(),
                np.isposinf(values).sum(),
                np.isneginf(values).sum(),
                (values == 0).sum(),
                finite.min(),
                finite.max(),
                [
                    float(finite.sum()),
                    float(square.sum()),
                    float((square * finite).sum()),
                    float((square * square).sum()),
                    float(np.abs(finite).sum()),
                ],
            )
            counts += np.bincount(chunk, minlength=1 << 16)
        values = patterns.view(dtype).astype(np.float32)
        finite = values[np.isfinite(values)]
        told = [
            *found.told(len(finite)),
            np.quantile(finite, QUANTILES),
            _numpy_entropy(counts),
        ]
        assert len(told) == 15


def _numpy_entropy(counts: Any) -> Any:
    import numpy as np

    shares = counts[counts > 0] / counts.sum()
    return -(shares * np.log2(shares)).sum()


class _Sums:
    """What adds up from chunk to chunk, and what follows from it."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0, 0]
        self._low, self._high = math.inf, -math.inf
        self._powers = [0.0] * 5

    def add(
        self,
        nan: int,
        posinf: int,
        neginf: int,
        zeros: int,
        low: float,
        high: float,
        powers: list[float],
    ) -> None:
        more = (nan, posinf, neginf, zeros)
        self._counts = [a + b for a, b in zip(self._counts, more, strict=True)]
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._powers = [a + b for a, b in zip(self._powers, powers, strict=True)]

    def told(self, n: int) -> list[float]:
        s1, s2, s3, s4 = (power / n for power in self._powers[:4])
        variance = s2 - s1 * s1
        third = s3 - 3 * s1 * s2 + 2 * s1**3
        fourth = s4 - 4 * s1 * s3 + 6 * s1 * s1 * s2 - 3 * s1**4
        return [
            *self._counts,
            self._low,
            self._high,
            s1,
            math.sqrt(variance),
            math.sqrt(s2),
            self._powers[4],
            math.sqrt(self._powers[1]),
            third / variance**1.5,
            fourth / variance**2 - 3,
        ]


def with_weightlens(path: str) -> None:
    """Its report: see README.md for what is not in it."""
    from weightlens.cli import main

    sys.argv = ["lens", "analyze", path]
    if main():
        raise SystemExit("weightlens failed")


def with_lovely_tensors(path: str) -> None:
    """Its one line for each tensor: extremes, mean, deviation, whether anything is not finite."""
    import lovely_tensors

    for stored in _torch_tensors(path):
        str(lovely_tensors.lovely(stored))


WAYS = {
    "torch": with_torch,
    "torch-in-chunks": with_torch_in_chunks,
    "numpy": with_numpy,
    "numpy-in-chunks": with_numpy_in_chunks,
    "weightlens": with_weightlens,
    "lovely-tensors": with_lovely_tensors,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2])
