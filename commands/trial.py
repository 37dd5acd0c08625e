"""`soc try PATH…`: the first minute."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from commands import common
from domain import titles
from domain.clock import iso_local, show_local
from domain.errors import UsageError
from domain.i18n import t

if TYPE_CHECKING:
    from jobs.trial import Kind, Trial

app = typer.Typer()
_TOP = 10


@app.command()
def trial(
    paths: Annotated[list[str], typer.Argument(help=t("trial.help_paths"))],
    parser: Annotated[str, typer.Option(help=t("trial.help_parser"))] = "auto",
) -> None:
    """Detect, parse and scan in a scratch store with all rules at hand; nothing is kept."""
    from jobs import trial as job

    missing = job.exists(paths)
    if missing:
        raise UsageError(f"no such file or folder: {missing}")
    found = job.run(common.runtime(), paths, parser)
    if common.OPTIONS.json:
        common.emit(_json(found))
        return
    common.show([t("trial.dataset"), t("trial.events"), t("trial.first"), t("trial.last")], [_kind(k) for k in found.kinds])
    if found.unparsed:
        common.say(t("trial.unparsed", n=found.unparsed))
        for sample in found.samples:
            common.say(f"  {sample}")
    for problem in found.problems:
        common.say(problem)
    rows = [
        [t(f"alerts.level_{a.rule.level}"), titles.full(a.rule), ", ".join(e.value for e in a.entities), a.count]
        for a in found.alerts[:_TOP]
    ]
    if rows:
        common.show([t("hunt.level"), t("hunt.rule"), t("trial.entities"), t("hunt.hits")], rows)
    common.say(t("trial.summary", events=found.events, alerts=len(found.alerts), rules=found.rules, blind=found.blind))
    common.say(t("trial.next", paths=" ".join(f"--path {shlex.quote(path)}" for path in paths)))


def _kind(kind: Kind) -> list[object]:
    return [kind.dataset, kind.events, show_local(kind.first), show_local(kind.last)]


def _json(found: Trial) -> dict[str, object]:
    from domain.alert_fold import to_json

    return {
        "events": found.events,
        "unparsed": found.unparsed,
        "datasets": [
            {"dataset": k.dataset, "events": k.events, "first": iso_local(k.first), "last": iso_local(k.last)} for k in found.kinds
        ],
        "problems": [*found.problems, *found.told],
        "rules": found.rules,
        "blind": found.blind,
        "alerts": [to_json(a) for a in found.alerts],
    }
