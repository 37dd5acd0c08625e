"""`soc rules filter`: what is hidden, by whom, why and until when; drafts from false positives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from commands.common import OPTIONS, emit, runtime, say, show
from domain.errors import UsageError
from domain.i18n import t
from domain.text import clean, one_line

if TYPE_CHECKING:
    from jobs.filter_impact import Impact
    from jobs.filter_propose import Candidate, Proposal
    from jobs.rule_filters import Standing

app = typer.Typer(no_args_is_help=True, help=t("tuning.help_filter"))

Days = Annotated[int, typer.Option("--days", help=t("tuning.opt_days"), min=0)]
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]
Limit = Annotated[int, typer.Option("--limit", help=t("tuning.opt_limit"), min=0)]
_COLUMNS: Final = ("state", "id", "title", "rules", "owner", "reason", "expires", "left", "events", "alerts", "judged")


@app.command("list", help=t("tuning.help_filter_list"))
def list_(days: Days = 30, form: Form = "table", limit: Limit = 50) -> None:
    """Every filter: who, why, until when, and what it hides."""
    from jobs import rule_filters as job

    found = job.standings(runtime(), days)
    found = found[:limit] if limit else found
    if OPTIONS.json or form == "json":
        emit([_standing_json(one) for one in found])
        return
    show([t(f"tuning.col_{name}") for name in _COLUMNS], map(_row, found), form)
    for one in found:
        for refusal in one.refusals:
            say(t("tuning.refused", title=one.filter.title, alert=refusal.alert, rule=refusal.title, n=refusal.events, of=refusal.of))
    say(t("tuning.filters", n=len(found), days=days) if found else t("tuning.no_filters"))


@app.command("show", help=t("tuning.help_filter_show"))
def show_(name: Annotated[str, typer.Argument(help=t("tuning.arg_filter"))], days: Days = 30) -> None:
    """One filter in full."""
    from jobs import rule_filters as job

    one = job.standings(runtime(), days, name)[0]
    if OPTIONS.json:
        emit(_standing_json(one))
        return
    lines = [f"{t(f'tuning.col_{key}')}: {cell}" for key, cell in zip(_COLUMNS, _row(one), strict=True)]
    lines += [t("tuning.col_file") + f": {one.filter.file}:{one.filter.line}"]
    if one.impact:
        lines += [f"  {n} × {title}" for title, n in one.impact.alerts.items()]
    for refusal in one.refusals:
        lines.append(t("tuning.refused", title=one.filter.title, alert=refusal.alert, rule=refusal.title, n=refusal.events, of=refusal.of))
    sys.stdout.write("\n".join(one_line(line) for line in lines) + "\n\n")
    sys.stdout.write(clean(Path(one.filter.file).read_text(encoding="utf-8", errors="replace")) + "\n")


@app.command("check", help=t("tuning.help_filter_check"))
def check(files: Annotated[list[str] | None, typer.Argument(help=t("tuning.arg_files"))] = None) -> None:
    """Would a filter hide a confirmed true positive? Exit 1 when one would, 4 when one is wrong."""
    from jobs import rule_filters as job

    found = job.check(runtime(), files or [])
    if OPTIONS.json:
        tried = [{"id": one.filter.id, "title": one.filter.title, "refused": [vars(r) for r in one.refusals]} for one in found.checked]
        faults = {"broken": list(found.broken), "remarks": list(found.remarks)}
        emit({"good": found.good, "confirmed": found.confirmed, **faults, "filters": tried})
    else:
        for line in (*found.broken, *found.remarks):
            say(line)
        for one in found.checked:
            for refusal in one.refusals:
                say(t("tuning.refused", title=one.filter.title, alert=refusal.alert, rule=refusal.title, n=refusal.events, of=refusal.of))
    refused = sum(bool(one.refusals) for one in found.checked)
    say(t("tuning.checked", n=len(found.checked), confirmed=found.confirmed, refused=refused, broken=len(found.broken)))
    raise typer.Exit(4 if found.broken else 1 if refused else 0)


@app.command("propose", help=t("tuning.help_filter_propose"))
def propose(
    alert: Annotated[str, typer.Argument(help=t("tuning.arg_alert"))],
    pick: Annotated[int, typer.Option("--pick", help=t("tuning.opt_pick"), min=1)] = 1,
    out: Annotated[Path | None, typer.Option("--out", help=t("tuning.opt_out"))] = None,
    save: Annotated[bool, typer.Option("--save", help=t("tuning.opt_save"))] = False,
    days: Annotated[int, typer.Option("--days", help=t("tuning.opt_tried"), min=1)] = 30,
) -> None:
    """Filters from a false positive, narrow to wide, each tried on what is confirmed and on the last days."""
    from jobs import filter_propose as job

    run = runtime()
    found = job.propose(run, alert, days)
    if pick > len(found.candidates):
        raise UsageError(f"--pick {pick}: there are {len(found.candidates)} candidates")
    chosen = found.candidates[pick - 1]
    shown = [(pick, chosen)] if save or out is not None else list(enumerate(found.candidates, 1))
    if OPTIONS.json:
        emit(_proposal_json(found))
    else:
        sys.stdout.write("\n---\n".join(_candidate(n, one, found) for n, one in shown))
        for fields, refusal in found.rejected:
            say(t("tuning.rejected", fields=", ".join(fields), alert=refusal.alert, rule=refusal.title))
    if out is not None:
        say(t("tuning.written", file=job.write(out, chosen.text), pick=pick))
    if save:
        say(t("tuning.written", file=job.save(run, found.alert, chosen.text), pick=pick))
    elif out is None:
        say(t("tuning.save_hint", alert=found.alert.id[:8], pick=pick))


def _candidate(number: int, one: Candidate, found: Proposal) -> str:
    """`# 1: ...` and the document."""
    return f"# {number}: {one_line(_would(one.impact, found.days))}\n{clean(one.text)}"


def _would(impact: Impact, days: int) -> str:
    false = impact.verdicts.get("false_positive", 0) + impact.verdicts.get("benign", 0)
    return t("tuning.would", days=days, events=impact.events, alerts=impact.count, false=false, true=len(impact.confirmed))


def _proposal_json(found: Proposal) -> dict[str, Any]:
    made = [{"yaml": one.text, "fields": list(one.fields), "would_hide": impact_json(one.impact)} for one in found.candidates]
    rejected = [{"fields": list(fields), "would_hide": vars(refusal)} for fields, refusal in found.rejected]
    return {"alert": found.alert.id, "days": found.days, "candidates": made, "rejected": rejected}


def _row(one: Standing) -> list[object]:
    said, impact = one.filter, one.impact
    rules = ", ".join(said.rules) or t("tuning.any", source=said.source)
    left = "" if one.days is None else one.days
    counts = ("", "", "") if impact is None else (impact.events, impact.count, _judged(impact))
    return [t(f"tuning.state_{one.state}"), said.id[:8], said.title, rules, said.owner, said.reason, said.expires, left, *counts]


def _judged(impact: Impact) -> str:
    """`2 báo động giả, 1 chưa kết luận`."""
    return ", ".join(t(f"tuning.judged_{verdict or 'none'}", n=n) for verdict, n in sorted(impact.verdicts.items()))


def impact_json(impact: Impact | None) -> dict[str, Any] | None:
    """What a filter hides."""
    if impact is None:
        return None
    verdicts = {verdict or "none": n for verdict, n in impact.verdicts.items()}
    return {
        "events": impact.events, "alerts": impact.count, "titles": dict(impact.alerts), "verdicts": verdicts,
        "confirmed": list(impact.confirmed),
    }  # fmt: skip


def _standing_json(one: Standing) -> dict[str, Any]:
    said = one.filter
    return {
        "id": said.id, "title": said.title, "file": said.file, "line": said.line, "rules": list(said.rules) or "any",
        "logsource": str(said.source), "owner": said.owner, "reason": said.reason, "expires": said.expires or None, "days_left": one.days,
        "lacking": list(said.lacking), "state": one.state, "refused": [vars(r) for r in one.refusals], "hidden": impact_json(one.impact),
    }  # fmt: skip
