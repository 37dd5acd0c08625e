"""How `soc store copy`, `backup` and `restore` show what was copied and what comparing found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from commands.common import OPTIONS, bar, emit, say, show
from domain.i18n import t

if TYPE_CHECKING:
    from jobs.store_compare import Comparison
    from jobs.store_copy import Copied, Tick

SHOWN = 50
"""Differences in the table; all are in JSON."""


def run(work: Callable[[Tick], Copied], *, only_compare: bool) -> None:
    """Copy (or only compare), show, leave with 1 when something differs."""
    with bar(t("store.copying"), 1.0) as tick:
        done = work(lambda n, total: tick(n / total if total else 1.0))
    if not only_compare:
        ends_of = {"source": done.source, "target": done.target}
        say(t("store.copied", events=done.events, records=done.records, dead=done.dead, seconds=done.seconds, **ends_of))
        if done.files and done.files.files:
            say(t("store.copied_files", n=done.files.copied, files=done.files.files))
        if done.removed:
            say(t("store.copy_removed", n=done.removed))
        if done.again:
            say(t("store.copied_again", n=done.again))
    if OPTIONS.json:
        emit(_plain(done))
    elif done.comparison:
        _show(done.comparison)
    if done.comparison:
        _judge(done.comparison, done.compare_seconds)


def _show(found: Comparison) -> None:
    rows: list[tuple[str, object, str]] = [
        (t("store.copy_events"), found.events, found.events_hash), (t("store.copy_records"), found.records, found.records_hash),
    ]  # fmt: skip
    if found.state_hash:
        rows.append((t("store.copy_state"), "", found.state_hash))
    show([t("store.col_what"), t("store.copy_count"), t("store.copy_hash")], rows)
    if found.differences:
        different = [(d.what, d.where, d.source, d.target) for d in found.differences[:SHOWN]]
        show([t(f"store.col_{c}") for c in ("what", "where", "source", "target")], different)


def _judge(found: Comparison, seconds: float) -> None:
    for where, n in found.kept.items():
        say(t("store.copy_kept", where=where, n=n))
    if not found.same:
        say(t("store.copy_differs", n=len(found.differences)))
        raise typer.Exit(1)
    say(t("store.copy_same" if found.state_hash else "store.copy_same_events", seconds=seconds))


def _plain(done: Copied) -> dict[str, object]:
    found = done.comparison
    return {
        "source": done.source, "target": done.target, "events": done.events, "records": done.records, "dead_letters": done.dead,
        "files": done.files.copied if done.files else None, "removed": done.removed, "scanned_again": done.again, "head": done.head,
        "seconds": done.seconds,
        "compare": None if found is None else {
            "same": found.same, "seconds": done.compare_seconds, "events": found.events, "events_hash": found.events_hash,
            "records": found.records, "records_hash": found.records_hash, "state_hash": found.state_hash or None, "kept": found.kept,
            "days": [{"partition": c.partition, "day": c.day, "events": c.events, "hash": c.hash} for c in found.days],
            "differences": [vars(d) for d in found.differences],
        },
    }  # fmt: skip
