"""`soc store`: info, verify, compact, retain, hold, copy, backup, restore, publish, dashboards."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from commands.common import OPTIONS, clock, emit, runtime, say, show
from domain.clock import iso_local, show_local
from domain.errors import UsageError
from domain.i18n import t
from jobs import store as jobs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Form = Annotated[str, typer.Option("--format", help="table | json | csv")]


@app.command(help=t("store.info_help"))
def info(form: Form = "table") -> None:
    """Figures."""
    found = jobs.info(runtime())
    if OPTIONS.json or form == "json":
        emit({
            "url": found.url, "engine": found.engine, "events": found.events, "head": found.head, "bytes": found.bytes,
            "bytes_per_event": round(found.bytes / found.events, 1) if found.events else None,
            "first": iso_local(found.first) if found.first else None, "last": iso_local(found.last) if found.last else None,
            "datasets": dict(found.datasets), "holds": [h.name for h in found.holds],
        })  # fmt: skip
        return
    rows: list[tuple[str, object]] = [
        (t("store.url"), found.url),
        (t("store.engine"), found.engine),
        (t("store.events"), found.events),
        (t("store.size"), _size(found.bytes)),
    ]
    if found.events:
        rows.append((t("store.per_event"), f"{found.bytes / found.events:.0f} B"))
    if found.first and found.last:
        rows.append((t("store.span"), f"{show_local(found.first)} – {show_local(found.last)}"))
    rows += [(name or "–", n) for name, n in found.datasets.items()]
    rows += [(t("store.held"), hold.name) for hold in found.holds]
    show([t("store.what"), t("store.value")], rows, form)


@app.command(help=t("store.verify_help"))
def verify() -> None:
    """Recount and check; exit 1 when something is wrong."""
    problems = runtime().store.events.verify()
    if OPTIONS.json:
        emit({"problems": list(problems)})
    else:
        for problem in problems:
            show([t("store.problem")], [(problem,)])
        say(t("store.damaged", n=len(problems)) if problems else t("store.sound"))
    raise typer.Exit(1 if problems else 0)


@app.command(help=t("store.compact_help"))
def compact() -> None:
    """Merge small segments."""
    away = jobs.compact(runtime())
    if OPTIONS.json:
        emit({"merged_away": away})
    say(t("store.compacted", n=away))


@app.command(help=t("store.retain_help"))
def retain(before: Annotated[str, typer.Option(help=t("store.before"))]) -> None:
    """Remove old days."""
    day = jobs.cut(before, clock().now())
    done = jobs.retain(runtime(), day)
    if OPTIONS.json:
        emit({"before": day.isoformat(), "events": done.rows, "bytes": done.bytes, "kept": dict(done.kept)})
    say(t("store.retained", n=done.rows, day=day.isoformat(), size=_size(done.bytes)))
    for name, n in done.kept.items():
        say(t("store.kept", n=n, name=name))


@app.command(help=t("store.hold_help"))
def hold(
    name: Annotated[str, typer.Argument(help=t("store.hold_name"))] = "",
    since: Annotated[str, typer.Option(help=t("store.hold_since"))] = "",
    until: Annotated[str, typer.Option(help=t("store.hold_until"))] = "",
    parser: Annotated[list[str] | None, typer.Option(help=t("store.hold_parser"))] = None,
    release: Annotated[bool, typer.Option("--release", help=t("store.hold_release"))] = False,
    form: Form = "table",
) -> None:
    """Put events under legal hold, end one, or list them."""
    run = runtime()
    if release:
        jobs.release(run, name)
        say(t("store.released", name=name))
    elif name:
        jobs.hold(run, name, since, until, parser or [])
        say(t("store.holding", name=name))
    else:
        holds = run.store.events.holds()
        rows = [
            (h.name, iso_local(h.window.start) if h.window else "", iso_local(h.window.end) if h.window else "", ", ".join(h.partitions))
            for h in holds
        ]
        names = ("name", "since", "until", "parsers")
        show([t(f"store.col_{c}") for c in names], rows, form, names)


@app.command(help=t("store.copy_help"))
def copy(
    source: Annotated[str, typer.Option("--from", metavar="URL", help=t("store.copy_from"))] = "",
    target: Annotated[str, typer.Option("--to", metavar="URL", help=t("store.copy_to"))] = "",
    source_config: Annotated[str, typer.Option("--from-config", metavar="FILE", help=t("store.copy_from_config"))] = "",
    target_config: Annotated[str, typer.Option("--to-config", metavar="FILE", help=t("store.copy_to_config"))] = "",
    verify: Annotated[bool, typer.Option("--verify", help=t("store.copy_verify"))] = False,
    quick: Annotated[bool, typer.Option("--quick", help=t("store.copy_quick"))] = False,
) -> None:
    """Everything of one store into another."""
    from commands.copy_view import run
    from jobs.store_copy import Ends, Order
    from jobs.store_copy import copy as job

    ends, order = Ends(source, target, source_config, target_config), Order(only_compare=verify, quick=quick)
    run(lambda tick: job(runtime(), ends, order, tick), only_compare=verify)


@app.command(help=t("store.backup_help"))
def backup(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help=t("store.backup_dir"))] = "",
    verify: Annotated[bool, typer.Option("--verify", help=t("store.copy_verify"))] = False,
    quick: Annotated[bool, typer.Option("--quick", help=t("store.copy_quick"))] = False,
    before: Annotated[str, typer.Option(help=t("store.backup_before"))] = "",
    snapshot: Annotated[str, typer.Option(metavar="REPOSITORY[/NAME]", help=t("store.backup_snapshot"))] = "",
) -> None:
    """The store into an embedded store in a folder, or as a native snapshot of its cluster."""
    from commands.copy_view import run
    from jobs.store_copy import Order
    from jobs.store_copy import backup as job

    if bool(folder) == bool(snapshot):
        raise UsageError("a backup needs either DIR or --snapshot REPOSITORY", hint="soc store backup DIR")
    if snapshot:
        taken = jobs.snapshot(runtime(), snapshot)
        if OPTIONS.json:
            emit({"snapshot": taken})
        say(t("store.snapshot_taken", name=taken))
        return
    order = Order(only_compare=verify, quick=quick, before=jobs.cut(before, clock().now()) if before else None)
    run(lambda tick: job(runtime(), folder, order, tick), only_compare=verify)


@app.command(help=t("store.restore_help"))
def restore(
    folder: Annotated[str, typer.Argument(metavar="DIR", help=t("store.restore_dir"))],
    verify: Annotated[bool, typer.Option("--verify", help=t("store.copy_verify"))] = False,
    quick: Annotated[bool, typer.Option("--quick", help=t("store.copy_quick"))] = False,
) -> None:
    """A backup into the configured store, which must be empty."""
    from commands.copy_view import run
    from jobs.store_copy import Order
    from jobs.store_copy import restore as job

    run(lambda tick: job(runtime(), folder, Order(only_compare=verify, quick=quick), tick), only_compare=verify)


@app.command(help=t("dashboards.publish_help"))
def publish(everything: Annotated[bool, typer.Option("--all", help=t("dashboards.opt_all"))] = False) -> None:
    """Lay out alerts and ledger for the dashboards."""
    from jobs.publish import publish as job

    done = job(runtime(), everything=everything)
    if OPTIONS.json:
        emit(vars(done))
    say(t("dashboards.published", alerts=done.alerts, sources=done.sources))


@app.command(help=t("dashboards.help"))
def dashboards(out: Annotated[str, typer.Option("--out", help=t("dashboards.opt_out"))] = "") -> None:
    """Write the saved objects."""
    from jobs.publish import dashboards as job

    written = job(runtime(), out)
    if not out:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
    else:
        say(t("dashboards.written", n=written.count(b"\n"), path=out))


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
