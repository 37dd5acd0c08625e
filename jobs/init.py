"""`soc init`: a commented `soc.toml`, and `content/` for what the organisation adds. Never touches a file that is there."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.i18n import lang, t
from jobs.config import FILE, SCHEDULE
from jobs.registers import EXAMPLE

KINDS: Final = ("rules", "filters", "playbooks", "registers", "templates", "keys")
REGISTERS: Final = ("organisation", "units", "assets", "lists")
SHOWN: Final = 60
"""Lines of an example register that a new one quotes."""
KNOWN: Final = {
    "linux-auth": "/var/log/auth.log*",
    "linux-secure": "/var/log/secure*",
    "nginx": "/var/log/nginx/*access.log*",
    "apache": "/var/log/apache2/*access.log*",
    "httpd": "/var/log/httpd/*access_log*",
    "suricata": "/var/log/suricata/eve.json*",
    "squid": "/var/log/squid/access.log*",
    "audit": "/var/log/audit/audit.log*",
}
"""Source id -> where Linux machines keep such logs."""


@dataclass(frozen=True)
class Planned:
    """A file to be made."""

    path: Path
    """Relative to the folder that is set up."""
    text: str


def plan(root: str = "/") -> list[Planned]:
    """What a fresh folder gets, in the language in force; log files found below `root` become sources."""
    files = [Planned(Path(FILE), settings(found(root)))]
    for kind in KINDS:
        files.append(Planned(Path("content") / kind / "README.md", f"{t(f'init.about_{kind}')}\n"))
    files += [Planned(Path("content") / "registers" / f"{name}.yml", register(name)) for name in REGISTERS]
    return files


def carry_out(folder: Path, files: Sequence[Planned]) -> Iterator[tuple[Path, bool]]:
    """Make the files; (path, made) of each: False = it was there and stays as it is. OSError when the folder refuses."""
    for planned in files:
        path = folder / planned.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as out:
                out.write(planned.text)
        except FileExistsError:
            yield path, False
        else:
            yield path, True


def found(root: str = "/") -> dict[str, str]:
    """The known log files that are on this machine: source id -> pattern."""
    patterns = {name: str(Path(root) / pattern.lstrip("/")) for name, pattern in KNOWN.items()}
    return {name: pattern for name, pattern in patterns.items() if glob.glob(pattern)}  # noqa: PTH207  absolute patterns


def settings(sources: dict[str, str]) -> str:
    """The text of soc.toml."""
    lines = [*_comment("init.head"), "", f'lang = "{lang()}"', ""]
    lines += [*_comment("init.store"), "[store]", 'url = "file:data"', ""]
    lines += _comment("init.sources")
    for name, pattern in sources.items():
        lines += ["[[source]]", f'id = "{name}"', 'type = "file"', f'path = "{pattern}"', ""]
    syslog = '[[source]]\nid = "syslog"\ntype = "syslog"\nlisten = "udp://[::]:5514"\nexpect_every = "15m"'
    lines += [*_comment("init.syslog"), *_off(syslog), ""]
    lines += [*_comment("init.windows"), *_off('[[source]]\nid = "windows"\ntype = "evtx"\npath = "import/*.evtx"'), ""]
    lines += [*_comment("init.content"), "[content]", 'paths = ["content"]', ""]
    lines += [*_comment("init.rules"), *_off('[rules]\nrequire_signature = true\nwindows = ["sysmon", "security"]'), ""]
    lines += [*_comment("init.schedule"), "[schedule]", *(f'{name} = "{cron}"' for name, cron in SCHEDULE.items()), ""]
    lines += [*_comment("init.spool"), *_off('[spool]\nquota = "10GiB"'), ""]
    return "\n".join(lines)


def register(name: str) -> str:
    """A register to fill in: what it is for, and the first lines of a fictitious one, commented out."""
    path = EXAMPLE / f"{name}.yml"
    example = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [line for line in example.splitlines() if not line.startswith("#")]
    return "\n".join([*_comment(f"init.register_{name}"), "", *_off("\n".join(lines[:SHOWN]).strip())]) + "\n"


def _comment(key: str) -> list[str]:
    return [f"# {line}".rstrip() for line in t(key).splitlines()]


def _off(text: str) -> list[str]:
    return [f"#{line}" for line in text.splitlines()]
