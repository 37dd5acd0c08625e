"""`soc rules`: list, check, test, verify, explain, convert; the groups of other modules."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from commands import common, rules_lint, rules_packs, rules_tune
from domain.errors import UsageError
from domain.i18n import t
from domain.text import one_line, paired

app = typer.Typer(no_args_is_help=True)
_RULES = Annotated[list[str] | None, typer.Option("--rules", help=t("rulehelp.opt_rules"))]
_FORMAT = Annotated[str, typer.Option("--format", help=t("rulehelp.opt_form"))]
_LIMIT = Annotated[int, typer.Option("--limit", help=t("rulehelp.opt_limit"))]


def _load(rules: list[str] | None) -> Any:
    from jobs import rulesets

    return rulesets.load(common.runtime(), rules or [])


def _headers() -> list[str]:
    return [t(f"rules.{key}") for key in _KEYS]


_KEYS: Final = ("status", "level", "title", "id", "file", "reason")
_MORE: Final = ("techniques", "next")
"""Keys of JSON rows beside those of the table."""


def _rows(states: Any, limit: int, form: str) -> list[list[str]]:
    """People read levels and titles in their language; JSON and CSV keep the rule's own."""
    own = common.OPTIONS.json or form != "table"
    picked = states[:limit] if limit else states
    return [
        [s.status, s.level if own else common.level_word(s.level), s.title if own else s.spoken, s.id, s.file, s.told()] for s in picked
    ]


@app.command("list", help=t("rulehelp.cmd_list"))
def list_(
    rules: _RULES = None,
    form: _FORMAT = "table",
    limit: _LIMIT = 50,
    off: Annotated[bool, typer.Option("--off", help=t("rulehelp.opt_off"))] = False,
) -> None:
    """The rules, and where each comes from."""
    from jobs import rules as job

    if off:
        rules_tune.off(_load(rules), form, limit)
        return
    states = job.listing(_load(rules))
    common.show(_headers(), _rows(states, limit, form), form, _KEYS)
    _count(states, "rules.count_list")


@app.command(help=t("rulehelp.cmd_check"))
def check(
    rules: _RULES = None,
    by: Annotated[str, typer.Option("--by", help=t("rulehelp.opt_by"))] = "rule",
    form: _FORMAT = "table",
    limit: _LIMIT = 50,
) -> None:
    """LIVE, PARTIAL or BLIND against what the store holds: what is missing, which ATT&CK techniques are lost, what to do."""
    from commands import rules_check
    from jobs import rule_check, rule_seen

    rules_check.known(by)
    runtime = common.runtime()
    found, seen = _load(rules), rule_seen.store(runtime.store.events)
    states = rule_check.check(found, seen, rule_seen.elsewhere(runtime))
    states.sort(key=lambda s: (s.status, s.title))
    if by != "rule":
        rules_check.show(by, states, form, limit)
    elif common.OPTIONS.json or form == "json":
        common.emit([dict(zip((*_KEYS, *_MORE), rules_check.row(s), strict=True)) for s in (states[:limit] if limit else states)])
    else:
        common.show(_headers(), _rows(states, limit, form), form, _KEYS)
    _count(states)
    rules_check.summary(states)
    rules_check.filters(rule_check.idle_filters(found, seen))


def _count(states: Any, key: str = "rules.count") -> None:
    counts = {status: sum(1 for s in states if s.status == status) for status in ("LIVE", "PARTIAL", "BLIND", "ERROR")}
    common.say(t(key, "", **counts))


@app.command(help=t("rulehelp.cmd_test"))
def test(
    paths: Annotated[list[str] | None, typer.Argument(help=t("rulehelp.arg_folders"))] = None,
    least: Annotated[int, typer.Option("--min-tests", min=1, help=t("rulehelp.opt_min_tests"))] = 1,
) -> None:
    """Run the cases beside each rule (NAME.test.yml); exit 1 when one fails."""
    from jobs import rules as job
    from jobs import rulesets

    roots = [Path(p) for p in paths] if paths else [rulesets.SHIPPED]
    for root in roots:
        if not root.exists():
            raise UsageError(f"no such rule file or folder: {root}")
    results = list(job.test_cases(roots, least))
    failed = [r for r in results if not r.ok]
    if common.OPTIONS.json:
        common.emit({"passed": len(results) - len(failed), "failed": len(failed), "failures": [vars(r) for r in failed]})
    for result in failed if not common.OPTIONS.json else ():
        common.say(f"{result.file}: {result.case}: {result.why}")
    common.say(t("rules.tested", passed=len(results) - len(failed), failed=len(failed)))
    raise typer.Exit(1 if failed else 0)


@app.command(help=t("rulehelp.cmd_verify"))
def verify(
    cases: Annotated[list[str], typer.Argument(help=t("rulehelp.arg_cases"))],
    rules: Annotated[str, typer.Option("--rules", help=t("rulehelp.opt_root"))] = "",
) -> None:
    """Rules against raw events with known answers; exit 1 when one differs."""
    from jobs.rules import verify as run

    out = run((case for path in cases for case in _cases(Path(path))), Path(rules) if rules else None)
    if common.OPTIONS.json:
        common.emit({"passed": out.passed, "failed": out.failed, "errors": out.errors, "failures": out.failures})
    else:
        for failure in out.failures[:50]:
            common.say(f"{failure['id']}: {failure['why']}")
        common.say(t("rules.verified", passed=out.passed, failed=out.failed, errors=out.errors))
    raise typer.Exit(1 if out.failed else 0)


def _cases(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _case(line, f"{path}:{number}")
    except (OSError, EOFError, zlib.error) as error:  # the last two: a compressed file that is cut off or damaged
        raise UsageError(getattr(error, "strerror", None) or str(error), where=str(path)) from None


def _case(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(paired(line.decode("utf-8-sig", "replace")))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=where) from None
    if not isinstance(found, dict):
        raise UsageError("a case is a mapping: rule or rule_path, event, expected", where=where)
    return found


@app.command(help=t("rulehelp.cmd_explain"))
def explain(
    rule: Annotated[str, typer.Argument(help=t("rulehelp.arg_rule"))],
    event: Annotated[
        str,
        typer.Argument(help=t("rulehelp.arg_event")),
    ],
    rules: _RULES = None,
    parser: Annotated[str, typer.Option(help=t("rulehelp.opt_parser_raw"))] = "auto",
    whole: Annotated[bool, typer.Option("--whole", help=t("rulehelp.opt_whole"))] = False,
) -> None:
    """Why the rule fires on the event, or why not: each term, the value seen, what came closest; exit 1 when it does not fire.

    Of a correlation: which of its rules the event feeds, its group, and what the window before it held.
    """
    from jobs import rule_explain as job

    runtime = common.runtime()
    found = job.explain(runtime, job.find_rule(runtime, rule, rules or []), job.find_event(runtime, event, parser))
    if common.OPTIONS.json:
        common.emit(job.to_json(found))
    else:
        sys.stdout.writelines(f"{one_line(line)}\n" for line in job.lines(found, whole=whole))
    raise typer.Exit(0 if found.holds else 1)


@app.command(help=t("rulehelp.cmd_convert"))
def convert(
    file: Annotated[str, typer.Argument(help=t("rulehelp.arg_file"))],
    pipeline: Annotated[str, typer.Option(help=t("rulehelp.opt_pipeline"))] = "ecs_windows",
) -> None:
    """The rule as an OpenSearch query string, by pySigma's own backend."""
    from jobs import rule_explain as job

    for query in job.converted(file, pipeline):
        if common.OPTIONS.json:
            common.emit({"query": query})
        else:
            sys.stdout.write(query + "\n")


app.add_typer(rules_lint.app)
app.add_typer(rules_packs.app)
app.add_typer(rules_tune.app)
