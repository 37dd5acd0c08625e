"""ECS names beside `winlog.event_data.*`: which field stands for what, by event; category, type and outcome by event code.

Follows Elastic's Winlogbeat modules (security, sysmon, powershell): elastic.co/docs/reference/beats/winlogbeat/winlogbeat-modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import ciso8601
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers import common, registry

D: Final = "winlog.event_data."
SYSMON: Final = "Microsoft-Windows-Sysmon/Operational"
SECURITY: Final = "Security"
_ACCOUNT: Final = ("4720", "4722", "4723", "4724", "4725", "4726", "4738", "4740", "4767", "4781")
_GROUP: Final = ("4728", "4729", "4732", "4733", "4756", "4757")

COPIES: Final[Sequence[tuple[str, str, str, tuple[str, ...]]]] = (
    # ECS field, source column, channel ("" = any), event codes (() = any)
    ("process.executable", D + "Image", SYSMON, ()),
    ("process.executable", D + "SourceImage", SYSMON, ("8", "10")),
    ("process.executable", D + "NewProcessName", SECURITY, ("4688",)),
    ("process.executable", D + "ProcessName", SECURITY, ()),
    ("process.command_line", D + "CommandLine", "", ("1", "4688")),
    ("process.working_directory", D + "CurrentDirectory", SYSMON, ("1",)),
    ("process.entity_id", D + "ProcessGuid", SYSMON, ()),
    ("process.pid", D + "ProcessId", SYSMON, ()),
    ("process.parent.executable", D + "ParentImage", SYSMON, ("1",)),
    ("process.parent.executable", D + "ParentProcessName", SECURITY, ("4688",)),
    ("process.parent.command_line", D + "ParentCommandLine", SYSMON, ("1",)),
    ("process.parent.entity_id", D + "ParentProcessGuid", SYSMON, ("1",)),
    ("process.parent.pid", D + "ParentProcessId", SYSMON, ("1",)),
    ("process.pe.original_file_name", D + "OriginalFileName", SYSMON, ("1",)),
    ("file.path", D + "TargetFilename", SYSMON, ("2", "11", "15", "23", "26", "27", "28", "29")),
    ("dll.path", D + "ImageLoaded", SYSMON, ("7",)),
    ("file.path", D + "ImageLoaded", SYSMON, ("6", "7")),
    ("registry.path", D + "TargetObject", SYSMON, ("12", "13", "14")),
    ("dns.question.name", D + "QueryName", SYSMON, ("22",)),
    ("source.ip", D + "SourceIp", SYSMON, ("3",)),
    ("source.port", D + "SourcePort", SYSMON, ("3",)),
    ("destination.ip", D + "DestinationIp", SYSMON, ("3",)),
    ("destination.port", D + "DestinationPort", SYSMON, ("3",)),
    ("destination.domain", D + "DestinationHostname", SYSMON, ("3",)),
    ("network.transport", D + "Protocol", SYSMON, ("3",)),
    ("source.ip", D + "IpAddress", SECURITY, ()),
    ("source.port", D + "IpPort", SECURITY, ()),
    ("source.domain", D + "WorkstationName", SECURITY, ()),
    ("winlog.logon.type", D + "LogonType", SECURITY, ()),
    ("winlog.logon.id", D + "TargetLogonId", SECURITY, ("4624", "4634", "4647")),
    ("winlog.logon.failure.status", D + "Status", SECURITY, ("4625",)),
    ("winlog.logon.failure.sub_status", D + "SubStatus", SECURITY, ("4625",)),
    ("user.name", D + "TargetUserName", SECURITY, ("4624", "4625", "4634", "4647", "4648", "4768", "4769", "4770", "4771", "4776", "4740")),
    ("user.domain", D + "TargetDomainName", SECURITY, ("4624", "4625", "4634", "4647", "4648", "4768", "4769", "4770", "4771")),
    ("user.id", D + "TargetUserSid", SECURITY, ("4624", "4625", "4634", "4647")),
    ("user.name", D + "SubjectUserName", SECURITY, ()),
    ("user.domain", D + "SubjectDomainName", SECURITY, ()),
    ("user.id", D + "SubjectUserSid", SECURITY, ()),
    ("user.name", D + "SubjectUserName", "System", ("104",)),
    ("user.domain", D + "SubjectDomainName", "System", ("104",)),
    ("user.target.name", D + "TargetUserName", SECURITY, _ACCOUNT),
    ("user.target.name", D + "MemberName", SECURITY, _GROUP),
    ("group.name", D + "TargetUserName", SECURITY, _GROUP),
    ("service.name", D + "ServiceName", "", ("4697", "7045")),
    ("file.path", D + "ObjectName", SECURITY, ("4656", "4660", "4663", "4670")),
    ("host.name", "winlog.computer_name", "", ()),
    ("event.provider", "winlog.provider_name", "", ()),
)
"""The first that has a value wins."""
_BEAT: Final = ("host.name", "user.name", "user.domain", "user.id", "process.executable", "process.command_line", "process.pid",
                "process.name", "process.parent.executable", "process.parent.command_line", "source.ip", "source.port", "source.domain",
                "destination.ip", "destination.port", "destination.domain", "file.path")  # fmt: skip
"""ECS fields that Winlogbeat's modules set themselves; they stand first."""
_EMPTY: Final = ("-", "::1%0", "")

_MODULES: Final = {
    SECURITY: ("system", "system.security"), "System": ("system", "system.system"), "Application": ("system", "system.application"),
    SYSMON: ("windows", "windows.sysmon_operational"), "Windows PowerShell": ("windows", "windows.powershell"),
    "Microsoft-Windows-PowerShell/Operational": ("windows", "windows.powershell_operational"),
}  # fmt: skip
"""Channel -> module and data set, as Elastic names them; others are windows, windows.forwarded."""

Kind = tuple[str, str, str, str]
_KINDS: Final[dict[tuple[str, str], Kind]] = {
    # (channel, code) -> category, type (SEP-joined), outcome, action
    **{(SYSMON, c): k for c, k in {
        "1": ("process", "start", "", "process-created"),
        "3": ("network", f"connection{common.SEP}start{common.SEP}protocol", "", "network-connection"),
        "5": ("process", "end", "", "process-terminated"), "6": ("driver", "start", "", "driver-loaded"),
        "7": ("process", "change", "", "image-loaded"),
        "8": ("process", "change", "", "create-remote-thread"), "10": ("process", "access", "", "process-accessed"),
        "11": ("file", "creation", "", "file-created"), "12": ("registry", "change", "", "registry-object-changed"),
        "13": ("registry", "change", "", "registry-value-set"), "14": ("registry", "change", "", "registry-renamed"),
        "15": ("file", "access", "", "file-stream-created"), "17": ("file", "creation", "", "pipe-created"),
        "18": ("file", "access", "", "pipe-connected"),
        "22": ("network", f"connection{common.SEP}protocol{common.SEP}info", "", "dns-query"),
        "23": ("file", "deletion", "", "file-deleted"), "26": ("file", "deletion", "", "file-deleted"),
    }.items()},
    **{(SECURITY, c): k for c, k in {
        "4624": ("authentication", "start", "success", "logged-in"), "4625": ("authentication", "start", "failure", "logon-failed"),
        "4634": ("authentication", "end", "success", "logged-out"), "4647": ("authentication", "end", "success", "logged-out"),
        "4648": ("authentication", "start", "success", "logged-in-explicit"), "4672": ("iam", "admin", "success", "logged-in-special"),
        "4768": ("authentication", "start", "", "kerberos-authentication-ticket-requested"),
        "4769": ("authentication", "start", "", "kerberos-service-ticket-requested"),
        "4771": ("authentication", "start", "failure", "kerberos-preauth-failed"),
        "4776": ("authentication", "start", "", "credential-validated"),
        "4688": ("process", "start", "success", "created-process"), "4689": ("process", "end", "success", "exited-process"),
        "4697": (f"iam{common.SEP}configuration", f"admin{common.SEP}change", "success", "service-installed"),
        "4698": (f"iam{common.SEP}configuration", f"creation{common.SEP}admin", "success", "scheduled-task-created"),
        "4699": (f"iam{common.SEP}configuration", f"deletion{common.SEP}admin", "success", "scheduled-task-deleted"),
        "4720": ("iam", f"user{common.SEP}creation", "success", "added-user-account"),
        "4722": ("iam", f"user{common.SEP}change", "success", "enabled-user-account"),
        "4723": ("iam", f"user{common.SEP}change", "", "changed-password"),
        "4724": ("iam", f"user{common.SEP}change", "success", "reset-password"),
        "4725": ("iam", f"user{common.SEP}change", "success", "disabled-user-account"),
        "4726": ("iam", f"user{common.SEP}deletion", "success", "deleted-user-account"),
        "4728": ("iam", f"group{common.SEP}change", "success", "added-member-to-group"),
        "4729": ("iam", f"group{common.SEP}change", "success", "removed-member-from-group"),
        "4732": ("iam", f"group{common.SEP}change", "success", "added-member-to-group"),
        "4733": ("iam", f"group{common.SEP}change", "success", "removed-member-from-group"),
        "4738": ("iam", f"user{common.SEP}change", "success", "modified-user-account"),
        "4740": ("iam", f"user{common.SEP}change", "success", "locked-out-user-account"),
        "4756": ("iam", f"group{common.SEP}change", "success", "added-member-to-group"),
        "4657": ("registry", "change", "success", "registry-value-modified"),
        "4719": (f"iam{common.SEP}configuration", f"admin{common.SEP}change", "success", "changed-audit-config"),
        "1102": ("iam", f"admin{common.SEP}change", "success", "audit-log-cleared"),
    }.items()},
    ("System", "104"): ("iam", f"admin{common.SEP}change", "success", "log-cleared"),
    ("System", "7045"): (f"iam{common.SEP}configuration", f"admin{common.SEP}change", "success", "service-installed"),
}  # fmt: skip
_KIND_FIELDS: Final = ("event.category", "event.type", "event.outcome", "event.action")
_ALWAYS: Final = frozenset({"event.code", "winlog.channel"})


def inputs(wanted: frozenset[str]) -> frozenset[str]:
    """Columns that must be read so that `wanted` can be given; a keyword ("*") wants all that is text."""
    if "*" in wanted:
        return _Everything()
    extra = {source for name, source, _, _ in COPIES if name in wanted} | {f"beat.{n}" for n in _BEAT if n in wanted}
    if wanted & {"process.name", "process.parent.name"}:
        extra |= {source for name, source, _, _ in COPIES if name.endswith("executable")}
    if "user.name" in wanted or "user.domain" in wanted:
        extra.add(D + "User")
    for name, (source, beside, _) in REGISTRY.items():
        extra |= {source, beside} if name in wanted else set()
    return wanted | extra | _ALWAYS


class _Everything(frozenset[str]):
    def __contains__(self, item: object) -> bool:
        return True


def module(channel: str) -> tuple[str, str]:
    """`event.module` and `event.dataset` of a channel."""
    return _MODULES.get(channel, ("windows", "windows.forwarded"))


def enrich(columns: dict[str, Any], size: int, wanted: frozenset[str] | None) -> pa.Table:
    """Add the ECS columns that are wanted; drop what was only read for them."""
    code = _codes_of(columns.get("event.code"), size)
    channel = _codes_of(columns.get("winlog.channel"), size)
    made: dict[str, Any] = {}
    for name, source, where, codes in [(n, f"beat.{n}", "", ()) for n in _BEAT] + list(COPIES):
        if source in columns and (wanted is None or name in wanted or _feeds(name, wanted)):
            rows = _rows(channel, where) & _rows(code, *codes)
            made[name] = _overlay(made.get(name), columns[source], rows)
    _users(columns, made, wanted, channel)
    _names(made, wanted)
    _registry(columns, made, wanted, _rows(channel, SECURITY) & _rows(code, "4657"))
    _kinds(made, channel, code, size, wanted)
    columns.update({name: _typed(name, column) for name, column in made.items() if column is not None})
    names = [n for n in columns if not n.startswith("beat.") and (wanted is None or "*" in wanted or n in wanted)]
    return pa.table({name: columns[name] for name in names} or {"event.kind": common.constant("event", size)})


def _feeds(name: str, wanted: frozenset[str]) -> bool:
    return name.endswith(".executable") and name.replace("executable", "name") in wanted


Coded = tuple[np.ndarray[Any, Any], list[str]]


def _codes_of(column: Any, size: int) -> Coded:
    if column is None:
        return np.full(size, -1, np.int32), []
    return pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False), column.dictionary.to_pylist()


def _rows(coded: Coded, *values: str) -> np.ndarray[Any, Any]:
    """Rows whose value is one of these; all rows when none is named."""
    codes, names = coded
    if not any(values):
        return np.ones(len(codes), np.bool_)
    return np.append(np.array([n in values for n in names], np.bool_), False)[codes]


def _overlay(first: Any, column: Any, rows: np.ndarray[Any, Any]) -> Any:
    """`first` where it has a value, else `column` on `rows`; placeholders such as "-" count as none."""
    empty = pc.is_in(column.dictionary, pa.array(_EMPTY)) if pa.types.is_dictionary(column.type) else None
    if empty is not None and pc.any(empty).as_py():
        bad = np.append(empty.to_numpy(zero_copy_only=False), True)
        rows = rows & ~bad[_codes_of(column, 0)[0]]
    if first is None and rows.all():
        return column
    kept = pc.if_else(pa.array(rows), _plain(column), pa.scalar(None, pa.string()))
    return kept if first is None else pc.coalesce(_plain(first), kept)


def _plain(column: Any) -> Any:
    return column.cast(pa.string())


def _users(columns: dict[str, Any], made: dict[str, Any], wanted: frozenset[str] | None, channel: Coded) -> None:
    r"""Sysmon's `User` is DOMAIN\name."""
    source = columns.get(D + "User")
    if source is None or not (wanted is None or wanted & {"user.name", "user.domain"}):
        return
    rows = _rows(channel, SYSMON)
    parts = [(text.rpartition("\\")) for text in source.dictionary.to_pylist()]
    for name, values in (("user.name", [p[2] for p in parts]), ("user.domain", [p[0] or None for p in parts])):
        column = pa.DictionaryArray.from_arrays(source.indices, pa.array(values, pa.string()))
        made[name] = _overlay(made.get(name), pa.array(column.to_pylist(), pa.string()).dictionary_encode(), rows)


def _names(made: dict[str, Any], wanted: frozenset[str] | None) -> None:
    """`process.name` is the last part of the executable's path."""
    for target, source in (("process.name", "process.executable"), ("process.parent.name", "process.parent.executable")):
        column = made.get(source)
        if column is None or (wanted is not None and target not in wanted):
            continue
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        base = pc.replace_substring_regex(coded.dictionary, r"(?s)\A.*[\\/]", "")
        named = pa.DictionaryArray.from_arrays(coded.indices, base)
        known = made.get(target)
        made[target] = named if known is None else pc.coalesce(_plain(known), _plain(named))


REGISTRY: Final = {
    "registry.path": (D + "ObjectName", D + "ObjectValueName", registry.path),
    "registry.data.strings": (D + "NewValue", D + "NewValueType", registry.data),
}
"""Of 4657, in the words of Sysmon 13: ECS field -> the two columns it is made of."""


def _registry(columns: dict[str, Any], made: dict[str, Any], wanted: frozenset[str] | None, rows: np.ndarray[Any, Any]) -> None:
    """Once for each distinct pair."""
    for name, (first, second, build) in REGISTRY.items() if rows.any() else ():
        source = columns.get(first)
        if source is None or not (wanted is None or name in wanted):
            continue
        keys, texts = _codes_of(source, len(rows))
        beside, words = _codes_of(columns.get(second), len(rows))
        here = rows & (keys >= 0)
        width = len(words) + 1
        pairs, inverse = np.unique(np.where(here, keys.astype(np.int64) * width + beside + 1, -1), return_inverse=True)
        values = [None if p < 0 else build(texts[p // width], ["", *words][p % width]) for p in pairs.tolist()]
        column = pa.array(values, pa.string()).take(pa.array(inverse.astype(np.int32)))
        made[name] = column if name not in made else pc.coalesce(_plain(made[name]), column)


def _kinds(made: dict[str, Any], channel: Coded, code: Coded, size: int, wanted: frozenset[str] | None) -> None:
    if wanted is not None and not wanted & {*_KIND_FIELDS, "event.module", "event.dataset", "event.kind"}:
        return
    width = len(code[1]) + 1
    pair = (channel[0].astype(np.int64) + 1) * width + code[0] + 1
    distinct, inverse = np.unique(pair, return_inverse=True)
    known = [(["", *channel[1]][p // width], ["", *code[1]][p % width]) for p in distinct.tolist()]
    index = pa.array(inverse.astype(np.int32))
    for place, name in enumerate(_KIND_FIELDS):
        values = [_KINDS.get(k, ("", "", "", ""))[place] or None for k in known]
        if any(values):
            made[name] = pa.array(values, pa.string()).take(index)
    modules = [module(k[0]) for k in known]
    made["event.module"] = pa.DictionaryArray.from_arrays(index, pa.array([m for m, _ in modules]))
    made["event.dataset"] = pa.DictionaryArray.from_arrays(index, pa.array([d for _, d in modules]))
    made["event.kind"] = common.constant("event", size)


_LONG: Final = frozenset({"process.pid", "process.parent.pid", "source.port", "destination.port"})


def _typed(name: str, column: Any) -> Any:
    if name not in _LONG or pa.types.is_integer(column.type):
        return column
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    numbers = pa.array([common.integer(v) for v in coded.dictionary.to_pylist()], pa.int64())
    return numbers.take(coded.indices)


def micros(values: Sequence[Any], tz: str) -> list[int]:
    """Microseconds since the epoch; the lowest int64 where the text is no time."""
    zone = common.zone(tz)
    quick = _uniform(values, UTC if tz == "UTC" else zone)
    return quick if quick is not None else [_micros(str(v), zone) for v in values]


def _uniform(values: Sequence[Any], zone: Any) -> list[int] | None:
    """All at once when every text is ISO 8601 with `Z`, or every text is without a zone and the zone is a fixed offset."""
    offset = zone.utcoffset(None)
    try:
        texts = pa.array(values, pa.string())
        if texts.null_count:
            return None
        ends = pc.ends_with(texts, "Z")
        if pc.all(ends).as_py():
            return texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
        if offset is None or pc.any(ends).as_py():
            return None
        plain = texts.cast(pa.timestamp("us")).cast(pa.int64())
        return pc.subtract(plain, round(offset.total_seconds() * 1_000_000)).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _micros(text: str, zone: Any) -> int:
    try:
        at = ciso8601.parse_datetime(text.removesuffix(" UTC"))
    except ValueError:
        return _odd(text, zone)
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return round(at.timestamp() * 1_000_000)


def _odd(text: str, zone: Any) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return int(np.iinfo(np.int64).min)
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1_000_000)
