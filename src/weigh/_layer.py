"""One layer of a network, with the layers and tensors below it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Literal, Self

from weigh._errors import UnknownNameError, UsageError, printable
from weigh._facts import Role
from weigh._index import whole
from weigh._names import did_you_mean
from weigh._record import field, record
from weigh._shown import Shown
from weigh._tensor import Parameter, Status, Tensor

Origin = Literal["given", "default"]


@record(frozen=True)
class Hyperparameter:
    """One number or choice that a person made when building a layer.

    Attributes:
        name: the constructor's argument.
        value: None and ``status == "unknown"`` when nobody says.
        status: stated by the source, inferred from names and shapes, or unknown.
        origin: ``"default"`` when a stated value is the constructor's default, or what the
            constructor makes of that, else ``"given"``; None when the value is not stated.
    """

    name: str
    value: object
    status: Status
    origin: Origin | None = None

    def __str__(self) -> str:
        return f"{self.name}={'?' if self.status == 'unknown' else repr(self.value)}"


@record(frozen=True, slots=False, eq=False)
class Layer(Shown):
    """One layer of a network; its ``repr`` is what PyTorch prints for it.

    Child layers and tensors are reached as in PyTorch, by a dot, and by ``layer["name"]`` or
    ``layer["a.b.weight"]``. A hyperparameter is reached by a dot too. A child that is called
    like something below (``kind``, ``parameters``) is reached by ``layer["kind"]`` alone.

    Attributes:
        path: its dotted path; the network itself is ``""``.
        kind: its class, such as ``"Conv2d"``; ``"?"`` when nobody says.
        kind_status: stated by the source, inferred from names and shapes, or unknown.
        hyperparameters: the constructor's arguments by name.
        purpose: what it is for, as its name says (``"query projection"``).
    """

    path: str
    kind: str
    kind_status: Status
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)
    purpose: str = ""
    same_as: str | None = None
    _signature: str = ""
    _tensors: Mapping[str, Tensor] = field(default_factory=dict)
    _layers: Mapping[str, Layer | None] = field(default_factory=dict)
    _describe: Callable[[], str] | None = None
    _say: Callable[[], str] | None = None
    _identity: Hashable = None

    @classmethod
    def _of(cls, **fields: Any) -> Self:
        """Make a layer of all its fields: freezing them one by one takes four times as long."""
        made = object.__new__(cls)
        made.__dict__.update(fields)
        return made

    def named_modules(
        self,
        memo: set[Layer] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,  # noqa: FBT001, FBT002 - as PyTorch has it
    ) -> Iterator[tuple[str, Layer]]:
        """Go through this layer and all below it, with their paths, in PyTorch's order.

        Args:
            memo: layers to leave out.
            prefix: what all paths begin with.
            remove_duplicate: whether to give a layer that stands in two places once.
        """
        met: set[Hashable] = {layer._itself for layer in memo or ()}
        stack: list[tuple[str, Layer]] = [(prefix, self)]
        while stack:
            path, layer = stack.pop()
            if remove_duplicate:
                if layer._itself in met:
                    continue
                met.add(layer._itself)
            yield path, layer
            if layer._layers:
                below = [
                    (f"{path}.{name}" if path else name, child)
                    for name, child in layer._layers.items()
                    if child is not None
                ]
                stack.extend(reversed(below))

    @property
    def _itself(self) -> Hashable:
        return self.path if self._identity is None else self._identity

    def modules(self) -> Iterator[Layer]:
        """Go through this layer and all below it, each once."""
        return (layer for _, layer in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """Go through the layers right below this one, with their names, each once."""
        met: set[Hashable] = set()
        for name, layer in self._layers.items():
            if layer is not None and layer._itself not in met:
                met.add(layer._itself)
                yield name, layer

    def children(self) -> Iterator[Layer]:
        """Go through the layers right below this one."""
        return (layer for _, layer in self.named_children())

    def named_parameters(
        self,
        prefix: str = "",
        recurse: bool = True,  # noqa: FBT001, FBT002 - as PyTorch has it
        remove_duplicate: bool = True,  # noqa: FBT001, FBT002
    ) -> Iterator[tuple[str, Parameter]]:
        """Go through the parameters with their names, in PyTorch's order, a tied one once."""
        found = self._members(
            "parameter", prefix, recurse=recurse, remove_duplicate=remove_duplicate
        )
        return ((name, tensor) for name, tensor in found if isinstance(tensor, Parameter))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:  # noqa: FBT001, FBT002
        """Go through the parameters, a tied one once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self,
        prefix: str = "",
        recurse: bool = True,  # noqa: FBT001, FBT002 - as PyTorch has it
        remove_duplicate: bool = True,  # noqa: FBT001, FBT002
    ) -> Iterator[tuple[str, Tensor]]:
        """Go through the buffers with their names: what is stored but not learned."""
        return self._members("buffer", prefix, recurse=recurse, remove_duplicate=remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:  # noqa: FBT001, FBT002
        """Go through the buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _members(
        self, role: Role, prefix: str, *, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Tensor]]:
        seen: set[Hashable] = set()
        for path, layer in self._walk(prefix, recurse=recurse):
            for name, tensor in layer._tensors.items():
                if tensor.role != role or tensor.identity in seen:
                    continue
                if remove_duplicate and tensor.identity is not None:
                    seen.add(tensor.identity)
                yield f"{path}.{name}" if path else name, tensor

    def tensors(self) -> list[Tensor]:
        """List every tensor of this layer and those below; a tied one under each name."""
        return [t for _, layer in self._walk("", recurse=True) for t in layer._tensors.values()]

    def _walk(self, prefix: str, *, recurse: bool) -> Iterator[tuple[str, Layer]]:
        if not recurse:
            return iter([(prefix, self)])
        return self.named_modules(None, prefix, remove_duplicate=False)

    def __getitem__(self, name: str | int) -> Layer | Tensor:
        """Find a layer or a tensor by its name or dotted path; an int counts the children."""
        if not isinstance(name, str):
            name = _place(name)
            children = list(self)
            if not -len(children) <= name < len(children):
                raise UnknownNameError(
                    f"{self._title} has {len(children)} child layers", seen=str(name)
                )
            return children[name]
        found = self._find(name)
        if found is not None:
            return found
        if name:
            raise self._unknown(name)
        return self

    def _find(self, name: str) -> Layer | Tensor | None:
        if name in self._tensors:
            return self._tensors[name]
        head, dot, rest = name.partition(".")
        while True:
            child = self._layers.get(head)
            if child is not None:
                found = child._find(rest) if dot else child
                if found is not None:
                    return found
            if not dot:
                return None
            # A child's own name may hold a dot.
            more, dot, rest = rest.partition(".")
            head = f"{head}.{more}"

    def __getattr__(self, name: str) -> Any:
        # A notebook asks for a dozen names of its own each time; no child answers to those.
        if name.startswith(("__", "_repr_", "_ipython_")) or "_tensors" not in self.__dict__:
            raise AttributeError(name)
        if name in self._tensors:
            return self._tensors[name]
        if name in self._layers:
            return self._layers[name]
        hyper = self.hyperparameters.get(name)
        if hyper is None:
            raise self._unknown(name)
        if hyper.status == "unknown":
            raise UnknownNameError(f"{self._title} does not say its {name}")
        return hyper.value

    def _unknown(self, name: str) -> UnknownNameError:
        names = [t.name[len(self.path) + 1 if self.path else 0 :] for t in self.tensors()]
        names += [path for path, _ in self.named_modules() if path]
        return UnknownNameError(
            f"{self._title} has no layer or tensor {name!r}", do=did_you_mean(name, names)
        )

    @property
    def _title(self) -> str:
        return f"layer {self.path!r}" if self.path else "the network"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (not name or self._find(name) is not None)

    def __iter__(self) -> Iterator[Layer]:
        # As in an nn.Sequential, a layer that stands here twice is met twice.
        return (layer for layer in self._layers.values() if layer is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._tensors, *self._layers, *self.hyperparameters})

    def __repr__(self) -> str:
        return self._describe() if self._describe is not None else layer_text(self)

    def __str__(self) -> str:
        return self._say() if self._say is not None else repr(self)


def _place(index: object) -> int:
    """Take a whole number of any kind, NumPy's too."""
    try:
        return whole(index)
    except TypeError:
        raise UsageError(
            "a layer is indexed by a name or a whole number", seen=type(index).__name__
        ) from None


def layer_text(layer: Layer, *, comments: bool = True) -> str:
    """Print a layer read from a file as PyTorch prints one, ``?`` for what is not known.

    Lines whose kind or numbers were worked out end in ``# inferred``.
    """
    remark = "  # inferred" if comments and layer.kind_status == "inferred" else ""
    own = [printable(line) for line in layer._signature.split("\n")] if layer._signature else []
    name = printable(layer.kind)
    if not layer._layers and len(own) < 2:
        return f"{name}({''.join(own)}){remark}"
    rows = []
    for names, text, times in _folded(layer, comments=comments):
        repeat = f"{times} x " if times > 1 else ""
        rows.append(f"({printable(names)}): {repeat}{text}".replace("\n", "\n  "))
    return "\n  ".join([f"{name}({remark}", *own, *rows]) + "\n)"


def _folded(layer: Layer, *, comments: bool) -> list[tuple[str, str, int]]:
    """Give the printed children, equal neighbours of a numbered list folded as PyTorch does.

    PyTorch folds those of a ModuleList; where no class is stated, any numbered ones are.
    """
    folds = layer.kind_status != "stated" or layer.kind == "ModuleList"
    rows: list[tuple[str, str, str, int]] = []
    for name, child in layer._layers.items():
        text = "None" if child is None else layer_text(child, comments=comments)
        if folds and rows and name.isdecimal() and rows[-1][1].isdecimal() and rows[-1][2] == text:
            first, _, _, times = rows.pop()
            rows.append((first, name, text, times + 1))
        else:
            rows.append((name, name, text, 1))
    return [(a if a == b else f"{a}-{b}", text, times) for a, b, text, times in rows]
