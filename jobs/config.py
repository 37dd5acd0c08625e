"""`soc.toml`: read, checked as a whole, secrets filled in. All problems are reported at once, with file and line."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from domain.errors import ConfigError

FILE: Final = "soc.toml"


@dataclass(frozen=True)
class Source:
    """`[[source]]`: where logs come from."""

    id: str
    type: str
    path: str = ""
    """Glob of files; relative to the configuration file."""
    listen: str = ""
    """udp://[::]:5514, tcp://[::]:5514."""
    parser: str = "auto"
    tz: str = "+07:00"
    encoding: str = "utf-8"
    expect_every: str = ""
    """Silence longer than this is an alert at once: 5m, 1h."""
    exercise: bool = False
    read_only: bool = False
    url: str = ""
    framing: str = "auto"
    """TCP: auto, newline, octet."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    path: Path | None
    """None when no file was found: defaults."""
    store_url: str = "file:data"
    store: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    content: tuple[Path, ...] = ()
    """Content folders (rules, playbooks, registers, ...) that overlay what is shipped."""
    org_profile: str = ""
    period_style: str = "nd09"
    schedule: Mapping[str, str] = field(default_factory=dict)
    spool_quota: int = 0
    """Bytes; 0 = 10 GiB or 20 % of the disk, whichever is less."""
    lang: str = "vi"

    @property
    def root(self) -> Path:
        """Relative paths start here."""
        return self.path.parent if self.path else Path.cwd()


_TOP: Final = {"store", "source", "content", "org", "period", "schedule", "notify", "spool", "lang"}
_STORE: Final = {"url", "user", "password", "ca", "client_cert", "client_key", "api_key", "index_prefix"}
_SCHEDULE: Final = {"collect": "* * * * *", "scan": "*/5 * * * *", "report": "0 7 * * 1"}


def find(explicit: str) -> Path | None:
    """The configuration file: as named, else upwards from here, else in the user's configuration folder."""
    if explicit:
        path = Path(explicit)
        if not path.is_file():
            raise ConfigError("no such configuration file", where=explicit, hint="soc init")
        return path.resolve()
    here = Path.cwd()
    user = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "thapcanh"
    return next((d / FILE for d in [here, *here.parents, user] if (d / FILE).is_file()), None)


def load(explicit: str = "") -> Config:
    """Read and check; ConfigError lists every problem, one a line."""
    path = find(explicit)
    if path is None:
        return Config(None)
    text = path.read_text(encoding="utf-8")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from None
    problems: list[str] = []
    config = _build(path, _secrets(data, path.parent, problems), text, problems)
    if problems:
        raise ConfigError("\n".join(problems), where=str(path), hint="soc config check")
    return config


def _line(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(\[+\s*)?{re.escape(key)}\b", line):
            return number
    return 1


def _unknown(data: Mapping[str, Any], allowed: set[str], text: str, problems: list[str], section: str) -> None:
    for key in data:
        if key not in allowed:
            close = difflib.get_close_matches(key, sorted(allowed), 1)
            hint = f"; did you mean {close[0]}?" if close else f"; allowed: {', '.join(sorted(allowed))}"
            problems.append(f"line {_line(text, key)}: unknown key {key}{section}{hint}")


def _build(path: Path, data: dict[str, Any], text: str, problems: list[str]) -> Config:
    _unknown(data, _TOP, text, problems, "")
    store = data.get("store", {})
    _unknown(store, _STORE, text, problems, " in [store]")
    for name, allowed in (("content", {"paths"}), ("org", {"profile"}), ("period", {"style"}), ("spool", {"quota", "dir"})):
        _unknown(data.get(name, {}), allowed, text, problems, f" in [{name}]")
    _unknown(data.get("schedule", {}), set(_SCHEDULE), text, problems, " in [schedule]")
    sources = tuple(_source(raw, text, problems) for raw in data.get("source", []))
    for name in sorted({s.id for s in sources if [o.id for o in sources].count(s.id) > 1}):
        problems.append(f"line {_line(text, 'id')}: source id {name} is used twice")
    paths = data.get("content", {}).get("paths", ["content"])
    return Config(
        path,
        store_url=str(store.get("url", "file:data")),
        store={k: v for k, v in store.items() if k != "url"},
        sources=sources,
        content=tuple(path.parent / p for p in paths),
        org_profile=str(data.get("org", {}).get("profile", "")),
        period_style=str(data.get("period", {}).get("style", "nd09")),
        schedule={**_SCHEDULE, **data.get("schedule", {})},
        spool_quota=int(data.get("spool", {}).get("quota", 0)),
        lang=str(data.get("lang", "vi")),
    )


def _source(raw: Mapping[str, Any], text: str, problems: list[str]) -> Source:
    known = {f.name for f in fields(Source)} - {"options"}
    _unknown(raw, known, text, problems, " in [[source]]")
    for key in ("id", "type"):
        if not raw.get(key):
            problems.append(f"line {_line(text, 'source')}: [[source]] lacks {key}")
    values = {k: v for k, v in raw.items() if k in known}
    return Source(**{"id": "", "type": "", **values})


def _secrets(value: Any, root: Path, problems: list[str]) -> Any:  # noqa: ANN401  TOML values
    """`${ENV}` and `file:PATH` (below [store] and for secrets) filled in."""
    if isinstance(value, dict):
        return {k: _secret_key(k, v, root, problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_secrets(v, root, problems) for v in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda m: _env(m[1], problems), value)
    return value


def _secret_key(key: str, value: Any, root: Path, problems: list[str]) -> Any:  # noqa: ANN401  TOML values
    if key in ("password", "api_key") and isinstance(value, str) and value.startswith("file:"):
        try:
            return (root / value.removeprefix("file:")).read_text(encoding="utf-8").strip()
        except OSError as error:
            problems.append(f"{key}: {error.strerror}: {value}")
            return ""
    return _secrets(value, root, problems)


def _env(name: str, problems: list[str]) -> str:
    if name not in os.environ:
        problems.append(f"environment variable {name} is not set")
    return os.environ.get(name, "")
