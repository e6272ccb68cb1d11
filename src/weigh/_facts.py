"""What a source states about a network, before anything is worked out from it.

Sources make facts, kinds interpret them. A fact a source does not state is ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from weigh._dtypes import DType
from weigh._index import Region
from weigh._record import field, record

if TYPE_CHECKING:
    import numpy as np

Role = Literal["parameter", "buffer", "optimizer", "other"]


class Extent(NamedTuple):
    """Where a tensor's values lie.

    Attributes:
        storage: what tells this storage from every other of the same source.
        start: the first byte of the storage that the tensor touches.
        stop: one past the last byte it touches.
        distinct: how many different stored values it has (fewer than its shape says when a
            stride is 0).
        storage_bytes: the size of the whole storage, of which the tensor may be a small view.
        axes: the size and the stride in values of each axis, where there are gaps between the
            values; () where there are none, or nobody says.
        beside: the bytes of what tells where values belong: the indices of a sparse tensor.
    """

    storage: Hashable
    start: int
    stop: int
    distinct: int
    storage_bytes: int
    axes: tuple[tuple[int, int], ...] = ()
    beside: int = 0


class Values(Protocol):
    """The values of one tensor, read on demand.

    ``shape`` is None while a lazy layer has not seen its first input; ``extent`` is None where
    there is no storage to speak of (the meta device, say).
    """

    @property
    def dtype(self) -> DType:
        """The type of one value as stored."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis."""

    @property
    def extent(self) -> Extent | None:
        """Where the values lie."""

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region, and no more than needed, as an array of ``region.shape``.

        Types that NumPy lacks are widened exactly: bfloat16 and the 8-, 6- and 4-bit floats
        to float32, complex32 to complex64, packed integers to int8 or uint8. Quantized
        values are dequantized to float32. The array is never a writable view of the source.

        Raises:
            ValuesError: the values cannot be had.
        """


class LyingValues(Values, Protocol):
    """Values that may lie end to end, in the order of their axes, so that nothing is copied."""

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of the values from ``start`` up to ``stop``, as they are stored.

        They are little-endian; of values in blocks or of 4 bits, both ends fall between whole
        bytes. None, whatever is asked for, if the values do not lie end to end.

        Raises:
            ValuesError: the values cannot be had.
        """


# Facts are made by the thousand and live for one call: freezing them would double their cost.
@record()
class FoundTensor:
    """One tensor as the source states it.

    Attributes:
        name: its full dotted name in the network.
        values: its dtype, shape and (on demand) numbers.
        role: what it is, where the source says so.
        learnable: ``requires_grad``, where the source says so of a parameter.
        identity: two names with equal identities are one tensor (tied).
        quantization: how stored values map to real ones, as PyTorch prints it
            (``"quantization_scheme=torch.per_tensor_affine, scale=0.1, zero_point=3"``).
        packed: True for a weight that its layer keeps packed (dynamic int8), not as a Parameter.
        device: where a live tensor lives.
        layer: the place in ``Facts.layers`` of the layer that holds it; None where only its
            name tells.
        part: what its layer calls it, where its name does not tell (an ONNX node's ``"W"``).
    """

    name: str
    values: Values
    role: Role | None = None
    learnable: bool | None = None
    identity: Hashable = None
    quantization: str | None = None
    packed: bool = False
    device: str = "cpu"
    layer: int | None = None
    part: str = ""


@record(frozen=True, eq=False)
class FoundClass:
    """The class of one or more layers, where the source states it.

    Attributes:
        path: its full name (``"torch.nn.modules.conv.Conv2d"``).
        bases: the full names of the classes it extends, nearest first.
        defaults: its constructor's defaults for those arguments that have a plain one.
        loose: whether the arguments' names are not known: then the attributes of its layers are
            all plain ones that they have, some of which are no arguments.
    """

    path: str
    bases: tuple[str, ...] = ()
    defaults: Mapping[str, object] = field(default_factory=dict)
    loose: bool = False


@record()
class FoundLayer:
    """One layer as the source states it.

    Attributes:
        path: its dotted path; the network itself is ``""``.
        kind: the class's name (``"Conv2d"``), or None when only the path is known.
        made_by: the class; layers of one class share it.
        attributes: the constructor's arguments as far as they can be read off the layer,
            in the constructor's order.
        describe: gives its ``repr``, where the layer is live.
        same_as: the path under which this very layer was met first, if it was.
        absent: True for a slot that holds no layer (PyTorch prints ``None``).
        parent: the place in ``Facts.layers`` of the layer right above; None where only the path
            tells. Its own name is what its path adds to its parent's, dots and all.
        identity: two layers with equal identities are one; None where the path tells them apart.
        say: gives its ``str``, where that is another text than its ``repr``.
    """

    path: str
    kind: str | None = None
    made_by: FoundClass | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    describe: Callable[[], str] | None = None
    same_as: str | None = None
    absent: bool = False
    parent: int | None = None
    identity: Hashable = None
    say: Callable[[], str] | None = None


@record(frozen=True)
class Accounts:
    """Where the bytes of a file, or of all files of a folder, went.

    Attributes:
        total: all of them; the others add up to it.
        tensors: bytes that are values of some tensor, as they are stored.
        metadata: headers, names, directories, pickles: what describes the tensors.
        padding: bytes that only move something to a rounder address.
        unreachable: the rest: data that no tensor names, storages of which a slice was saved.
    """

    total: int
    tensors: int
    metadata: int
    padding: int
    unreachable: int

    def __add__(self, other: Accounts) -> Accounts:
        return Accounts(
            self.total + other.total,
            self.tensors + other.tensors,
            self.metadata + other.metadata,
            self.padding + other.padding,
            self.unreachable + other.unreachable,
        )


@record(frozen=True)
class Fault:
    """Something that does not fit in what a source states, though it can be read.

    Attributes:
        about: what sort of thing does not fit: ``"shards"``.
        where: the file or member that it concerns; "" for the source as a whole.
        what: what is so, as a sentence without its place and without a full stop.
        numbers: what shows it: numbers, texts and lists of them, by name.
    """

    about: str
    where: str
    what: str
    numbers: Mapping[str, object] = field(default_factory=dict)


@record(frozen=True)
class Facts:
    """Everything a source states.

    Attributes:
        format: the reader's name: ``"safetensors"``, ``"torch-zip"``, ``"live"``...
        location: the path or URL, or the class of a live network; for messages.
        layers: in the network's own order, parents before children; empty when the source
            knows only tensors.
        tensors: in the source's own order. A tied tensor is listed under each of its names.
        ordered: whether the order of ``tensors`` is the network's own (a state dict) or an
            accident of the file (safetensors sorts by name).
        metadata: what else the file says, as text.
        notes: sentences the reader should see: what was left out, what looked odd.
        accounts: where the bytes of the file or files went, if it is any.
        live: the live module itself, if it is one.
        imports: what a loader would import, and may run, to read the file: full names of
            functions and classes, each with the file or member that names it.
        faults: what does not fit in it, though it can be read.
    """

    format: str
    location: str
    tensors: tuple[FoundTensor, ...]
    layers: tuple[FoundLayer, ...] = ()
    ordered: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    accounts: Accounts | None = None
    live: object = None
    imports: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
