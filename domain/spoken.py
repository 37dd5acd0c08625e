"""How people read what rules write in code: fields, operators, kinds of entities, ATT&CK. In the language of the process. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from domain import fields
from domain.alert import Entity, Reason
from domain.i18n import catalogue, lang, t
from domain.text import clean

_VALUE: Final = 500
_PATTERN: Final = 100
"""Characters of a value seen, and of what a rule compares it with."""
_TERM: Final = re.compile(r"([a-z_]+)(?:: (.*))?", re.DOTALL)
_TECHNIQUE: Final = re.compile(r"t\d{4}(\.\d{3})?")
_LIMIT: Final = re.compile(r"(gte|gt|lte|lt|eq|neq) ([\d.e+]+)")
_SAME: Final = ("eq", "like")


def reason(why: Reason) -> str:
    """A reason as people read it: the sentence of the catalogue, else the field, the value seen and what it was compared with."""
    if why.text:
        return t(why.text, "", **why.values)
    if f"reason_{why.field}" in catalogue("vi", "alerts"):
        return t(f"alerts.reason_{why.field}", "", n=why.value, limit=_limits(why.expected))
    seen = t("alerts.reason_seen", name=field(why.field), value=clean(why.value, _VALUE))
    return seen + _compared(why)


def _compared(why: Reason) -> str:
    """What the value was compared with; nothing when it is the value itself."""
    found = _TERM.fullmatch(why.expected)
    if not found or f"op_{found[1]}" not in catalogue("vi", "alerts"):
        return f" ({why.expected})" if why.expected else ""
    wanted = found[2] or ""
    if found[1] in _SAME and wanted.casefold() == why.value.casefold():
        return ""
    return ", " + t(f"alerts.op_{found[1]}", wanted=clean(wanted, _PATTERN)).rstrip()


def _limits(text: str) -> str:
    """` (ngưỡng: từ 60 trở lên)` for `gte 60`; empty without a condition."""
    found = [t(f"alerts.limit_{op}", n=number) for op, number in _LIMIT.findall(text)]
    return t("alerts.limit", list=", ".join(found)) if found else ""


def field(name: str) -> str:
    """`Tiến trình cha (winlog.event_data.ParentImage)`; a field without a meaning of its own stays as it is."""
    if name == "*":
        return t("alerts.any_field")
    known = fields.dictionary().get(name)
    if known is not None and not known.open:
        meaning = known.en if lang() == "en" else known.vi
    else:
        meaning = catalogue(lang(), "alerts").get(f"field_{name.rpartition('.')[2]}", "")
    return f"{meaning} ({name})" if meaning else name


def entity(one: Entity) -> str:
    """`máy QLVB01`; a kind without a word of its own stays as it is."""
    return f"{catalogue(lang(), 'alerts').get(f'entity_{one.type}', one.type)} {one.value}"


def tactic(name: str) -> str:
    """`initial_access` -> `xâm nhập ban đầu`."""
    return catalogue(lang(), "attack").get(name.replace("-", "_"), name)


def is_technique(name: str) -> bool:
    """Whether a tag without `attack.`, in lower case, names a technique: t1110, t1110.001."""
    return _TECHNIQUE.fullmatch(name) is not None


def attack(tags: Iterable[str]) -> str:
    """`xâm nhập ban đầu; T1190 khai thác ứng dụng công khai`: tactics first, then techniques; other tags as they are."""
    names = [tag.removeprefix("attack.").lower() for tag in tags]
    known = catalogue(lang(), "attack")
    techniques = [f"{n.upper()} {known.get(n, '')}".rstrip() for n in names if _TECHNIQUE.fullmatch(n)]
    return "; ".join([*(tactic(n) for n in names if not _TECHNIQUE.fullmatch(n)), *techniques])


def hit(text: str) -> str:
    """What a playbook matched: `attack.t1190` -> `T1190 khai thác ứng dụng công khai`; anything else as it is."""
    return attack([text]) if text.startswith("attack.") else text
