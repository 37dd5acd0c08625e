"""`soc rules import|diff|activate|rollback|packs|remove|sign|keygen`: rule packs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands import common, rules_packs_view
from domain.errors import UsageError
from domain.i18n import t

if TYPE_CHECKING:
    from jobs.rule_packs_dry import DryRun
    from jobs.runtime import Runtime

app = typer.Typer()
_PACK = Annotated[str, typer.Argument(help="zip, tar (gz, xz, bz2), folder or file of Sigma rules; an unmodified public release too")]
_SPEC = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="NAME of a pack, and its version by id (or the beginning) or label")]
_NAME = Annotated[str, typer.Option(help="name of the pack (default: from the manifest or the file name, without the release)")]
_KEY = Annotated[str, typer.Option(help="PEM file of the public key that must have signed it (default: content/keys/*.pem)")]
_DRY = Annotated[
    str, typer.Option("--dry-run", metavar="SPAN", help="first run old and new rules over the stored events since: 7d; 0 = not")
]
_MOST = Annotated[int, typer.Option("--max-alerts", help="alerts that one rule may open in the dry run; more is a flood", min=0)]
_YES = Annotated[bool, typer.Option("--yes", help="activate although the dry run shows a flood")]
_LIMIT = Annotated[int, typer.Option("--limit", help="rows; 0 = all")]
_OFF = ("", "0")


@app.command("import")
def import_(
    pack: _PACK, name: _NAME = "", key: _KEY = "",
    stage: Annotated[bool, typer.Option("--stage", help="only lay it ready: soc rules diff, then soc rules activate")] = False,
    dry: _DRY = "0", most: _MOST = 100, yes: _YES = False, limit: _LIMIT = 20,
) -> None:  # fmt: skip
    """Take over a rule pack: verify it, show the difference, make it run from the next scan on (not with --stage).

    Every version is kept: soc rules rollback goes back. Exit 1 when the dry run shows a flood: the pack is ready then, but does not run.
    """
    from jobs import rule_packs as job
    from jobs import rule_packs_diff as difference

    runtime = common.runtime()
    staged = job.stage(runtime, Path(pack), name, key)
    change = difference.whole(runtime, staged.name, staged.version.id, staged.before)
    rules_packs_view.difference(staged, change, limit)
    trial = _dry_run(runtime, (staged.name, staged.version.id), dry, most, limit) if not stage else None
    held = bool(trial and trial.floods(most)) and not yes
    switched = None if stage or held else job.activate(runtime, staged.name, staged.version.id, _noted(trial))
    rules_packs_view.imported(staged, change, trial, switched, most)
    raise typer.Exit(1 if held else 0)


@app.command()
def diff(
    pack: Annotated[
        str, typer.Argument(metavar="PACK", help="NAME (its staged version), NAME@VERSION, a file or folder (default: what is staged)")
    ] = "",
    dry: _DRY = "0", since: Annotated[str, typer.Option(help="the same as --dry-run: 7d, or an instant")] = "",
    most: _MOST = 100, limit: _LIMIT = 20,
) -> None:  # fmt: skip
    """What this version would change; --dry-run 7d: alerts opened and gone, by rule and host. Nothing is changed by looking."""
    from jobs import rule_packs as job
    from jobs import rule_packs_diff as difference

    runtime = common.runtime()
    with job.beside(runtime, pack) as staged:
        change = difference.whole(runtime, staged.name, staged.version.id, staged.before)
        rules_packs_view.difference(staged, change, limit)
        trial = _dry_run(runtime, (staged.name, staged.version.id), since or dry, most, limit)
        rules_packs_view.compared(staged, change, trial, most)


@app.command()
def activate(pack: _SPEC, dry: _DRY = "7d", most: _MOST = 100, yes: _YES = False, limit: _LIMIT = 20) -> None:
    """Make a version (default: the staged one) run, after a dry run over 7 days; exit 1, and no change, when a rule would flood."""
    from jobs import rule_packs as job
    from jobs.rule_packs_find import find

    runtime = common.runtime()
    found, version = find(runtime, pack, staged=True)
    if not version:
        raise UsageError(f"{found.name} has no staged version", hint=f"soc rules activate {found.name}@VERSION; soc rules packs lists them")
    trial = _dry_run(runtime, (found.name, version), dry, most, limit) if version != found.active else None
    held = bool(trial and trial.floods(most)) and not yes
    switched = None if held else job.activate(runtime, found.name, version, _noted(trial))
    rules_packs_view.activated(found.name, version, trial, switched, most)
    raise typer.Exit(1 if held else 0)


@app.command()
def rollback(
    pack: Annotated[str, typer.Argument(metavar="NAME", help="the pack")],
    to: Annotated[str, typer.Option(metavar="VERSION", help="not the version before, but this one")] = "",
) -> None:
    """Back to the version that ran before. At once, without a dry run: it has run already."""
    from jobs import rule_packs as job

    rules_packs_view.switched(job.rollback(common.runtime(), pack, to), "rolled_back")


@app.command()
def packs(form: Annotated[str, typer.Option("--format", help="table, json or csv")] = "table") -> None:
    """The packs, their versions, which one runs, who signed it; exit 1 when one is not as the records say, or its files were changed."""
    from jobs import rule_packs_state as job

    runtime = common.runtime()
    troubles = job.troubles(runtime, deep=True)
    rules_packs_view.packs(job.listing(runtime), troubles, form)
    raise typer.Exit(1 if troubles else 0)


@app.command()
def remove(pack: _SPEC) -> None:
    """NAME: the pack does not run any more (rollback brings it back). NAME@VERSION: files of a version that does not run are deleted."""
    from jobs import rule_packs as job
    from jobs.rule_packs_find import find

    runtime = common.runtime()
    if "@" not in pack:
        rules_packs_view.switched(job.remove(runtime, pack), "removed")
        return
    found, version = find(runtime, pack)
    job.purge(runtime, found.name, version)
    rules_packs_view.purged(found.name, version)


@app.command()
def sign(
    pack: _PACK,
    key: Annotated[str, typer.Option(help="PEM file of the private ed25519 key")],
    out: Annotated[str, typer.Option(help="zip to write")],
    name: _NAME = "",
    version: Annotated[str, typer.Option(help="what you call this version: r2026-11-24")] = "",
) -> None:
    """A signed pack (zip) from a folder or another pack: MANIFEST.json lists the files, MANIFEST.sig signs it."""
    from jobs.rule_packs import opened
    from jobs.rule_packs_find import pack_name
    from jobs.rule_packs_sign import Signed
    from jobs.rule_packs_sign import sign as write

    at = common.clock().now()
    said = Signed(pack_name(name, "", Path(pack)), version, at.isoformat(timespec="seconds"))
    rules_packs_view.signed(write(opened(Path(pack)), said, Path(key), Path(out), at), said, out)


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="who signs: NAME.key.pem (secret) and NAME.pem (for content/keys) are made")],
    folder: Annotated[str, typer.Option("--out", help="folder")] = ".",
) -> None:
    """A pair of ed25519 keys for signing packs. Without network; the secret key is readable by its owner only."""
    from jobs.rule_packs_sign import generate

    rules_packs_view.keys(*generate(Path(folder), name))


def _dry_run(runtime: Runtime, pack: tuple[str, str], span: str, most: int, limit: int) -> DryRun | None:
    if span in _OFF:
        return None
    from jobs import rule_packs_dry as job

    with common.bar(t("packs.trying"), 1.0) as tick:
        found = job.dry_run(runtime, *pack, span, tick)
    rules_packs_view.trial(found, most, limit)
    return found


def _noted(trial: DryRun | None) -> dict[str, object]:
    if trial is None:
        return {}
    return {"dry_run": {"since": trial.since.isoformat(), "events": trial.events, "opened": trial.opened, "vanished": trial.vanished}}
