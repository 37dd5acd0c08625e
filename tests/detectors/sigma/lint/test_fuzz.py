"""Rule files that somebody has spoilt: nothing raises, what is refused says why, the other rules stay as they were."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.build import build
from detectors.sigma.condition import expression, selected
from detectors.sigma.express import Unsupported
from detectors.sigma.lint import Source, lint
from detectors.sigma.lint.conditions import parse
from detectors.sigma.load import load
from domain.query import TRUE
from tests.detectors.sigma.lint.examples import known, merged

TEXTS = [merged(""), merged("", "correlation"), merged("", "filter")]
TEXTS += [merged(e["bad"], e.get("base", "base")) for e in known()["examples"].values() if isinstance(e["bad"], str) and not e.get("whole")]
GOOD = merged(
    "id: 4b3d7a0e-2f61-4d7e-9a55-c6a1b2d3e4f5\ntitle: Good One\ndetection:\n  s:\n    CommandLine|contains: [secret, hidden]\n  condition: s\n"
)
(WANTED,) = load([("good_rule.yml", GOOD.encode())]).rules
ODD = st.sampled_from(
    [
        "\t", "\x00", "\ufeff", "\ud7ff", "&a ", "*a", "<<: ", "- ", "? ", ": ", "{", "}", "[", "]", "'", '"', "|", ">", "%x%", "!!binary ", "!!set ", "!!bool ", "!!timestamp ", "!!map ", "!!omap ", "!!int ",
        "null", "~", "yes", "1e999", ".nan", "0x7fffffffffffffffff", "2026-02-30", "12:30:45", "|re", "|contains", "|all", "|expand", "|cidr", "*", "\\",
        "\\*", "condition:", "detection:", "correlation:", "filter:", "rules:", "logsource:", "tags:", "1 of them", "not ", "and ", "(", ")", "---\n", "...\n",
        '"\\ud800"', "action: global\n", "# lint: skip=", "\n", "\r", "\u2028", " " * 20, "x" * 300,
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)


def _examined(content: bytes) -> None:
    """Loader and lint agree, and the good rule beside runs as ever."""
    files = [("bad_file.yml", content), ("good_rule.yml", GOOD.encode())]
    out = load(files)
    good = [rule for rule in out.rules if rule.file == "good_rule.yml"]
    assert [rule.expr for rule in good] == [WANTED.expr]
    for broken in out.broken:
        assert broken.file == "bad_file.yml"
        assert broken.line >= 1
        assert broken.column >= 1
        assert broken.code
        assert broken.reason
    result = lint([Source(label, text) for label, text in files])
    told = {(i.line, i.column, i.code) for i in result.issues if i.severity == "error" and i.file == "bad_file.yml"}
    assert {(b.line, b.column, b.code) for b in out.broken} <= told
    for issue in result.issues:
        assert issue.reason("vi")
        assert issue.reason("en")
    build(files)


@settings(max_examples=200)
@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.integers(0, 900), st.integers(0, 12), ODD), min_size=1, max_size=4))
def test_spoilt_text(text: str, edits: list[tuple[int, int, str]]) -> None:
    for place, gone, odd in edits:
        at = place % (len(text) + 1)
        text = text[:at] + odd + text[at + gone :]
    _examined(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=3000)
@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.binary(min_size=1, max_size=6))
def test_spoilt_bytes(text: str, place: int, odd: bytes) -> None:
    content = text.encode()
    at = place % len(content)
    _examined(content[:at] + odd + content[at + len(odd) :])


@settings(max_examples=200)
@given(st.sampled_from(TEXTS[:3]), st.data())
def test_values_of_any_type_anywhere(text: str, data: st.DataObject) -> None:
    document = yaml.safe_load(text)
    where: Any = document
    for _ in range(data.draw(st.integers(0, 3))):
        inner = [
            key for key in (where if isinstance(where, dict) else range(len(where))) if isinstance(where[key], (dict, list)) and where[key]
        ]
        where = where[data.draw(st.sampled_from(inner))] if inner else where
    if isinstance(where, dict):
        key = data.draw(st.sampled_from([*map(str, where), "new"]))
        where[key] = data.draw(VALUES)
    else:
        where[data.draw(st.integers(0, len(where) - 1))] = data.draw(VALUES)
    try:
        spoilt = yaml.safe_dump(document, allow_unicode=True)
    except yaml.YAMLError:
        return
    _examined(spoilt.encode("utf-8", "surrogatepass"))


WORDS = st.sampled_from(
    ["a", "b_1", "b_2", "nota", "of", "and", "or", "not", "1", "all", "any", "2", "them", "b_*", "*", "(", ")", ",", "AND", "c-d"]
)


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=9))
def test_both_readers_of_conditions_agree(words: list[str]) -> None:
    """The one that says where a fault is takes what the one that makes expressions takes."""
    names = ["a", "b_1", "b_2", "nota", "c-d"]
    text = " ".join(words)
    try:
        expression([text], dict.fromkeys(names, TRUE))
        taken = True
    except Unsupported:
        taken = False
    found = parse(text)
    missing = [word for word, _ in found.names if word not in names] + [p for p, _, _ in found.patterns if not selected(p, names)]
    assert taken == (found.fault is None and not missing)
    for _, offset in found.names:
        assert 0 <= offset < len(text)
    if found.fault:
        assert 0 <= found.fault[0] <= len(text)
