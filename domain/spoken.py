"""How people read what rules write in code: fields, operators, kinds of entities, ATT&CK. In the language of the process. Pure.

What rules and alerts are called: domain/titles.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from domain import attack as known_attack
from domain import fields
from domain.alert import Entity, Reason
from domain.i18n import catalogue, lang, t
from domain.text import clean

_VALUE: Final = 500
_PATTERN: Final = 100
"""Characters of a value seen, and of what a rule compares it with."""
_REASONS: Final = 4
"""Reasons that a sentence names."""
_LABELS: Final = frozenset({"event.code", "event.dataset", "winlog.channel", "winlog.provider_name"})
"""Fields that say which kind of event it is: named last."""
_TERM: Final = re.compile(r"([a-z_]+)(?:: (.*))?", re.DOTALL)
_LIMIT: Final = re.compile(r"(gte|gt|lte|lt|eq|neq) ([\d.e+]+)")
_SAME: Final = ("eq", "like")


def reason(why: Reason) -> str:
    """A reason as people read it: the sentence of the catalogue, else field, operator, what it was compared with, and the value seen."""
    if why.text:
        return t(why.text, "", **why.values)
    if f"reason_{why.field}" in catalogue("vi", "alerts"):
        return _counted(why) if "seconds" in why.values else t(f"alerts.reason_{why.field}", "", n=why.value, limit=_limits(why.expected))
    value, rest = clean(why.value, _VALUE), _compared(why)
    if rest.startswith(" ("):
        return t("alerts.reason_seen", name=field(why.field), value=value) + rest
    return t("alerts.reason_seen", name=field(why.field) + rest, value=value) if value else field(why.field) + rest


def sentence(reasons: Sequence[Reason]) -> str:
    """The reasons in one line without the values seen: `Dòng lệnh (process.command_line) chứa “sekurlsa”; …`."""
    telling = sorted(reasons, key=lambda why: why.field in _LABELS)
    return "; ".join(dict.fromkeys(map(_short, telling[:_REASONS])))


def _short(why: Reason) -> str:
    if why.expected.startswith(("re: ", "like: ")):  # what was seen says more than a pattern
        return t("alerts.reason_seen", name=field(why.field), value=clean(why.value, _PATTERN))
    rest = "" if why.text or f"reason_{why.field}" in catalogue("vi", "alerts") else _compared(why)
    return field(why.field) + rest if rest and not rest.startswith(" (") else reason(why)


def _compared(why: Reason) -> str:
    """What the value was compared with; nothing when it is the value itself."""
    found = _TERM.fullmatch(why.expected)
    if not found or f"op_{found[1]}" not in catalogue("vi", "alerts"):
        return f" ({why.expected})" if why.expected else ""
    if found[1] in _SAME and (found[2] or "").casefold() == why.value.casefold():
        return ""
    return " " + compared(found[1], found[2] or "")


def compared(op: str, wanted: str) -> str:
    """`chứa “sekurlsa”`, `từ 3 trở lên`."""
    return t(f"alerts.op_{op}", wanted=clean(wanted, _PATTERN)).rstrip()


def _counted(why: Reason) -> str:
    """What a correlation counted: of what, in which group, within how long, against which limit."""
    said: Mapping[str, Any] = why.values
    steps = [(clean(base(key, own), _PATTERN), len(list(same))) for (key, own), same in groupby(said.get("of", ()), tuple)]
    names = [f"{times} × {name}" if times > 1 else name for name, times in steps]
    joint = " → " if why.field == "temporal_ordered" else ", "
    of = t("alerts.counted_of", names=joint.join(names[:_REASONS])) if names else ""
    parts = [f"{field(name)} {clean(str(value), _PATTERN)}" for name, value in said.get("group", {}).items()]
    group = t("alerts.counted_group", list=", ".join(parts)) if parts else ""
    return t(
        f"alerts.counted_{why.field}", "", n=why.value, of=of, group=group, span=span(float(said["seconds"])), limit=_limits(why.expected),
        field=", ".join(map(field, said.get("fields", ()))), percent=said.get("percentile", ""),
    )  # fmt: skip


def base(key: str, own: str) -> str:
    """What a rule that feeds correlations finds, by its id; `own`: its own title."""
    return catalogue(lang(), "bases").get(key) or catalogue(lang(), "titles").get(key) or own


def span(seconds: float) -> str:
    """`5 phút`, `1 giờ 30 phút`."""
    out, left = [], round(seconds)
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if left >= size:
            out.append(t(f"alerts.span_{name}", n=left // size))
            left %= size
    return " ".join(out) or t("alerts.span_second", n=0)


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
    return known_attack.is_technique(name)


def technique(name: str) -> str:
    """`t1003.001` -> `Đánh cắp thông tin xác thực: bộ nhớ LSASS`; of one that nobody named the name of its parent, else the id."""
    known = catalogue(lang(), "attack")
    return known.get(name) or known.get(known_attack.parent(name)) or name.upper()


def does(name: str) -> str:
    """What the attacker does, in one plain sentence; "" for a technique that nobody described."""
    known = catalogue(lang(), "attack_does")
    return known.get(name) or known.get(known_attack.parent(name), "")


def attack(tags: Iterable[str]) -> str:
    """`xâm nhập ban đầu; T1190 Khai thác ứng dụng công khai`: tactics first, then techniques; other tags as they are."""
    names = [tag.removeprefix("attack.").lower() for tag in tags]
    known = catalogue(lang(), "attack")
    techniques = [f"{n.upper()} {known.get(n, '')}".rstrip() for n in names if is_technique(n)]
    return "; ".join([*(tactic(n) for n in names if not is_technique(n)), *techniques])


def hit(text: str) -> str:
    """What a playbook matched: `attack.t1190` -> `T1190 Khai thác ứng dụng công khai`; anything else as it is."""
    return attack([text]) if text.startswith("attack.") else text
