"""The programs that compare two checkpoints today, each as its users run it.

``python rivals.py WAY FILE OTHER`` runs one. It is run as a file of its own, so that it
imports only what its way needs. ``make rivals`` puts the programs into a folder of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".cache/rivals"


def weightscope(a: str, b: str) -> None:
    from weightscope.cli import main

    main(["diff", _folder(a), _folder(b)])


def mergelens(a: str, b: str, *options: str) -> None:
    from mergelens.cli import app

    app(["compare", _folder(a), _folder(b), "--no-strategy", *options])


def mergelens_values(a: str, b: str) -> None:
    """Ask for those two of its measures that say how far values moved, which are its quickest."""
    mergelens(a, b, "--metric", "cosine_similarity", "--metric", "l2_distance")


def diffai(a: str, b: str) -> None:
    import diffai

    print(diffai.diff_paths(a, b))


def ckptkit(a: str, b: str) -> None:
    from ckptkit.cli import main

    sys.argv = ["ckptkit", "diff", a, b]
    main()


def torch(a: str, b: str) -> None:
    """Write the few lines that everybody writes."""
    import torch

    old, new = _loaded(a), _loaded(b)
    for name in old.keys() & new.keys():
        x, y = old[name], new[name]
        if torch.equal(x, y):
            continue
        changed = torch.count_nonzero(x != y).item()
        x, y = x.flatten().float(), y.flatten().float()
        moved = y - x
        far = (moved.norm() / x.norm()).item()
        cosine = torch.nn.functional.cosine_similarity(x, y, dim=0).item()
        print(name, changed, far, cosine, moved.abs().max().item())
    print(sorted(old.keys() ^ new.keys()))


def _loaded(path: str):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, mmap=True, weights_only=True)


def _folder(path: str) -> str:
    """Give what a program takes that takes folders alone."""
    return str(Path(path).parent)


WAYS: dict[str, Callable[[str, str], None]] = {
    "weightscope": weightscope,
    "mergelens": mergelens,
    "mergelens-values": mergelens_values,
    "diffai": diffai,
    "ckptkit": ckptkit,
    "torch": torch,
}


def installed(way: str) -> bool:
    """Tell whether a program is in its folder, or among the packages of this Python."""
    from importlib.machinery import PathFinder

    return PathFinder.find_spec(way.partition("-")[0], [str(FOLDER), *sys.path]) is not None


if __name__ == "__main__":
    sys.path.append(str(FOLDER))  # last: what both need is the version that we are tested with
    WAYS[sys.argv[1]](sys.argv[2], sys.argv[3])
