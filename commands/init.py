"""`soc init`: a configuration and content folders to fill in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.common import OPTIONS, emit, say, show
from domain.errors import ConfigError, UsageError
from domain.i18n import t
from jobs.init import Planned, carry_out, plan

app = typer.Typer(rich_markup_mode=None)


@app.command(help=t("init.help"))
def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help=t("init.help_folder"))] = ".",
    yes: Annotated[bool, typer.Option("--yes", help=t("init.help_yes"))] = False,
) -> None:
    """Make soc.toml and content/; what is there stays as it is."""
    target, files = Path(folder), plan()
    if not yes:
        _ask(target, files)
    try:
        made = list(carry_out(target, files))
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(error.filename or target), hint="soc init OTHER-DIR") from None
    if OPTIONS.json:
        emit({"folder": str(target.resolve()), "made": [str(p) for p, new in made if new], "kept": [str(p) for p, new in made if not new]})
        return
    show([t("init.file"), t("init.state")], [(str(path), t("init.made") if new else t("init.kept")) for path, new in made])
    say(t("init.next"))


def _ask(target: Path, files: list[Planned]) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask", hint="soc init --yes")
    for planned in files:
        say(f"  {target / planned.path}")
    if not typer.confirm(t("init.ask", n=len(files), folder=target), default=True, err=True):
        raise typer.Exit(0)
