"""`soc.toml`: read, checked as a whole, secrets filled in. All problems are reported at once, with file and line."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from domain.errors import ConfigError

FILE: Final = "soc.toml"
SCHEDULE: Final = {"collect": "* * * * *", "scan": "*/5 * * * *", "compact": "40 * * * *", "report": "0 7 * * 1"}
"""Default schedule, cron expressions in local time."""


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
    service_type: str = ""
    """What writes these logs, where the logs do not say so themselves: django, spring, mysql, ...; becomes `service.type`."""
    exercise: bool = False
    read_only: bool = False
    """opensearch: nothing is copied; `soc scan` reads the documents where they lie."""
    url: str = ""
    """opensearch: the cluster; empty = the one of store.url."""
    index: str = ""
    """opensearch: pattern of indices, aliases, data streams; several separated by commas."""
    profile: str = "auto"
    """opensearch: who wrote the documents (collectors/profiles)."""
    since: str = ""
    """opensearch: older documents are passed over at first sight: 2026-11-01, 7d."""
    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca: str = ""
    client_cert: str = ""
    client_key: str = ""
    framing: str = "auto"
    """TCP: auto, newline, octet."""
    record_start: str = ""
    """Files: regular expression (RE2) that the first line of a record matches; other lines continue the record before them."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_place(self) -> bool:
        """Whether its events are scanned where they lie, and not collected."""
        return self.read_only and self.type == "opensearch"


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
    schedule: Mapping[str, str] = field(default_factory=lambda: dict(SCHEDULE))
    """Job -> cron expression in local time, or "off"."""
    spool_quota: int = 0
    """Bytes; 0 = 10 GiB or 20 % of the disk, whichever is less."""
    lang: str = "vi"
    trusted_keys: tuple[Path, ...] = ()
    """`[rules] trusted_keys`: public keys (PEM) of those who sign rule packs, beside content/keys/*.pem."""
    windows_feeds: tuple[str, ...] = ("sysmon",)
    """`[rules] windows`: what feeds rules of generic Windows categories: sysmon, security (4688, 5156, 4657; docs/logsources.md)."""
    require_signature: bool = False
    """`[rules]`: packs that no trusted key signed are refused."""
    rules_on: frozenset[str] = frozenset()
    """`[rules] on`: ids of rules that run in scans although they proved noisy."""
    rules_off: frozenset[str] = frozenset()
    """`[rules] off`: ids of rules that do not run in scans."""

    @property
    def root(self) -> Path:
        """Relative paths start here."""
        return self.path.parent if self.path else Path.cwd()


_SECTIONS: Final[dict[str, frozenset[str]]] = {
    "store": frozenset({"url", "user", "password", "ca", "client_cert", "client_key", "api_key", "index_prefix", "shards"}),
    "content": frozenset({"paths"}),
    "org": frozenset({"profile"}),
    "period": frozenset({"style"}),
    "spool": frozenset({"quota", "dir"}),
    "schedule": frozenset(SCHEDULE),
    "rules": frozenset({"trusted_keys", "require_signature", "windows", "on", "off"}),
}
_TOP: Final = frozenset({*_SECTIONS, "source", "lang", "notify"})
WINDOWS_FEEDS: Final = ("sysmon", "security")
SECRETS: Final = ("password", "api_key")
PEM: Final = ("ca", "client_cert", "client_key")
"""Paths of files, relative to the configuration file."""
_UNITS: Final = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


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
    """Read and check; ConfigError lists every problem, one a line, each with file and line."""
    path = find(explicit)
    if path is None:
        return Config(None)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path), hint="TOML is UTF-8 text; soc init writes an example") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    problems = Problems(path, text)
    config = _build(path, _secrets(data, path.parent, problems), problems)
    if problems.found:
        raise ConfigError("\n".join(problems.found), hint="soc config check")
    return config


class Problems:
    """Collects what is wrong with one file, each with its line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.found: list[str] = []
        self._places: dict[tuple[str, int, str], int] = {}
        seen: Counter[str] = Counter()
        section, index = "", 0
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
                section = header[1]
                index, seen[section] = seen[section], seen[section] + 1
                self._places[section, index, ""] = number
            elif key := re.match(r"\s*\"?([\w-]+)\"?\s*[.=]", line):
                self._places.setdefault((section, index, key[1]), number)

    def add(self, text: str, section: str = "", key: str = "", index: int = 0) -> None:
        """One problem, at the line of the key, else of its section, else of the file."""
        line = self._places.get((section, index, key)) or self._places.get((section, index, "")) or self._places.get(("", 0, section)) or 1
        self.found.append(f"{self.path}:{line}: {text}")

    def unknown(self, data: Mapping[str, Any], allowed: Collection[str], section: str = "", index: int = 0) -> None:
        """Keys that are not allowed, with the one that was probably meant."""
        for key in data:
            if key not in allowed:
                close = difflib.get_close_matches(key, sorted(allowed), 1)
                hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(sorted(allowed))}"
                self.add(f"unknown key {key}{f' in [{section}]' if section else ''}; {hint}", section, key, index)


def _build(path: Path, data: dict[str, Any], problems: Problems) -> Config:
    problems.unknown(data, _TOP)
    tables = {name: _table(data, name, problems) for name in _SECTIONS}
    raw = data.get("source", [])
    if not isinstance(raw, list):
        problems.add("source is a list: write [[source]]", "source")
        raw = []
    sources = tuple(_source(entry, index, problems) for index, entry in enumerate(raw))
    for index, source in enumerate(sources):
        if source.id and source.id in {other.id for other in sources[:index]}:
            problems.add(f"source id {source.id} is used twice", "source", "id", index)
    paths = tables["content"].get("paths", ["content"])
    if not isinstance(paths, list):
        problems.add('paths is a list of folders: paths = ["content"]', "content", "paths")
        paths = []
    return Config(
        path,
        store_url=str(tables["store"].get("url", "file:data")),
        store={k: v for k, v in tables["store"].items() if k != "url"},
        sources=sources,
        content=tuple(path.parent / str(p) for p in paths),
        org_profile=str(tables["org"].get("profile", "")),
        period_style=str(tables["period"].get("style", "nd09")),
        schedule={**SCHEDULE, **{k: str(v) for k, v in tables["schedule"].items() if k in SCHEDULE}},
        spool_quota=_size(tables["spool"].get("quota", 0), problems),
        lang=str(data.get("lang", "vi")),
        trusted_keys=tuple(path.parent / str(p) for p in _typed(tables["rules"], "trusted_keys", [], problems)),
        windows_feeds=_feeds(tables["rules"], problems),
        require_signature=_typed(tables["rules"], "require_signature", False, problems),
        rules_on=frozenset(map(str, _typed(tables["rules"], "on", [], problems))),
        rules_off=frozenset(map(str, _typed(tables["rules"], "off", [], problems))),
    )


def _table(data: Mapping[str, Any], name: str, problems: Problems) -> Mapping[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        problems.add(f"{name} is a table: write [{name}]", "", name)
        return {}
    problems.unknown(table, _SECTIONS[name], name)
    return table


def _typed(rules: Mapping[str, Any], key: str, default: Any, problems: Problems) -> Any:
    """A value of `[rules]`, of the type of its default."""
    value = rules.get(key, default)
    if isinstance(value, type(default)):
        return value
    problems.add(f"{key} is {'true or false' if isinstance(default, bool) else 'a list'}", "rules", key)
    return default


def _feeds(rules: Mapping[str, Any], problems: Problems) -> tuple[str, ...]:
    """`[rules] windows`, in the order of WINDOWS_FEEDS."""
    asked = _typed(rules, "windows", list(WINDOWS_FEEDS[:1]), problems)
    if not asked or set(map(str, asked)) - set(WINDOWS_FEEDS):
        problems.add(f"windows is a list of {', '.join(WINDOWS_FEEDS)}", "rules", "windows")
    return tuple(feed for feed in WINDOWS_FEEDS if feed in asked)


def _source(raw: Mapping[str, Any], index: int, problems: Problems) -> Source:
    known = {f.name: f.type for f in fields(Source)}
    problems.unknown(raw, known, "source", index)
    for key in ("id", "type"):
        if not raw.get(key):
            problems.add(f"[[source]] lacks {key}", "source", "", index)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        kind = {"str": str, "bool": bool}.get(str(known.get(key)), dict)
        if key in known and isinstance(value, kind):
            values[key] = value
        elif key in known:
            problems.add(f"{key} must be {'text' if kind is str else 'true or false' if kind is bool else 'a table'}", "source", key, index)
    return Source(**{"id": "", "type": "", **values})


def _size(value: object, problems: Problems) -> int:
    """Bytes of 1073741824, "10GiB", "500 MB"."""
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", str(value))
    if match is None or match[2].upper() not in _UNITS:
        problems.add(f"quota {value}: bytes, or a number with KiB, MiB, GiB, TiB", "spool", "quota")
        return 0
    return int(match[1]) * _UNITS[match[2].upper()]


def _secrets(value: Any, root: Path, problems: Problems, place: tuple[str, str, int] = ("", "", 0)) -> Any:
    """`${ENV}` everywhere and `file:PATH` for secrets filled in. `place`: (section, key, number of the section)."""
    section, key, index = place
    if isinstance(value, dict):
        return {k: _secrets(v, root, problems, (section or key, k, index)) for k, v in value.items()}
    if isinstance(value, list):
        return [_secrets(v, root, problems, (section, key, number)) for number, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    if key in SECRETS and value.startswith("file:"):
        try:
            return (root / value.removeprefix("file:")).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.add(f"{key}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}: {value}", *place)
            return ""
    filled = re.sub(r"\$\{(\w+)\}", lambda m: _env(m[1], place, problems), value)
    return str(root / filled) if key in PEM and filled else filled


def _env(name: str, place: tuple[str, str, int], problems: Problems) -> str:
    if name not in os.environ:
        problems.add(f"{place[1]}: environment variable {name} is not set", *place)
    return os.environ.get(name, "")
