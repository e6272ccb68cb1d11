"""What Keras's layers call their variables, which its files of today only number.

The order is that of ``Layer.save_own_variables``: what is trained first, each kind in the order in
which ``build`` makes it (Keras 3, ``keras/src/layers``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from weigh._facts import Role

_CONV = ("kernel", "bias")
_SEPARABLE = ("depthwise_kernel", "pointwise_kernel", "bias")
_CELL = ("kernel", "recurrent_kernel", "bias")
_BATCH = ("gamma", "beta", "moving_mean", "moving_variance")
_RANKS = (1, 2, 3)

VARIABLES: dict[str, tuple[str, ...]] = {
    "Dense": _CONV,
    "EinsumDense": _CONV,
    **{f"Conv{n}D": _CONV for n in _RANKS},
    **{f"Conv{n}DTranspose": _CONV for n in _RANKS},
    **{f"DepthwiseConv{n}D": _CONV for n in (1, 2)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    "Embedding": ("embeddings",),
    "BatchNormalization": _BATCH,
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
    "RMSNormalization": ("scale",),
    "Normalization": ("mean", "variance", "count"),
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell"), _CELL),
    "PReLU": ("alpha",),
    "SeedGenerator": ("seed_generator_state",),
}
"""The variables of a class when it has all of them."""

_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
"""The argument that says whether a variable is there."""

_STATE = ("moving_mean", "moving_variance", "mean", "variance", "count", "seed_generator_state")

_DENSES = ("query_dense", "key_dense", "value_dense", "output_dense")
_OLD_DENSES = ("query", "key", "value", "attention_output")
_INNER = {
    **{name: {"cell": f"{name}Cell"} for name in ("LSTM", "GRU", "SimpleRNN")},
    "MultiHeadAttention": dict.fromkeys((*_DENSES, *_OLD_DENSES), "EinsumDense"),
    "GroupQueryAttention": dict.fromkeys((*_DENSES, *_OLD_DENSES), "EinsumDense"),
}

_OTHERS = (
    "LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed", "MultiHeadAttention",
    "GroupQueryAttention", "Sequential", "Functional",
)  # fmt: skip


def snake(kind: str) -> str:
    """Write a class's name as Keras does in paths.

    Examples:
        >>> snake("DepthwiseConv2D"), snake("LSTM")
        ('depthwise_conv2d', 'lstm')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


_BY_SNAKE = {snake(kind): kind for kind in (*VARIABLES, *_OTHERS)}


def class_by_name(name: str) -> str | None:
    """Tell the class that a default name (``conv2d_3``) is made of, if it is one that is known.

    Examples:
        >>> class_by_name("conv2d_3"), class_by_name("mine")
        ('Conv2D', None)
    """
    return _BY_SNAKE.get(re.sub(r"_\d+$", "", name))


def inner_class(kind: str | None, name: str) -> str | None:
    """Tell the class of a layer that a layer of Keras makes within itself."""
    if name.startswith("seed_generator"):
        return "SeedGenerator"
    return _INNER.get(kind or "", {}).get(name)


def variable_names(
    kind: str | None, attributes: Mapping[str, object], count: int
) -> tuple[str, ...] | None:
    """Name a layer's variables; None where its class, or how many there are, does not tell.

    Examples:
        >>> variable_names("BatchNormalization", {"scale": False}, 3)
        ('beta', 'moving_mean', 'moving_variance')
    """
    names = VARIABLES.get(kind or "", ())
    there = tuple(n for n in names if attributes.get(_SWITCHES.get(n, "")) is not False)
    if len(there) == count:
        return there
    # Nobody said that there is no bias.
    unsaid = names[:-1] if names[-1:] == ("bias",) and "use_bias" not in attributes else ()
    return unsaid if unsaid and len(unsaid) == count else None


def role_of(name: str) -> Role | None:
    """Tell what a variable is by the name that Keras gives it."""
    if name in _STATE:
        return "buffer"
    known = {one for names in VARIABLES.values() for one in names}
    return "parameter" if name in known else None
