"""`soc demo`: the whole chain on generated data, told in twenty lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from commands.common import OPTIONS, emit, say
from domain import titles
from domain.clock import iso_local, show_local
from domain.i18n import t
from domain.text import one_line
from jobs import demo as job
from jobs import drill

app = typer.Typer(rich_markup_mode=None)


@app.command(help=t("demo.help"))
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=t("demo.help_dir"))] = Path("demo"),
    seed: Annotated[int, typer.Option(help=t("drill.help_seed"))] = 1,
    events: Annotated[int, typer.Option(help=t("drill.help_events"))] = drill.EVENTS,
    store: Annotated[str, typer.Option(metavar="URL", help=t("demo.help_store"))] = "",
) -> None:
    """Logs, collection, detection, incident, playbook, documents; exit 1 when a step of the attacks was missed."""
    story = job.play(folder, drill.Wish(seed=seed, events=events, store=store), _tell)
    if OPTIONS.json:
        emit(job.as_json(story))
    else:
        for line in _lines(story):
            typer.echo(one_line(line))
    if story.result is None or story.result.missed:
        raise typer.Exit(1)


def _tell(moment: drill.Moment) -> None:
    say(t("drill.moment", at=show_local(moment.at), stored=moment.stored, alerts=moment.alerts))


def _lines(story: job.Story) -> Iterator[str]:
    yield t("demo.logs", n=story.records, sources=story.sources, first=show_local(story.first), last=show_local(story.last))
    yield t("demo.where", path=story.folder / "logs", key=story.folder / drill.KEY)
    yield t("demo.stored", n=story.stored, unparsed=story.unparsed)
    yield t("demo.alerts", n=story.alerts, incidents=len(story.incidents))
    for attack in job.attacks(story):
        yield t(f"demo.attack_{attack.name}", at=show_local(attack.began), found=attack.found, steps=attack.steps)
        if attack.first is not None:
            yield t(
                "demo.first",
                at=show_local(attack.first.opened_at),
                minutes=attack.minutes,
                title=titles.title(attack.first.rule),
                id=attack.first.id,
            )
    if story.result is not None:
        for step in story.result.missed:
            yield t("demo.missed", attack=step.attack, step=step.step)
        yield t("demo.outside", n=len(story.result.outside))
    yield from _response(story)
    stages = {k: str(v) for k, v in story.seconds.items()}
    yield t("demo.time", total=round(sum(story.seconds.values()), 1), **stages)
    yield t("demo.next", config=story.folder / "soc.toml", now=iso_local(story.last))


def _response(story: job.Story) -> Iterator[str]:
    if story.incident is not None:
        yield t("demo.incident", id=story.incident.id, title=story.incident.title, n=len(story.incident.alerts))
        yield t("demo.playbook", book=story.playbook, run=story.run)
        yield t("demo.steps", steps=" · ".join(story.steps))
    for path in story.documents:
        yield t("demo.document", path=path)
