"""The names that a loader would import: stated by every source that reads a pickle."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weigh
import writers
from weigh._errors import UnsupportedError
from weigh._sources.imports import imports_of, united
from weigh._sources.pickles import read_pickle

PICKLED = ["torchscript", "torch-zip", "torch-legacy", "dcp", "deepspeed", "megatron"]
PLAIN = ["safetensors", "gguf", "npy", "npz", "flax", "keras", "hdf5", "onnx"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PICKLED)
def test_sources_with_pickles_state_their_names(name: str, tmp_path: Path) -> None:
    path, _ = writers.WRITERS[name](tmp_path)
    imports = weigh.open(path).imports
    assert list(imports) == sorted(imports)
    names = [one for one, _ in imports]
    assert len(names) == len(set(names)) > 0
    assert all(where and "/" not in where for _, where in imports)
    if name not in ("torchscript", "dcp"):
        assert "torch._utils._rebuild_tensor_v2" in names


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PLAIN)
def test_sources_without_pickles_have_none(name: str, tmp_path: Path) -> None:
    path, _ = writers.WRITERS[name](tmp_path)
    assert weigh.open(path).imports == ()


def test_names_are_sorted_and_told_once() -> None:
    both = [read_pickle(pickle.dumps(one)) for one in ({Path, pickle.Pickler}, [Path])]
    assert imports_of("a/b\\c.pt", *both) == (("_pickle.Pickler", "c.pt"), ("pathlib.Path", "c.pt"))


@given(st.lists(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=2)), max_size=4)))
def test_union(parts: list[list[tuple[str, str]]]) -> None:
    joined = united(map(tuple, parts))
    every = [row for part in parts for row in part]
    assert dict(joined) == dict(reversed(every))
    assert list(joined) == sorted(dict(joined).items())


def test_far_too_many_names_are_refused() -> None:
    parts = (((f"{i}" + "a" * 1_000_000, "x"),) for i in range(30))
    with pytest.raises(UnsupportedError, match="far too many"):
        united(parts)
