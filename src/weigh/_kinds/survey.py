"""What holds for a network as a whole, noted before any of its layers is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from weigh._kinds.kind import Shape
from weigh._pattern import pattern
from weigh._record import field, record

NORM = pattern(
    r"(?:^|[._]|layer|rms)norms?(?=$|[._\d])|(?:^|[._])ln|(?:^|[._])rms|layrnorm", re.IGNORECASE
)
LAYER_NORM = pattern(r"layer_?norm|layrnorm|(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
CONVISH = pattern(r"conv|downsample|patch", re.IGNORECASE)
STAND_INS = {
    # weight_norm and spectral_norm and pruning keep the weight under other names.
    "weight_v": "weight",
    # After weight_v, which spectral_norm has too, for a vector that it keeps.
    "weight_orig": "weight",
    "bias_orig": "bias",
    "parametrizations.weight.original1": "weight",
    "parametrizations.weight.original": "weight",
    "parametrizations.weight.0.original": "weight",
    "parametrizations.bias.original": "bias",
}
"""Names under which a layer's weight is kept by something that computes the weight from it."""

_NUMBER = pattern(r"(?<![^.])\d+(?![^.])")
_WRAPPED = pattern(r"conv(?:olution)?\d*")
_BLOCKS = pattern(r"(?:(?P<root>.*)\.)?layers\.\d+\.(?P<own>\w+)")
_LLAMA = (
    # Two of the names that the family of LLaMA has; one of them alone, Cohere's LayerNorm has too.
    frozenset(
        f"{place}_layernorm"
        for place in ("input", "post_attention", "pre_feedforward", "post_feedforward", "pre_ff")
    ),
    frozenset(("attention_norm", "ffn_norm")),
)
_KNOWN_RMS = pattern(
    r"(?:(?P<t5>.*)\.)?block\.\d+\.layer\.\d+\.(?:SelfAttention|DenseReluDense)\..*"
    r"|(?:(?P<mamba>.*)\.)?layers\.\d+\.mixer\.A_log"
)
_MOST_LEVELS = 16
_COLOURS = 3


@record()
class Survey:
    """What the names and shapes of a whole network say of its layers.

    Attributes:
        gpt2: whether the file keeps GPT-2's matrices transposed.
        ordered: whether the order is the network's own.
        sizes_after: by path of a layer, the size of the BatchNorm that is its next sibling.
        unsure_norms: places of norms that may be a GroupNorm as well as a LayerNorm.
        biased_norms: whether some norm has a bias.
        rms_roots: paths below which norms without a bias are RMSNorms.
        takes_colours: whether some convolution takes three channels, as those of a picture.
        one_dimensional: whether something with three axes is a convolution beyond doubt.
        counted: the paths of BatchNorms that count their batches.
        beyond: whether there is something besides a backbone.
        flax: whether the names are those of Flax, which has kernels and no weights.
    """

    gpt2: bool = False
    ordered: bool = True
    sizes_after: dict[str, int] = field(default_factory=dict)
    unsure_norms: set[str] = field(default_factory=set)
    biased_norms: bool = False
    rms_roots: set[str] = field(default_factory=set)
    takes_colours: bool = False
    one_dimensional: bool = False
    counted: set[str] = field(default_factory=set)
    beyond: bool = False
    flax: bool = False

    def unsure(self, path: str) -> bool:
        """Whether a norm may be one of channels: it stands among convolutions."""
        return place(path) in self.unsure_norms

    def is_rms(self, path: str) -> bool:
        """Whether a norm without a bias stands in a network of the kind that has RMSNorms."""
        return any(not root or path.startswith(f"{root}.") for root in self.rms_roots)

    def frozen(self, path: str) -> bool:
        """Whether a BatchNorm is a frozen one: it counts no batches where others would.

        Files of PyTorch before 0.4.1 have no counts at all, and so it must be said by others
        that count, or by the name of a backbone below something else.
        """
        backbone = self.beyond and "backbone" in path.split(".")
        return path not in self.counted and (bool(self.counted) or backbone)


def survey(shapes: Mapping[str, Shape], *, gpt2: bool = False, ordered: bool = True) -> Survey:
    """Note what holds for the whole network.

    Args:
        shapes: the shape of each tensor by its name, in the source's order.
        gpt2: whether the file keeps GPT-2's matrices transposed.
        ordered: whether the source's order is the network's own.
    """
    noted = Survey(gpt2=gpt2, ordered=ordered)
    weights: dict[str, Shape] = {}
    biased: set[str] = set()
    kernels = False
    before = ""
    for name, shape in shapes.items():
        path, local = _split(name)
        if local == "weight" and shape:
            weights[path] = shape
            # A BatchNorm's own weight and bias come before its running mean.
            before = path if len(shape) > 1 else before
        elif local == "bias" and len(shape) == 1 and NORM.search(path):
            biased.add(path)
        elif local == "running_mean" and len(shape) == 1:
            _note_size(noted, before, path, shape[0])
        elif local == "num_batches_tracked":
            noted.counted.add(path)
        kernels = kernels or (local == "kernel" and len(shape) > 1)
    noted.flax = kernels and not weights
    norms = [path for path, shape in weights.items() if len(shape) == 1 and NORM.search(path)]
    noted.biased_norms = any(path in biased for path in norms)
    noted.unsure_norms = _unsure(norms, weights)
    noted.rms_roots = _rms_roots(norms, biased, shapes)
    deep = {path: shape for path, shape in weights.items() if len(shape) in (3, 4, 5)}
    noted.takes_colours = any(shape[1] == _COLOURS for shape in deep.values())
    noted.one_dimensional = _one_dimensional(deep, noted.sizes_after, shapes)
    noted.beyond = any("backbone" not in path.split(".") for path in weights)
    return noted


def place(path: str) -> str:
    """Leave the numbers out of a path: blocks of a network differ in them alone.

    Examples:
        >>> place("layers.3.norm1")
        'layers.#.norm1'
    """
    return _NUMBER.sub("#", path)


def parent(path: str) -> str:
    """Give the path of the layer around one."""
    return path.rpartition(".")[0]


def _split(name: str) -> tuple[str, str]:
    """Split a tensor's name into its layer's path and what it is for that layer."""
    path, _, local = name.rpartition(".")
    if local.startswith("original"):
        path, _, rest = name.partition(".parametrizations.")
        local = f"parametrizations.{rest}"
    return path, STAND_INS.get(local, local)


def _note_size(noted: Survey, before: str, path: str, size: int) -> None:
    above, _, own = path.rpartition(".")
    if own.isdecimal():
        noted.sizes_after[f"{above}.{int(own) - 1}".lstrip(".")] = size
    elif noted.ordered and parent(before) == above:
        noted.sizes_after.setdefault(before, size)


def _unsure(norms: list[str], weights: Mapping[str, Shape]) -> set[str]:
    """Find the places of norms that stand among convolutions, and so may be of channels."""
    times = Counter(map(place, norms))
    beside = _beside_convolutions(weights)
    convolutions: Counter[str] = Counter()
    matrices: Counter[str] = Counter()
    for path, shape in weights.items():
        if len(shape) > 1:
            (matrices if len(shape) == 2 else convolutions)[place(path)] += 1
    around = _below(convolutions), _below(matrices)
    unsure = set()
    for where, count in times.items():
        above = parent(where)
        if LAYER_NORM.search(where):
            # wav2vec2 calls a GroupNorm so, and has it in the first of like blocks alone.
            if beside[above] > count:
                unsure.add(where)
        elif beside[above] or _mostly_convolutions(above, *around):
            unsure.add(where)
        elif f"{above}.proj_in" in matrices or f"{above}.proj_in" in convolutions:
            unsure.add(where)  # the transformers within a diffusion network begin with one
    return unsure


def _beside_convolutions(weights: Mapping[str, Shape]) -> Counter[str]:
    """Count, for each place, the layers that hold a convolution, perhaps in a wrapper."""
    holders: set[str] = set()
    for path, shape in weights.items():
        if len(shape) > 2:
            above, _, own = path.rpartition(".")
            holders.add(above)
            if _WRAPPED.fullmatch(own):
                holders.add(parent(above))
    return Counter(map(place, holders))


def _below(places: Counter[str]) -> Counter[str]:
    """Add up what is below each place, the network itself included."""
    below: Counter[str] = Counter()
    for where, count in places.items():
        at = where
        for _ in range(_MOST_LEVELS):
            if not at:
                break
            at = parent(at)
            below[at] += count
    return below


def _mostly_convolutions(at: str, convolutions: Counter[str], matrices: Counter[str]) -> bool:
    """Whether the nearest layer around that holds anything holds more convolutions."""
    while at and not convolutions[at] and not matrices[at]:
        at = parent(at)
    return convolutions[at] > matrices[at]


def _rms_roots(norms: list[str], biased: set[str], shapes: Iterable[str]) -> set[str]:
    """Find the networks that are known to have RMSNorms by the names of their parts."""
    names: dict[str, set[str]] = {}
    for path in norms:
        match = _BLOCKS.fullmatch(path) if path not in biased else None
        if match is not None:
            names.setdefault(match["root"] or "", set()).add(match["own"])
    roots = {root for root, own in names.items() if any(len(own & some) > 1 for some in _LLAMA)}
    for name in shapes:
        match = _KNOWN_RMS.fullmatch(name)
        if match is not None:
            roots.add(match["t5"] or match["mamba"] or "")
    return {
        root
        for root in roots
        if not any(not root or path.startswith(f"{root}.") for path in biased)
    }


def _one_dimensional(
    deep: Mapping[str, Shape], after: Mapping[str, int], shapes: Mapping[str, Shape]
) -> bool:
    """Whether some weight of three axes is a convolution's and no bilinear map's."""
    for path, shape in deep.items():
        if len(shape) != 3:
            continue
        if CONVISH.search(path) or after.get(path) in shape[:2]:
            return True
        if f"{path}.weight" not in shapes:  # normed, which is not done to bilinear maps
            return True
        above, _, own = path.rpartition(".")
        if own.isdecimal() and _goes_on(deep, above, int(own), shape):
            return True
    return False


def _goes_on(deep: Mapping[str, Shape], above: str, number: int, shape: Shape) -> bool:
    """Whether a numbered sibling soon after takes in what this layer gives out."""
    near = (f"{above}.{number + i}".lstrip(".") for i in (1, 2, 3, 4))
    return any(len(deep.get(path, ())) == 3 and deep[path][1] == shape[0] for path in near)
