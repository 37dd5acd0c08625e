"""What a rule, and an alert of it, is called in the language of the reader.

Records keep the rule's own title; the language belongs to who reads. A title is, in this order: the one in the catalogue `titles` (our
rules) or `anomaly` (models); the rule's own, where that is in the reader's language; what the rule is about by ATT&CK; its log source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from domain import attack, spoken
from domain.alert import Entity, RuleRef
from domain.i18n import catalogue, lang, t

_VIETNAMESE: Final = re.compile(
    r"[\u00c0-\u00c3\u00c8-\u00ca\u00cc\u00cd\u00d2-\u00d5\u00d9\u00da\u00dd\u00e0-\u00e3\u00e8-\u00ea\u00ec\u00ed\u00f2-\u00f5\u00f9\u00fa\u00fd"
    r"\u0102\u0103\u0110\u0111\u0128\u0129\u0168\u0169\u01a0\u01a1\u01af\u01b0\u1ea0-\u1ef9]"
)
"""Letters that Vietnamese has and English has not."""
_BEFOREHAND: Final = ("t158", "t159", "t1608")
"""Techniques of preparation: what an attacker does elsewhere, before; they say little of what happened here."""
_ABOUT: Final = 2
"""Entities that a headline names."""


def title(rule: RuleRef, language: str = "") -> str:
    """`Đánh cắp thông tin xác thực: bộ nhớ LSASS`; `language`: that of the reader when it is not that of the process (documents)."""
    return given(rule, language or lang()) or _built(rule, language or lang()) or rule.title


def full(rule: RuleRef, language: str = "", cut: int = 0) -> str:
    """The same with the rule's own title in brackets, where it is another: many rules are about one technique. `cut`: its length."""
    said = title(rule, language)
    own = rule.title if not cut or len(rule.title) <= cut else rule.title[: cut - 1].rstrip() + "…"
    return said if said == rule.title or not own or given(rule, language or lang()) else f"{said} [{own}]"


def headline(rule: RuleRef, entities: Sequence[Entity]) -> str:
    """`Đánh cắp thông tin xác thực: bộ nhớ LSASS – máy ADSERVER`."""
    about = ", ".join(map(spoken.entity, entities[:_ABOUT])) + (", …" if len(entities) > _ABOUT else "")
    return f"{title(rule)} – {about}" if about else title(rule)


def given(rule: RuleRef, language: str) -> str:
    """A title that people wrote, in that language; "" when there is none."""
    if rule.kind in ("anomaly", "follow"):
        known = catalogue(language, rule.kind).get("title_" + rule.id.removeprefix(f"{rule.kind}.").replace(".", "_"))
    else:
        known = catalogue(language, "titles").get(rule.id) or catalogue(language, "bases").get(rule.id)
    own = rule.title if bool(_VIETNAMESE.search(rule.title)) == (language == "vi") else ""
    return known or own


def _built(rule: RuleRef, language: str) -> str:
    names = [name for tag in rule.tags if (name := attack.name_of(tag))]
    technique = main_technique(names)
    if technique:
        return catalogue(language, "attack")[technique]
    tactic = next((known for name in names if (known := catalogue(language, "attack").get(name))), "")
    source = catalogue(language, "sources").get(rule.source.replace("-", "_").replace(".", "_"), "")
    if not tactic:
        return source
    return t("sources.title", language, what=source or t("sources.sign", language), tactic=tactic)


def main_technique(names: Iterable[str]) -> str:
    """The technique that says most: the first one named; its parent, when several of its kind are named. "" without any we know."""
    known = catalogue("vi", "attack")
    found = [name for name in names if attack.is_technique(name) and name in known]
    found = [name for name in found if not name.startswith(_BEFOREHAND)] or found
    precise = [name for name in found if attack.parent(name)] or found
    if not precise:
        return ""
    first = precise[0]
    above = attack.parent(first)
    siblings = {name for name in precise if above and attack.parent(name) == above}
    return above if len(siblings) > 1 and above in known else first
