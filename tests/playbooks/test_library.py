"""The shipped playbooks: whole procedures, in both languages, that run on empty and on full stores; paper and CACAO forms."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain import i18n
from domain.playbook import PHASES, Playbook, matches
from playbooks import cacao, load, paper, runner
from reports.render import render
from store.base import Store
from tests.playbooks.scene import CASE, begin, desk, open_case

BOOKS, PROBLEMS = load.load_all()
AT = datetime(2026, 11, 17, 3, 0, 1, 999, tzinfo=UTC)


@pytest.fixture(params=sorted(BOOKS))
def book(request: pytest.FixtureRequest) -> Playbook:
    """Each shipped playbook."""
    return BOOKS[request.param]


def test_the_library_loads() -> None:
    assert PROBLEMS == []
    assert {"PB04", "PB06", "PB11"} <= set(BOOKS)


def test_a_whole_procedure(book: Playbook) -> None:
    assert len(book.steps) >= 20
    assert {s.phase for s in book.steps} == set(PHASES)
    assert any(q.expect for s in book.steps if s.phase == "contain" for q in s.queries), "the effect of containment is verified"
    assert all(s.approval for s in book.steps if any("config firewall addr" in c.text for c in s.commands)), "blocking needs approval"
    assert any(s.status == "recovered" for s in book.steps), "something starts the clock of the closing report"
    owed = {d for s in book.steps for d in s.duties}
    assert {"classify", "notice_5d", "report_72h", "notice_24h", "at_once"} <= owed
    assert book.close


def test_commands_can_be_taken_back_for_both_families(book: Playbook) -> None:
    families = {c.family for s in book.steps for c in s.commands if c.system == "fortigate" and "address" in c.text}
    assert families == {4, 6}
    for step in (s for s in book.steps if s.phase == "contain"):
        assert all(c.undo or not c.text.startswith("config firewall") for c in step.commands), step.id


def test_every_question_runs_on_an_empty_store(book: Playbook, tmp_store: Store, tmp_path: Path) -> None:
    open_case(tmp_store)
    work = desk(tmp_store, tmp_path)
    run_id = begin(work, book.id)
    view = runner.open_run(work, run_id)
    for step in view.book.steps:
        deed = runner.look(work, run_id, step.id)
        assert deed is not None
        assert all(a.missing or a.count == 0 for a in deed.answers)
    assert runner.open_run(work, run_id).incident.id == CASE


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_paper_in_every_format(book: Playbook, lang: str) -> None:
    before = i18n.lang()
    i18n.use(lang)
    try:
        document = paper.checklist(book, lang, AT)
        for form, start in (("md", b"# "), ("html", b"<!"), ("docx", b"PK"), ("pdf", b"%PDF")):
            assert render(document, form).lstrip().lower().startswith(start.lower()), form
        text = render(document, "md").decode()
        assert all(step.id in text for step in book.steps)
    finally:
        i18n.use(before)


def test_cacao_is_a_connected_workflow_of_manual_steps(book: Playbook) -> None:
    made = cacao.export(book, "en", AT)
    assert (made["type"], made["spec_version"]) == ("playbook", "cacao-2.0")
    flow = made["workflow"]
    reached, todo = set(), [made["workflow_start"]]
    while todo:
        key = todo.pop()
        if key not in reached:
            reached.add(key)
            step = flow[key]
            todo += [step["on_completion"]] if "on_completion" in step else []
            todo += list(step.get("cases", {}).values())
    assert reached == set(flow), "no step hangs loose"
    assert sum(s["type"] == "end" for s in flow.values()) == 1
    actions = [s for s in flow.values() if s["type"] == "action"]
    assert len(actions) == len(book.steps)
    assert {c["type"] for a in actions for c in a["commands"]} == {"manual"}
    assert {a["agent"] for a in actions} <= set(made["agent_definitions"])
    assert cacao.export(book, "en", AT) == made


@pytest.mark.parametrize(
    ("tags", "rule", "category", "expected"),
    [
        (["attack.t1505.003"], "", "", {"PB04"}),
        (["attack.t1110.003"], "", "", {"PB06"}),
        (["attack.t1070.001"], "", "", {"PB11"}),
        ([], "anomaly.login_burst.spray", "", {"PB06"}),
        ([], "anomaly.silence", "", {"PB11"}),
        ([], "", "defacement", {"PB04"}),
        (["attack.t15050"], "anomaly.login_bursts", "other", set()),
    ],
)
def test_triggers(tags: list[str], rule: str, category: str, expected: set[str]) -> None:
    found = {b.id for b in BOOKS.values() if matches(b.triggers, tags=frozenset(tags), rule_id=rule, category=category)}
    assert found & {"PB04", "PB06", "PB11"} == expected


def test_content_overlays_by_id_and_a_broken_overlay_leaves_the_shipped_one(tmp_path: Path) -> None:
    text = Path(BOOKS["PB11"].origin).read_text(encoding="utf-8")
    own, broken = tmp_path / "own.yml", tmp_path / "broken.yml"
    own.write_text(text.replace("version: 1", "version: 9"), encoding="utf-8")
    books, problems = load.load_all([tmp_path])
    assert (books["PB11"].version, books["PB11"].origin, problems) == (9, str(own), [])
    own.unlink()
    broken.write_text(text.replace("phase: prepare", "phase: prepair"), encoding="utf-8")
    books, problems = load.load_all([tmp_path])
    assert books["PB11"].version == 1
    assert [p.file for p in problems] == [str(broken)]
