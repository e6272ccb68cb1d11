"""The quantized layers of ``torch.ao.nn``, which print another name than that of their class."""

from __future__ import annotations

from weigh._kinds.conv import Conv, ConvTranspose
from weigh._kinds.embedding import Embedding
from weigh._kinds.kind import Kind, Spec
from weigh._kinds.linear import Linear
from weigh._kinds.plain import Plain

_OWN_NAMES = (
    "Quantize", "DeQuantize", "FloatFunctional", "FXFloatFunctional", "QFunctional", "Sigmoid",
)  # fmt: skip
_ODD = {"RNNBase": "RNN", "RNNCellBase": "RNNBase"}
_SCALE = (Spec("scale"), Spec("zero_point"))


def printed_name(path: str) -> str | None:
    """Give the name that PyTorch prints for a class; None where it is the class's own.

    Examples:
        >>> printed_name("torch.ao.nn.quantized.dynamic.modules.linear.Linear")
        'DynamicQuantizedLinear'
        >>> printed_name("torch.nn.modules.linear.Linear")
    """
    home, _, name = path.replace("torch.nn.", "torch.ao.nn.").rpartition(".")
    if home.startswith("torch.ao.nn.quantizable."):
        return f"Quantizable{name}"
    if home.startswith("torch.ao.nn.sparse.quantized"):
        dynamic = "Dynamic" if ".dynamic." in f"{home}." else ""
        return f"SparseQuantized{dynamic}{name}"
    if not home.startswith(("torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.quantized.")):
        return None
    if ".reference." in home:
        return f"Quantized{name.removesuffix('Bag')}(Reference)"
    if ".dynamic." in home:
        return f"DynamicQuantized{_ODD.get(name, name)}"
    return None if name in _OWN_NAMES else f"Quantized{name}"


def find_quantized(path: str) -> Kind | None:
    """Find the kind of a quantized layer that prints other arguments than the plain one."""
    name = path.rpartition(".")[2]
    if printed_name(path) is None and name not in ("Quantize", "QFunctional"):
        return None
    if ".reference." in path or ".quantizable." in path:
        return None
    if name.startswith("Linear"):
        return _LINEARS[".dynamic." in path, ".sparse." in path]
    for start in ("ConvTranspose", "Conv"):
        rank = next((d for d in "123" if name.startswith(start) and f"{d}d" in name), None)
        if rank is not None:
            return _CONVS[start, int(rank)]
    return _OTHERS.get(name)


class _Linear(Linear):
    def __init__(self, *more: Spec) -> None:
        self.name = "QuantizedLinear"
        self.specs = (Spec("in_features"), Spec("out_features"), *more)


class _Conv(Conv):
    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.specs = _with_scale(self.specs)


class _ConvTranspose(ConvTranspose):
    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.specs = _with_scale(self.specs)


class _Embedding(Embedding):
    specs = (Spec("num_embeddings"), Spec("embedding_dim"), Spec("dtype"), Spec("qscheme"))


def _with_scale(specs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    """Put scale and zero point behind the stride; the padding mode is not printed."""
    return (*specs[:4], *_SCALE, *specs[4:-1], Spec("padding_mode", "zeros", "never"))


_LINEARS = {
    (False, False): _Linear(*_SCALE, Spec("qscheme")),
    (True, False): _Linear(Spec("dtype"), Spec("qscheme", None, "changed")),
    (False, True): _Linear(*_SCALE, Spec("qscheme")),
    (True, True): _Linear(Spec("qscheme")),
}
_CONVS: dict[tuple[str, int], Kind] = {
    (name, rank): kind(rank)
    for name, kind in (("Conv", _Conv), ("ConvTranspose", _ConvTranspose))
    for rank in (1, 2, 3)
}
_OTHERS: dict[str, Kind] = {
    "Embedding": _Embedding(),
    "EmbeddingBag": _Embedding(),
    "QFunctional": Plain("QFunctional", _SCALE),
    "Quantize": Plain("Quantize", (*_SCALE, Spec("dtype"))),
}
