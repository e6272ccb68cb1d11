"""Asking a terminal: what it answers decides, and it is left as it was."""

from __future__ import annotations

import os
import sys

import pytest

pytest.importorskip("pty", reason="terminals of Unix")
from terminals import told_by

COLOURS = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
DA1 = b"\x1b[c"


def kitty(heard: bytes) -> bytes:
    if DA1 not in heard:
        return b""
    said = b"\x1b_Gi=31;OK\x1b\\" if b"\x1b_Gi=31,s=1,v=1,a=q" in heard else b""
    return said + b"\x1b[6;36;18t\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\\x1b[?62;22c"


def sixel(heard: bytes) -> bytes:
    if DA1 not in heard:
        return b""
    if b"\x1b[?1;1;0S" in heard:
        return b"\x1b[?1;0;16S\x1b[?2;0;800;480S\x1b[?63;1;2;4;6c"
    return b"\x1b]11;rgb:00/2b/36\x07\x1b[?63;1;2;4;6;9c"


def nothing_special(heard: bytes) -> bytes:
    return b"\x1b[?1;2c" if DA1 in heard else b""


def silent(heard: bytes) -> bytes:
    return b""


def test_a_terminal_with_kittys_protocol_says_so() -> None:
    told = told_by(kitty, COLOURS)
    assert (told["protocol"], told["theme"], told["cell"]) == ("kitty", "light", [18, 36])
    assert told["restored"]


def test_a_terminal_with_sixels_says_how_many_colours_and_pixels_it_has() -> None:
    told = told_by(sixel, COLOURS)
    assert (told["protocol"], told["theme"]) == ("sixel", "dark")
    assert (told["registers"], told["most"]) == (16, [800, 480])
    assert told["restored"]


def test_a_terminal_without_pictures_gets_half_blocks_and_no_further_question() -> None:
    told = told_by(nothing_special, COLOURS)
    assert (told["protocol"], told["restored"]) == ("half", True)
    assert told["asked"].count(DA1) == 1
    assert b"\x1b[?1;1;0S" not in told["asked"]  # it might scroll


def test_a_number_4_elsewhere_is_not_sixels() -> None:
    assert told_by(lambda h: b"\x1b[?4;14;24c" if DA1 in h else b"", COLOURS)["protocol"] == "half"


def test_silence_is_no_answer() -> None:
    told = told_by(silent, COLOURS, patience=0.1)
    assert (told["protocol"], told["theme"], told["restored"]) == ("half", "dark", True)


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff\x00\x1b\x1b[[[?;;c garbage",
        b"x" * 10_000,
        b"\x1b_Gi=31;ENOENT:no such file\x1b\\\x1b[6;0;0t\x1b]11;rgb:zz/zz/zz\x07\x1b[?;;;c",
    ],
)
def test_garbage_is_no_answer(noise: bytes) -> None:
    told = told_by(lambda heard: noise if DA1 in heard else b"", COLOURS, patience=0.3)
    assert (told["protocol"], told["cell"], told["restored"]) == ("half", None, True)


def test_answers_may_come_in_pieces() -> None:
    pieces = [bytes([byte]) for byte in kitty(b"\x1b_Gi=31,s=1,v=1,a=q\x1b[c")]
    asked: list[bytes] = []

    def slow(heard: bytes) -> bytes:
        asked.append(heard)
        return pieces.pop(0) if pieces and DA1 in b"".join(asked) else b""

    assert told_by(slow, COLOURS)["protocol"] == "kitty"
    assert pieces == []


def test_what_was_typed_before_is_left_and_nothing_is_asked() -> None:
    told = told_by(kitty, COLOURS, before=b"ls -l\n")
    assert DA1 not in told["asked"]
    assert (told["line"], told["protocol"]) == ("ls -l\n", "half")


def test_what_is_typed_after_the_answer_is_left() -> None:
    told = told_by(lambda h: kitty(h) + b"make test\n" if DA1 in h else b"", COLOURS, reads=True)
    assert (told["protocol"], told["line"]) == ("kitty", "make test\n")


def test_a_process_in_the_background_is_not_stopped_by_asking() -> None:
    told = told_by(kitty, COLOURS, background=True)
    assert "stopped" not in told
    assert (told["protocol"], told["asked"]) == ("half", b"")


def test_an_interrupt_leaves_the_terminal_as_it_was() -> None:
    told = told_by(lambda heard: b"\x03" if DA1 in heard else b"", COLOURS)
    assert told["interrupted"]
    assert told["restored"]


@pytest.mark.parametrize("inside", [{"TMUX": "/tmp/x,1,0"}, {"TERM": "tmux-256color"}])
def test_within_tmux_only_the_background_is_asked_for(inside: dict[str, str]) -> None:
    told = told_by(kitty, {**COLOURS, **inside})
    assert (told["protocol"], told["theme"]) == ("half", "light")
    assert b"\x1b_G" not in told["asked"]


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "dumb"}, "plain"),
        ({"NO_COLOR": "1"}, "plain"),
        ({"TERM": "linux", "COLORTERM": ""}, "plain"),
        ({"TERM": "screen", "STY": "1.pts"}, "plain"),
        ({"TERM": "screen-256color", "STY": "1.pts"}, "half"),
        ({"TERM_PROGRAM": "Apple_Terminal", "COLORTERM": ""}, "half"),
        ({"WEIGH_PICTURES": "plain"}, "plain"),
    ],
)
def test_who_would_not_answer_is_not_asked(environ: dict[str, str], protocol: str) -> None:
    told = told_by(kitty, {**COLOURS, **environ})
    assert (told["protocol"], told["asked"]) == (protocol, b"")


def test_a_choice_counts_and_the_size_is_asked_for() -> None:
    told = told_by(kitty, {**COLOURS, "WEIGH_PICTURES": "sixel"})
    assert (told["protocol"], told["cell"]) == ("sixel", [18, 36])


@pytest.mark.skipif(sys.stdin is None, reason="it is closed")
def test_nothing_is_asked_of_another_terminal_than_the_one_we_read_from() -> None:
    import pty

    from weigh._pictures.asking import may_ask

    upper, lower = pty.openpty()
    with os.fdopen(lower, "w") as stream:
        assert not may_ask(stream)
    os.close(upper)
