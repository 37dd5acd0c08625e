"""The `soc` command: a registry of lazily loaded sub-commands, global options, exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from commands import usage
from domain import i18n
from domain.errors import NotPermitted, SocError, StoreError

COMMANDS: Final[dict[str, str]] = {
    "try": "commands.trial:app",
    "init": "commands.init:app",
    "collect": "commands.collect:app",
    "parse": "commands.parse:app",
    "parsers": "commands.parsers:app",
    "search": "commands.search:app",
    "rules": "commands.rules:app",
    "scan": "commands.scan:app",
    "hunt": "commands.hunt:app",
    "anomaly": "commands.anomaly:app",
    "alerts": "commands.alerts:app",
    "queue": "commands.queue:app",
    "handover": "commands.handover:app",
    "incident": "commands.incident:app",
    "playbook": "commands.playbook:app",
    "report": "commands.report:app",
    "register": "commands.register:app",
    "drill": "commands.drill:app",
    "run": "commands.run:app",
    "jobs": "commands.jobs:app",
    "doctor": "commands.doctor:app",
    "audit": "commands.audit:app",
    "store": "commands.store:app",
    "config": "commands.config:app",
    "demo": "commands.demo:app",
}
"""Command -> "module:attribute" (a typer.Typer). Its help line is the text `cli.<command>` of the catalogues."""


def load(name: str) -> Any:
    """The command behind a name of the registry, in the style of the house: plain help, no options for completion."""
    module, attribute = COMMANDS[name].split(":")
    command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
    command.name, command.help = name, i18n.t(f"cli.{name}")
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    _plain(command)
    return command


def _plain(command: Any) -> None:
    command.rich_markup_mode, command.context_class = None, usage.Context
    for inner in getattr(command, "commands", {}).values():
        _plain(inner)


class LazyGroup(TyperGroup):
    """Imports a command's module only when that command is called; help and completion use stand-ins."""

    context_class = usage.Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = i18n.t("cli.soc")
        for option in self.params:
            option.help = i18n.t(f"cli.option-{option.name}")  # type: ignore[attr-defined]
        for name in COMMANDS:
            self.commands.setdefault(name, TyperGroup(name=name, help=i18n.t(f"cli.{name}")))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the signature is typer's
        """In the order of the registry: the order of the work."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load what is called."""
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = load(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    config: Annotated[str, typer.Option()] = "",
    data: Annotated[str, typer.Option()] = "",
    now: Annotated[str, typer.Option()] = "",
    json: Annotated[bool, typer.Option("--json")] = False,
    lang: Annotated[str, typer.Option()] = "",
    quiet: Annotated[bool, typer.Option("-q")] = False,
    verbose: Annotated[bool, typer.Option("-v")] = False,
) -> None:
    """The global options; their help texts are `cli.option-<name>` of the catalogues."""
    from commands import common

    common.configure(config=config, data=data, now=now, json=json, lang=lang, quiet=quiet, verbose=verbose)


def _hoist(argv: list[str]) -> list[str]:
    """Global options are accepted anywhere: move them to the front (up to `--`)."""
    from commands.common import hoist

    return hoist(argv)


def main(argv: list[str] | None = None) -> None:
    """Entry point: turns every error into one clear message and the documented exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    _streams()
    os.umask(os.umask(0o077) | 0o027)  # logs hold personal data: what is written is nobody else's to read
    i18n.use(_early_lang(arguments))
    try:
        code = app(args=_hoist(arguments), prog_name="soc", standalone_mode=False)
    except typer.Abort:
        code = 130
    except typer.TyperException as error:  # typer carries its own click: only this base class is public
        usage.show(error)
        code = 2
    except SocError as error:
        _say(error)
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        code = _refused(error)
    except Exception as error:  # noqa: BLE001  the last net: never a traceback
        from commands.common import internal_error

        code = internal_error(error)
    sys.exit(code if isinstance(code, int) else 0)


def _streams() -> None:
    """UTF-8 on stdout and stderr whatever the locale; a closed one swallows what is written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _refused(error: OSError) -> int:
    """What the machine refused, in one line: exit 7 for rights, 6 for a full or read-only disk; anything else is internal."""
    place = str(error.filename or "stdout")
    if isinstance(error, PermissionError):
        _say(NotPermitted(str(error.strerror), where=place, hint="check owner and permissions"))
        return NotPermitted.exit_code
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        _say(StoreError(f"cannot be written: {error.strerror}", where=place, hint="free space, or name another place"))
        return StoreError.exit_code
    from commands.common import internal_error

    return internal_error(error)


def _early_lang(arguments: list[str]) -> str:
    """`--lang` before the command line is parsed: help texts need it."""
    for index, word in enumerate(arguments):
        if word == "--lang" and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith("--lang="):
            return word.partition("=")[2]
    return os.environ.get("SOC_LANG") or "vi"


def _say(error: SocError) -> None:
    from domain.text import one_line

    place = f"{error.where}: " if error.where else ""
    for line in (place + error.what).splitlines():
        sys.stderr.write(f"soc: {one_line(line)}\n")
    if error.hint:
        sys.stderr.write(f"  → {one_line(error.hint)}\n")


__all__ = ["COMMANDS", "app", "load", "main"]

if __name__ == "__main__":
    main()
