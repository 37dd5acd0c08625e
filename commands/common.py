"""What every command shares: global options, the runtime, output. No logic of its own."""

from __future__ import annotations

import contextlib
import csv
import difflib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from domain import i18n
from domain.clock import LOCAL, Clock, FixedClock, SystemClock
from domain.errors import UsageError
from domain.severity import LEVELS
from domain.text import csv_safe, json_safe, one_line

if TYPE_CHECKING:
    from jobs.runtime import Runtime


@dataclass
class Options:
    """The global options of this run."""

    config: str = ""
    data: str = ""
    now: str = ""
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    lang: str = ""
    """As asked for with `--lang`; empty = `SOC_LANG`, else what soc.toml says."""


OPTIONS = Options()
_VALUED = ("--config", "--data", "--now", "--lang")
_FLAGS = ("--json", "-q", "-v")


def hoist(argv: Sequence[str]) -> list[str]:
    """Global options may stand anywhere before `--`: they are moved to the front."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or word.partition("=")[0] in _VALUED:
            front.append(word)
            if word in _VALUED:
                front += [value for value in [next(words, None)] if value is not None]
        else:
            rest.append(word)
    return front + rest


def configure(*, config: str, data: str, now: str, json: bool, lang: str, quiet: bool, verbose: bool) -> None:
    """Take the global options."""
    if lang and lang not in i18n.LANGS:
        raise UsageError(f"--lang {lang}: vi | en")
    if lang:
        i18n.use(lang)
    OPTIONS.config, OPTIONS.data, OPTIONS.now = config, data, now
    OPTIONS.json, OPTIONS.quiet, OPTIONS.verbose, OPTIONS.lang = json, quiet, verbose, lang
    clock()


def clock() -> Clock:
    """The system clock, or the one that `--now` sets."""
    return FixedClock(instant(OPTIONS.now)) if OPTIONS.now else SystemClock()


def instant(text: str) -> datetime:
    """An ISO 8601 instant or date (local midnight); without offset it is local time. In UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"not an ISO 8601 time: {one_line(text, 60)}", hint="2026-11-24T08:15:00+07:00") from None
    if not 1970 < at.year < 2200:
        raise UsageError(f"not a time of a log: {one_line(text, 60)}", hint="between 1971 and 2199")
    return (at if at.tzinfo else at.replace(tzinfo=LOCAL)).astimezone(UTC)


def runtime() -> Runtime:
    """Configuration, store and clock, opened once per run."""
    from jobs.runtime import Runtime

    opened = Runtime.open(config=OPTIONS.config, data=OPTIONS.data, clock=clock())
    if not OPTIONS.lang and not os.environ.get("SOC_LANG"):
        i18n.use(opened.config.lang)
    return opened


def emit(data: object) -> None:
    """One JSON document on stdout."""
    import orjson

    sys.stdout.buffer.write(json_safe(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS, default=_plain)) + b"\n")
    sys.stdout.buffer.flush()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def say(text: str) -> None:
    """A message for people, on stderr unless `-q`."""
    if not OPTIONS.quiet:
        sys.stderr.write(one_line(text) + "\n")


def level_word(level: str) -> str:
    """A rule's level in the language of the reader; a word that is no level of Sigma stays as it is."""
    return i18n.t(f"alerts.level_{level}") if level in LEVELS else level


def show(
    headers: Sequence[str], rows: Iterable[Sequence[object]], form: str = "table", keys: Sequence[str] = (), cut: Sequence[int] = ()
) -> None:
    """Rows as a table (terminal), one JSON array or CSV; log text is made harmless for each.

    No `headers`: CSV goes on. `keys`: the names in JSON where headers are translated. `cut`: columns of the table that stay on one line,
    cut where the room ends.
    """
    if OPTIONS.json or form == "json":
        emit([dict(zip(keys or headers, row, strict=True)) for row in rows])
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        if headers:
            writer.writerow(headers)
        writer.writerows([csv_safe("" if cell is None else str(cell)) for cell in row] for row in rows)
    elif form == "table":
        _table(headers, rows, cut)
    else:
        close = difflib.get_close_matches(form, ["table", "json", "csv"], 1)
        raise UsageError(f"--format {form}: table | json | csv", hint=close[0] if close else "")


def width() -> int:
    """Columns of the terminal; at least 120 where there is none."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    columns = os.environ.get("COLUMNS", "")
    return max(120, int(columns) if columns.isdecimal() else 0)


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]], cut: Sequence[int] = ()) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), expand=bool(cut))
    for place, header in enumerate(headers):
        if place in cut:
            table.add_column(Text(header), overflow="ellipsis", no_wrap=True, ratio=1)
        else:
            table.add_column(Text(header), overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line("" if cell is None else str(cell), 300)) for cell in row))
    Console(highlight=False, width=width()).print(table)


def track(items: Iterable[Any], text: str, total: float | None = None) -> Iterable[Any]:
    """A progress bar on stderr, only on a terminal and unless `-q`."""
    if OPTIONS.quiet or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, description=text, total=total, console=Console(stderr=True), transient=True)


@contextmanager
def bar(text: str, total: float, *, size: bool = False) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr (only on a terminal and unless `-q`); gives a function that takes how much is done so far.

    `size`: what is done is bytes; their rate is shown.
    """
    if OPTIONS.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    columns = [*Progress.get_default_columns(), *([DownloadColumn(binary_units=True), TransferSpeedColumn()] if size else [])]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=total or None)
        yield lambda done: progress.update(task, completed=min(done, total))


def internal_error(error: BaseException) -> int:
    """One line and the log file: exit 70."""
    if OPTIONS.verbose:
        traceback.print_exception(error)
    log = "-"
    with contextlib.suppress(OSError):
        number, log = tempfile.mkstemp(".log", "soc-error-", os.environ.get("SOC_STATE") or None)
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123  already open
            file.writelines(traceback.format_exception(error))
    sys.stderr.write(one_line(f"soc: internal error: {type(error).__name__}: {error} (details: {log})", 600) + "\n")
    return 70
