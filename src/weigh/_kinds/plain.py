"""Layers without parameters of their own, and containers: only what PyTorch prints of them.

Each row names classes and their arguments in the order PyTorch prints them. Between brackets it
prints an argument by its name (``p=0.5``); marks say otherwise: ``*`` bare, without a name;
``~`` only where it is not the default; ``!`` with the quotes of a text; ``-`` never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from weigh._kinds.kind import REQUIRED, Hypers, Kind, Spec

_INPLACE = ("~inplace", False)
_POOL = (("kernel_size", REQUIRED), ("stride", None), ("padding", 0))
_OUTPUT = (("output_size", REQUIRED), ("-return_indices", False))
_REDUCTION = (("-reduction", "mean"),)
_LRN = (("*size", REQUIRED), ("alpha", 1e-4), ("beta", 0.75), ("k", 1.0))

_ROWS: tuple[tuple[str, tuple[tuple[str, object], ...]], ...] = (
    ("Sequential ModuleList ModuleDict Identity Sigmoid Tanh LogSigmoid Softsign Tanhshrink", ()),
    ("Softmax2d", ()),
    ("ReLU ReLU6 SELU SiLU Mish", (_INPLACE,)),
    ("Hardsigmoid Hardswish", (("-inplace", False),)),
    ("ELU CELU", (("alpha", 1.0), _INPLACE)),
    ("GELU", (("!approximate", "none"),)),
    ("GLU", (("dim", -1),)),
    ("Hardshrink Softshrink", (("*lambd", 0.5),)),
    ("Hardtanh", (("min_val", -1.0), ("max_val", 1.0), _INPLACE)),
    ("LeakyReLU", (("negative_slope", 0.01), _INPLACE)),
    ("RReLU", (("lower", 1.0 / 8), ("upper", 1.0 / 3), _INPLACE)),
    ("Softmax Softmin LogSoftmax", (("dim", None),)),
    ("Softplus", (("beta", 1.0), ("threshold", 20.0))),
    ("Threshold", (("threshold", REQUIRED), ("value", REQUIRED), _INPLACE)),
    (
        "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
        (("p", 0.5), ("inplace", False)),
    ),
    (
        "MaxPool1d MaxPool2d MaxPool3d",
        (*_POOL, ("dilation", 1), ("ceil_mode", False), ("-return_indices", False)),
    ),
    ("MaxUnpool1d MaxUnpool2d MaxUnpool3d", _POOL),
    ("AvgPool1d", (*_POOL, ("-ceil_mode", False), ("-count_include_pad", True))),
    (
        "AvgPool2d AvgPool3d",
        (
            *_POOL,
            ("-ceil_mode", False),
            ("-count_include_pad", True),
            ("-divisor_override", None),
        ),
    ),
    (
        "LPPool1d LPPool2d LPPool3d",
        (
            ("norm_type", REQUIRED),
            ("kernel_size", REQUIRED),
            ("stride", None),
            ("ceil_mode", False),
        ),
    ),
    (
        "FractionalMaxPool2d FractionalMaxPool3d",
        (
            ("-kernel_size", REQUIRED),
            ("-output_size", None),
            ("-output_ratio", None),
            ("-return_indices", False),
        ),
    ),
    ("AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d", _OUTPUT),
    ("AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d", _OUTPUT[:1]),
    *(
        (f"{how}Pad1d {how}Pad2d {how}Pad3d", (("*padding", REQUIRED),))
        for how in ("Zero", "Circular", "Reflection", "Replication")
    ),
    ("ConstantPad1d ConstantPad2d ConstantPad3d", (("padding", REQUIRED), ("value", REQUIRED))),
    ("Flatten", (("start_dim", 1), ("end_dim", -1))),
    ("Unflatten", (("dim", REQUIRED), ("unflattened_size", REQUIRED))),
    (
        "Fold",
        (
            ("output_size", REQUIRED),
            ("kernel_size", REQUIRED),
            ("dilation", 1),
            ("padding", 0),
            ("stride", 1),
        ),
    ),
    ("Unfold", (("kernel_size", REQUIRED), ("dilation", 1), ("padding", 0), ("stride", 1))),
    ("PixelShuffle", (("upscale_factor", REQUIRED),)),
    ("PixelUnshuffle", (("downscale_factor", REQUIRED),)),
    ("ChannelShuffle", (("groups", REQUIRED),)),
    ("LocalResponseNorm CrossMapLRN2d", _LRN),
    ("CosineSimilarity", (("-dim", 1), ("-eps", 1e-8))),
    ("PairwiseDistance", (("-eps", 1e-6), ("-keepdim", False))),
    ("L1Loss MSELoss SoftMarginLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss", _REDUCTION),
    ("BCELoss BCEWithLogitsLoss", _REDUCTION),
    ("KLDivLoss", (*_REDUCTION, ("-log_target", False))),
    ("GaussianNLLLoss", (("-full", False), ("-eps", 1e-6), *_REDUCTION)),
    ("NLLLoss NLLLoss2d", (("-ignore_index", -100), *_REDUCTION)),
    (
        "CrossEntropyLoss",
        (("-ignore_index", -100), *_REDUCTION, ("-label_smoothing", 0.0)),
    ),
    (
        "PoissonNLLLoss",
        (("-log_input", True), ("-full", False), ("-eps", 1e-8), *_REDUCTION),
    ),
    ("SmoothL1Loss", (*_REDUCTION, ("-beta", 1.0))),
    ("HuberLoss", (*_REDUCTION, ("-delta", 1.0))),
    ("HingeEmbeddingLoss", (("-margin", 1.0), *_REDUCTION)),
    ("MarginRankingLoss CosineEmbeddingLoss", (("-margin", 0.0), *_REDUCTION)),
    ("MultiMarginLoss", (("-p", 1), ("-margin", 1.0), *_REDUCTION)),
    (
        "TripletMarginLoss",
        (("-margin", 1.0), ("-p", 2.0), ("-eps", 1e-6), ("-swap", False), *_REDUCTION),
    ),
    ("TripletMarginWithDistanceLoss", (("-margin", 1.0), ("-swap", False), *_REDUCTION)),
    ("CTCLoss", (("-blank", 0), *_REDUCTION, ("-zero_infinity", False))),
    (
        "AdaptiveLogSoftmaxWithLoss",
        (
            ("-in_features", REQUIRED),
            ("-n_classes", REQUIRED),
            ("-cutoffs", REQUIRED),
            ("-div_value", 4.0),
            ("-head_bias", False),
        ),
    ),
    ("Transformer", (("-d_model", 512), ("-nhead", 8), ("-batch_first", False))),
    ("TransformerEncoder", (("-num_layers", REQUIRED), ("-enable_nested_tensor", True))),
    ("TransformerDecoder", (("-num_layers", REQUIRED),)),
    ("TransformerEncoderLayer TransformerDecoderLayer", (("-norm_first", False),)),
    ("DataParallel", (("-dim", 0),)),
)


def _specs(row: tuple[tuple[str, object], ...]) -> Iterator[Spec]:
    shows: dict[str, Literal["bare", "changed", "never"]]
    shows = {"*": "bare", "~": "changed", "-": "never"}
    for marked, default in row:
        name = marked.lstrip("*~!-")
        yield Spec(name, default, shows.get(marked[0], "always"), quoted=marked[0] == "!")


class Plain(Kind):
    """A layer of which only the printed line is known."""

    order = ()

    def __init__(self, name: str, specs: tuple[Spec, ...]) -> None:
        self.name, self.specs = name, specs


class Upsample(Kind):
    """Upsampling, which prints its factor, or else the size it was given.

    Two classes fix the mode, which is no argument of theirs.
    """

    order = ()

    def __init__(self, name: str, mode: str = "") -> None:
        self.name, self.mode = name, mode
        self.specs = (Spec("size", None), Spec("scale_factor", None))
        if not mode:
            more = ("align_corners", "recompute_scale_factor")
            self.specs += (Spec("mode", "nearest"), *(Spec(one, None, "never") for one in more))

    def signature(self, h: Hypers) -> str:
        """Write the factor or the size, then the mode."""
        names = ("scale_factor", "size")
        first = next((name for name in names if h.value(name) is not None), "size")
        shown = [f"{first}={h.value(first)!r}" if h.known(first) else f"{first}=?"]
        mode = self.mode or (h.value("mode") if h.known("mode") else None)
        return ", ".join([*shown, f"mode={mode!r}" if mode else "mode=?"])


_MADE = {
    name: Plain(name, specs) for names, row in _ROWS for specs in [tuple(_specs(row))]
    for name in names.split()
}  # fmt: skip
PLAIN: dict[str, Kind] = _MADE | {
    "Upsample": Upsample("Upsample"),
    "UpsamplingNearest2d": Upsample("UpsamplingNearest2d", "nearest"),
    "UpsamplingBilinear2d": Upsample("UpsamplingBilinear2d", "bilinear"),
}
"""Every such kind by the name of its class."""
