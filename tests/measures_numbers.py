"""Numbers of every type, and what NumPy says of them, for the tests of measures."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

SMALL = {
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float8_e8m0fnu": ml_dtypes.float8_e8m0fnu,
    "float6_e2m3fn": ml_dtypes.float6_e2m3fn,
    "float6_e3m2fn": ml_dtypes.float6_e3m2fn,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
WIDE = ("float32", "float64", "int32", "int64", "uint32", "uint64")
WHOLE = ("bool", "uint8", "int8", "uint16", "int16")
EVERY = (*SMALL, *WHOLE, *WIDE)


def random_values(name: str, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Make values of a type: of small ones any pattern, of wide ones about a normal spread."""
    rng = np.random.default_rng(seed)
    if name in SMALL:
        kind = np.dtype(SMALL[name])
        bits = {"float6_e2m3fn": 6, "float6_e3m2fn": 6}.get(name, 8 * kind.itemsize)
        codes = rng.integers(0, 1 << bits, count).astype(f"u{kind.itemsize}")
        return codes.view(kind)
    if name == "bool":
        return rng.integers(0, 2, count).astype(bool)
    if name.startswith("float"):
        return (rng.standard_normal(count) * 0.02 + 0.001).astype(name)
    info = np.iinfo(name)
    if info.bits <= 16:
        return rng.integers(info.min, info.max, count, name, endpoint=True)
    spread = np.clip(rng.standard_normal(count) * 1e5, info.min, 2**62)
    return spread.astype(name)


def as_float(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Widen to float64, exactly but for large integers."""
    with np.errstate(invalid="ignore"):  # signalling NaN among the patterns
        return values.astype(np.float64)


def moments(values: np.ndarray[Any, Any]) -> dict[str, float | None]:
    """Work out moments in exact fractions: what any formula should come to."""
    exact = [Fraction(value) for value in values.tolist()]
    n = len(exact)
    if not n:
        return dict.fromkeys(("mean", "std", "rms", "skewness", "kurtosis", "l1", "l2"))
    mean = sum(exact) / n
    m2, m3, m4 = (sum((x - mean) ** k for x in exact) / n for k in (2, 3, 4))
    square = sum(x * x for x in exact)
    return {
        "mean": float(mean),
        "std": math.sqrt(m2),
        "rms": math.sqrt(square / n),
        "skewness": float(m3) / float(m2) ** 1.5 if m2 else None,
        "kurtosis": float(m4 / m2**2 - 3) if m2 else None,
        "l1": float(sum(map(abs, exact))),
        "l2": math.sqrt(square),
    }
