"""Receive or pull raw records; unwrap envelopes; parse. The literal dicts below are all there is: adding one = one line."""

from __future__ import annotations

from typing import Final

SOURCES: Final[dict[str, str]] = {
    "file": "collectors.file:Files",
    "evtx": "collectors.file:Files",
    "syslog": "collectors.spooled:Spooled",
    "opensearch": "collectors.opensearch:Indices",
}
"""Source type -> "module:class" of its Collector."""

ENVELOPES: Final[dict[str, str]] = {
    "wazuh": "collectors.envelopes.shipped:WAZUH",
    "dataprepper": "collectors.envelopes.shipped:DATAPREPPER",
    "dotted": "collectors.envelopes.dotted:ENVELOPE",
    "beats": "collectors.envelopes.beats:ENVELOPE",
    "journald": "collectors.envelopes.journald:ENVELOPE",
    "container": "collectors.envelopes.container:ENVELOPE",
    "syslog": "collectors.envelopes.syslog:ENVELOPE",
}
"""Envelope name -> "module:object". Order = from the outside in; each is stripped at most once."""

PARSERS: Final[dict[str, str]] = {
    "windows": "collectors.parsers.windows:PARSER",
    "nginx": "collectors.parsers.nginx:PARSER",
    "apache": "collectors.parsers.apache:PARSER",
    "fortigate": "collectors.parsers.fortigate:PARSER",
    "iis": "collectors.parsers.iis:PARSER",
    "squid": "collectors.parsers.squid:PARSER",
    "bind": "collectors.parsers.bind:PARSER",
    "suricata": "collectors.parsers.suricata:PARSER",
    "keycloak": "collectors.parsers.keycloak:PARSER",
    "apigw": "collectors.parsers.apigw:PARSER",
    "linux_audit": "collectors.parsers.linux_audit:PARSER",
    "sysmon_linux": "collectors.parsers.sysmon_linux:PARSER",
    "linux_auth": "collectors.parsers.linux_auth:PARSER",
    "linux_syslog": "collectors.parsers.linux_syslog:PARSER",
    "json": "collectors.parsers.json:PARSER",
    "kv": "collectors.parsers.kv:PARSER",
}
"""Parser name -> "module:object". Order = priority of detection."""

GENERIC: Final[tuple[str, ...]] = ("json", "kv")
"""Parsers that get only what no other one claims, in the order of PARSERS; kv only what no named program sent."""

JOINING: Final[tuple[str, ...]] = ("iis", "linux_audit")
"""Parsers whose records speak for others of their batch: a header line, the siblings of an audit event."""

FALLBACK: Final = "linux_syslog"
"""Parser of what a named program sent through syslog and nobody claims."""

_AUTHENTICATION: Final = (
    "sshd", "sshd-session", "sudo", "su", "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "passwd", "chpasswd",
    "chage", "gpasswd", "newusers", "login", "systemd-logind", "polkitd", "pkexec", "runuser", "doas", "chfn", "chsh", "faillock",
    "unix_chkpwd", "pam",
)  # fmt: skip
PROGRAMS: Final[dict[str, str]] = {**dict.fromkeys(_AUTHENTICATION, "linux_auth"), "kernel": "linux_syslog"}
"""Syslog program (lower case) -> parser that owns its messages, whatever they say."""
