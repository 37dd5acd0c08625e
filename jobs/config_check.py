"""What `soc config check` looks at beyond the form of `soc.toml`: whether the values make sense on this machine."""

from __future__ import annotations

import codecs
import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from collectors import PARSERS, SOURCES
from collectors.profiles import PROFILES
from domain.errors import ConfigError, SocError, UsageError
from domain.i18n import LANGS
from domain.window import duration, moment
from jobs.config import PEM, SECRETS, Config, Problems, Source
from store.prefix import index_prefix

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_STORES: Final = ("file", "http", "https")
_SHARDS: Final = 100


def check(config: Config) -> list[str]:
    """Problems as "file:line: what, and what is allowed"; empty when all is well."""
    if config.path is None:
        return []
    problems = Problems(config.path, config.path.read_text(encoding="utf-8"))
    for name, cron in config.schedule.items():
        if fault := _cron_fault(cron):
            problems.add(f'{name} = "{cron}": {fault}; five fields: minute hour day month weekday, or "off"', "schedule", name)
    scheme = config.store_url.partition(":")[0]
    if scheme not in _STORES:
        problems.add(f"url {without_password(config.store_url)}: file:FOLDER | https://HOST:PORT", "store", "url")
    for key, text in _store(config) if scheme in _STORES[1:] else ():
        problems.add(text, "store", key)
    if config.lang not in LANGS:
        problems.add(f"lang {config.lang}: {' | '.join(LANGS)}", "", "lang")
    for index, source in enumerate(config.sources):
        for key, text in _source(config, source):
            problems.add(text, "source", key, index)
    for folder in config.content:
        if not folder.is_dir():
            problems.add(f"content folder is missing: {folder}; soc init makes one", "content", "paths")
    for text in _keys(config):
        problems.add(text, "rules", "trusted_keys")
    return problems.found


def _keys(config: Config) -> Iterator[str]:
    """Keys of rule packs that cannot be read."""
    if config.trusted_keys:
        from jobs.rule_packs_sign import public_key

        for path in config.trusted_keys:
            try:
                public_key(path)
            except SocError as error:
                yield f"{path}: {error.what}"


def _cron_fault(cron: str) -> str:
    if cron == "off":
        return ""
    try:
        next(CronSim(cron, _EPOCH))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "never due"
    return ""


def _store(config: Config) -> Iterator[tuple[str, str]]:
    """(key, problem) of a store on a cluster. Nothing is asked over the network."""
    from store.opensearch.client import access

    options = config.store
    for key, ask in (("url", lambda: access(config.store_url, options)), ("index_prefix", lambda: index_prefix(options))):
        try:
            ask()
        except ConfigError as error:
            yield key, error.what
    if not isinstance(shards := options.get("shards", 1), int) or not 1 <= shards <= _SHARDS:
        yield "shards", f"shards {shards}: 1 to {_SHARDS}, the parts of each daily index"
    for key in PEM:
        path = str(options.get(key, ""))
        if path and not Path(path).is_file():
            yield key, f"{key}: no such file: {path}"


def _source(config: Config, source: Source) -> Iterator[tuple[str, str]]:
    """(key, problem) of one source."""
    from store.base import RESERVED  # pyarrow is heavy

    kinds = list(SOURCES)
    if source.type and source.type not in kinds:
        yield "type", f"type {source.type}: {' | '.join(kinds)}"
    if source.parser != "auto" and source.parser not in PARSERS:
        yield "parser", f"parser {source.parser}: auto | {' | '.join(PARSERS)}"
    if source.id.startswith(RESERVED):
        yield "id", f"id {source.id}: names that begin with {RESERVED} belong to the store itself"
    if source.type == "syslog":
        yield from _listen(source.listen)
    elif source.type == "opensearch":
        yield from _cluster(config, source)
    elif source.type and not source.path and not source.url:
        yield "", f"a {source.type} source needs path"
    elif source.path and not any(glob.iglob(source.path, root_dir=config.root, recursive=True)):  # noqa: PTH207  absolute patterns too
        yield "path", f"path {source.path}: no file matches, or they may not be read"
    if source.expect_every:
        try:
            duration(source.expect_every)
        except UsageError as error:
            yield "expect_every", f"expect_every: {error}"
    if source.read_only and source.type != "opensearch":
        yield "read_only", 'read_only goes with type = "opensearch": its documents are scanned where they lie'
    yield from _reading(source)


def _cluster(config: Config, source: Source) -> Iterator[tuple[str, str]]:
    """A source that reads a cluster: which, what of it, and how to be let in. Nothing is asked over the network."""
    if not source.index:
        yield "index", f'an opensearch source needs index: index = "winlogbeat-*" ({source.id})'
    if source.profile not in PROFILES:
        yield "profile", f"profile {source.profile}: {' | '.join(PROFILES)}"
    url = source.url or config.store_url
    if not url.startswith(("http://", "https://")):
        yield "url", f"url {without_password(source.url) or '(empty, and store.url is no cluster)'}: https://HOST:PORT"
    if source.since:
        try:
            moment(source.since, _EPOCH)
        except UsageError as error:
            yield "since", f"since: {error}"
    if bool(source.client_cert) and not source.client_key:
        yield "client_key", "client_cert needs client_key"
    for key in ("ca", "client_cert", "client_key"):
        path = str(getattr(source, key))
        if path and not Path(path).is_file():
            yield key, f"{key}: no such file: {path}"


def _listen(listen: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(listen)
    try:
        well = parts.scheme in ("udp", "tcp") and parts.hostname is not None and 0 < (parts.port or 0) < 65536
    except ValueError:
        well = False
    if not well:
        yield "listen", f"listen {listen or '(empty)'}: udp://[::]:5514 | tcp://[::]:5514"


def _reading(source: Source) -> Iterator[tuple[str, str]]:
    """Encoding and time zone."""
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        yield "encoding", f"encoding {source.encoding}: utf-8, utf-16le, cp1258, ..."
    if not re.fullmatch(r"[+-]\d{2}:?\d{2}", source.tz):
        try:
            ZoneInfo(source.tz)
        except (KeyError, ValueError, OSError):
            yield "tz", f"tz {source.tz}: an offset such as +07:00, or a zone such as Asia/Ho_Chi_Minh"


def effective(config: Config) -> dict[str, Any]:
    """The whole configuration with defaults filled in and every secret masked; plain JSON values."""
    return {
        "file": str(config.path) if config.path else "",
        "store": {"url": without_password(config.store_url), **_masked(config.store)},
        "source": [_masked({k: v for k, v in asdict(source).items() if v not in ("", {}, False)}) for source in config.sources],
        "content": [str(folder) for folder in config.content],
        "org": {"profile": config.org_profile},
        "period": {"style": config.period_style},
        "schedule": dict(config.schedule),
        "spool": {"quota": config.spool_quota},
        "lang": config.lang,
    }


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: "***" if key in SECRETS and value else without_password(value) if key == "url" else value for key, value in values.items()}


def without_password(url: str) -> str:
    """A URL, or several separated by commas, as people may see it."""
    return re.sub(r"(://)(?:(?!://).)*@", r"\1***@", url)
