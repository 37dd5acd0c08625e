"""What documents share: letterhead, addressees, closing, all as valid on the signing date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from domain.clock import LOCAL
from domain.document import DOTS, Addressees, Closing, Letterhead, long_date
from domain.registers import Organisation, Party, Registers
from reports.answers import Draft
from reports.text import vi

_LINE: Final = 24
"""Capitals that fit the left column of the head at 12 pt."""
_WORTH: Final = 8
"""Characters of imbalance that a good place to break is worth."""
CYBERSECURITY_LAW: Final = date(2026, 7, 1)
"""Luật An ninh mạng 116/2025/QH15 is in force."""


@dataclass(frozen=True)
class Paper:
    """The formal side of one document."""

    kind: str
    symbol: str
    """Kind of document in its number: `BC` (report), `CV`..., as the catalogue has it; empty for official letters."""
    number: str
    """As given by the clerk; empty on a draft."""
    at: datetime
    registers: Registers

    @property
    def day(self) -> date:
        """Signing date, local."""
        return self.at.astimezone(LOCAL).date()

    @property
    def organisation(self) -> Organisation:
        """As it is on the signing date; an empty one when the register has none."""
        return self.registers.organisation(self.day) or Organisation()

    @property
    def code(self) -> str:
        """`BC-STTTT`, or `STTTT-CNTT` (with the drafting office) for an official letter: what stands behind the number."""
        agency = self.organisation.agency.abbreviation or "…"
        drafter = self.organisation.archive.rpartition(",")[2].strip()
        return f"{self.symbol}-{agency}" if self.symbol else f"{agency}-{drafter}" if drafter else agency

    @property
    def full_number(self) -> str:
        """`05/BC-STTTT`: below 10 with a leading zero."""
        number = self.number.zfill(2) if self.number.isdigit() else self.number
        return f"{number}/{self.code}"


def letterhead(paper: Paper, draft: Draft, subject: str = "") -> Letterhead:
    """The head; what the register lacks is missing."""
    org = paper.organisation
    agency = draft.need(org.agency.name, "need_agency")
    draft.need(org.agency.abbreviation, "need_abbreviation")
    place = draft.need(org.place, "need_place")
    shown = paper.full_number if paper.number else f"       /{paper.code}"
    return Letterhead(
        lines_of(org.superior), lines_of(org.agency) or (agency,), vi("number", number=shown), long_date(paper.day, place),
        subject=vi("subject", subject=subject) if subject else "",
    )  # fmt: skip


def lines_of(party: Party) -> tuple[str, ...]:
    """The name as the letterhead breaks it: as the register says, else in two lines of about the same length when it is long.

    A break before a word like "province" or "and" (`report.break_before`) is preferred.
    """
    words = party.name.split()
    if party.lines or len(party.name) <= _LINE:
        return party.lines or ((party.name,) if party.name else ())
    good = vi("break_before").split()

    def cost(at: int) -> int:
        return max(len(" ".join(words[:at])), len(" ".join(words[at:]))) - (_WORTH if words[at].lower() in good else 0)

    at = min(range(1, len(words)), key=cost, default=len(words))
    return tuple(" ".join(part) for part in (words[:at], words[at:]) if part)


def addressees(paper: Paper, draft: Draft) -> Addressees:
    """`Kính gửi`, by kind of document."""
    names = _for(paper.organisation.addressees, paper.kind)
    if not names:
        names = (draft.need("", "need_addressees"),)
    ended = tuple(n.rstrip(" ;.") + (";" if i < len(names) - 1 else ".") for i, n in enumerate(names)) if len(names) > 1 else names
    return Addressees(vi("dear"), ended)


def closing(paper: Paper, draft: Draft, hint: str = "") -> Closing:
    """Signature and recipients; the last recipient is the archive, ended by a full stop."""
    org = paper.organisation
    names = _for(org.recipients, paper.kind) or (vi("as_above"),)
    archive = org.archive or vi("archive_default")
    recipients = (*(f"- {n.rstrip(' ;.')};" for n in names), f"- {vi('archive', archive=archive)}")
    return Closing(
        org.signer.authority, draft.need(org.signer.position, "need_position"), draft.need(org.signer.name, "need_signer"),
        recipients, vi("recipients"), hint,
    )  # fmt: skip


def _for(lists: Mapping[str, tuple[str, ...]], kind: str) -> tuple[str, ...]:
    return lists.get(kind) or lists.get("default") or ()


def grounds(day: date) -> tuple[str, ...]:
    """Legal grounds of monitoring on the signing date."""
    regime = "2026" if day >= CYBERSECURITY_LAW else "2017"
    return tuple(vi(f"ground_{regime}_{i}") for i in range(1, 4))


def or_dots(value: str) -> str:
    """An optional value, or dots."""
    return value.strip() or DOTS
