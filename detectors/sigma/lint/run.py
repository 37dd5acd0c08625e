"""Runs checks over documents, files and collections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from detectors.sigma.cells import Cell
from detectors.sigma.lint import files
from detectors.sigma.lint.base import SEVERITIES, Check, Collection, Document, Finding, Issue, Source, told
from detectors.sigma.lint.checks import CHECKS

MOST: Final = 100
"""Findings of one check in one document: who sees so many needs no more."""


@dataclass
class Result:
    """What a run found."""

    issues: list[Issue] = field(default_factory=list)
    documents: int = 0
    skipped: int = 0
    """Issues that a comment in the file asked not to be told of."""


def lint(
    sources: Iterable[Source],
    placeholders: Mapping[str, Sequence[str]] | None = None,
    elsewhere: frozenset[str] = frozenset(),
) -> Result:
    """All problems of all files. `elsewhere`: ids and names of rules that are loaded beside these."""
    out = Result()
    documents: list[Document] = []
    roots: dict[str, str] = {}
    skips: dict[str, list[tuple[int, int, list[str], str]]] = {}
    for source in sources:
        roots[source.label] = source.root
        if b"lint:" in source.content:
            skips[source.label] = list(files.skip_comments(source.content.decode("utf-8", "replace")))
        out.issues += file_issues(source)
        fresh = _documents(source, placeholders or {})
        for document in fresh:
            out.issues += _issues(document)
        documents += fresh
    out.documents = len(documents)
    collection = Collection(documents, roots, elsewhere)
    for code, check in CHECKS.items():
        for document, cell, values in islice(check.collection(collection), 10 * MOST) if check.collection else ():
            out.issues.append(_issue(code, document.file, (cell, values)))
    _skip(out, skips)
    out.issues.sort(key=lambda i: (i.file, i.line, i.column, SEVERITIES.index(i.severity), i.code))
    return out


def file_issues(source: Source) -> list[Issue]:
    """What is wrong with a file before it is a rule."""
    alone = "file-too-large" if len(source.content) > files.MAX_FILE else "not-utf8" if any(files.not_utf8(source)) else ""
    out = []
    for code, check in CHECKS.items():
        if check.file and alone in ("", code):
            out += [_issue(code, source.label, one) for one in islice(check.file(source), MOST)]
    return out


def file_faults(label: str, content: bytes) -> list[Issue]:
    """Why a file, or a document of it, is not taken at all."""
    return [issue for issue in file_issues(Source(label, content)) if issue.severity == "error"]


def faults(document: Document) -> list[Issue]:
    """What the checks know about a document that the loader does not take."""
    return found(document, _REFUSED)


def understood(document: Document, issues: Sequence[Issue]) -> Sequence[Issue]:
    """The issues of a document that is refused; never none."""
    code = "filter-fault" if document.kind == "filter" else "not-understood"
    place = document.cell.key(document.kind if document.kind == "filter" else "detection") or document.cell
    return issues or [_issue(code, document.file, (place, {"reason": document.refusal.removeprefix("filter: ")}))]


def found(document: Document, checks: Mapping[str, Check]) -> list[Issue]:
    """What some checks say about a document."""
    out = []
    for code, check in checks.items():
        if check.document:
            out += [_issue(code, document.file, one) for one in islice(check.document(document), MOST)]
    return out


def _documents(source: Source, placeholders: Mapping[str, Sequence[str]]) -> list[Document]:
    from detectors.sigma.load import examine

    usable = files.usable(source.content)
    cells = zip(usable, files.read(source.content)[0], strict=False)
    return [examine(source.label, number, cell, placeholders) for number, (data, cell) in enumerate(cells) if data is not None]


def _issues(document: Document) -> list[Issue]:
    refused = understood(document, faults(document)) if document.refusal else []
    return [*refused, *found(document, _ALWAYS)]


_ALWAYS: Final = {code: check for code, check in CHECKS.items() if not check.refused}
_REFUSED: Final = {code: check for code, check in CHECKS.items() if check.refused}


def _issue(code: str, file: str, finding: Finding) -> Issue:
    cell, values = finding
    return Issue(code, CHECKS[code].severity, file, cell.line, cell.column, told(values))


def _skip(out: Result, skips: Mapping[str, Sequence[tuple[int, int, list[str], str]]]) -> None:
    """Take away what comments in the files excuse. Errors stay: the rule does not run, whatever a comment says."""
    kept = []
    for issue in out.issues:
        codes = {code for _, _, codes, _ in skips.get(issue.file, ()) for code in codes}
        kept += [] if issue.severity != "error" and issue.code in codes else [issue]
    out.skipped = len(out.issues) - len(kept)
    out.issues = kept + list(_comments(skips, out.issues))


def _comments(skips: Mapping[str, Sequence[tuple[int, int, list[str], str]]], issues: Sequence[Issue]) -> Iterator[Issue]:
    """What is wrong with the comments themselves."""
    told_of = {(issue.file, issue.code) for issue in issues}
    for file, comments in skips.items():
        for line, column, codes, reason in comments:
            place = Cell("", line, column)
            if not reason:
                yield _issue("skip-without-reason", file, (place, {}))
            for code in codes:
                if code not in CHECKS:
                    yield _issue("unknown-skip", file, (place, {"code": code}))
                elif (file, code) not in told_of:
                    yield _issue("idle-skip", file, (place, {"code": code}))
