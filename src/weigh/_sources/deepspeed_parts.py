"""A network put together from what DeepSpeed's processes hold of it, each a part of everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from weigh._errors import FormatError, SourceError, WeighError
from weigh._facts import Accounts, Facts, FoundTensor, Values
from weigh._sources.bytes import ByteSource
from weigh._sources.deepspeed_stated import Stated, members, roles_of, stated_by
from weigh._sources.folder import Folder
from weigh._sources.imports import Imports, imports_of, united
from weigh._sources.parts import check_once, cleaner
from weigh._sources.pickled import pairs_of
from weigh._sources.pickled_tensor import PickledTensor
from weigh._sources.plain_text import plain_text
from weigh._sources.stored import count_of
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_zip import opened
from weigh._sources.zero import FlatVectors, GatheredValues

_MAX_STATES = 8
_TOLD = ("global_steps", "global_samples", "ds_version")


def gathered(step: Folder, models: Sequence[str], optimizers: Sequence[str]) -> Facts:
    """Put a network together of which every process holds a part.

    Args:
        step: the folder.
        models: the files of model states, in the order of the processes.
        optimizers: the files of optimizer states, in the same order.

    Raises:
        FormatError: the parts do not make the parameters.
        SourceError: a file is missing.
    """
    if len(optimizers) != len(models):
        raise SourceError(
            "some processes' files are missing",
            seen=f"{len(models):,} of model states, {len(optimizers):,} of optimizer states",
            do="Fetch what is missing.",
        )
    files = step.open_all([*models, *optimizers])
    opener, accounts = _Opener(len(models)), Accounts(0, 0, 0, 0, 0)
    for file in files:
        try:
            accounts += opener.open(file)
        except WeighError as error:
            raise error.at(file.name) from None
    rows, notes = _rows(opener)
    clean, left_out = cleaner(list(opener.module))
    roles = roles_of(opener.stated, clean)
    tensors = []
    for name, values, identity in rows:
        role, learnable = roles.get(clean(name), (None, None))
        tensors.append(FoundTensor(clean(name), values, role, learnable, identity))
    tensors += _optimizer(opener, clean)
    check_once(tensor.name for tensor in tensors)
    return Facts(
        "deepspeed",
        step.name,
        tuple(tensors),
        metadata=opener.metadata,
        notes=(f"The parts of {len(models):,} processes are put together.", *left_out, *notes),
        accounts=_settled(accounts, tensors),
        imports=opener.imports,
    )


class _Opener:
    """Opens the files one after the other and keeps of each only what is put together.

    Args:
        count: how many processes there are: first come their files of model states.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.frozen: list[dict[str, Values]] = []
        self.groups: list[list[Values]] = []
        self.states: list[list[dict[str, Values]]] = []
        self.module: dict[str, PickledTensor] = {}
        self.stated = Stated({}, {}, {}, set())
        self.metadata: dict[str, str] = {}
        self.imports: Imports = ()

    def open(self, file: ByteSource) -> Accounts:
        """Open the next file; give its accounts, with no tensor in them yet."""
        pickle, reader, storages = opened(file)
        self.imports = united((self.imports, imports_of(file.name, pickle)))
        top = members(pickle.value)
        if len(self.frozen) < self._count:
            self._take_model(top, reader)
        else:
            self._take_optimizer(members(top.get("optimizer_state_dict")), reader)
        metadata, padding = storages.sizes()
        return Accounts(file.size, 0, metadata, padding, 0)

    def _take_model(self, top: Mapping[str, object], reader: TensorReader) -> None:
        if not self.frozen:
            self.module = _tensors(top.get("module"), reader)
            self.stated = stated_by(top)
            told = {name: plain_text(top[name]) for name in _TOLD if name in top}
            self.metadata = {name: text.strip() for name, text in told.items() if text}
        fragments = _tensors(top.get("frozen_param_fragments"), reader)
        self.frozen.append({name: tensor.values for name, tensor in fragments.items()})

    def _take_optimizer(self, state: Mapping[str, object], reader: TensorReader) -> None:
        count = state.get("partition_count")
        if count != self._count:
            raise FormatError(
                "it was written by another number of processes",
                seen=f"{plain_text(count)} where {self._count} are here",
            )
        listed = state.get("fp32_flat_groups")
        groups = [reader.read(one) for one in listed] if isinstance(listed, list) else []
        self.groups.append([one.values for one in groups if isinstance(one, PickledTensor)])
        if not groups or len(self.groups[-1]) != len(groups):
            raise FormatError("it has no list of partitions")
        numbers = dict(_numbered(members(state.get("optimizer_state_dict")).get("state")))
        self.states.append(
            [
                {name: one.values for name, one in _tensors(numbers.get(i), reader).items()}
                for i in range(len(groups))
            ]
        )


def _numbered(thing: object) -> Iterator[tuple[int, object]]:
    """Give those members of a pickled mapping whose keys are whole numbers."""
    return ((key, value) for key, value in pairs_of(thing) or () if isinstance(key, int))


def _tensors(thing: object, reader: TensorReader) -> dict[str, PickledTensor]:
    read = ((name, reader.read(value)) for name, value in members(thing).items())
    return {name: made for name, made in read if isinstance(made, PickledTensor)}


_Row = tuple[str, Values, Hashable]


def _rows(opener: _Opener) -> tuple[list[_Row], list[str]]:
    """Put the network's tensors together, in its own order."""
    stated = opener.stated
    made: dict[str, Values] = dict(_trained(opener)) | dict(_frozen(opener))
    rows: list[_Row] = []
    unknown: list[str] = []
    for name in dict.fromkeys((*opener.module, *made)):
        other = stated.shared.get(name, name)
        if other in made:
            rows.append((name, made[other], ("gathered", other)))
        elif name in stated.buffers and name in opener.module:
            tensor = opener.module[name]
            rows.append((name, tensor.values, tensor.identity))
        else:
            unknown.append(name)
    if not rows:
        raise SourceError("the checkpoint lists no parameter")
    shown = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
    notes = [f"{len(unknown):,} tensors are in no partition and are not shown: {shown}."]
    return rows, notes if unknown else []


def _trained(opener: _Opener) -> Iterator[tuple[str, Values]]:
    flat, start = FlatVectors(opener.groups), 0
    for name, shape in opener.stated.shapes.items():
        yield name, GatheredValues(flat, start, shape, ("deepspeed", name))
        start += flat.part(count_of(shape))
    if start != flat.size:
        raise FormatError(
            "the partitions hold more values than the parameters need",
            seen=f"{flat.size:,} in each where {start:,} are needed",
        )


def _frozen(opener: _Opener) -> Iterator[tuple[str, Values]]:
    for name, shape in opener.stated.frozen.items():
        if not all(name in part for part in opener.frozen):
            raise FormatError(f"a part of the frozen parameter {name[:200]!r} is missing")
        flat = FlatVectors([[part[name]] for part in opener.frozen])
        if flat.part(count_of(shape)) != flat.size:
            raise FormatError(
                f"the frozen parameter {name[:200]!r} has another size than its parts"
            )
        yield name, GatheredValues(flat, 0, shape, ("deepspeed", name))


def _optimizer(opener: _Opener, clean: Callable[[str], str]) -> Iterator[FoundTensor]:
    """Put the optimizer's numbers together where they are laid out as the parameters are."""
    groups, sizes = opener.groups[0], FlatVectors(opener.groups).sizes
    keys = [name for name, values in opener.states[0][0].items() if values.shape == groups[0].shape]
    for key in keys[:_MAX_STATES]:
        vectors = [[one[key] for one in states if key in one] for states in opener.states]
        try:
            flat = FlatVectors(vectors)
        except FormatError:
            continue
        if flat.sizes != sizes:
            continue
        start = 0
        for name, shape in opener.stated.shapes.items():
            place = ("deepspeed", "optimizer", key, name)
            values = GatheredValues(flat, start, shape, place)
            yield FoundTensor(f"optimizer.{clean(name)}.{key}", values, "optimizer", identity=place)
            start += flat.part(count_of(shape))


def _settled(accounts: Accounts, tensors: Iterable[FoundTensor]) -> Accounts:
    """Count each tensor's bytes once; what is left belongs to none."""
    sizes = {
        one.identity: one.values.dtype.size_of(count_of(one.values.shape or ())) for one in tensors
    }
    held = sum(sizes.values())
    rest = accounts.total - held - accounts.metadata - accounts.padding
    return replace(accounts, tensors=held, unreachable=max(rest, 0))
