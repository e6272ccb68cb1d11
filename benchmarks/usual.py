"""What people do today for the statistics of a file, as one writes it: ``usual.py WAY FILE``.

Each way gives the same set of answers for every tensor, as far as it can: counts of NaN,
infinities and zeros, extremes, mean, deviation, root mean square, norms, skewness, kurtosis,
nine quantiles and the entropy of the values.
"""

from __future__ import annotations

import sys
from typing import Any

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


def with_torch(path: str) -> int:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            stored = file.get_tensor(name).flatten()
            values = stored.float()
            finite = values[torch.isfinite(values)].double()
            centred = finite - finite.mean()
            deviation = finite.std(correction=0)
            ordered = finite.sort().values
            places = torch.tensor(QUANTILES, dtype=torch.float64) * (len(ordered) - 1)
            low = places.long()
            high = (low + 1).clamp(max=len(ordered) - 1)
            shares = torch.unique(stored, return_counts=True)[1].double() / len(stored)
            told: list[Any] = [
                torch.isnan(values).sum(),
                torch.isposinf(values).sum(),
                torch.isneginf(values).sum(),
                (values == 0).sum(),
                finite.min(),
                finite.max(),
                finite.mean(),
                deviation,
                finite.square().mean().sqrt(),
                finite.abs().sum(),
                finite.norm(),
                centred.pow(3).mean() / deviation**3,
                centred.pow(4).mean() / deviation**4 - 3,
                torch.lerp(ordered[low], ordered[high], places - low),
                -(shares * shares.log2()).sum(),
            ]
            assert len(told) == 15
    return 0


def with_numpy(path: str) -> int:
    import ml_dtypes
    import numpy as np
    from safetensors.numpy import load_file

    assert ml_dtypes.bfloat16  # lets NumPy hold bfloat16
    for stored in load_file(path).values():
        flat = stored.reshape(-1)
        values = flat.astype(np.float64)
        finite = values[np.isfinite(values)]
        centred = finite - finite.mean()
        deviation = finite.std()
        counts = np.unique(flat.view(f"u{flat.itemsize}"), return_counts=True)[1] / len(flat)
        told = [
            np.isnan(values).sum(),
            np.isposinf(values).sum(),
            np.isneginf(values).sum(),
            (values == 0).sum(),
            finite.min(),
            finite.max(),
            finite.mean(),
            deviation,
            np.sqrt(np.mean(finite**2)),
            np.abs(finite).sum(),
            np.linalg.norm(finite),
            np.mean(centred**3) / deviation**3,
            np.mean(centred**4) / deviation**4 - 3,
            np.quantile(finite, QUANTILES),
            -(counts * np.log2(counts)).sum(),
        ]
        assert len(told) == 15
    return 0


def with_weightlens(path: str) -> int:
    """Mean, deviation, extremes, the norm, zeros and the quantile 0.99 of sizes; estimates."""
    from weightlens.cli import main

    sys.argv = ["lens", "analyze", path]
    return int(main() or 0)


def with_lovely_tensors(path: str) -> int:
    """Its one line for each tensor: extremes, mean, deviation, whether anything is not finite."""
    import lovely_tensors
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            str(lovely_tensors.lovely(file.get_tensor(name)))
    return 0


WAYS = {
    "torch": with_torch,
    "numpy": with_numpy,
    "weightlens": with_weightlens,
    "lovely-tensors": with_lovely_tensors,
}

if __name__ == "__main__":
    sys.exit(WAYS[sys.argv[1]](sys.argv[2]))
