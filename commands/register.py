"""`soc register`: the organisation, its units, assets and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commands.common import OPTIONS, emit, instant, say, show
from commands.common import runtime as open_runtime
from domain.errors import ContentError
from domain.i18n import t

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(help=t("register.help_check"))
def check() -> None:
    """All problems with file and line; exit 4 when there is one."""
    from jobs.registers import read

    loaded = read(open_runtime().content("registers"))
    counts = {kind: len(found) for kind, found in loaded.entries.items()}
    if OPTIONS.json:
        problems = [{"file": p.file, "line": p.line, "text": p.text} for p in loaded.problems]
        emit({"files": [str(f) for f in loaded.files], "entries": counts, "problems": problems})
    if loaded.problems:
        raise ContentError("\n".join(str(p) for p in loaded.problems), where=t("register.problems", n=len(loaded.problems)))
    if not loaded.files:
        say(t("register.none"))
    else:
        values: dict[str, Any] = {"files": len(loaded.files), **counts}
        say(t("register.fine", **values))


@app.command("import", help=t("register.help_import"))
def import_(
    file: Annotated[Path, typer.Argument(help=t("register.help_file"))],
    kind: Annotated[str, typer.Option(help=t("register.help_kind"))] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("register.help_dry"))] = False,
) -> None:
    """Replace the earlier import of the same register by this file; nothing happens when something is wrong with it."""
    from jobs.register_import import bring

    done = bring(open_runtime(), file, kind, dry=dry_run)
    if OPTIONS.json:
        emit({
            "register": done.kind, "file": str(done.path), "added": list(done.added), "changed": list(done.changed),
            "removed": list(done.removed), "unchanged": done.unchanged, "written": not dry_run,
        })  # fmt: skip
        return
    key = "register.would" if dry_run else "register.imported"
    say(t(key, file=done.path, added=len(done.added), changed=len(done.changed), removed=len(done.removed), same=done.unchanged))
    for sign, ids in (("+", done.added), ("~", done.changed), ("-", done.removed)):
        for name in ids[:20]:
            say(f"  {sign} {name}")


@app.command(help=t("register.help_show"))
def who(
    key: Annotated[str, typer.Argument(help=t("register.help_key"))], at: Annotated[str, typer.Option(help=t("register.help_at"))] = ""
) -> None:
    """The asset and unit of an address, host or domain at a time."""
    from jobs.registers import load

    runtime = open_runtime()
    moment = instant(at) if at else runtime.clock.now()
    registers = load(runtime)
    asset, unit = registers.asset_of(key, moment), registers.unit_of(key, moment)
    row = (key, asset.id if asset else None, asset.name if asset else None, unit.code if unit else None, unit.name if unit else None)
    keys = ("key", "asset", "asset_name", "unit", "unit_name")
    if OPTIONS.json:
        emit(dict(zip(keys, row, strict=True)))
    else:
        show([t(f"register.col_{name}") for name in keys], [row])
    if asset is None and unit is None:
        raise typer.Exit(1)
