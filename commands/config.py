"""`soc config`: check and show the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import typer

from commands.common import OPTIONS, emit, say, show
from domain.errors import ConfigError
from domain.i18n import t
from jobs.config import load
from jobs.config_check import check as faults
from jobs.config_check import effective

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(help=t("config.help_check"))
def check() -> None:
    """Every problem with file and line; exit 3 when there is one."""
    try:
        config = load(OPTIONS.config)
        problems = faults(config)
        where = str(config.path or "")
    except ConfigError as error:
        problems, where = str(error.what if not error.where else f"{error.where}: {error.what}").splitlines(), ""
    if OPTIONS.json:
        emit({"file": where, "problems": problems})
    if problems:
        raise ConfigError("\n".join(problems), hint=t("config.mend"))
    say(t("config.fine", file=where) if where else t("config.none"))


@app.command("show", help=t("config.help_show"))
def show_() -> None:
    """The configuration as it applies, defaults filled in, secrets masked."""
    settings = effective(load(OPTIONS.config))
    if OPTIONS.json:
        emit(settings)
    else:
        show([t("config.key"), t("config.value")], _rows(settings))


def _rows(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _rows(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _rows(inner, f"{name}[{index}]")
    else:
        yield name, str(value)
