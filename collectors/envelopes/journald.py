"""journald's JSON export (`journalctl -o json`).

https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from collectors.base import Payload
from collectors.envelopes import _wrapped
from collectors.parsers.common import Event, Mask, epoch_instant, integer, text

_NAMES: Final = {
    "_HOSTNAME": "host.hostname", "SYSLOG_IDENTIFIER": "process.name", "_EXE": "process.executable", "_CMDLINE": "process.command_line",
    "_MACHINE_ID": "host.id", "_SYSTEMD_UNIT": "service.name",
}  # fmt: skip
_DROPPED: Final = frozenset(("MESSAGE", "__CURSOR", "__MONOTONIC_TIMESTAMP", "__REALTIME_TIMESTAMP", "_BOOT_ID", "PRIORITY", "_PID"))


class Journald:
    """The message, with program, host and unit as outer fields."""

    name = "journald"

    def match(self, records: pa.Array) -> Mask:
        """JSON with journald's clock and a message."""
        return _wrapped.holds(records, '"__REALTIME_TIMESTAMP"', '"MESSAGE"')

    def unwrap(self, payload: Payload) -> Payload:
        """Known fields by their ECS names, the others below journald."""
        return _wrapped.unwrap(payload, _open)


def _open(value: dict[str, object]) -> _wrapped.Opened | None:
    message = value.get("MESSAGE")
    if isinstance(message, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in message):
        message = bytes(message).decode("utf-8", "replace")
    if not isinstance(message, str):
        return None
    micros = integer(value.get("__REALTIME_TIMESTAMP"))
    severity = integer(value.get("PRIORITY"))
    outer: Event = {
        "@timestamp": epoch_instant(micros) if micros is not None else None, "host.name": value.get("_HOSTNAME"),
        "process.name": value.get("_COMM"), "process.pid": integer(value.get("_PID", value.get("SYSLOG_PID"))),
        "log.syslog.severity.code": severity if severity is not None and 0 <= severity < 8 else None,
    }  # fmt: skip
    for key, found in value.items():
        if key not in _DROPPED and found is not None:
            outer[_NAMES.get(key, f"journald.{key.lstrip('_').lower()}")] = found if not isinstance(found, (dict, list)) else text(found)
    return message, outer


ENVELOPE: Final = Journald()
