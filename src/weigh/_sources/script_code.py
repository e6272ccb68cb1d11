"""What the code in a TorchScript archive states of its classes, without running or parsing it.

PyTorch writes each class's facts in the lines right below its name, before its first method::

    class Conv2d(Module):
      __parameters__ = ["weight", "bias", ]
      __buffers__ = []
      weight : Tensor
      stride : Final[Tuple[int, int]] = (2, 2)

Only lines of these very forms are read, each by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_CLASS = re.compile(r"^class ([^\W\d]\w*)(?:\((\w*)\))?:\n", re.MULTILINE)
_LIST = re.compile(r'  __(parameters|buffers)__ = \[((?:"[^"\\]{1,1000}", ?)*)\]')
_NAME = re.compile(r'"([^"\\]*)"')
_FINAL = re.compile(r"  ([^\W\d]\w{0,200}) : Final\[[^=]{1,300}\] = ([^\n]{1,1000})")
_NUMBER = re.compile(r"-?\d{1,40}(?:(\.)\d{0,40})?(?:e([+-]?\d{1,3}))?")
_TEXT = re.compile(r'"([^"\\]*)"')
_WORDS = {"True": True, "False": False, "None": None}
_MOST_PARTS, _MOST_LINES, _MOST_LINE = 64, 10_000, 1 << 16


@dataclass(slots=True)
class ScriptClass:
    """One class of a TorchScript archive.

    Attributes:
        base: what it extends: ``"Module"`` for a layer.
        parameters: which of its attributes are parameters; None where it does not say.
        buffers: which are buffers; None where it does not say, as before PyTorch 1.6.
        constants: the values of its attributes that cannot change.
    """

    base: str = ""
    parameters: frozenset[str] | None = None
    buffers: frozenset[str] | None = None
    constants: dict[str, object] = field(default_factory=dict)


def script_classes(code: str) -> dict[str, ScriptClass]:
    r"""Read the heads of all classes in one file of code.

    Examples:
        >>> head = 'class A(Module):\n  __parameters__ = ["w", ]\n  p : Final[float] = 0.5\n'
        >>> script_classes(head)["A"].parameters, script_classes(head)["A"].constants
        (frozenset({'w'}), {'p': 0.5})
    """
    return {match[1]: _head(match[2] or "", code, match.end()) for match in _CLASS.finditer(code)}


def _head(base: str, code: str, at: int) -> ScriptClass:
    made = ScriptClass(base)
    for line in _above_methods(code, at):
        if found := _LIST.fullmatch(line):
            names = frozenset(_NAME.findall(found[2]))
            if found[1] == "parameters":
                made.parameters = names
            else:
                made.buffers = names
        elif found := _FINAL.fullmatch(line):
            known, value = literal(found[2])
            if known:
                made.constants[found[1]] = value
    return made


def _above_methods(code: str, at: int) -> Iterator[str]:
    """Go through the indented lines from a place on, up to the first method."""
    for _ in range(_MOST_LINES):
        end = code.find("\n", at)
        if end < 0 or not code.startswith("  ", at) or code.startswith("  def ", at):
            return
        yield code[at : min(end, at + _MOST_LINE)]
        at = end + 1


def literal(text: str) -> tuple[bool, object]:
    """Read a number, a truth value, None, a text, or a flat list or tuple of them.

    Returns:
        Whether it is one, and the value.

    Examples:
        >>> literal("(2, 1.)"), literal("[True]"), literal('"same"'), literal("f(1)")
        ((True, (2, 1.0)), (True, [True]), (True, 'same'), (False, None))
    """
    closed = {"(": ")", "[": "]"}.get(text[:1])
    if closed is None or text[-1:] != closed:
        return _scalar(text)
    inner = text[1:-1].strip().removesuffix(",")
    parts = [_scalar(part.strip()) for part in inner.split(",")] if inner else []
    if len(parts) > _MOST_PARTS or not all(known for known, _ in parts):
        return False, None
    values = [value for _, value in parts]
    return True, tuple(values) if closed == ")" else values


def _scalar(text: str) -> tuple[bool, object]:
    if text in _WORDS:
        return True, _WORDS[text]
    if found := _TEXT.fullmatch(text):
        return True, found[1]
    if found := _NUMBER.fullmatch(text):
        return True, float(text) if found[1] or found[2] else int(text)
    return False, None
