"""Words in pictures: how wide they are, where they break, which letters may stand in a file."""

from __future__ import annotations

from weigh._width import cells

# A letter of the bitmap font is half as wide as the size it is drawn for; those of the systems'
# sans-serif fonts are between that and 0.58 of it, taken over a sentence.
_WIDTH = 0.58


def width_of(text: str, size: float = 12.0) -> float:
    """Estimate how wide a text is drawn; fonts differ, and this is one of the wider ones.

    Examples:
        >>> width_of("conv1.weight", 10)
        69.6
    """
    return round(cells(text) * size * _WIDTH, 2)


def shortened(text: str, width: float, size: float = 12.0) -> str:
    """Leave out the middle of a text that is wider than there is room.

    Examples:
        >>> shortened("model.layers.0.self_attn.q_proj.weight", 120)
        'model.la…j.weight'
    """
    most = max(3, int(width / (size * _WIDTH)))
    if cells(text) <= most:
        return text
    head, tail = most // 2, (most - 1) // 2
    while cells(text[:head]) + 1 + cells(text[len(text) - tail :]) > most and head > 1:
        head, tail = head - 1, max(1, tail - 1)
    return f"{text[:head]}…{text[len(text) - tail :]}"


def wrapped(text: str, width: float, size: float = 12.0) -> list[str]:
    """Break a text into lines between its words; a word that is too long is shortened.

    Examples:
        >>> wrapped("Grey is before, blue is after.", 100)
        ['Grey is', 'before, blue', 'is after.']
    """
    lines: list[str] = []
    for word in text.split():
        word = shortened(word, width, size)
        if lines and width_of(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def number_text(value: float, digits: int = 4) -> str:
    """Write a number to so many digits, with a real minus.

    Examples:
        >>> [number_text(value) for value in (-0.25, 0.0123456, 3e-9, 12.0)]
        ['−0.25', '0.01235', '3e−9', '12']
    """
    text = f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return text.replace("-", "−")


_IN_ASCII = str.maketrans(
    {"−": "-", "±": "+-", "…": "...", "·": "*", "–": "-", "—": "-", "×": "x", "σ": "sigma"}
)


def in_ascii(text: str) -> str:
    r"""Write a text in ASCII letters.

    Examples:
        >>> in_ascii("±0.5 of σ, 权")
        '+-0.5 of sigma, \\u6743'
    """
    return text.translate(_IN_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def plain_letters(text: str) -> str:
    r"""Leave out of a text what XML 1.0 forbids: control characters, surrogates, non-characters.

    Examples:
        >>> plain_letters("a\x1b[2J\ud800b")
        'a[2Jb'
    """
    if text.isprintable():  # control characters and surrogates are not
        return text.replace("\ufffe", "").replace("\uffff", "")
    return "".join(letter for letter in text if _may_stand(ord(letter)))


def _may_stand(code: int) -> bool:
    if code < 0xA0:
        return code in (0x9, 0xA) or 0x20 <= code < 0x7F
    return not (0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF))
