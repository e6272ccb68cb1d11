"""What each program shows of tensors in which something is odd.

``python -m benchmarks.picture_abilities [WAY...]`` prints a table as Markdown. What stands there is
measured in this run, on small tensors of normal values of deviation 0.02: colours are counted,
texts looked for. A dash stands for what a program does not do.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import picture_rivals, rivals

Array = np.ndarray[Any, Any]
Colours = Callable[[Array], Array]
"""Gives the colour of each value, as shares of red, green and blue."""


def values(shape: tuple[int, ...] = (16, 8, 3, 3)) -> Array:
    return np.random.default_rng(0).normal(0, 0.02, shape).astype(np.float32)


def odd() -> Array:
    """Filters of which one value is 50."""
    made = values()
    made[0, 0, 0, 0] = 50
    return made


def weigh_colours(array: Array) -> Array:
    import weigh
    from weigh._pictures.coded import codes_of
    from weigh._pictures.colours import palette
    from weigh._pictures.limit import limit_of_values

    assert weigh.open({"conv.weight": array})["conv.weight"].picture().sheet.limit
    finite = np.isfinite(array)
    flags = np.where(finite, 8, 1 * np.isnan(array) + 2 * (array > 0) + 4 * (array < 0))
    known = np.where(finite, array, 0).astype(float)
    codes = codes_of(known, flags.astype(np.uint8), limit_of_values(array[finite]).value)
    return palette()[codes] / 255


def imshow_colours(array: Array) -> Array:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    image = plt.imshow(array.reshape(len(array), -1))
    made = image.to_rgba(image.get_array())[..., :3]
    plt.close()
    return made.reshape(*array.shape, 3)


def lovely_colours(array: Array) -> Array:
    from lovely_numpy.utils.colormap import InfCmap, get_cmap

    marks = {"below": "blue", "above": "red", "nan": "yellow", "ninf": "cyan", "pinf": "fuchsia"}
    return InfCmap(get_cmap("twilight"), **marks)(array)


def treescope_limit(array: Array) -> float:
    import treescope
    from treescope import lowering

    part = treescope.render_array(array).treescope_part
    page = lowering.render_to_html_as_root(part, compressed=False)
    return float(re.findall(r'"max": ([0-9.e+-]+)', page)[0])


def treescope_colours(array: Array) -> Array:
    import treescope

    stops = np.array(treescope.default_diverging_colormap.get()) / 255
    limit = treescope_limit(array)
    place = (np.clip(np.nan_to_num(array, posinf=limit, neginf=-limit), -limit, limit) + limit) / 2
    place = place / limit * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    between = (place - low)[..., None]
    return np.rint((stops[low] * (1 - between) + stops[low + 1] * between) * 255) / 255


WAYS: dict[str, Colours] = {
    "weigh": weigh_colours,
    "matplotlib": imshow_colours,
    "lovely_tensors": lovely_colours,
    "treescope": treescope_colours,
}


def left(colours: Colours) -> str:
    """Count the colours that all other values have when one is 50."""
    drawn = colours(odd()).reshape(-1, 3)[1:]
    return str(len(np.unique(np.rint(drawn * 255), axis=0)))


def apart(colours: Colours, matrix: Array | None = None) -> str:
    """Say how far the colours of values at the two limits are from each other, in CIE Lab."""
    array = np.concatenate([np.linspace(-1, 1, 1001), [-1.0, 1.0]]).astype(np.float32)
    drawn = colours(array[:, None])[[-2, -1], 0]
    if matrix is not None:
        linear = np.where(drawn <= 0.04045, drawn / 12.92, ((drawn + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ matrix.T, 0, 1)
        drawn = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    low, high = (_lab(one) for one in drawn)
    return f"{np.linalg.norm(low - high):.0f}"


def _lab(colour: Array) -> Array:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    share = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# How colours look to who lacks one kind of cones (Machado, Oliveira and Fernandes, 2009).
NO_RED = np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0519]])
NO_GREEN = np.array(
    [[0.3673, 0.8606, -0.2280], [0.2801, 0.6726, 0.0472], [-0.0118, 0.0430, 0.9689]]
)


def told(way: str) -> str:
    """Count which of NaN, Inf and -Inf have a colour that no finite value has.

    treescope's page is not drawn here: it has signs for them, X, I and -I, as a browser shows.
    """
    if way == "treescope":
        return "3 of 3"
    colours = WAYS[way]
    array = values()
    array.reshape(-1)[:3] = np.nan, np.inf, -np.inf
    drawn = [tuple(one) for one in np.rint(colours(array).reshape(-1, 3) * 255).tolist()]
    own = {drawn[at] for at in range(3)} - {*drawn[3:]}
    return f"{len(own)} of 3"


@cache
def _pages(way: str) -> tuple[str, str]:
    """Draw filters with an outlier, and the matrix of an LSTM, as what a program writes."""
    if way == "treescope":
        import treescope
        from treescope import lowering

        parts = [treescope.render_array(one).treescope_part for one in (odd(), values((64, 16)))]
        first, second = (lowering.render_to_html_as_root(one, compressed=False) for one in parts)
        return first, second
    from safetensors.numpy import save_file

    import weigh

    gates = {"lstm.weight_hh_l0": values((64, 16)), "lstm.weight_ih_l0": values((64, 8))}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "filters.safetensors"), Path(folder, "drawn.svg")
        save_file({"conv1.weight": odd(), **gates}, path)
        if way == "weigh":
            net = weigh.open(path)
            return net["conv1.weight"].picture().svg(), net["lstm.weight_hh_l0"].picture().svg()
        picture_rivals.WAYS[way](str(path), str(out))
        page = out.read_text("utf-8")
        return page, page


def says(page: str, *words: str) -> str:
    return "yes" if all(word in page for word in words) else "-"


BARRED = """
import importlib.abc, sys
class Barred(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Barred())
"""


def without_torch(way: str) -> str:
    """Say whether the program draws where PyTorch is not."""
    lines = {
        "weigh": "import weigh, numpy as n; weigh.open({'a': n.ones((2, 2))})['a'].picture().png()",
        "matplotlib": "from matplotlib import pyplot as p; p.imshow([[1, 2]])",
        "lovely_tensors": "import lovely_tensors",
        "treescope": "import treescope, numpy as n; treescope.render_array(n.ones((2, 2)))",
    }
    code = f"{BARRED}sys.path.append({str(rivals.FOLDER)!r}); {lines[way]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return "-" if done.returncode else "yes"


def rows(way: str) -> dict[str, str]:
    """Say what a program does, ability by ability."""
    colours = WAYS[way]
    filters, matrix = _pages(way)
    return {
        "one value is 50: colours left for all others": left(colours),
        "NaN, Inf and -Inf are told apart": told(way),
        "lowest and highest colour, how far apart": apart(colours),
        "the same without red cones": apart(colours, NO_RED),
        "the same without green cones": apart(colours, NO_GREEN),
        "counts what is clipped": says(filters, "Clipped: 1 value"),
        "names the axes": says(filters, "out_channels"),
        "parts the gates of an LSTM": says(matrix, ">i<", ">f<", ">g<", ">o<"),
        "draws without PyTorch": without_torch(way),
    }


def main(ways: list[str]) -> None:
    sys.path.append(str(rivals.FOLDER))
    there = [way for way in WAYS if way == "weigh" or rivals.installed(way)]
    found = {way: rows(way) for way in ways or there}
    print(f"| | {' | '.join(found)} |\n|---{'|---' * len(found)}|")
    for ability in next(iter(found.values())):
        print(f"| {ability} | {' | '.join(each[ability] for each in found.values())} |")


if __name__ == "__main__":
    main(sys.argv[1:])
