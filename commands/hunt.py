"""`soc hunt`: Sigma over files, or over the store's past."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from commands import common
from domain import severity
from domain.errors import UsageError
from domain.i18n import t

app = typer.Typer()


@app.command()
def hunt(
    paths: Annotated[list[str] | None, typer.Argument(help="files, folders, archives")] = None,
    rules: Annotated[list[str] | None, typer.Option(help="rule file or folder (default: shipped, imported and content rules)")] = None,
    out: Annotated[str, typer.Option(help="hits as JSON lines (.jsonl) or timeline (.csv)")] = "",
    stats: Annotated[str, typer.Option(help="figures of the run as JSON")] = "",
    parser: Annotated[str, typer.Option(help="parser name, or auto")] = "auto",
    workers: Annotated[int, typer.Option(help="processes; 0 = one per core")] = 0,
    store: Annotated[bool, typer.Option("--store", help="hunt in the store instead of files")] = False,
    since: Annotated[str, typer.Option(help="with --store: from this time on")] = "",
    until: Annotated[str, typer.Option(help="with --store: up to this time")] = "",
    limit: Annotated[int, typer.Option(help="rows of the table")] = 40,
) -> None:
    """Hunt with Sigma; the table counts hits by rule and host."""
    if store:
        _store(rules or [], since, until, limit)
        return
    if not paths:
        raise UsageError("nothing to hunt in", hint="soc hunt PATH… or soc hunt --store --since 7d")
    _files(paths, rules or [], out, stats, parser, workers, limit)


def _store(rules: list[str], since: str, until: str, limit: int) -> None:
    from jobs import retro
    from jobs.scan_out import finding_json

    found = retro.hunt(common.runtime(), rules, since, until)
    if common.OPTIONS.json:
        for finding in found:
            common.emit(finding_json(finding))
        return
    headers = [t("hunt.level"), t("hunt.rule"), t("hunt.host"), t("hunt.hits")]
    rows = [(f.rule.level, f.rule.title, ", ".join(e.value for e in f.entities), f.count) for f in found]
    rows.sort(key=lambda r: (-severity.rank(r[0]), -r[3], r[1], r[2]))
    common.show(headers, rows[:limit])
    common.say(t("hunt.store_summary", findings=len(found), events=sum(f.count for f in found)))


def _files(paths: list[str], rules: list[str], out: str, stats: str, parser: str, workers: int, limit: int) -> None:
    import orjson

    from jobs import hunt as job
    from jobs import hunt_out, rulesets

    start = time.perf_counter()
    found = rulesets.load(common.runtime(), rules)
    load = time.perf_counter() - start
    result = job.Hunt()
    sink = hunt_out.sink(out, found)
    table = hunt_out.Table(found)
    with sink, common.bar(t("hunt.working"), job.size_of(paths)) as tick:
        for hit in job.hunt(paths, found, result, parser, workers, tick):
            sink.hit(hit)
            table.hit(hit)
            if common.OPTIONS.json and not out:
                common.emit(job.hit_line(found, hit))
        for correlation, episode in job.episodes(found, result):
            sink.episode(correlation, episode)
            table.episode(correlation, episode)
            if common.OPTIONS.json and not out:
                common.emit(job.episode_line(correlation, episode))
    figures = job.stats(found, result, time.perf_counter() - start, load)
    if stats:
        Path(stats).write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
    _tell(figures, table, limit, result, own=not rules)


def _tell(figures: dict[str, Any], table: Any, limit: int, result: Any, *, own: bool) -> None:
    if not common.OPTIONS.json and not common.OPTIONS.quiet:
        headers = [t("hunt.level"), t("hunt.rule"), t("hunt.host"), t("hunt.hits")]
        common.show(headers, table.rows()[:limit])
    for problem in result.problems[:20]:
        common.say(f"{problem.source}: {problem.reason}")
    if len(result.problems) > 20:
        common.say(t("hunt.more_problems", n=len(result.problems) - 20))
    rules = figures["rules"]
    common.say(
        t("hunt.summary", events=figures["events"], files=figures["files"], hits=table.total, loaded=rules["loaded"],
          blind=len(rules["blind"]), errors=len(rules["error"]), rate=round(figures["events_per_second"]), unparsed=figures["unparsed"])
    )  # fmt: skip
    for broken in rules["error"][:10]:
        common.say(f"{broken['file']}:{broken['line']}: {broken['reason']}")
    if own:
        common.say(t("hunt.own_rules", n=rules["loaded"]))
