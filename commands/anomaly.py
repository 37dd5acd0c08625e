"""`soc anomaly`: models, why an alert was raised, measurements on labelled data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.common import OPTIONS, emit, runtime, say, show
from domain import titles
from domain.alert_fold import reason_json
from domain.clock import iso_local, show_local
from domain.errors import UsageError
from domain.i18n import t
from domain.text import one_line
from jobs.anomaly import explain as why
from jobs.anomaly import models as every

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("models", help=t("anomaly.help_models"))
def models(
    limit: Annotated[int, typer.Option(help=t("anomaly.opt_limit"), min=0)] = 0,
    form: Annotated[str, typer.Option("--format", help="table | json | csv")] = "table",
) -> None:
    """What each model finds, how far it has worked, what it cannot see."""
    found = every(runtime())
    found = found[:limit] if limit else found
    if OPTIONS.json:
        emit([dict(m.__dict__) for m in found])
        return
    headers = [t(f"anomaly.col_{h}") for h in ("name", "about", "days", "known", "behind", "missing", "alerts")]
    show(headers, [(m.name, m.about, m.learns_days, m.known, m.behind, ", ".join(m.missing), m.alerts) for m in found], form)


@app.command("explain", help=t("anomaly.help_explain"))
def explain(id_: Annotated[str, typer.Argument(help=t("anomaly.arg_id"), metavar="ID")]) -> None:
    """The numbers behind an alert of a model, and the query that proves them."""
    found = why(runtime(), id_)
    alert = found.alert
    if OPTIONS.json:
        emit({
            "id": alert.id, "rule": alert.rule.id, "version": alert.rule.version, "evidence": alert.evidence,
            "reasons": [{**reason_json(reason), "sentence": text} for reason, text in found.reasons],
            "evidence_from": iso_local(alert.evidence_from) if alert.evidence_from else None,
            "evidence_to": iso_local(alert.evidence_to) if alert.evidence_to else None,
            "rows": found.rows, "events": len(alert.events), "events_in_rows": found.held,
        })  # fmt: skip
        return
    lines = [f"{titles.title(alert.rule)} ({alert.rule.id}, {alert.rule.version})", ""]
    for reason, text in found.reasons:
        lines += [
            text,
            f"  {reason.field} = {reason.value}" + (f" · {t('anomaly.expected', value=reason.expected)}" if reason.expected else ""),
        ]
    if alert.evidence:
        span = f"{show_local(alert.evidence_from or alert.first)} – {show_local(alert.evidence_to or alert.last)}"
        lines += ["", t("anomaly.proof", query=alert.evidence, span=span, rows=found.rows, held=found.held, n=len(alert.events))]
    sys.stdout.writelines(f"{one_line(line)}\n" for line in lines)


@app.command("eval", help=t("anomaly.help_eval"))
def evaluate(suite: Annotated[str, typer.Argument(help="login | volume", metavar="SUITE")]) -> None:
    """Measure a model on labelled data (the folder that --data names), through a scratch store."""
    from jobs.anomaly_eval import evaluate as measure  # heavy

    if not OPTIONS.data:
        raise UsageError("anomaly eval needs --data DIR: the folder of the labelled data")
    score = measure(suite, Path(OPTIONS.data))
    out = {
        "suite": score.suite, "metrics": dict(score.metrics), "false_alarms_per_day": score.false_alarms_per_day,
        "cost_us_per_item": round(score.cost_us_per_item, 3), "model": score.model,
    }  # fmt: skip
    if OPTIONS.json:
        emit(out)
        return
    show([t("anomaly.col_measure"), t("anomaly.col_value")], [(k, f"{v:.4g}") for k, v in score.metrics.items()])
    if score.false_alarms_per_day is not None:
        say(t("anomaly.false_alarms", n=f"{score.false_alarms_per_day:.4f}"))
    say(t("anomaly.cost", n=f"{score.cost_us_per_item:.2f}"))
