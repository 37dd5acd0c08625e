"""How a step looks on a terminal at three in the morning: what to do, what the logs say, what to type, what to decide."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from commands.incident_view import left
from domain import duties
from domain.clock import iso_local, show_local
from domain.i18n import lang, t
from domain.playbook import Command, Step, say
from domain.run import blockers
from domain.text import clean, one_line
from jobs.respond_playbook import Answer, Deed, View, fill_commands, fill_letter, proposal, undo_commands

ROWS = 15
"""Rows of an answer on the screen; the evidence file holds more."""
MANY = 5
"""More values than this in one command: the list is to be read twice."""
LINES = 48
"""Lines of a course over time on the screen: the newest."""
MOST = 5000
"""Buckets that are counted through at most."""
WIDE = 70
"""Characters of a cell on the screen."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def out(lines: Iterator[str]) -> None:
    """Write lines to stdout; each is harmless already."""
    for line in lines:
        sys.stdout.write(line + "\n")


def step_lines(deed: Deed, inputs: Mapping[str, Sequence[str]], also: Sequence[str], now: Any) -> Iterator[str]:
    """A step in full."""
    step, view = deed.step, deed.view
    yield ""
    yield t("playbook.step_head", id=step.id, title=say(step.title, lang()))
    yield "  " + _about(step, view)
    yield from _block(fill_letter(say(step.do, lang()), inputs), "  ")
    for answer in deed.answers:
        yield from _answer_lines(answer)
    yield from _decision_lines(deed)
    yield from _duty_lines(deed, now)
    yield from _command_lines(step.commands, inputs)
    yield from _letter_lines(step, view, inputs)
    if step.evidence:
        yield "  " + t("playbook.evidence")
        for text in step.evidence:
            yield f"    ☐ {say(text, lang())}"
    yield from _approval_lines(deed)
    waiting = blockers(view.book, view.run, step)
    if waiting:
        yield "  " + t("playbook.blocked", steps=" ".join(waiting))
    choose = " --answer …" if step.decision and not proposal(step, deed.answers) else ""
    yield "  " + t("playbook.next_commands", run=view.run.id, step=step.id, answer=choose)
    if also:
        yield "  " + t("playbook.also_open", steps=" ".join(also))


def _about(step: Step, view: View) -> str:
    parts = [t("playbook.phase_who", phase=t(f"playbook.phase_{step.phase}"), who=t(f"playbook.role_{step.who}"))]
    if step.hours:
        parts.append(t("playbook.deadline", at=show_local(view.incident.t0 + timedelta(hours=step.hours))))
    if step.needs:
        parts.append(t("playbook.needs", steps=" ".join(step.needs)))
    return " · ".join([*parts, *([] if step.required else [t("playbook.optional")])])


def _block(text: str, indent: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield indent + clean(line)


def _answer_lines(answer: Answer) -> Iterator[str]:
    query = answer.query
    yield ""
    yield "  " + t("playbook.question", ask=say(query.ask, lang()))
    if answer.missing:
        kind, _, value = answer.missing.partition(" ")
        yield "    " + t("playbook.not_run", why=t(f"playbook.missing_{kind}", value=value))
        return
    yield "    " + t("playbook.query", text=one_line(answer.text, 400))
    at = show_local(answer.result.at) if answer.result else ""
    yield "    " + t("playbook.found", n=answer.count, at=at)
    yield from _bars(answer) if query.every and not query.by else _rows(answer)
    if (len(answer.rows) > ROWS and (query.by or not query.every)) or answer.count > sum(int(r.get("count", 1)) for r in answer.rows):
        file = answer.result.file if answer.result else ""
        yield "      " + t("playbook.found_more", shown=min(ROWS, len(answer.rows)), n=answer.count, file=file)
    meaning = say(query.some if answer.count else query.none, lang())
    if meaning:
        yield "    " + t("playbook.meaning", text=meaning)
    if query.expect:
        yield "    " + t("playbook.check_failed" if answer.failed else "playbook.check_ok")


def _rows(answer: Answer) -> Iterator[str]:
    """The first rows as aligned columns; what a row lacks is a dash, times are local."""
    rows = answer.rows[:ROWS]
    asked = [*answer.query.by, *(["bucket"] if answer.query.every else []), "count", "first", "last"]
    names = asked if answer.query.by or answer.query.every else list(answer.query.fields)
    names = [n for n in names or dict.fromkeys(k for row in rows for k in row) if any(row.get(n) is not None for row in rows)]
    table = [[name.removeprefix("@") for name in names], *([_cell(row.get(name)) for name in names] for row in rows)] if rows else []
    widths = [min(WIDE, max(len(row[n]) for row in table)) for n in range(len(names))] if table else []
    for row in table:
        yield ("      " + "  ".join(cell[:WIDE].ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def _bars(answer: Answer) -> Iterator[str]:
    """Counts over time, one line a bucket, empty ones too: a gap must be seen."""
    counts = {datetime.fromisoformat(str(row["bucket"])): int(row["count"]) for row in answer.rows}
    if not counts or answer.window is None:
        return
    step = timedelta(minutes=int(answer.query.every[:-1]) * {"m": 1, "h": 60, "d": 1440}[answer.query.every[-1]])
    at, top = min(counts), max(counts.values())
    lines: list[str] = []
    while at < answer.window.end and len(lines) < MOST:
        count = counts.get(at, 0)
        lines.append(f"      {show_local(at)}  {count:>8}  {'█' * max(1, round(40 * count / top)) if count else '·'}")
        at += step
    yield from lines[-LINES:]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)))
    text = one_line(str(value))
    return show_local(datetime.fromisoformat(text)) if _TIME.fullmatch(text) else text


def _decision_lines(deed: Deed) -> Iterator[str]:
    decision = deed.step.decision
    if decision is None:
        return
    yield ""
    yield "  " + t("playbook.decide", ask=say(decision.ask, lang()))
    proposed = proposal(deed.step, deed.answers)
    for option in decision.options:
        key = "playbook.option_proposed" if option.value == proposed else "playbook.option"
        yield "    " + t(key, value=option.value, label=say(option.label, lang()))


def _duty_lines(deed: Deed, now: Any) -> Iterator[str]:
    owed = [d for d in duties.due(deed.view.incident, now) if d.id in deed.step.duties and d.state != "done" and d.clause.stops == "sent"]
    for duty in owed:
        at = show_local(duty.due_at) if duty.due_at else "-"
        yield "  " + t("playbook.duty_owed", name=f"{duty.id}: {t(f'duties.{duty.id}')}", at=at, left=left(duty))


def _command_lines(commands: Sequence[Command], inputs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    filled = [(c, fill_commands(c, inputs)) for c in commands]
    shown = [(c, texts) for c, texts in filled if texts]
    if not shown:
        return
    yield ""
    yield "  " + t("playbook.commands")
    for command, texts in shown:
        note = say(command.note, lang())
        yield f"  [{t(f'playbook.system_{command.system}')}] {note}".rstrip()
        if len(texts) > MANY:
            yield "    " + t("playbook.many", n=len(texts))
        for text in texts:
            yield from _block(text, "      ")
        if command.undo:
            yield "    " + t("playbook.undo")
            for text in undo_commands(command, inputs):
                yield from _block(text, "      ")


def _letter_lines(step: Step, view: View, inputs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name in step.letters:
        letter = view.book.letters[name]
        yield ""
        yield f"  {t('playbook.letters')} {say(letter.title, lang())}"
        yield "    " + t("playbook.letter_to", to=say(letter.to, lang()))
        yield from _block(fill_letter(say(letter.body, lang()), inputs), "    ")


def _approval_lines(deed: Deed) -> Iterator[str]:
    step = deed.step
    if not step.approval:
        return
    given = deed.state.approvals
    for item in given:
        key = "playbook.approved_alone" if item.alone else "playbook.approved_by"
        yield "  " + t(key, who=one_line(item.actor), at=show_local(item.at), note=one_line(item.note))
    if not given:
        yield "  " + t("playbook.approval", role=t(f"playbook.role_{step.approval}"), run=deed.view.run.id, step=step.id)


def step_json(deed: Deed, inputs: Mapping[str, Sequence[str]], also: Sequence[str]) -> dict[str, Any]:
    """The same for machines."""
    step = deed.step
    return {
        "run": deed.view.run.id, "incident": deed.view.incident.id, "step": step.id, "phase": step.phase, "who": step.who,
        "title": say(step.title, lang()), "do": fill_letter(say(step.do, lang()), inputs), "required": step.required,
        "state": state_json(deed), "answers": [answer_json(a) for a in deed.answers],
        "proposed_answer": proposal(step, deed.answers) or None,
        "options": [o.value for o in step.decision.options] if step.decision else [], "approval": step.approval or None,
        "commands": [{"system": c.system, "lines": fill_commands(c, inputs), "undo": undo_commands(c, inputs)} for c in step.commands],
        "letters": [letter_json(deed.view, name, inputs) for name in step.letters], "duties": list(step.duties), "also_open": list(also),
        "already": deed.already, "failed": deed.failed,
    }  # fmt: skip


def letter_json(view: View, name: str, inputs: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A letter with its values."""
    letter = view.book.letters[name]
    body = fill_letter(say(letter.body, lang()), inputs)
    return {"id": name, "title": say(letter.title, lang()), "to": say(letter.to, lang()), "body": body}


def answer_json(answer: Answer) -> dict[str, Any]:
    """One answer."""
    span = answer.window
    return {
        "query": answer.query.id, "ask": say(answer.query.ask, lang()), "text": answer.text, "count": answer.count,
        "rows": list(answer.rows),
        "window": [iso_local(span.start), iso_local(span.end)] if span else None, "missing": answer.missing or None,
        "expect": answer.query.expect or None, "failed": answer.failed, "file": answer.result.file if answer.result else None,
        "sha256": answer.result.sha256 if answer.result else None,
    }  # fmt: skip


def state_json(deed: Deed) -> dict[str, Any]:
    """How far the step is."""
    state = deed.state
    return {
        "status": state.status, "at": iso_local(state.at) if state.at else None, "actor": state.actor or None, "note": state.note,
        "answer": state.answer or None, "proposed": state.proposed, "accepted": state.accepted,
        "approvals": [{"actor": a.actor, "at": iso_local(a.at), "note": a.note, "alone": a.alone} for a in state.approvals],
    }  # fmt: skip
