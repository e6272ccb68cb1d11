"""Run a piece of code as a Python prompt would, and give back what it printed."""

from __future__ import annotations

import ast
from functools import partial
from io import StringIO
from typing import Any


def run_code(code: str, namespace: dict[str, Any], filename: str = "<tour>") -> str:
    r"""Run code in a namespace; give what it printed, without the last line's end.

    A trailing expression's value is shown as its ``repr``, unless it is None.

    Examples:
        >>> run_code("a = 2\nprint(a)\na + 1", {})
        '2\n3'
    """
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    shown = StringIO()
    # A print of its own: sys.stdout belongs to the whole process (and to its progress bars).
    namespace["print"] = partial(print, file=shown)
    exec(compile(tree, filename, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
        if value is not None:
            namespace["print"](repr(value))
    del namespace["print"]
    return shown.getvalue().removesuffix("\n")
