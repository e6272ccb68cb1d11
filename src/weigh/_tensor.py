"""One stored array of a network, its named axes, and how it starts out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from importlib import import_module
from math import inf, prod
from typing import TYPE_CHECKING, Any, Literal

from weigh._dtypes import DType
from weigh._errors import ValuesError
from weigh._facts import Extent, Role, Values
from weigh._index import Index, Region, plain_index
from weigh._record import field, record
from weigh._shown import Shown
from weigh._sliced import Sliced, index_text, scheme

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from weigh._measures.table import Table
    from weigh._pictures.colours import Theme
    from weigh._pictures.histogram import Histogram
    from weigh._pictures.picture import Picture

Status = Literal["stated", "inferred", "unknown"]
"""How a claim is known."""


@record(frozen=True)
class Axis:
    """One axis of a tensor.

    Attributes:
        name: its field name (``out_channels``); ``"?"`` where nobody knows.
        size: how many positions it has; None while a lazy layer waits for its first input.
        meaning: what it stands for, in words.
        formula: the hyperparameters that made it that size (``"in_channels / groups"``).
    """

    name: str
    size: int | None
    meaning: str = ""
    formula: str = ""

    def __str__(self) -> str:
        return f"{self.name}={'?' if self.size is None else self.size}"


@record(frozen=True)
class Initial:
    """The distribution that a layer's default initialisation draws a tensor from.

    Attributes:
        family: ``"uniform"`` on [a, b], ``"normal"`` with mean a and deviation b, or
            ``"constant"`` a.
        a: the first number of the family, in the parameter's own units.
        b: the second.
        formula: where the numbers come from (``"1 / sqrt(fan_in)"``).
    """

    family: Literal["uniform", "normal", "constant"]
    a: float
    b: float
    formula: str = ""

    def __str__(self) -> str:
        if self.family == "constant":
            return f"all {self.a:g}"
        if self.family == "normal":
            text = f"normal, mean {self.a:g}, standard deviation {self.b:.4g}"
        else:
            text = f"uniform between {self.a:.4g} and {self.b:.4g}"
        return f"{text}  ({self.formula})" if self.formula else text


@record(frozen=True, eq=False)
class Form:
    """What a tensor is but for its name, place and values; tensors made alike share one.

    Attributes:
        role: a parameter, a buffer, optimizer state or something else.
        dtype: the type of one stored value.
        shape: the size of each axis; None while a lazy layer waits for its first input.
        role_status: how the role is known.
        learnable: whether training changes it; None where nobody says.
        learnable_status: how that is known.
        axes: its axes, in the order they are stored.
        purpose: what its layer is for, as the layer's name says.
        fan_in: the number of inputs that each output is computed from.
        initial: how it starts out by default.
        packed: whether its layer keeps it packed, not as a Parameter.
        per_element: how many weights one stored value holds.
        device: where a live tensor lives.
        count: how many values its shape has; None if there is no shape yet.
        bytes: the bytes that many values take.
    """

    role: Role
    dtype: DType
    shape: tuple[int, ...] | None
    role_status: Status = "stated"
    learnable: bool | None = None
    learnable_status: Status = "unknown"
    axes: tuple[Axis, ...] = ()
    purpose: str = ""
    fan_in: int | None = None
    initial: Initial | None = None
    packed: bool = False
    per_element: int = 1
    device: str = "cpu"
    count: int | None = field(init=False)
    bytes: int | None = field(init=False)

    def __post_init__(self) -> None:
        count = None if self.shape is None else prod(self.shape)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "bytes", None if count is None else self.dtype.size_of(count))


@record(frozen=True, eq=False)
class Tensor(Shown):
    """One stored array: a parameter, a buffer, optimizer state or something else.

    Indexing reads nothing yet; ``read``, ``numpy.asarray`` and ``print`` read just the slice.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"fc.weight": numpy.arange(6.0).reshape(2, 3)})
        >>> net.fc.weight.shape, [str(axis) for axis in net.fc.weight.axes]
        ((2, 3), ['out_features=2', 'in_features=3'])
        >>> net.fc.weight[1, :2]
        tensor([3., 4.], dtype=torch.float64)
    """

    name: str
    values: Values
    _form: Form
    layer: str = ""
    tied_to: str | None = None
    quantization: str | None = None
    identity: Hashable = None

    @property
    def role(self) -> Role:
        """A parameter, a buffer, optimizer state or something else."""
        return self._form.role

    @property
    def role_status(self) -> Status:
        """How the role is known."""
        return self._form.role_status

    @property
    def dtype(self) -> DType:
        """The type of one stored value."""
        return self._form.dtype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis; None while a lazy layer waits for its first input."""
        return self._form.shape

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes with their names, in the order they are stored."""
        return self._form.axes

    @property
    def learnable(self) -> bool | None:
        """Whether training changes it; None where nobody says."""
        return self._form.learnable

    @property
    def learnable_status(self) -> Status:
        """How it is known whether training changes it."""
        return self._form.learnable_status

    @property
    def purpose(self) -> str:
        """What its layer is for, as the layer's name says."""
        return self._form.purpose

    @property
    def fan_in(self) -> int | None:
        """The number of inputs that each output is computed from, for a weight."""
        return self._form.fan_in

    @property
    def initial(self) -> Initial | None:
        """The distribution that its layer's default initialisation draws it from."""
        return self._form.initial

    @property
    def packed(self) -> bool:
        """Whether its layer keeps it packed, not as a Parameter."""
        return self._form.packed

    @property
    def per_element(self) -> int:
        """How many weights one stored value holds."""
        return self._form.per_element

    @property
    def device(self) -> str:
        """Where a live tensor lives."""
        return self._form.device

    @property
    def count(self) -> int | None:
        """How many values its shape has; None if there is no shape yet."""
        return self._form.count

    @property
    def logical(self) -> int | None:
        """How many weights it stands for: more than ``count`` where several are packed in one."""
        return None if self.count is None else self.count * self.per_element

    @property
    def bytes(self) -> int | None:
        """The bytes its values take, as its shape says."""
        return self._form.bytes

    @property
    def extent(self) -> Extent | None:
        """Where its values lie, if anywhere."""
        return self.values.extent

    def __getitem__(self, index: Index) -> Tensor:
        """Take a slice, lazily: integers, slices with a positive step, ``...``."""
        if self.shape is None:
            raise ValuesError(f"{self.name} has no shape before the layer's first input")
        index = plain_index(index)
        region = Region.of(index, self.shape)
        kept = tuple(
            Axis(axis.name, count, axis.meaning, axis.formula)
            for axis, count, kept in zip(self.axes, region.counts, region.kept, strict=True)
            if kept
        )
        return Tensor(
            name=f"{self.name}[{index_text(index)}]",
            values=Sliced(self.values, region),
            _form=Form(
                role=self.role,
                dtype=self.dtype,
                shape=region.shape,
                role_status=self.role_status,
                axes=kept,
                device=self.device,
            ),
            layer=self.layer,
            quantization=scheme(self.values, self.quantization, region),
        )

    def read(self) -> np.ndarray[Any, Any]:
        """Read the values as a new NumPy array; types NumPy lacks are widened exactly.

        Raises:
            ValuesError: there are none (meta device, a lazy layer).
        """
        if self.shape is None:
            raise ValuesError(f"{self.name} has no values before the layer's first input")
        return self.values.read(Region.whole(self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:  # noqa: FBT001
        if copy is False:
            raise ValueError("the values of a tensor are always read into a new array")
        array = self.read()
        return array if dtype is None else array.astype(dtype)

    def item(self) -> Any:
        """Give the one value of a tensor of one value as a Python number.

        Raises:
            ValueError: it has more than one.
        """
        return self.read().item()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return True

    def table(self) -> Table:
        """Count the bit patterns of the values: what statistics and histograms follow from.

        Raises:
            ValuesError: there are none (meta device, a lazy layer).

        Examples:
            >>> import numpy, weigh
            >>> table = weigh.open({"fc.bias": numpy.array([1.0, 3.0, 3.5])})["fc.bias"].table()
            >>> table.histogram([0, 2, 4])
            [1, 2]
        """
        # What measures is built on this module, and loaded only when it is asked for.
        found: Table = import_module("weigh._measures.measure").table_of(self)
        return found

    def picture(self, **options: Any) -> Picture:
        """Show the values as colours; see ``weigh.picture``, whose options these are.

        Raises:
            ValuesError: the values cannot be had, or there are none.
            UsageError: an option makes no sense.

        Examples:
            >>> import numpy, weigh
            >>> bias = weigh.open({"fc.bias": numpy.array([1.0, -3.0, 2.0])})["fc.bias"]
            >>> picture = bias.picture()
            >>> picture.sheet.limit, picture.sheet.codes.shape
            (3.0, (1, 3))
        """
        # What draws is built on this module, and loaded only when it is asked for.
        made: Picture = import_module("weigh._pictures.picture").picture_of(self, **options)
        return made

    def histogram(self, **options: Any) -> Histogram:
        """Show how the values are distributed; see ``weigh.histogram``, whose options these are.

        Raises:
            ValuesError: the values cannot be had.
            UsageError: an option makes no sense.

        Examples:
            >>> import numpy, weigh
            >>> bias = weigh.open({"fc.bias": numpy.array([1.0, -3.0, 2.0])})["fc.bias"]
            >>> bias.histogram(scale="symlog").parts[0].values
            3
        """
        # What draws is built on this module, and loaded only when it is asked for.
        made: Histogram = import_module("weigh._drawing").histogram_of_tensor(self, **options)
        return made

    def plot(self, ax: Axes | None = None, *, theme: Theme = "light", **options: Any) -> Axes:
        """Draw the values onto axes of matplotlib as ``picture`` shows them; see ``Picture.plot``.

        Args:
            ax: where; axes on a figure of their own if left out.
            theme: whose colours: ``"light"`` or ``"dark"``.
            options: ``colorbar`` and ``caption``, and those of ``weigh.picture``.

        Raises:
            UnsupportedError: matplotlib is not installed.
            ValuesError: the values cannot be had, or there are none.
            UsageError: an option makes no sense.
        """
        import_module("weigh._pictures.plot").check_there()  # before anything is read
        looks = {name: options.pop(name) for name in ("colorbar", "caption") if name in options}
        return self.picture(**options).plot(ax, theme=theme, **looks)

    def text(self, *, full: bool = False) -> str:
        """Print the values as PyTorch does: a large tensor in part, unless ``full``.

        What is only taken for a parameter, by its name, is printed as a plain tensor.
        """
        # Printing needs NumPy, which opening a file must not import.
        from weigh._tensor_text import tensor_text

        stated = isinstance(self, Parameter) and self.role_status == "stated"
        learns = stated and self.learnable is not False
        return tensor_text(
            self.values,
            parameter=stated,
            requires_grad=getattr(self.values, "requires_grad", False) or learns,
            device=self.device,
            quantization=self.quantization,
            threshold=inf if full else 1000,
        )

    def __repr__(self) -> str:
        return self.text()


class Parameter(Tensor):
    """A tensor that the network learns (or would, if it is frozen)."""

    __slots__ = ()
