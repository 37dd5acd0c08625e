"""Where FortiOS keys go in ECS, as data: Elastic's `fortinet_fortigate` names.

https://docs.fortinet.com/document/fortigate/7.6.0/fortios-log-message-reference
"""

from __future__ import annotations

from typing import Final

TRAFFIC, UTM, EVENT, VPN = 1, 2, 4, 8
"""Families of log types: what a key means depends on them. VPN events name the client `remip` and the gateway `locip`."""
ANY: Final = TRAFFIC | UTM | EVENT | VPN

RULES: Final[tuple[tuple[str, str, int], ...]] = (
    # key, field, families; the first key that holds something wins the field
    ("devname", "observer.name", ANY),
    ("devid", "observer.serial_number", ANY),
    ("device_id", "observer.serial_number", ANY),
    ("dstintf", "observer.egress.interface.name", ANY),
    ("dst_int", "observer.egress.interface.name", ANY),
    ("srcintf", "observer.ingress.interface.name", ANY),
    ("src_int", "observer.ingress.interface.name", ANY),
    ("level", "log.level", ANY),
    ("pri", "log.level", ANY),
    ("msg", "message", ANY),
    ("errorcode", "event.code", UTM),
    ("logid", "event.code", ANY),
    ("log_id", "event.code", ANY),
    ("proto", "network.iana_number", ANY),
    ("service", "network.protocol", ANY),
    ("policyid", "rule.id", ANY),
    ("policy_id", "rule.id", UTM),
    ("app", "network.application", TRAFFIC | UTM),
    ("appcat", "rule.category", TRAFFIC | UTM),
    ("catdesc", "rule.category", UTM),
    ("applist", "rule.ruleset", UTM),
    ("profile", "rule.ruleset", UTM),
    ("policytype", "rule.ruleset", TRAFFIC),
    ("policyname", "rule.name", TRAFFIC),
    ("poluuid", "rule.uuid", TRAFFIC),
    ("comment", "rule.description", TRAFFIC),
    ("logdesc", "rule.description", EVENT | VPN),
    ("group", "source.user.group.name", ANY),
    ("unauthuser", "source.user.name", TRAFFIC | UTM),
    ("xauthuser", "source.user.name", VPN),
    ("eapuser", "source.user.name", VPN),
    ("user", "source.user.name", ANY),
    ("dstunauthuser", "destination.user.name", TRAFFIC),
    ("dstname", "destination.address", TRAFFIC),
    ("srcdomain", "source.domain", TRAFFIC | UTM),
    ("daddr", "destination.address", EVENT),
    ("dst_host", "destination.address", EVENT),
    ("saddr", "source.address", EVENT),
    ("daddr", "source.address", VPN),
    ("dst_host", "source.address", VPN),
    ("saddr", "destination.address", VPN),
    ("httpmethod", "http.request.method", UTM),
    ("referralurl", "http.request.referrer", UTM),
    ("agent", "user_agent.original", UTM | EVENT | VPN),
    ("hostname", "url.domain", UTM | EVENT | VPN),
    ("url", "url.path", TRAFFIC | UTM),
    ("url", "url.original", EVENT | VPN),
    ("filename", "file.name", TRAFFIC | UTM),
    ("infectedfilename", "file.name", UTM),
    ("matchedfilename", "file.name", UTM),
    ("file", "file.name", EVENT | VPN),
    ("filetype", "file.extension", UTM),
    ("infectedfiletype", "file.extension", UTM),
    ("matchedfiletype", "file.extension", UTM),
    ("recipient", "email.to.address", UTM),
    ("dstcollectedemail", "email.to.address", TRAFFIC),
    ("ref", "event.reference", UTM),
    ("error_num", "error.code", EVENT | VPN),
    ("qname", "dns.question.name", UTM),
    ("qtype", "dns.question.type", UTM),
    ("qclass", "dns.question.class", UTM),
    ("xid", "dns.id", UTM),
    ("scertissuer", "tls.server.issuer", UTM),
    ("issuer", "tls.server.issuer", UTM),
    ("scertcname", "tls.server.x509.subject.common_name", UTM),
    ("ccertissuer", "tls.client.issuer", UTM),
    ("authalgo", "tls.server.x509.public_key_algorithm", UTM),
    ("keyalgo", "tls.server.x509.public_key_algorithm", UTM),
    ("keysize", "tls.server.x509.public_key_size", UTM),
    ("sn", "tls.server.x509.serial_number", UTM),
    ("certhash", "tls.server.hash.sha1", UTM),
    ("notbefore", "tls.server.not_before", UTM),
    ("notafter", "tls.server.not_after", UTM),
    ("kxcurve", "tls.curve", UTM),
    ("cipher", "tls.cipher", UTM),
    ("sni", "tls.client.server_name", UTM),
    ("filehash", "fortinet.file.hash.crc32", UTM),
    ("reason", "event.reason", ANY),
    ("eventsubtype", "event.reason", ANY),
    ("eventtype", "event.action", UTM | EVENT | VPN),
)

NUMBERS: Final[tuple[tuple[str, str, int], ...]] = (
    ("dstport", "destination.port", ANY & ~VPN),
    ("dst_port", "destination.port", UTM),
    ("remport", "destination.port", UTM | EVENT),
    ("srcport", "source.port", ANY & ~VPN),
    ("src_port", "source.port", UTM),
    ("locport", "source.port", UTM | EVENT),
    ("remport", "source.port", VPN),
    ("dstport", "source.port", VPN),
    ("locport", "destination.port", VPN),
    ("srcport", "destination.port", VPN),
    ("sentbyte", "source.bytes", ANY & ~VPN),
    ("rcvdbyte", "destination.bytes", ANY & ~VPN),
    ("sentbyte", "destination.bytes", VPN),
    ("rcvdbyte", "source.bytes", VPN),
    ("sentpkt", "source.packets", TRAFFIC),
    ("rcvdpkt", "destination.packets", TRAFFIC),
    ("tranport", "destination.nat.port", TRAFFIC),
    ("transport", "source.nat.port", TRAFFIC),
    ("filesize", "file.size", UTM | EVENT | VPN),
    ("infectedfilesize", "file.size", UTM),
)

ADDRESSES: Final[tuple[tuple[str, str, int], ...]] = (
    ("srcip", "source.ip", ANY & ~VPN),
    ("locip", "source.ip", UTM | EVENT),
    ("dstip", "destination.ip", ANY & ~VPN),
    ("remip", "destination.ip", UTM | EVENT),
    ("remip", "source.ip", VPN),
    ("dstip", "source.ip", VPN),
    ("locip", "destination.ip", VPN),
    ("srcip", "destination.ip", VPN),
    ("tranip", "destination.nat.ip", TRAFFIC),
    ("transip", "source.nat.ip", TRAFFIC),
)

COPIED: Final = frozenset(("xauthuser", "eapuser", "dstcollectedemail", "tranip", "transip"))
"""Keys that stay below fortinet.firewall as well."""
DROPPED: Final = frozenset(("tz", "date", "time", "devid", "eventtime", "duration", "dtype", "tlsver"))
"""Keys whose whole meaning is in ECS fields."""
PROTOCOLS: Final = {
    "0": "hopopt", "1": "icmp", "2": "igmp", "6": "tcp", "8": "egp", "17": "udp", "47": "gre", "50": "esp", "58": "ipv6-icmp",
    "112": "vrrp", "132": "sctp",
}  # fmt: skip
DIRECTIONS: Final = {"outgoing": "outbound", "incoming": "inbound"} | {
    word: word for word in ("ingress", "egress", "inbound", "outbound", "internal", "external")
}
