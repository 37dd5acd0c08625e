"""What `soc rules lint` does: all problems of rule files in one run, and how they are told."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain.errors import UsageError
from domain.i18n import t
from jobs import rulesets

if TYPE_CHECKING:
    from detectors.sigma.lint import Issue, Source
    from jobs.runtime import Runtime

_NAMED: Final = re.compile(rb"^(?:id|name):[ \t]*['\"]?([^\s'\"#]+)", re.MULTILINE)
_PARTS: Final = frozenset(("logsource", "detection", "correlation", "filter"))
_SAYS: Final = re.compile(rb"^(?:logsource|detection|correlation|filter)[ \t]*:", re.MULTILINE)
_SARIF: Final = {"error": "error", "warning": "warning", "note": "note"}


@dataclass
class Report:
    """What a run found, and what of it is told."""

    issues: list[Issue] = field(default_factory=list)
    """Those that are told: of the codes and severities that were asked for."""
    counts: Counter[str] = field(default_factory=Counter)
    """By severity, of the codes that were asked for."""
    documents: int = 0
    files: int = 0
    skipped: int = 0
    """Excused by a comment in their file."""
    left: Sequence[str] = ()
    """Files of the named folders that are no rules, filters or correlations at all; not looked at."""

    def by_code(self) -> list[tuple[str, str, int]]:
        """(severity, code, number) of those that are told, the most frequent of each severity first."""
        found = Counter((issue.severity, issue.code) for issue in self.issues)
        order = list(_SARIF)
        return [(s, c, n) for (s, c), n in sorted(found.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1]))]


def lint(runtime: Runtime, names: Sequence[str], codes: tuple[Sequence[str], Sequence[str]], level: str) -> Report:
    """Problems of the named files and folders, else of all rules at hand. `codes`: only these; not these."""
    from detectors.sigma.lint import SEVERITIES
    from detectors.sigma.lint import lint as run

    only, skip = codes
    for code in (*only, *skip):
        _known(code)
    if level not in SEVERITIES:
        raise UsageError(f"--level {level}: {' | '.join(SEVERITIES)}")
    roots = rulesets.roots(runtime, names)
    found = [source for root in roots for source in _read(root)]
    left = {source.label: None for source in found if names and not _is_rule(source)}
    sources = [source for source in found if source.label not in left]
    result = run(sources, rulesets.placeholders(runtime), _elsewhere(runtime, roots) if names else frozenset())
    wanted = [i for i in result.issues if (not only or i.code in only) and i.code not in skip]
    shown = SEVERITIES[: SEVERITIES.index(level) + 1]
    told = [i for i in wanted if i.severity in shown]
    return Report(told, Counter(i.severity for i in wanted), result.documents, len(sources), result.skipped, tuple(left))


def _known(code: str) -> None:
    from detectors.sigma.lint import CHECKS

    if code not in CHECKS:
        close = difflib.get_close_matches(code, CHECKS, 1)
        raise UsageError(f"no check {code}", hint=f"{close[0]}?" if close else "soc rules lint --list")


def _read(root: Path) -> Iterator[Source]:
    from detectors.sigma.lint import Source
    from detectors.sigma.model import rule_files

    for path in rule_files([root]):
        try:
            yield Source(str(path), path.read_bytes(), str(root))
        except OSError as error:
            yield Source(str(path), b"", str(root), error.strerror or str(error))


def _is_rule(source: Source) -> bool:
    """Whether a file is or was meant to be a rule: a named file is; of a folder, all but mappings that say nothing a rule says."""
    from detectors.sigma.lint.files import read

    if source.root == source.label or source.unread or _SAYS.search(source.content):
        return True
    documents = [cell.value for cell in read(source.content)[0]]
    return not documents or any(not isinstance(one, dict) or isinstance(one.get("title"), str) or _PARTS & one.keys() for one in documents)


def _elsewhere(runtime: Runtime, roots: Sequence[Path]) -> frozenset[str]:
    """Ids and names of the rules at hand that are not looked at: correlations and filters may name them."""
    found: set[str] = set()
    for root in rulesets.roots(runtime):
        if root.resolve() not in roots:
            for source in _read(root):
                found.update(name.decode("utf-8", "replace") for name in _NAMED.findall(source.content))
    return frozenset(found)


def listing() -> list[tuple[str, str, str]]:
    """(severity, code, what it looks for) of every check."""
    from detectors.sigma.lint import CHECKS

    return [(check.severity, code, t(f"lint.about-{code}")) for code, check in CHECKS.items()]


def to_json(issues: Sequence[Issue]) -> list[dict[str, Any]]:
    """Plain values; reasons in English."""
    return [
        {"severity": i.severity, "code": i.code, "file": i.file, "line": i.line, "column": i.column, "reason": i.reason("en")}
        for i in issues
    ]


def sarif(issues: Sequence[Issue]) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS), as code-review tools read it."""
    return {
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{"tool": {"driver": {"name": "soc rules lint", "rules": _sarif_rules(issues)}}, "results": [_sarif(i) for i in issues]}],
    }


def _sarif_rules(issues: Sequence[Issue]) -> list[dict[str, Any]]:
    codes = sorted({issue.code for issue in issues})
    return [{"id": code, "shortDescription": {"text": t(f"lint.about-{code}", "en")}} for code in codes]


def _sarif(issue: Issue) -> dict[str, Any]:
    region = {"startLine": issue.line, "startColumn": issue.column}
    where = {"physicalLocation": {"artifactLocation": {"uri": Path(issue.file).as_posix()}, "region": region}}
    return {"ruleId": issue.code, "level": _SARIF[issue.severity], "message": {"text": issue.reason("en")}, "locations": [where]}
