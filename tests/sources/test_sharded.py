"""Weights in several files: an index and its files, held against each other both ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import weigh
from weigh._errors import FormatError, SourceError, WeighError
from weigh._sources.sharded import parse_index

Arrays = dict[str, np.ndarray]


def state() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "fc1.weight": rng.standard_normal((4, 3)).astype("f4"),
        "fc1.bias": rng.standard_normal(4).astype("f4"),
        "fc2.weight": rng.standard_normal((2, 4)).astype("f4"),
    }


def shard(folder: Path, **changes: object) -> Path:
    """Write a model in two files; give its index."""
    folder.mkdir(exist_ok=True)
    arrays = state()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {"fc1.weight": names[0], "fc1.bias": names[1], "fc2.weight": names[1]}
    for name in names:
        save_file({key: arrays[key] for key, file in where.items() if file == name}, folder / name)
    total = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_size": total}, "weight_map": where | changes}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    return path


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        weigh.open(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("by", ["index", "folder"])
def test_it_is_one_network(tmp_path: Path, by: str) -> None:
    index = shard(tmp_path / "model")
    net = weigh.open(index if by == "index" else index.parent)
    assert net.format == "sharded"
    assert {t.name for t in net.tensors()} == set(state())
    for name, array in state().items():
        np.testing.assert_array_equal(net[name].read(), array)
    assert net.fc1.kind == "Linear"
    assert net.counts.parameters == sum(array.size for array in state().values())


def test_every_byte_of_every_file_is_accounted_for(tmp_path: Path) -> None:
    net = weigh.open(shard(tmp_path))
    accounts = net.accounts
    assert accounts is not None
    assert accounts.total == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert accounts.tensors == sum(array.nbytes for array in state().values())
    assert accounts.unreachable == 0


def test_a_set_without_its_index(tmp_path: Path) -> None:
    shard(tmp_path).unlink()
    net = weigh.open(tmp_path)
    assert net.format == "sharded"
    assert {t.name for t in net.tensors()} == set(state())
    assert "No index lists their tensors: all that the files hold is shown." in net.notes
    assert net.accounts is not None
    assert net.accounts.total == sum(path.stat().st_size for path in tmp_path.iterdir())
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    assert refused(tmp_path) == (
        f"{tmp_path}: a file that belongs to the set is missing: "
        "'model-00001-of-00002.safetensors'; saw 1 of 2 files. Fetch what is missing."
    )


def test_a_tensor_in_two_files_of_a_set(tmp_path: Path) -> None:
    for number in (1, 2):
        save_file(state(), tmp_path / f"model-0000{number}-of-00002.safetensors")
    assert "two tensors have one name; saw fc1." in refused(tmp_path)


def test_one_file_of_several_says_so(tmp_path: Path) -> None:
    shard(tmp_path)
    net = weigh.open(tmp_path / "model-00002-of-00002.safetensors")
    assert {t.name for t in net.tensors()} == {"fc1.bias", "fc2.weight"}
    assert net.notes[0] == (
        "It is file 2 of 2, and the others are not shown: name their index, or the folder."
    )


@pytest.mark.parametrize(
    ("index", "file"),
    [
        ("model.safetensors.index.fp16.json", "model.fp16-0000{}-of-00002.safetensors"),
        ("model.safetensors.index.fp16.json", "model-0000{}-of-00002.fp16.safetensors"),
        ("model.safetensors.fp16.index.json", "model-0000{}-of-00002.fp16.safetensors"),
        ("model.fp16.safetensors.index.json", "model.fp16-0000{}-of-00002.safetensors"),
    ],
)
def test_variants(tmp_path: Path, index: str, file: str) -> None:
    where = {"fc1.weight": 1, "fc1.bias": 2, "fc2.weight": 2}
    for number in (1, 2):
        held = {name: array for name, array in state().items() if where[name] == number}
        save_file(held, tmp_path / file.format(number))
    mapped = {name: file.format(number) for name, number in where.items()}
    (tmp_path / index).write_text(json.dumps({"weight_map": mapped}))
    for path in (tmp_path, tmp_path / index):
        net = weigh.open(path)
        assert {t.name for t in net.tensors()} == set(state())
        assert not any("No index" in note for note in net.notes)


def test_an_index_of_very_many_tensors_is_refused(tmp_path: Path) -> None:
    names = ",".join(f'"{i}":"a"' for i in range(500_001))
    with pytest.raises(FormatError, match="names over 500,000 tensors"):
        parse_index('{"weight_map":{' + names + "}}")
    path = tmp_path / "model.safetensors.index.json"
    with path.open("wb") as file:
        file.truncate(40_000_001)
    assert "the JSON file is too long" in refused(path)


def test_pickled_files_too(tmp_path: Path) -> None:
    arrays = {name: torch.from_numpy(array) for name, array in state().items()}
    where = {"fc1.weight": "a.bin", "fc1.bias": "b.bin", "fc2.weight": "b.bin"}
    for file in ("a.bin", "b.bin"):
        torch.save({n: arrays[n] for n, f in where.items() if f == file}, tmp_path / file)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    net = weigh.open(tmp_path)
    for name, array in state().items():
        np.testing.assert_array_equal(net[name].read(), array)
    # Every file numbers its storages from 0; that ties nothing.
    assert [t.tied_to for t in net.tensors()] == [None] * 3


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    index = shard(tmp_path)
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    assert refused(index) == (
        f"{index}: a file that the index names is missing: 'model-00001-of-00002.safetensors'; "
        "saw 1 of 2 files. Fetch what is missing."
    )


def test_a_tensor_that_its_file_lacks(tmp_path: Path) -> None:
    index = shard(tmp_path, **{"lost.weight": "model-00001-of-00002.safetensors"})
    assert "'model-00001-of-00002.safetensors' holds 'lost.weight', which it does not" in (
        refused(index)
    )


def test_a_tensor_that_the_index_puts_elsewhere(tmp_path: Path) -> None:
    index = shard(tmp_path, **{"fc1.weight": "model-00002-of-00002.safetensors"})
    assert "holds 'fc1.weight', which it does not" in refused(index)


def test_a_tensor_that_the_index_lacks_is_told(tmp_path: Path) -> None:
    index = shard(tmp_path)
    document = json.loads(index.read_text())
    del document["weight_map"]["fc1.bias"]
    index.write_text(json.dumps(document))
    net = weigh.open(index)
    assert "fc1.bias" not in net
    assert any("does not say it holds, and is not shown: 'fc1.bias'" in n for n in net.notes)


def test_a_wrong_total_is_told(tmp_path: Path) -> None:
    index = shard(tmp_path)
    document = json.loads(index.read_text())
    document["metadata"]["total_size"] = 5
    index.write_text(json.dumps(document))
    assert "The index states 5 bytes of tensors; the files hold 96." in weigh.open(index).notes


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "a/../../x", "", "C:x", "a\\b"]
)
def test_no_file_outside_the_folder_is_opened(tmp_path: Path, name: str) -> None:
    index = shard(tmp_path / "in", w=name)
    save_file(state(), tmp_path / "x.safetensors")
    assert "a file's name leads out of its folder" in refused(index)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    index = shard(tmp_path / "in")
    outside = tmp_path / "outside.safetensors"
    shutil.move(tmp_path / "in/model-00001-of-00002.safetensors", outside)
    (tmp_path / "in/model-00001-of-00002.safetensors").symlink_to(outside)
    assert "a link leads out of its folder" in refused(index)


def test_an_error_says_which_file(tmp_path: Path) -> None:
    index = shard(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"\x08" + bytes(7) + b"{}      x")
    assert refused(index).startswith(f"{tmp_path / 'model-00002-of-00002.safetensors'}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "was expected"),
        ("{}", "maps no tensor"),
        ('{"weight_map": {}}', "maps no tensor"),
        ('{"weight_map": {"a": 1}}', "a string was expected"),
        ('{"weight_map": {"a": "x", "a": "x"}}', "has a tensor twice"),
        ('{"weight_map": {"a": "x"}, "weight_map": {}}', "two weight maps"),
        ('{"weight_map": {"a": "x"}, "z": ' + "[" * 100_000 + "}", "nested more than"),
        ('{"weight_map": {"a": "x"}', "was expected"),
        ("", "was expected"),
    ],
    ids=range(9),
)
def test_a_broken_index_is_one_line(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_index(text)


@given(st.text(max_size=80), st.binary(max_size=80))
def test_no_text_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.index.json"
    for content in (('{"weight_map": {"a": ' + text + "}}").encode(errors="replace"), data):
        path.write_bytes(content)
        with pytest.raises(WeighError):
            weigh.open(path)
