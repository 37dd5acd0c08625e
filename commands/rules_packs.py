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
_PACK = Annotated[str, typer.Argument(help=t("rulehelp.arg_pack"))]
_SPEC = Annotated[str, typer.Argument(metavar="NAME@VERSION", help=t("rulehelp.arg_spec"))]
_NAME = Annotated[str, typer.Option(help=t("rulehelp.opt_name"))]
_KEY = Annotated[str, typer.Option(help=t("rulehelp.opt_key"))]
_DRY = Annotated[str, typer.Option("--dry-run", metavar="SPAN", help=t("rulehelp.opt_dry"))]
_MOST = Annotated[int, typer.Option("--max-alerts", help=t("rulehelp.opt_most"), min=0)]
_YES = Annotated[bool, typer.Option("--yes", help=t("rulehelp.opt_yes"))]
_LIMIT = Annotated[int, typer.Option("--limit", help=t("rulehelp.opt_limit"))]
_OFF = ("", "0")


@app.command("import", help=t("rulehelp.cmd_import"))
def import_(
    pack: _PACK, name: _NAME = "", key: _KEY = "",
    stage: Annotated[bool, typer.Option("--stage", help=t("rulehelp.opt_stage"))] = False,
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


@app.command(help=t("rulehelp.cmd_diff"))
def diff(
    pack: Annotated[
        str, typer.Argument(metavar="PACK", help=t("rulehelp.arg_diff"))
    ] = "",
    dry: _DRY = "0", since: Annotated[str, typer.Option(help=t("rulehelp.opt_dry_since"))] = "",
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


@app.command(help=t("rulehelp.cmd_activate"))
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


@app.command(help=t("rulehelp.cmd_rollback"))
def rollback(
    pack: Annotated[str, typer.Argument(metavar="NAME", help=t("rulehelp.arg_name"))],
    to: Annotated[str, typer.Option(metavar="VERSION", help=t("rulehelp.opt_to"))] = "",
) -> None:
    """Back to the version that ran before. At once, without a dry run: it has run already."""
    from jobs import rule_packs as job

    rules_packs_view.switched(job.rollback(common.runtime(), pack, to), "rolled_back")


@app.command(help=t("rulehelp.cmd_packs"))
def packs(form: Annotated[str, typer.Option("--format", help=t("rulehelp.opt_form"))] = "table") -> None:
    """The packs, their versions, which one runs, who signed it; exit 1 when one is not as the records say, or its files were changed."""
    from jobs import rule_packs_state as job

    runtime = common.runtime()
    troubles = job.troubles(runtime, deep=True)
    rules_packs_view.packs(job.listing(runtime), troubles, form)
    raise typer.Exit(1 if troubles else 0)


@app.command(help=t("rulehelp.cmd_remove"))
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


@app.command(help=t("rulehelp.cmd_sign"))
def sign(
    pack: _PACK,
    key: Annotated[str, typer.Option(help=t("rulehelp.opt_secret"))],
    out: Annotated[str, typer.Option(help=t("rulehelp.opt_zip"))],
    name: _NAME = "",
    version: Annotated[str, typer.Option(help=t("rulehelp.opt_version"))] = "",
) -> None:
    """A signed pack (zip) from a folder or another pack: MANIFEST.json lists the files, MANIFEST.sig signs it."""
    from jobs.rule_packs import opened
    from jobs.rule_packs_find import pack_name
    from jobs.rule_packs_sign import Signed
    from jobs.rule_packs_sign import sign as write

    at = common.clock().now()
    said = Signed(pack_name(name, "", Path(pack)), version, at.isoformat(timespec="seconds"))
    rules_packs_view.signed(write(opened(Path(pack)), said, Path(key), Path(out), at), said, out)


@app.command(help=t("rulehelp.cmd_keygen"))
def keygen(
    name: Annotated[str, typer.Argument(help=t("rulehelp.arg_signer"))],
    folder: Annotated[str, typer.Option("--out", help=t("rulehelp.opt_folder"))] = ".",
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
