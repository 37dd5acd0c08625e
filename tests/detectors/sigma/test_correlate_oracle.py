"""The engine of whole columns fires exactly where brute force does, for every type, condition, group, alias and chain."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.verify import verify
from tests.detectors.sigma import oracle

WORDS = ("a", "b", "c")
RULES = [
    {"title": w, "id": w, "logsource": {"category": "x"}, "detection": {"s": {"k|contains": w}, "condition": "s"}} for w in WORDS
]  # fmt: skip
FIELDS = ("u", "h", "v")
IN_WORDS = {
    "a and not b": [(["a"], ["b"])],
    "(a or b) and c": [(["a", "c"], []), (["b", "c"], [])],
    "not (a and b) or c": [([], ["a"]), ([], ["b"]), (["c"], [])],
    "c and a": [(["c", "a"], [])],
}

values = st.one_of(
    st.none(), st.sampled_from(["1", "2", "x", ""]), st.integers(-3, 3), st.sampled_from([0.5, 1.25, -2.5]),
    st.lists(st.sampled_from(["1", "2", "y"]), min_size=1, max_size=2, unique=True),
)  # fmt: skip
events = st.lists(
    st.fixed_dictionaries({
        "time": st.one_of(st.integers(0, 12), st.sampled_from([0.1, 0.3, 5.3, 10.1, 10.3])), "k": st.sampled_from(["a", "b", "c", "ab", "abc", "z"]),
        "u": st.sampled_from(["x", "y", None]), "h": st.one_of(st.just("m"), values), "v": values,
    }), max_size=14,
)  # fmt: skip


@st.composite
def specs(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    """One correlation over these rules."""
    kind = draw(st.sampled_from([
        "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median",
    ]))  # fmt: skip
    rules = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=kind != "temporal_ordered"))
    spec: dict[str, Any] = {"type": kind, "rules": rules, "timespan": draw(st.sampled_from(["1s", "5s", "10s"]))}
    groups = draw(st.lists(st.sampled_from(FIELDS), max_size=2, unique=True))
    if groups:
        spec["group-by"] = groups
        if draw(st.booleans()):
            spec["group-by"] = [*groups[1:], "who"]
            spec["aliases"] = {"who": {rule: draw(st.sampled_from(FIELDS)) for rule in dict.fromkeys(rules)}}
    if kind.startswith("temporal") and draw(st.booleans()):
        text = draw(st.sampled_from([None, *IN_WORDS])) if set(names) == set(WORDS) else None
        if text:
            spec |= {
                "condition": text,
                "rules": [n for n in WORDS if n in text.replace("and", "").replace("not", "")],
                "ways": IN_WORDS[text],
            }
            spec.pop("aliases", None)
            spec["group-by"] = groups
        return spec
    limits = (
        st.integers(0, 4)
        if kind in ("event_count", "value_count", "temporal", "temporal_ordered")
        else st.sampled_from([-1, 0, 0.5, 1.5, 2])
    )
    spec["condition"] = draw(st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "eq", "neq"]), limits, min_size=1, max_size=2))
    if kind.startswith("value_"):
        spec["condition"]["field"] = draw(st.sampled_from(FIELDS))
    if kind == "value_percentile":
        spec["condition"]["percentile"] = draw(st.sampled_from([0, 25, 50, 95, 100]))
    return spec


def document(key: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"title": key, "id": key, "correlation": {k: v for k, v in spec.items() if k != "ways"}}


def same(chain: list[tuple[str, dict[str, Any]]], found: list[dict[str, Any]]) -> None:
    matched = [{w for w in WORDS if w in event["k"]} for event in found]
    expected = oracle.firings([{"id": key, "correlation": spec} for key, spec in chain], found, matched)
    documents = [document(key, spec) for key, spec in chain]
    case = {"rules": [*RULES, *reversed(documents)], "events": found, "expected": [sorted(one) for one in expected]}
    assert verify([case], None).failures == []


@settings(max_examples=400, deadline=None)
@given(specs(WORDS), events)
def test_one_correlation_fires_where_brute_force_does(spec: dict[str, Any], found: list[dict[str, Any]]) -> None:
    same([("one", spec)], found)


@settings(max_examples=250, deadline=None)
@given(st.data(), events)
def test_a_chain_fires_where_brute_force_does(data: st.DataObject, found: list[dict[str, Any]]) -> None:
    chain = [("one", data.draw(specs(WORDS))), ("two", data.draw(specs(("one", "a")))), ("three", data.draw(specs(("one", "two", "c"))))]
    same(chain, found)
