"""What ``weigh check`` does: reads the settings, looks, and writes what was found."""

from __future__ import annotations

import sys

from weigh._api import examine
from weigh._bar import Bar
from weigh._checks.report import CheckReport
from weigh._checks.settings import nearest_config, settings_of
from weigh._checks.table import added, every_rule, find_rule
from weigh._errors import UnknownNameError, UsageError
from weigh._measures.measured import Options
from weigh._record import record


@record(frozen=True)
class Request:
    """What the command line asks for; see ``weigh check --help``."""

    source: str
    pattern: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = ""
    config: str | None = None
    threads: int = 0
    form: str = "text"


def run(request: Request) -> int:
    """Look and print; give the exit status: 1 for findings that count, 130 if it was stopped.

    Raises:
        WeighError: the source, a name or a setting is wrong.
    """
    rules = every_rule()
    for one in added()[1]:
        print(f"weigh: the rule {one} could not be loaded", file=sys.stderr)  # noqa: T201
    settings = settings_of(
        request.config or nearest_config(),
        rules,
        select=_split(request.select),
        ignore=_split(request.ignore),
        fail_on=request.fail_on,
    )
    bar = Bar()
    stopped = False
    try:
        options = Options(threads=request.threads, progress=bar.advance)
        checker = examine(request.source, request.pattern, settings, options)
        bar.total = checker.bytes
        try:
            for _ in checker.run():
                pass
        except KeyboardInterrupt:
            stopped = True
        report = checker.report()
    except UnknownNameError as error:
        raise error.at(request.source) from None
    finally:
        bar.close()
    _write(report, request)
    if stopped:
        print("\nweigh: stopped", file=sys.stderr)  # noqa: T201
        return 130
    return 1 if report.failed else 0


def show_rules(name: str | None, *, as_json: bool) -> None:
    """Print all rules, or the page of one.

    Raises:
        UnknownNameError: there is none of that name.
    """
    from weigh._views.check_json import rule_json, rules_json
    from weigh._views.json import dumps
    from weigh._views.rules import rule_document, rules_document
    from weigh._views.terminal import write

    if name is None:
        rules, broken = every_rule(), added()[1]
        if as_json:
            sys.stdout.write(dumps(rules_json(rules, broken)) + "\n")
        else:
            write(rules_document(rules, broken), sys.stdout)
        return
    rule = find_rule(name)
    if as_json:
        sys.stdout.write(dumps(rule_json(rule) | {"page": rule.page()}) + "\n")
    else:
        write(rule_document(rule), sys.stdout)


def _split(names: tuple[str, ...]) -> tuple[str, ...]:
    """Take names apart that stand together, with commas between.

    Raises:
        UsageError: there is none, as where a shell's variable is empty.
    """
    found = tuple(one.strip() for name in names for one in name.split(",") if one.strip())
    if names and not found:
        raise UsageError("no rule is named", seen="an empty text", do="`weigh rules` lists them.")
    return found


def _write(report: CheckReport, request: Request) -> None:
    from weigh._views.json import dumps

    if request.form == "json":
        from weigh._views.check_json import check_json

        sys.stdout.write(dumps(check_json(report)) + "\n")
    elif request.form == "sarif":
        from weigh._views.sarif import sarif_json

        sys.stdout.write(dumps(sarif_json(report, every_rule(), request.source)) + "\n")
    elif request.form == "github":
        from weigh._views.document import Verbatim
        from weigh._views.github import github_text
        from weigh._views.terminal import write

        write((Verbatim(github_text(report, request.source)),), sys.stdout)
    else:
        from weigh._views.check import check_document
        from weigh._views.terminal import write

        write(check_document(report), sys.stdout)
