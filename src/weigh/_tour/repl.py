"""Run a piece of code as a Python prompt would, and give back what it printed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any


class _Shown(StringIO):
    """What was printed; tells of it whenever a line is whole."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__()
        self._told = told

    def write(self, text: str) -> int:
        count = super().write(text)
        if text.endswith("\n"):
            self._told(self.getvalue().removesuffix("\n"))
        return count


def _ignore(_: str) -> None:
    pass


def run_code(
    code: str,
    namespace: dict[str, Any],
    filename: str = "<tour>",
    told: Callable[[str], None] = _ignore,
) -> str:
    r"""Run code in a namespace; give what it printed, without the last line's end.

    ``told`` is given all that was printed so far, after each line. A trailing
    expression's value is shown as its ``repr``, unless it is None.

    Examples:
        >>> run_code("a = 2\nprint(a)\na + 1", {})
        '2\n3'
    """
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    shown = _Shown(told)
    # A print of its own: sys.stdout belongs to the whole process (and to its progress bars).
    namespace["print"] = partial(print, file=shown)
    exec(compile(tree, filename, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
        if value is not None:
            namespace["print"](repr(value))
    del namespace["print"]
    return shown.getvalue().removesuffix("\n")
