"""The linter: all problems of a file in one run, each with file and line and a suggestion."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from playbooks import load
from playbooks.lint import lint
from playbooks.source import Problem, parse, read

GOOD = textwrap.dedent("""\
    id: PB90
    version: 1
    title: {vi: "Thử", en: "Test"}
    summary: {vi: "Thử", en: "Test"}
    categories: [other]
    triggers: {sigma_tags: [attack.t1190]}
    inputs:
      source_ip: {entity: ip, scope: external, label: {vi: "Nguồn", en: "Source"}}
    steps:
      - id: G1
        phase: preserve
        who: duty
        title: {vi: "Giữ", en: "Keep"}
        do: {vi: "Giữ", en: "Keep"}
        queries:
          - {id: q, ask: {vi: "Gì?", en: "What?"}, query: "source.ip:{source_ip}", by: [url.path], start: t0-24h}
      - id: C1
        phase: contain
        who: admin
        title: {vi: "Chặn", en: "Block"}
        do: {vi: "Chặn", en: "Block"}
        commands:
          - {system: nginx, text: "deny {source_ip};"}
    close:
      - {id: done, text: {vi: "Xong", en: "Done"}}
    """)


def problems(*changes: tuple[str, str]) -> list[Problem]:
    """What lint says of the good file after these replacements."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return lint(parse(text, "pb90.yml"))


def test_good_file_has_no_problem_and_builds() -> None:
    assert problems() == []
    book = load.build(parse(GOOD, "pb90.yml"))
    assert [s.id for s in book.steps] == ["G1", "C1"]
    assert book.steps[0].queries[0].start == "t0-24h"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("who: duty", "hwo: duty", 10, "steps.1 lacks who"),
        ("who: duty", "hwo: duty\n    who: duty", 12, "unknown key hwo in step; did you mean who?"),
        ("phase: preserve", "phase: presrve", 11, "steps.1.phase: presrve; did you mean preserve?"),
        ("version: 1", "version: one", 2, "version must be a whole number"),
        ("version: 1", "version: true", 2, "version must be a whole number"),
        ('{vi: "Thử", en: "Test"}\nsummary', '{en: "Test"}\nsummary', 3, "title must be a mapping with the text in vi (and en)"),
        ('{vi: "Thử", en: "Test"}\nsummary', '{vi: "Thử"}\nsummary', 3, "title has no English text (en)"),
        ('vi: "Giữ", en: "Keep"}\n    do', 'vi: "Gi\u0075\u031b\u0303", en: "Keep"}\n    do', 13, "steps.1.title.vi is not NFC"),
        ("source.ip:{source_ip}", "source.ip:{sourceip}", 16, "unknown placeholder {sourceip}; there are: source_ip"),
        ("source.ip:{source_ip}", "source.ip:x{source_ip}", 16, "{source_ip} must be the whole value of a term: field:{source_ip}"),
        ("source.ip:{source_ip}", "source.ip|re:{source_ip}", 16, "{source_ip} cannot fill source.ip|re: a value from the logs must stay literal"),
        ("source.ip:{source_ip}", "source.pi:{source_ip}", 16, "query, column 1: unknown field source.pi (did you mean source.ip"),
        ("source.ip:{source_ip}", "source.ip:{source_ip} and (", 16, "query, column"),
        ("by: [url.path]", "by: [url.pth]", 16, "field url.pth is not in the dictionary (domain/fields.yml)"),
        ("start: t0-24h", "start: yesterday", 16, "not a moment: yesterday; t0-24h | now | step:C1+5m"),
        ("start: t0-24h", "start: step:Z9", 16, "no step Z9"),
        ("deny {source_ip};", "deny {attacker};", 23, "unknown placeholder {attacker}; there are: incident, now, source_ip, t0, title"),
        ('do: {vi: "Chặn", en: "Block"}', 'do: {vi: "Chặn {ai}", en: "Block"}', 21, "unknown placeholder {ai}; there are:"),
        ('text: "deny {source_ip};"', 'text: "deny all;", note: {vi: "{source_ip}", en: "x"}', 23, "a note takes no placeholders"),
        ("phase: contain", "phase: contain\n    needs: [G9]", 19, "no step G9; there are: C1, G1"),
        ("phase: contain", "phase: contain\n    duties: [notice_6d]", 19, "no duty notice_6d; there are:"),
        ("phase: contain", "phase: contain\n    letters: [isp]", 19, "no letter isp; there are: none"),
        ("id: C1", "id: G1", 17, "step id G1 stands twice"),
        ("phase: contain", "phase: identify", 18, "step C1: phase identify after preserve; order: prepare, identify"),
        ("phase: preserve", "phase: identify", 9, "steps that contain or eradicate need a required step of phase preserve before them"),
        ("categories: [other]", "categories: [deface]", 5, "categories.1: deface; did you mean defacement?"),
    ],
)  # fmt: skip
def test_problem_with_line_and_suggestion(old: str, new: str, line: int, message: str) -> None:
    found = problems((old, new))
    assert any(message in p.text for p in found), found
    assert next(p.line for p in found if message in p.text) == line
    assert all(str(p).startswith("pb90.yml:") for p in found)


def test_all_problems_in_one_run() -> None:
    found = problems(("version: 1", "version: x"), ("who: duty", "who: nobody"), ("system: nginx", "system: ngix"))
    assert [p.line for p in found] == [2, 12, 23]


def test_decisions_name_their_own_options_and_queries() -> None:
    ask = """
    decision:
      ask: {vi: "?", en: "?"}
      query: zz
      some: a
      options: [{value: b, label: {vi: "B", en: "B"}}]
    who: duty"""
    found = {p.text for p in problems(("\n    who: duty", ask))}
    assert found == {"no query zz in this step; there are: q", "a is not an option: b"}


@pytest.mark.parametrize("path", load.files(), ids=lambda p: p.name)
def test_shipped_playbooks_are_right(path: Path) -> None:
    assert lint(read(path)) == []


def test_empty_and_odd_files() -> None:
    assert [p.text for p in lint(parse("", "e.yml"))] == ["the file is empty"]
    assert "must be a mapping with id, version" in lint(parse("- a\n", "e.yml"))[0].text
