"""All problems of a file in one run, each at its place; what the loader keeps of them; what comments excuse."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from detectors.sigma.cells import compose
from detectors.sigma.lint import CHECKS, Source, lint
from detectors.sigma.load import load
from detectors.sigma.model import rule_files
from tests import house
from tests.detectors.sigma.lint.examples import merged

OTHER = "4b3d7a0e-2f61-4d7e-9a55-c6a1b2d3e4f5"
BAD = r"""title: [x]
id: 5c7d3f0e-0d5c-4a57-9a55-0d9b6f7f6f00
status: expermental
levl: high
level: hgih
date: 2026-13-45
tags: attack.t1059
logsource:
  category: process_creation
  produkt: windows
detection:
  sel:
    Image|endwith: '\x.exe'
    f|re|contains: a
    g|gt: abc
    h|cidr:
      - 10.0.0.0/8
      - 10.0.0.0/99
  filter: {}
  timeframe: 5m
  condition: "sel and\
    \ (selection or 2 of them"
"""
WANTED = [
    (1, 8, "wrong-type"), (3, 9, "invalid-status"), (4, 1, "custom-key"), (5, 8, "invalid-level"), (6, 7, "invalid-date"),
    (7, 7, "wrong-type"), (10, 3, "unknown-key"), (13, 11, "unknown-modifier"), (14, 6, "modifier-combination"), (15, 11, "modifier-value"),
    (18, 9, "modifier-value"), (19, 3, "empty-selection"), (20, 3, "deprecated-timeframe"), (22, 21, "condition-syntax"),
]  # fmt: skip


def found(text: str, label: str = "example_rule.yml") -> list[tuple[int, int, str]]:
    return [(i.line, i.column, i.code) for i in lint([Source(label, text.encode())]).issues if i.severity != "note"]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    result = lint([Source("example_rule.yml", BAD.encode())])
    assert [(i.line, i.column, i.code) for i in result.issues if i.severity == "error"] == WANTED


def test_the_loader_keeps_the_same_problems_and_the_other_rules() -> None:
    out = load([("a.yml", BAD.encode()), ("b.yml", merged("").encode())])
    assert [rule.file for rule in out.rules] == ["b.yml"]
    assert sorted((b.line, b.column, b.code) for b in out.broken) == [one for one in WANTED if one[2] != "custom-key"]
    assert {b.file for b in out.broken} == {"a.yml"}


def test_a_key_of_the_authors_own_keeps_the_rule_running() -> None:
    out = load([("a.yml", merged("severity: 3\n").encode())])
    assert out.broken == []
    (note,) = out.rules[0].notes
    assert (note.line, note.column, note.code) == (20, 1, "custom-key")
    assert note.reason.startswith("unknown key severity says nothing to this program")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("a: sel and x\n", (1, 12), id="plain"),
        pytest.param("a: 'it''s and x'\n", (1, 15), id="single quotes"),
        pytest.param('a: "s\\x65l\\tand x"\n', (1, 17), id="escapes"),
        pytest.param("a: >-\n  sel\n  and x\n", (3, 7), id="folded"),
        pytest.param("a: |\n    sel\n    and x\n", (3, 9), id="literal"),
        pytest.param("a: sel\n  and\n  x\n", (3, 3), id="plain on several lines"),
        pytest.param("# comment\r\na: sel and x\r\n", (2, 12), id="CRLF"),
        pytest.param("a: [y, {b: sel and x}]\n", (1, 20), id="in flow style"),
    ],
)
def test_characters_of_a_value_have_places(text: str, place: tuple[int, int]) -> None:
    (document,) = compose(text)
    cell = document.get("a")
    assert cell is not None
    if cell.items:
        cell = cell.items[1].get("b")
        assert cell is not None
    here = cell.at(cell.value.index("x"))
    assert (here.line, here.column) == place


def test_errors_of_later_documents_stand_in_their_lines() -> None:
    text = merged("") + "---\n" + merged(f"id: {OTHER}\ntitle: Another Program Started\nlevel: hgih\n")
    assert found(text) == [(39, 8, "invalid-level")]
    out = load([("a.yml", text.encode())])
    assert (len(out.rules), [(b.line, b.column) for b in out.broken]) == (1, [(39, 8)])


def test_a_document_with_a_doubled_key_stops_only_itself() -> None:
    text = merged("level: low\nlevel: high\n") + "---\n" + merged(f"id: {OTHER}\n")
    out = load([("a.yml", text.encode())])
    assert [rule.ref.id for rule in out.rules] == [OTHER]
    assert [(b.line, b.code) for b in out.broken] == [(20, "duplicate-key")]


def test_merged_anchors_are_no_doubled_keys() -> None:
    text = merged(
        "detection:\n  one: &one\n    Image|endswith: '\\a.exe'\n  two:\n    <<: *one\n    Image|endswith: '\\b.exe'\n  condition: 1 of them\n"
    )
    assert found(text) == []
    assert load([("a.yml", text.encode())]).broken == []


def test_a_comment_excuses_what_is_meant() -> None:
    text = merged("id:  # lint: skip=missing-id,missing-level a draft\nlevel:\n")
    result = lint([Source("example_rule.yml", text.encode())])
    assert ([i.code for i in result.issues], result.skipped) == ([], 2)


def test_a_comment_does_not_excuse_an_error() -> None:
    assert found(merged("level: hgih  # lint: skip=invalid-level meant\n")) == [(19, 8, "invalid-level")]


def test_which_rule_wins_is_told_with_both_files() -> None:
    first, last = merged("").encode(), merged("title: Another Program Started\n").encode()
    (issue,) = [i for i in lint([Source("a_first.yml", first), Source("b_last.yml", last)]).issues if i.severity == "error"]
    assert (issue.file, issue.reason("en")) == (
        "a_first.yml", "id 6f0c2a52-6f6b-4e57-9f0e-1c7d5a3b9e21 stands again in b_last.yml, which counts: this rule is not loaded",
    )  # fmt: skip
    out = load([("a_first.yml", first), ("b_last.yml", last)])
    assert out.rules[-1].ref.title == "Another Program Started"


def test_rules_beside_the_files_are_known_to_correlations() -> None:
    text = merged("", "correlation")
    assert [i.code for i in lint([Source("some_correlation.yml", text.encode())]).issues if i.severity == "error"] == ["unknown-rule"]
    beside = frozenset({"6f0c2a52-6f6b-4e57-9f0e-1c7d5a3b9e21"})
    assert [i.code for i in lint([Source("some_correlation.yml", text.encode())], elsewhere=beside).issues if i.severity == "error"] == []


def test_faults_of_a_correlation_stand_at_their_values() -> None:
    text = merged(
        "correlation:\n  type: event_count\n  rules: [nothing]\n  timespan: 5 minutes\n  condition:\n    gte: many\n  group_by: [User]\n",
        "correlation",
    )
    places = [(i.line, i.column) for i in lint([Source("some_correlation.yml", text.encode())]).issues if i.severity == "error"]
    lines = text.splitlines()
    for line, column in places:
        assert lines[line - 1][column - 1 :].startswith(("nothing", "5 minutes", "many", "gte", "group_by", "timespan"))
    assert len(places) >= 4


def test_nothing_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket, "socket", closed)
    monkeypatch.setattr(socket, "create_connection", closed)
    assert "attack-tag" in [code for _, _, code in found(merged("tags: [attack.t9999, d3fend.d3-nothing]\n"))]


def test_the_shipped_rules_are_clean() -> None:
    sources = [Source(str(p), p.read_bytes(), "rules") for p in rule_files([house.ROOT / "rules"])]
    result = lint(sources)
    assert result.documents >= 100
    assert [f"{i.file}:{i.line}:{i.column}: {i.reason('en')}" for i in result.issues if i.severity != "note"] == []


def test_the_public_rules_have_no_errors(shared_data: Path) -> None:
    import tarfile

    with tarfile.open(shared_data / "sigma" / "sigmahq-rules.tar.xz") as archive:
        members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".yml") and "/rules-emerging-threats/" in f"/{m.name}"]
        sources = [Source(m.name, (archive.extractfile(m) or house.ROOT).read(), "public") for m in members]  # type: ignore[union-attr]
    result = lint(sources)
    assert result.documents > 400
    assert [f"{i.file}:{i.line}: {i.reason('en')}" for i in result.issues if i.severity == "error"] == []


def test_every_error_check_belongs_to_a_stage() -> None:
    for code, check in CHECKS.items():
        stages = [check.document, check.file, check.collection]
        assert sum(stage is not None for stage in stages) <= 1, code


WRONG = [
    "detection:\n  s:\n    4688: x\n    a: []\n    b: [x, null]\n    c|contains|all: [x]\n    d|exists: [true, false]\n    e|minute: 5.5\n    '|gt': 5\n  condition: s\n",
    "detection:\n  s:\n    a|contains|contains: x\n    b|contains|endswith: x\n    c|re|contains: x\n    d|re|cidr: x\n    e|i: x\n  condition: s\n",
    "detection:\n  s:\n    b|re: 5\n    c|re: '['\n    e|base64offset|contains: 'a*'\n    f|cidr: [x, 1.2.3.4/24]\n    g|exists: maybe\n    i|fieldref: ''\n  condition: s\n",
    "detection:\n  s:\n    a|base64offset|contains: ''\n    b|utf16: x\n    c|gt: x\n  condition: s\n",
    "filter: \n  s: {a: b}\n  condition: [s, s]\nexpires: soon\n",
    "correlation:\n  type: evnt_count\n  rules: []\n  group-by: 5\n  timespan: 5\n  aliases: [x]\n  generate: maybe\n  xx: 1\n",
    "correlation:\n  type: event_count\n  rules: [[]]\n  timespan: 5m\n",
    "correlation:\n  type: event_count\n  rules: [x]\n  timespan: 5m\n  condition: {gte: x, field: y, foo: 1}\n",
    "correlation:\n  type: value_count\n  rules: [x]\n  timespan: 5m\n  condition: []\n  aliases: {a: b, c: {zz: d}}\n",
    "correlation:\n  type: value_percentile\n  rules: [x]\n  timespan: 5m\n  condition: {field: [a, b], percentile: 500}\n",
    "correlation:\n  type: event_count\n  rules: [x]\n  timespan: 5m\n  condition: a and b\n",
    "correlation:\n  type: temporal\n  rules: [x, y]\n  timespan: 5m\n  condition: x and z\n",
    "correlation:\n  type: temporal\n  rules: [x]\n  timespan: 5m\n  condition: (x\n",
    "correlation:\n  type: temporal\n  rules: [x]\n  timespan: 5m\n  condition: x x\n",
    "correlation:\n  type: temporal\n  timespan: 5m\n  condition: no_such_rule or no_other\n",
    "title: a: b\n", "tags: [a\n", "tags: {a\n", "- a\nb: c\n", "tags: *x\n", "title: @x\n", "title: 'x\n", 'title: "\\q"\n', "title: !foo x\n", "a:\n  b\n c: d\n",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_reasons_of_the_engine_are_told_in_vietnamese(text: str) -> None:
    whole = text if text.startswith(("title", "tags", "- a", "a:")) else merged(text, text.partition(":")[0].replace("detection", "base"))
    issues = [i for i in lint([Source("example_rule.yml", whole.encode())]).issues if i.severity == "error" and "reason" in i.values]
    assert issues
    assert [i.values["reason"] for i in issues if i.values["reason"] in i.reason("vi")] == []
