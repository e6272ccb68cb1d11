"""What ``weigh picture`` does: draws on the terminal or into a file, and says what it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from weigh._api import open as open_network
from weigh._bar import Bar
from weigh._drawing import CELLS, histogram, picture, ridge
from weigh._errors import UnknownNameError, UsageError, WeighError
from weigh._model import tensor_at
from weigh._pictures.figure import check_ending
from weigh._pictures.picture import SAMPLED, Picture
from weigh._record import field, record

if TYPE_CHECKING:
    from weigh._model import Network
    from weigh._pictures.colours import Theme
    from weigh._pictures.figure import Figure
    from weigh._pictures.sheet import Reducer
    from weigh._pictures.terminal import Protocol, Terminal


@record(frozen=True)
class Request:
    """What the command line asks for; see ``weigh picture --help``."""

    source: str
    name: str | None = None
    output: str | None = None
    layout: str | None = None
    axes: tuple[str, str] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    scale: Any = "tensor"
    reducer: Reducer = "extreme"
    rgb: bool | None = None
    cells: int = CELLS
    histogram: bool = False
    ridge: bool = False
    beside: str | None = None
    symlog: bool = False
    whole: bool = False
    theme: Theme | None = None
    terminal: Protocol | None = None
    threads: int = 0
    as_json: bool = False


def run(request: Request) -> int:
    """Draw what is asked for; give the exit status.

    Raises:
        WeighError: the source, a name or an option is wrong.
    """
    _check(request)
    if request.output is not None:
        check_ending(request.output)  # not after an hour's work
    network = open_network(request.source)
    terminal = _terminal(request)
    try:
        first = _first_paint(request, network, terminal)
        bar = Bar()
        try:
            made = _made(request, network, bar)
        finally:
            bar.close()
    except WeighError as error:
        raise error.at(request.source) from None
    if first:  # it is drawn over
        sys.stdout.write(f"\x1b[{first}A\x1b[J")
    if request.output is not None:
        made.save(request.output, request.theme or "light")
    if request.as_json:
        from weigh._views.json import dumps

        sys.stdout.write(dumps(_document(made, request)) + "\n")
    elif request.output is not None:
        _say([request.output, *made.caption])
    else:
        _show(made, terminal)
    return 0


def _check(request: Request) -> None:
    """Refuse options that do not go together."""
    distribution = request.histogram or request.ridge
    if request.histogram and request.ridge:
        raise UsageError("--histogram and --ridge do not go together")
    if request.beside is not None and not request.histogram:
        raise UsageError("--beside is for --histogram", do="weigh report A B shows pictures.")
    if request.symlog and not distribution:
        raise UsageError("--symlog is for --histogram and --ridge")
    if request.whole and not request.histogram:
        raise UsageError("--whole is for --histogram")
    plain = Request(request.source)
    for option in ("layout", "axes", "sizes", "scale", "reducer", "rgb", "cells", "terminal"):
        if distribution and getattr(request, option) != getattr(plain, option):
            name = option.removesuffix("s") if option == "sizes" else option
            raise UsageError(f"--{name} is for pictures, not for distributions")


def _terminal(request: Request) -> Terminal | None:
    """Tell how standard output shows pictures; None if nothing is drawn there."""
    if request.output is not None or request.as_json or sys.stdout is None:
        return None
    from weigh._pictures.terminal import Terminal, terminal_of

    if request.histogram or request.ridge:  # they are letters, wherever
        from shutil import get_terminal_size

        from weigh._views.terminal import has_letters

        width = get_terminal_size().columns if sys.stdout.isatty() else 100
        return Terminal("plain", columns=width, letters=has_letters(sys.stdout))
    return terminal_of(sys.stdout, protocol=request.terminal, theme=request.theme)


def _first_paint(request: Request, network: Network, terminal: Terminal | None) -> int:
    """Draw a sample of a large tensor, so that there is something to see while all is read.

    Returns:
        How many lines above the cursor it is, if it can be drawn over; else 0.
    """
    if terminal is None or terminal.protocol not in ("half", "plain") or not terminal.lines:
        return 0
    tensor = tensor_at(network, request.name) if request.name else None
    if tensor is None or (tensor.count or 0) <= SAMPLED:
        return 0
    text = _screen(_picture(network, request, sample=True), terminal)
    _say([text])
    lines = text.count("\n") + 1
    return lines if lines < terminal.lines else 0


def _made(request: Request, network: Network, bar: Bar) -> Figure:
    scale: Literal["linear", "symlog"] = "symlog" if request.symlog else "linear"
    threads, progress = request.threads, bar.advance
    if request.ridge:
        selected = network.tensors() if request.name is None else network.select(request.name)
        bar.total = sum(tensor.bytes or 0 for tensor in selected)
        return ridge(network, request.name, scale=scale, threads=threads, progress=progress)
    if request.name is None:
        names = [tensor.name for tensor in network.tensors()]
        do = f"Name one of its {len(names):,} tensors, such as {names[0]!r}." if names else ""
        raise UnknownNameError("a picture is one of a tensor", do=do)
    tensor = tensor_at(network, request.name)
    bar.total = tensor.bytes or 0
    if request.histogram:
        return histogram(
            network,
            request.name,
            beside=request.beside,
            scale=scale,
            whole=request.whole,
            threads=threads,
            progress=progress,
        )
    if request.scale == "network":
        bar.total += sum(parameter.bytes or 0 for parameter in network.parameters())
    return _picture(network, request, progress=progress)


def _picture(
    network: Network,
    request: Request,
    *,
    sample: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Picture:
    return picture(
        network,
        request.name or "",
        layout=request.layout,
        axes=request.axes,
        sizes=request.sizes,
        # A sample is there at once; all parameters of a network are not.
        scale="tensor" if sample and request.scale == "network" else request.scale,
        reducer=request.reducer,
        rgb=request.rgb,
        cells=request.cells,
        sample=sample,
        threads=request.threads,
        progress=progress,
    )


def _show(made: Figure, terminal: Terminal | None) -> None:
    """Draw on standard output, as well as what reads it can show."""
    if terminal is None:  # Python was started with standard output closed; print is silent too
        return
    if isinstance(made, Picture):
        _say([_screen(made, terminal)])
    else:
        _say([made.text(terminal.columns, ascii_only=not terminal.letters)])


def _screen(made: Picture, terminal: Terminal) -> str:
    """Draw a picture with its title above and its caption below, in lines of the screen's width."""
    from textwrap import wrap

    from weigh._pictures.shown import drawn

    width = terminal.columns if sys.stdout.isatty() else 0
    above, below = (
        [line for text in texts for line in (wrap(text, width) if width else [text])]
        for texts in ([made.title], made.caption)
    )
    return "\n".join([*above, "", drawn(made.sheet, terminal), "", *below])


def _say(lines: list[str]) -> None:
    """Write lines to standard output, whatever letters it lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _document(made: Figure, request: Request) -> dict[str, Any]:
    """Give the document of ``weigh picture --json``; see ``docs/json.md``."""
    document: dict[str, Any] = {"name": request.name, "file": request.output}
    if isinstance(made, Picture):
        sheet = made.sheet
        document |= {
            "rows": sheet.codes.shape[0],
            "columns": sheet.codes.shape[1],
            "down": sheet.y_name,
            "right": sheet.x_name,
            "limit": sheet.limit,
            "reducer": sheet.reducer,
            "per_cell": sheet.per_cell,
            "values": sheet.values,
            "read": sheet.shown,
        }
        document |= {
            key: getattr(sheet, key) for key in ("nan", "posinf", "neginf", "below", "above")
        }
    return document | {"caption": list(made.caption)}
