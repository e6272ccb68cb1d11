"""What stands around every command: whatever goes wrong is one line and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import click

from weigh._errors import WeighError, printable


def guarded(run: Callable[[], Any]) -> int:
    """Run a command; whatever goes wrong becomes one line on stderr and a status."""
    if sys.stdout is None:  # started with it closed (>&-)
        return _complain("there is no standard output to write to")
    try:
        result = run()
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _complain(f"{_ended(error.format_message())}{_help_hint(error)}")
    except click.ClickException as error:
        return _complain(error.format_message())
    except WeighError as error:
        return _complain(str(error))
    except BrokenPipeError:  # the reader (head, less) has seen enough
        _silence(sys.stdout)
        return 0
    except (click.Abort, KeyboardInterrupt):
        # The line's end closes the terminal's ^C.
        click.echo("\nweigh: stopped", err=True)
        return 130
    except (MemoryError, RecursionError) as error:
        return _complain(
            f"the source asks for more than this machine gives ({type(error).__name__})"
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        try:
            sys.stdout.flush()
        except OSError:
            _silence(sys.stdout)
        return _complain(f"{where}{error.strerror or error}")
    return result if isinstance(result, int) else 0


def _silence(stream: TextIO) -> None:
    """Send what is still to be written nowhere: Python would complain of it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _ended(message: str) -> str:
    """End a message of click's with a full stop, as those of Weigh do."""
    return message if message.endswith((".", "?")) else f"{message}."


def _help_hint(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "weigh"
    if isinstance(error, click.NoSuchOption) and not error.option_name.startswith("--"):
        return " A name that begins with '-' goes after '--'."
    return (
        "" if "Try" in error.message or "Did you" in error.message else f" Try '{command} --help'."
    )


def _complain(message: str) -> int:
    try:
        click.echo(f"weigh: {printable(message)}", err=True)
    except OSError:  # a full disk: the status says it alone
        _silence(sys.stderr)
    return 2
