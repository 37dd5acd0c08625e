"""`soc run`: the service."""

from __future__ import annotations

import typer

from commands.common import runtime, say
from domain.errors import ConfigError
from domain.i18n import t
from domain.text import one_line
from jobs.config_check import check
from jobs.service import Service

app = typer.Typer(rich_markup_mode=None)


@app.command(help=t("jobs.help_run"))
def run() -> None:
    """Receivers and schedule until SIGTERM."""
    now = runtime()
    if problems := check(now.config):
        raise ConfigError("\n".join(problems), hint="soc config check")
    Service(now, _tell).run()


def _tell(key: str, values: dict[str, object]) -> None:
    say(t(f"jobs.{key}", **{name: one_line(str(value), 1000) for name, value in values.items()}))
