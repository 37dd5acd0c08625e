"""`soc queue`: what to work on now, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer

from commands.common import OPTIONS, emit, runtime, say, show
from domain.clock import show_local
from domain.i18n import t
from domain.text import one_line
from jobs.queue import Item, Queue, item_json, sentence
from jobs.queue import queue as work

app = typer.Typer(rich_markup_mode=None)
COLUMNS: Final = ("n", "score", "what", "level", "rule", "entities", "alerts", "last", "who", "because")


@app.command(help=t("alerts.help_queue"))
def queue(
    limit: Annotated[int, typer.Option("--for", "--limit", help=t("alerts.opt_for_n"), min=0)] = 20,
    assignee: Annotated[str, typer.Option(help=t("alerts.opt_assignee"))] = "",
    form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table",
) -> None:
    """Incidents and loose alerts, the most urgent first, each with the reasons of its place."""
    found = work(runtime(), limit, assignee)
    if OPTIONS.json:
        emit({"items": [item_json(i) for i in found.items], "more": found.more, "folded": found.folded, "silenced": found.silenced})
        return
    if form == "json":
        emit([item_json(item) for item in found.items])
        return
    if form == "table":
        sys.stdout.writelines(f"{one_line(line)}\n" for line in _text(found.items))
    else:
        show([t(f"alerts.col_{h}") for h in COLUMNS], map(_row, range(1, len(found.items) + 1), found.items), form)
    for line in _end(found, assignee):
        say(line)


def _end(found: Queue, assignee: str) -> Iterator[str]:
    """How much there is; of an empty queue why, and what to do next."""
    if found.empty:
        yield t(f"alerts.queue_{found.empty}", who=assignee, n=found.unscanned)
    else:
        yield t("alerts.queue_end", shown=len(found.items), folded=found.folded)
    if found.more:
        yield t("alerts.queue_more", more=found.more)
    if found.silenced:
        yield t("alerts.queue_silenced", silenced=found.silenced)


def _row(number: int, item: Item) -> tuple[object, ...]:
    return (
        number, item.score, item.id, t(f"alerts.level_{item.level}"), item.title, ", ".join(e.value for e in item.entities),
        len(item.alerts), show_local(item.last), item.assignee, "; ".join(map(sentence, item.why)),
    )  # fmt: skip


def _text(items: Sequence[Item]) -> Iterator[str]:
    """Two lines an item: what and about whom; why it stands here."""
    for number, item in enumerate(items, 1):
        shown = item.id if item.kind == "incident" else item.id[:8]
        about = ", ".join(e.value for e in item.entities[:4]) + (", …" if len(item.entities) > 4 else "")
        who = item.assignee or t("alerts.nobody")
        flag = f" [{t('alerts.flag_exercise')}]" if item.exercise else ""
        head = [t(f"alerts.level_{item.level}").upper(), item.title + flag, about, t("alerts.n_alerts", n=len(item.alerts))]
        yield f"{number:>3}. [{item.score}] {shown} · {' · '.join([*head, show_local(item.last), who])}"
        yield f"       {'; '.join(map(sentence, item.why))}"
    if items:
        top = items[0]
        yield ""
        yield f"→ soc incident show {top.id}" if top.kind == "incident" else f"→ soc alerts show {top.id[:8]}"
