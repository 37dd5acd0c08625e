"""What only people know: questions, the answers file, and the blanks that stay.

The file is YAML with the questions as comments. It is written once; afterwards it belongs to its author and is only read.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from domain.document import DOTS
from domain.errors import ContentError
from domain.text import nfc, one_line
from reports.text import vi


@dataclass(frozen=True)
class Question:
    """One thing to be answered."""

    key: str
    """Key in the file; the question is `report.ask_<key>`."""
    required: bool = True
    default: str = ""
    """Used when the answer is left empty."""


@dataclass
class Draft:
    """Answers while a document is built; collects what is missing."""

    questions: Sequence[Question]
    answers: Mapping[str, str]
    missing: dict[str, None] = field(default_factory=dict)
    """Keys of the catalogue, in the order of the document."""

    def ask(self, key: str) -> str:
        """The answer, its default, or dots (which are then listed as missing when the answer is required)."""
        question = next(q for q in self.questions if q.key == key)
        value = self.answers.get(key, "").strip() or question.default
        return value if value or not question.required else self.need("", f"ask_{key}")

    def need(self, value: str, key: str) -> str:
        """A mandatory value from elsewhere: itself, or dots; `report.<key>` says what is missing."""
        if value.strip():
            return value
        self.missing[key] = None
        return DOTS

    def lines(self, key: str) -> list[str]:
        """The answer as paragraphs."""
        return [line.strip() for line in self.ask(key).splitlines() if line.strip()]


def sheet(questions: Sequence[Question], title: str) -> str:
    """The file as it is first written."""
    parts = [f"# {one_line(title)}", f"# {vi('answers_how')}", ""]
    for question in questions:
        parts.append(f"# {vi('ask_' + question.key)}" + (f" ({vi('answers_required')})" if question.required else ""))
        if question.default:
            parts.append(f"# {vi('answers_default')}: {one_line(question.default, 200)}")
        parts.append(f'{question.key}: ""\n')
    return "\n".join(parts)


def read(path: Path, questions: Sequence[Question]) -> dict[str, str]:
    """The answers. ContentError (exit 4) when the file is no mapping of texts or has a key that nobody asked."""
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContentError(f"not a YAML file of answers: {one_line(str(error), 200)}", where=str(path)) from None
    if not isinstance(data, dict):
        raise ContentError("not a mapping of questions to answers", where=str(path), hint='key: "answer"')
    allowed = [q.key for q in questions]
    for key, value in data.items():
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, 1)
            hint = f"did you mean {close[0]}?" if close else ", ".join(allowed)
            raise ContentError(f"nobody asks {one_line(str(key), 60)}", where=str(path), hint=hint)
        if isinstance(value, (dict, list)):
            raise ContentError(f"{key}: the answer must be text", where=str(path), hint=f'{key}: "..."')
    return {str(k): nfc(str(v)) for k, v in data.items() if v is not None}
