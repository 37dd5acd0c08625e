"""`soc parse`: a log file as ECS JSON, without a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import orjson
import typer

from commands.common import clock, say
from domain.errors import SourceError, UsageError
from domain.i18n import t
from domain.text import json_safe
from jobs.parse import PARSERS, Asked, Problem, records

app = typer.Typer(rich_markup_mode=None)


@app.command()
def parse(
    file: Annotated[Path, typer.Argument(help=t("parse.help_file"))],
    parser: Annotated[str, typer.Option(help=t("parse.help_parser"))] = "auto",
    tz: Annotated[str, typer.Option(help=t("parse.help_tz"))] = "+07:00",
    out: Annotated[Path | None, typer.Option(help=t("parse.help_out"))] = None,
) -> None:
    """One JSON object per record, in order."""
    problems: list[Problem] = []
    count = failed = 0
    with _sink(out) as sink:
        for record in records(file, Asked(known(parser), tz), clock(), problems.append):
            line: dict[str, object] = {"parser": record.parser, "record": record.record, "event": record.event}
            if "!" in record.source or file.is_dir():
                line["source"] = record.source
            sink.write(json_safe(orjson.dumps(line)) + b"\n")
            count += 1
            failed += record.event.get("event.kind") == "pipeline_error"
    for problem in problems:
        say(f"{problem.source}: {problem.reason}")
    say(t("parse.done", count=count, failed=failed))
    if problems and not count:
        raise SourceError(problems[0].reason, where=problems[0].source)


def known(parser: str) -> str:
    """The parser's name; UsageError lists what there is."""
    if parser not in ("auto", "plain", *PARSERS):
        raise UsageError(f"--parser {parser}: auto | plain | {' | '.join(PARSERS)}", hint="soc parsers")
    return parser


@contextmanager
def _sink(out: Path | None) -> Iterator[IO[bytes]]:
    """The file, or stdout."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle = out.open("wb")
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(out)) from None
    with handle:
        yield handle
