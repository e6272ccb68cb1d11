from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weigh._names import did_you_mean, matches

NAMES = ["conv1.weight", "conv1.bias", "conv10.weight", "layers.0.fc.weight", "layers.1.fc.bias"]


def test_a_pattern_is_a_name_a_path_or_a_glob() -> None:
    assert matches("conv1.weight", NAMES) == ["conv1.weight"]
    assert matches("conv1", NAMES) == ["conv1.weight", "conv1.bias"]
    assert matches("layers", NAMES) == ["layers.0.fc.weight", "layers.1.fc.bias"]
    assert matches("*.bias", NAMES) == ["conv1.bias", "layers.1.fc.bias"]
    assert matches("conv?.weight", NAMES) == ["conv1.weight"]
    assert matches("layers.[01].fc.weight", NAMES) == ["layers.0.fc.weight"]
    assert matches("*", NAMES) == NAMES
    assert matches("", NAMES) == matches("fc", NAMES) == matches("CONV1", NAMES) == []


@given(st.lists(st.text(max_size=12), max_size=8), st.text(max_size=12))
def test_any_pattern_selects_some_of_the_names_in_their_order(
    names: list[str], pattern: str
) -> None:
    found = matches(pattern, names)
    assert found == [name for name in names if name in found]
    if pattern in names:
        assert pattern in found
    assert matches("*", names) == names


def test_a_near_name_is_offered() -> None:
    assert did_you_mean("conv1.wieght", NAMES).startswith("Did you mean 'conv1.weight'")
    assert did_you_mean("fc.weight", ["a.b.c.d.e.weight"]) == "Did you mean 'a.b.c.d.e.weight'?"
    assert did_you_mean("zzz", NAMES) == ""
    assert did_you_mean("x", []) == ""


def test_a_huge_list_of_names_is_answered_at_once() -> None:
    names = [f"layers.{i}.mlp.weight" for i in range(100_000)]
    assert "layers.77.mlp.weight" in did_you_mean("layers.77.mlp.wieght", names)
    assert did_you_mean("x" * 100_000, names) == ""
