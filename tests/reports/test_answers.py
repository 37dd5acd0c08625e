"""The answers file: written once, read with care; what is missing is collected."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from domain.errors import ContentError
from reports.answers import Draft, Question, read, sheet

QUESTIONS = (Question("recommendations"), Question("changes_note", required=False), Question("proposals", default="Không có."))


def _file(folder: Path, text: str) -> Path:
    path = folder / "a.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_sheet_asks_every_question_and_is_valid_yaml(tmp_path: Path) -> None:
    text = sheet(QUESTIONS, "weekly:2026-W47")
    assert yaml.safe_load(text) == {"recommendations": "", "changes_note": "", "proposals": ""}
    assert "# Kiến nghị, đề xuất của đơn vị (bắt buộc)" in text
    assert "Không có." in text
    assert read(_file(tmp_path, text), QUESTIONS) == {"recommendations": "", "changes_note": "", "proposals": ""}


def test_missing_answers_are_dots_when_required_and_listed() -> None:
    draft = Draft(QUESTIONS, {"recommendations": "  "})
    assert draft.ask("recommendations") == "……………"
    assert draft.ask("changes_note") == ""
    assert draft.ask("proposals") == "Không có."
    assert draft.need("", "need_place") == "……………"
    assert list(draft.missing) == ["ask_recommendations", "need_place"]


def test_lines_of_an_answer_are_paragraphs() -> None:
    assert Draft(QUESTIONS, {"recommendations": "Một\n\n Hai "}).lines("recommendations") == ["Một", "Hai"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recomendations: x", "a.yml: nobody asks recomendations (did you mean recommendations?)"),
        ("- x", "a.yml: not a mapping of questions to answers"),
        ("recommendations: [x]", "a.yml: recommendations: the answer must be text"),
        ("a: b: c", "a.yml: not a YAML file of answers"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ContentError) as error:
        read(_file(tmp_path, text), QUESTIONS)
    assert message in str(error.value)
