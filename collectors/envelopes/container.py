"""Container runtimes: Docker's json-file driver, and CRI (containerd, CRI-O) with a stamp, a stream and a flag before the text.

https://docs.docker.com/engine/logging/drivers/json-file/  https://kubernetes.io/docs/concepts/cluster-administration/logging/
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.envelopes import _wrapped
from collectors.parsers.common import TIME, Mask, iso_instant, text

_CRI: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) [FP](?: |$)"
_PARTS: Final = re.compile(r"(\S+) (stdout|stderr) ([FP]) ?(.*)", re.DOTALL)


class Container:
    """The line a program wrote to stdout or stderr; the runtime's stamp is the time when the line has none."""

    name = "container"

    def match(self, records: pa.Array) -> Mask:
        """Either form."""
        cri: Mask = pc.match_substring_regex(records, _CRI).to_numpy(zero_copy_only=False)
        return cri | _wrapped.holds(records, '"log":"', '"stream":"std', '"time":"')

    def unwrap(self, payload: Payload) -> Payload:
        """Inner lines without their final line break; the stream as labels.stream."""
        if not pc.any(pc.starts_with(payload.records, "{")).as_py():
            return _cri(payload)
        lines = [_as_json(record) for record in payload.records.to_pylist()]
        return _wrapped.unwrap(replace(payload, records=pa.array(lines, pa.string())), _open)


def _cri(payload: Payload) -> Payload:
    found = [_PARTS.fullmatch(record) for record in payload.records.to_pylist()]
    outer = {
        "@timestamp": pa.array([iso_instant(f[1], UTC) if f else None for f in found], TIME),
        "labels.stream": pa.array([f[2] if f else None for f in found], pa.string()),
    }
    inner = [f[4] if f else record for f, record in zip(found, payload.records.to_pylist(), strict=True)]
    return replace(payload, records=pa.array(inner, pa.string()), outer=outer)


def _as_json(record: str) -> str:
    """A CRI line in a block with Docker's: as Docker would write it."""
    found = _PARTS.fullmatch(record) if record[:1] != "{" else None
    return text({"time": found[1], "stream": found[2], "log": found[4]}) if found else record


def _open(value: dict[str, object]) -> _wrapped.Opened | None:
    line = value.get("log")
    if not isinstance(line, str):
        return None
    at = iso_instant(text(value.get("time", "")), UTC)
    return line.rstrip("\r\n"), {"@timestamp": at, "labels.stream": value.get("stream")}


ENVELOPE: Final = Container()
