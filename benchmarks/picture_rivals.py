"""How tensors are looked at today: the lines that everybody writes, and the programs for it.

``python picture_rivals.py WAY FILE OUT`` runs one and writes what it draws. It is run as a file of
its own, so that it imports only what its way needs; ``make rivals`` puts the programs into a
folder of their own. It ends by itself after three minutes.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 180
"""Seconds that anybody may take."""

PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>A network</title>'
"""What a fragment of HTML needs around it to be a page."""


def matplotlib(path: str, out: str) -> None:
    """Show all values of the first matrix as an image, filters as rows by columns of it."""
    tensor = _first(path)
    _saved(tensor.float().reshape(len(tensor), -1), out)


def pooled(path: str, out: str) -> None:
    """Bring a matrix down to 1,024 cells each way first: of each cell the value furthest from 0."""
    import torch
    from torch.nn.functional import max_pool2d

    tensor = _first(path).float()
    side = max(1, len(tensor) // 1024)
    low, high = -max_pool2d(-tensor[None], side)[0], max_pool2d(tensor[None], side)[0]
    _saved(torch.where(-low >= high, low, high), out)


def lovely_tensors(path: str, out: str) -> None:
    """Show filters as a grid of all of them."""
    import lovely_tensors as lovely

    lovely.chans(_first(path)).fig.savefig(out, pad_inches=0)


def treescope(path: str, out: str) -> None:
    """Show an array with all of its values, in a page."""
    import treescope

    figure = treescope.render_array(_first(path).numpy())
    _written(PAGE + figure._repr_html_(), out)


def treescope_tree(path: str, out: str) -> None:
    """Show a network with an image of each array, as far as there is room, in a page."""
    import treescope

    arrays = {name: tensor.numpy() for name, tensor in _loaded(path).items()}
    with treescope.active_autovisualizer.set_scoped(treescope.ArrayAutovisualizer()):
        _written(PAGE + treescope.render_to_html(arrays), out)


def lovely_tensors_text(path: str, out: str) -> None:
    """Say a line of each tensor."""
    from lovely_tensors import lovely

    lines = [f"{name} {lovely(tensor)}" for name, tensor in _loaded(path).items()]
    _written("\n".join(lines), out)


def lovely_tensors_plots(path: str, out: str) -> None:
    """Draw the histogram of each tensor too; a notebook would show the images in their order."""
    import lovely_tensors as lovely

    made = io.BytesIO()
    for name, tensor in _loaded(path).items():
        made.write(f"{name} {lovely.lovely(tensor)}\n".encode())
        lovely.plot(tensor.float()).fig.savefig(made, format="png")
    Path(out).write_bytes(made.getvalue())


def _saved(image: Any, out: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    plt.imshow(image.numpy())
    plt.colorbar()
    plt.savefig(out)
    plt.close()


def _written(text: str, out: str) -> None:
    Path(out).write_text(text, "utf-8")


def _loaded(path: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)


def _first(path: str) -> Any:
    """Give the first tensor that has two axes or more."""
    return next(tensor for tensor in _loaded(path).values() if tensor.ndim > 1)


WAYS: dict[str, Callable[[str, str], None]] = {
    "matplotlib": matplotlib,
    "pooled": pooled,
    "lovely_tensors": lovely_tensors,
    "lovely_tensors-text": lovely_tensors_text,
    "lovely_tensors-plots": lovely_tensors_plots,
    "treescope": treescope,
    "treescope-tree": treescope_tree,
}


if __name__ == "__main__":
    if hasattr(signal, "alarm"):
        signal.alarm(LIMIT)  # the system ends the process
    sys.path.append(str(Path(__file__).resolve().parents[1] / ".cache/rivals"))
    WAYS[sys.argv[1]](sys.argv[2], sys.argv[3])
