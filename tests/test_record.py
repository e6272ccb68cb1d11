"""Records against what ``dataclasses`` makes of the same fields."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from weigh._record import changed, field, record


@record(frozen=True)
class Pair:
    a: int
    b: str = "x"
    rest: Mapping[str, int] = field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Same:
    a: int
    b: str = "x"
    rest: Mapping[str, int] = dataclasses.field(default_factory=dict)


@record(frozen=True)
class Longer(Pair):
    c: float = 0.5
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.a * 2)


@record()
class Loose:
    a: int = 1

    def __repr__(self) -> str:
        return f"<{self.a}>"


@record(frozen=True, slots=False, eq=False)
class Open:
    a: int = 1


def both(*values: Any, **more: Any) -> tuple[Any, Any]:
    return Pair(*values, **more), Same(*values, **more)


@pytest.mark.parametrize("values", [(1,), (1, "y"), (1, "y", {"z": 3})])
def test_a_record_prints_compares_and_gives_its_fields_as_a_dataclass(values: Any) -> None:
    one, same = both(*values)
    assert repr(one) == repr(same).replace("Same", "Pair")
    assert (one == Pair(*values)) is (same == Same(*values)) is True
    assert (one == Pair(2)) is (same == Same(2)) is False
    assert one != same
    assert dataclasses.asdict(one) == dataclasses.asdict(same)
    assert dataclasses.astuple(one) == dataclasses.astuple(same)
    assert [f.name for f in dataclasses.fields(one)] == [f.name for f in dataclasses.fields(same)]
    assert one.__match_args__ == same.__match_args__


def test_each_record_has_a_default_of_its_own() -> None:
    assert Pair(1).rest == {}
    assert Pair(1).rest is not Pair(1).rest


def test_what_is_missing_or_too_much_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Pair\.__init__\(\) missing .* argument: 'a'"):
        Pair()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'd'"):
        Pair(1, d=2)  # type: ignore[call-arg]


def test_a_frozen_record_stays_as_it_is() -> None:
    one = Pair(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'a'"):
        del one.a
    assert not hasattr(one, "__dict__")
    assert hash(Longer(1, rest=())) == hash(Longer(1, rest=()))  # type: ignore[arg-type]
    assert {Open(): 1}  # by its identity
    assert Open() != Open()


def test_one_that_is_not_frozen_changes_and_is_no_key() -> None:
    one = Loose()
    one.a = 5
    assert repr(one) == "<5>"
    assert one == Loose(5)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(AttributeError):
        one.b = 5  # type: ignore[attr-defined]


def test_fields_are_inherited_and_worked_out() -> None:
    one = Longer(3, "y", c=1.5)
    assert (one.a, one.b, one.c, one.size) == (3, "y", 1.5, 6)
    assert repr(one) == "Longer(a=3, b='y', rest={}, c=1.5, size=6)"
    assert Longer.__slots__ == ("c", "size")
    match one:
        case Longer(a, b, _, c):
            assert (a, b, c) == (3, "y", 1.5)


@pytest.mark.parametrize("one", [Pair(1, "y"), Longer(2), Loose(4)])
def test_a_copy_is_equal(one: Any) -> None:
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_a_change_makes_another_record() -> None:
    one = Longer(1)
    assert changed(one, a=4) == dataclasses.replace(one, a=4) == Longer(4)
    assert (one.size, changed(one, a=4).size) == (2, 8)
    assert changed(Open(1), a=2).a == 2
