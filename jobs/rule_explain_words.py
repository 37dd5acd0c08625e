"""A tree of terms in words: each condition, the value seen, why it fails; and the conclusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detectors.sigma.tree import Term, tests
from domain import spoken
from domain.i18n import t
from domain.text import one_line

_SHOWN: Final = 8
"""Alternatives of a failing choice that are shown."""
_LISTED: Final = 3
"""Conditions that a conclusion names."""
_FAR: Final = {"close": 2, "far": 4, "absent": 5, "pattern": 4}
"""How far a failing test is from holding; others: 1."""
_EXACT: Final = ("eq", "startswith", "endswith")


@dataclass(frozen=True)
class Fault:
    """A condition that keeps the rule from firing."""

    term: Term
    excluded: bool
    """It holds, but must not."""
    among: int = 1
    """One of so many alternatives, the closest one."""


def lines(terms: Sequence[Term], *, whole: bool = False, depth: int = 0, negated: bool = False) -> Iterator[str]:
    """The tree as indented text. Without `whole`: choices that fail are cut, exclusions that do not apply are one line."""
    for term in terms:
        quiet = term.kind == "not" and term.holds and not whole
        mark = t("explain.holds") if term.holds else t("explain.fails")
        yield "  " * depth + f"{mark} {_quiet(term) if quiet else _words(term, negated=negated)}"
        if quiet:
            continue
        inner = negated != (term.kind in ("not", "filter"))
        children = term.children if whole else _telling(term)
        yield from lines(children, whole=whole, depth=depth + 1, negated=inner)
        if len(children) < len(term.children) and not term.holds:
            yield "  " * (depth + 1) + t("explain.rest", n=len(term.children) - len(children))


def _telling(term: Term) -> list[Term]:
    """Of a choice: the alternatives that hold, or those that come closest."""
    if term.kind != "or":
        return term.children
    held = [child for child in term.children if child.holds]
    return held[:_SHOWN] or (sorted(term.children, key=_distance)[:_SHOWN] if len(term.children) > _SHOWN else term.children)


def _quiet(term: Term) -> str:
    return t("explain.not_quiet", n=sum(1 for _ in tests(term.children)))


def _words(term: Term, *, negated: bool) -> str:
    if term.kind == "source":
        return t("explain.source", name=term.name)
    if term.kind == "filter":
        more = ", ".join(filter(None, (term.more["owner"], term.more["expires"], term.more["reason"])))
        return t("explain.filter", title=term.name) + (f" ({more})" if more else "")
    if term.kind in ("and", "or", "not"):
        return t(f"explain.{term.kind}", n=len(term.children))
    return one_line(_test(term) + _seen(term) + (_why(term) if not term.holds and not negated else ""))


def _test(term: Term) -> str:
    """`Dòng lệnh (process.command_line) chứa một trong 12 giá trị, gần nhất “sekurlsa”`."""
    name = spoken.field(term.name)
    if term.of > 1:
        wanted = ", ".join(f"“{w}”" for w in (term.wanted[:1] if term.holds else term.wanted))
        near = term.miss is not None and term.miss.why not in ("absent", "far")
        key = "of_held" if term.holds else "of_near" if near else "of_any"
        return f"{name} {t(f'explain.{key}', op=t(f'explain.op_{term.op}'), n=term.of, wanted=wanted)}{_cased(term)}"
    if term.op == "exists":
        return f"{name} {t('alerts.op_exists') if term.wanted == ('true',) else t('alerts.op_null')}"
    return f"{name} {spoken.compared(term.op, term.wanted[0] if term.wanted else '')}{_cased(term)}"


def _cased(term: Term) -> str:
    return t("explain.cased") if term.cased else ""


def _seen(term: Term) -> str:
    if term.name == "*" or term.missing:
        return ""
    same = term.holds and term.op == "eq" and term.wanted[:1] and term.wanted[0].lower() == term.seen.lower()
    return "" if same else t("explain.seen", value=term.seen)


def _why(term: Term) -> str:
    miss = term.miss
    if miss is None:
        return ""
    if miss.why == "absent":
        return t("explain.why_absent") + (
            "" if term.known is None else t("explain.known", n=term.known) if term.known else t("explain.unknown")
        )
    wanted = miss.wanted[0] if miss.wanted else ""
    if miss.why == "far":
        return t("explain.why_far") if term.of > 1 or term.op not in _EXACT else ""
    return t(
        f"explain.why_{miss.why}", "", wanted=wanted, common=miss.common, amount=f"{miss.amount:g}",
        op=t(f"explain.op_{term.op}"),
    )  # fmt: skip


def faults(term: Term, *, excluded: bool = False) -> list[Fault]:
    """What keeps a term from holding (or, inside an exclusion, what makes it hold)."""
    if term.holds != excluded:
        return []
    if term.kind == "test":
        return [Fault(term, excluded)]
    if term.kind == "not":
        return faults(term.children[0], excluded=not excluded)
    found = [faults(child, excluded=excluded) for child in term.children]
    choice = term.kind == ("and" if excluded else "or")
    if not choice or len(found) < 2:
        return [fault for each in found for fault in each]
    nearest = min(zip(found, term.children, strict=True), key=lambda pair: (len(pair[0]), _distance(pair[1])))[0]
    return [Fault(one.term, one.excluded, len(found)) for one in nearest[:1]] or []


def _distance(term: Term) -> int:
    """How far a failing term is from holding, for the order of alternatives."""
    if term.holds:
        return 0
    if term.kind == "test":
        return _FAR.get(term.miss.why, 1) if term.miss else 1
    return sum(_distance(child) for child in term.children)


def conclusion(terms: Sequence[Term]) -> str:
    """`Không kích hoạt: 3 trong 4 điều kiện đúng; thiếu: …`."""
    source, body, *filters = terms
    parts = body.children if body.kind == "and" else [body]
    counts = {"n": sum(part.holds for part in parts), "of": len(parts)}
    if not source.holds:
        text = t("explain.end_source", name=source.name, list=_listed(faults(source)))
        return text + (t("explain.end_but", "", **counts) if body.holds else "")
    if not body.holds:
        found = faults(body)
        lacking, barred = [f for f in found if not f.excluded], [f for f in found if f.excluded]
        text = t("explain.end_no", "", **counts)
        text += t("explain.end_lacks", list=_listed(lacking)) if lacking else ""
        return text + (t("explain.end_barred", list=_listed(barred)) if barred else "")
    hiding = [f for f in filters if not f.holds]
    if hiding:
        return t("explain.end_hidden", list=", ".join(f"“{f.name}” ({f.more['file']})" for f in hiding))
    return t("explain.end_yes", "", **counts)


def _listed(found: Sequence[Fault]) -> str:
    texts = [_short(fault) for fault in found[:_LISTED]]
    return "; ".join(texts) + (t("explain.end_more", n=len(found) - _LISTED) if len(found) > _LISTED else "")


def _short(fault: Fault) -> str:
    text = one_line(_test(fault.term), 200)
    return t("explain.end_any", n=fault.among, nearest=text) if fault.among > 1 else text


def missing_json(terms: Sequence[Term]) -> list[dict[str, Any]]:
    """The faults as plain values."""
    found = [fault for term in terms[:2] for fault in faults(term)]
    return [
        {"name": f.term.name, "op": f.term.op, "wanted": list(f.term.wanted), "seen": f.term.seen, "excluded": f.excluded, "among": f.among}
        for f in found
    ]  # fmt: skip
