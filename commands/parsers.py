"""`soc parsers`: the parsers there are, and which one each record of a file belongs to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from commands.common import OPTIONS, clock, emit, say, show
from domain.errors import UsageError
from domain.i18n import t
from jobs.parse import PARSERS, Asked, owners

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def parsers(
    ctx: typer.Context,
    detect: Annotated[Path | None, typer.Option(help=t("parse.help_detect"))] = None,
    form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table",
) -> None:
    """The list, or with --detect the parser of each record."""
    if ctx.invoked_subcommand is not None:
        return
    if detect is None:
        names = [*PARSERS, "plain"]
        show([t("parse.parser"), t("parse.reads")], [(name, t(f"parse.about_{name}")) for name in names], form, ("parser", "reads"))
    elif OPTIONS.json or form == "json":
        _each(detect)
    else:
        _summary(detect, form)


def _each(path: Path) -> None:
    for source, record, parser in owners(path, Asked(), clock(), lambda p: say(f"{p.source}: {p.reason}")):
        emit({"source": source, "record": record, "parser": parser})


def _summary(path: Path, form: str) -> None:
    """Records by parser, with the first record of each."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for source, record, parser in owners(path, Asked(), clock(), lambda p: say(f"{p.source}: {p.reason}")):
        counts[source, parser] += 1
        first.setdefault((source, parser), record)
    rows = [(source, parser, count, first[source, parser]) for (source, parser), count in counts.most_common()]
    show([t("parse.file"), t("parse.parser"), t("parse.records"), t("parse.first")], rows, form)


@app.command(help=t("parse.help_propose"))
def propose(
    file: Annotated[Path, typer.Argument(help=t("parse.help_file"))],
    limit: Annotated[int, typer.Option(help=t("parse.help_limit"))] = 10,
) -> None:
    """Drafts for the records that no parser knows."""
    from jobs.propose import drafts

    if limit < 1:
        raise UsageError(f"--limit {limit}: 1 or more")
    found = drafts(file, clock(), lambda p: say(f"{p.source}: {p.reason}"))[:limit]
    if not found:
        say(t("parse.all_known"))
    rows = [(d.count, d.first, d.pattern, d.example) for d in found]
    show(
        [t("parse.records"), t("parse.first"), t("parse.pattern"), t("parse.example")],
        rows,
        keys=("records", "first", "pattern", "example"),
    )
