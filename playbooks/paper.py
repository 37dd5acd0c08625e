"""The paper checklist: the same steps when screens are dark. A list of blocks; `reports/render/` makes Markdown, HTML, DOCX, PDF of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from domain.clock import show_local
from domain.document import Block, Document, Heading, Paragraph, Ticks, Title
from domain.i18n import t
from domain.incident import Incident
from domain.playbook import Letter, Playbook, Step, say
from domain.run import Run
from playbooks.values import fill_commands, fill_letter

Inputs = Mapping[str, Sequence[str]]


def checklist(book: Playbook, lang: str, at: datetime, case: tuple[Incident, Run] | None = None, inputs: Inputs | None = None) -> Document:
    """The whole playbook as a form; with an incident its facts and what is done already are filled in."""
    values = inputs or {}
    incident, run = case or (None, None)
    about = t("playbook.print_blank")
    if incident:
        about = t("playbook.print_incident", id=incident.id, title=incident.title, t0=show_local(incident.t0))
    blocks: list[Block] = [
        Title(t("playbook.print_title", id=book.id, title=say(book.title, lang)), say(book.summary, lang)),
        Paragraph(about),
        Paragraph(t("playbook.print_contacts")),
    ]
    for phase, steps in groupby(book.steps, key=lambda s: s.phase):
        blocks.append(Heading(t("playbook.print_head_phase", phase=t(f"playbook.phase_{phase}"))))
        for step in steps:
            blocks += _step(book, step, lang, run, values)
    blocks.append(Heading(t("playbook.print_close")))
    blocks += [Ticks(say(c.text, lang), (("", False),)) for c in book.close]
    blocks.append(Paragraph(t("playbook.print_signature")))
    return Document("checklist", f"{book.id} {say(book.title, lang)}", tuple(blocks), at.replace(microsecond=0), lang=lang)


def _step(book: Playbook, step: Step, lang: str, run: Run | None, inputs: Inputs) -> Iterator[Block]:
    state = run.state(step.id) if run else None
    mark = {"done": "☑", "skipped": "☒"}.get(state.status if state else "", "☐")
    yield Heading(f"{mark} {step.id}. {say(step.title, lang)} ({t(f'playbook.role_{step.who}')})", 2)
    yield Paragraph(" ".join(fill_letter(say(step.do, lang), inputs).split()))
    for query in step.queries:
        yield Paragraph(say(query.ask, lang), lead="? ")
    if step.decision:
        chosen = state.answer if state else ""
        yield Ticks(say(step.decision.ask, lang), tuple((say(o.label, lang), o.value == chosen) for o in step.decision.options))
    for command in step.commands:
        for text in fill_commands(command, inputs):
            for line in text.splitlines():
                yield Paragraph(line, lead=f"{t(f'playbook.system_{command.system}')}: ", style="note")
    for name in step.letters:
        yield from _letter(book.letters[name], lang, inputs)
    for item in step.evidence:
        yield Ticks(t("playbook.evidence"), ((say(item, lang), False),))
    if step.approval:
        yield Paragraph(t("playbook.print_signature"), lead=f"{t(f'playbook.role_{step.approval}')}: ")
    if state and state.at:
        said = f"{t(f'playbook.state_{state.status}')}: {state.actor}, {show_local(state.at)}. {state.note}"
        yield Paragraph(said.strip(), style="note")
    else:
        yield Paragraph(t("playbook.print_sign"))
        yield Paragraph(t("playbook.print_skip"))


def _letter(letter: Letter, lang: str, inputs: Inputs) -> Iterator[Block]:
    yield Paragraph(say(letter.title, lang), lead=f"{t('playbook.letters')} ")
    yield Paragraph(t("playbook.letter_to", to=say(letter.to, lang)))
    for line in fill_letter(say(letter.body, lang), inputs).strip().splitlines():
        yield Paragraph(line)
