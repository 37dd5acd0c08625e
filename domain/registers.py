"""Registers: the organisation, its units, its assets and named lists. All dated; look-ups are pure and say which day they mean.

Letterheads, addressees and unit names of a document are those valid on its signing date; the owner of an address is the one valid
when the event happened. An entry is valid on `valid_from`, on `valid_to` and on every day between; None = open.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Final, Generic, TypeAlias, TypeVar

from domain.clock import LOCAL
from domain.text import lower

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_INTERNAL: Final = tuple(
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
        "::/127", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

_HOSTS_TAGGED: Final[Mapping[str, tuple[str, ...]]] = {
    "server": ("Servers", "ServerSystems"), "workstation": ("Workstations",), "jump-server": ("JumpServers",),
    "domain-controller": ("DomainControllers", "domain_controller_hostnames"),
}  # fmt: skip
"""Tag of assets -> names that rules give to the hosts which have it: the standard ones of Sigma, and those of public rules."""
_ACCOUNTS: Final = ("dc_machine_accounts", "DC-MACHINE-NAME")
"""Names of the machine accounts of domain controllers."""


@dataclass(frozen=True, kw_only=True)
class Dated:
    """Something that holds for a time."""

    valid_from: date | None = None
    valid_to: date | None = None
    """Last day on which it holds."""

    def valid(self, at: date | datetime | None) -> bool:
        """Whether it holds on that local day; None asks for entries without an end."""
        if at is None:
            return self.valid_to is None
        day = at.astimezone(LOCAL).date() if isinstance(at, datetime) else at
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True)
class Party:
    """An agency, a person, a point of contact: what is left empty is not known."""

    name: str = ""
    lines: tuple[str, ...] = ()
    """The name as a letterhead breaks it; empty = one line."""
    abbreviation: str = ""
    address: str = ""
    phone: str = ""
    mobile: str = ""
    email: str = ""
    position: str = ""
    network_code: str = ""
    """Member code in the national incident response network."""


@dataclass(frozen=True)
class Signer:
    """Who signs."""

    authority: str = ""
    """`KT. Giám đốc`; empty when the head signs."""
    position: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Organisation(Dated):
    """The reporting organisation in one period of its history."""

    example: bool = False
    """A fictitious one: documents say so."""
    superior: Party = Party()
    agency: Party = Party()
    owner: Party = Party()
    """Who governs the systems (chủ quản)."""
    operator: Party = Party()
    contact: Party = Party()
    """Reachable 24/7."""
    security_provider: Party = Party()
    signer: Signer = Signer()
    place: str = ""
    archive: str = ""
    """What follows `Lưu:`, such as `VT, CNTT`."""
    networks: tuple[str, ...] = ()
    """All networks of the province, v4 and v6."""
    addressees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By kind of document; `default` for all others."""
    recipients: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`Nơi nhận`, by kind of document."""


@dataclass(frozen=True, kw_only=True)
class Unit(Dated):
    """A department, commune or office."""

    code: str
    name: str
    parent: str = ""
    successors: tuple[str, ...] = ()
    """Codes of the units that took over after `valid_to`."""
    networks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asset(Dated):
    """An information system or machine."""

    id: str
    name: str
    unit: str = ""
    owner: str = ""
    operator: str = ""
    level: int | None = None
    """Security level 1 to 5; None = not classified."""
    description: str = ""
    """The service it provides."""
    purpose: str = ""
    addresses: tuple[str, ...] = ()
    """Addresses and networks, v4 and v6, public and private."""
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """Keys: web, mail, database, dns, file, application, other."""
    controls: tuple[str, ...] = ()
    """Keys: antivirus, firewall, ids, waf, edr, backup, other."""
    os: str = ""
    os_version: str = ""
    isp: str = ""
    bandwidth: str = ""
    security_provider: str = ""
    personal_data: str = ""
    """Kinds of personal data it holds; empty = none known."""
    contact: str = ""
    tags: tuple[str, ...] = ()

    def tagged(self, tag: str) -> bool:
        """Whether it has the tag, however it is written: `domain-controller`, `Domain_Controller`."""
        return any(lower(one).replace("_", "-").replace(" ", "-") == tag for one in self.tags)


@dataclass(frozen=True, kw_only=True)
class NamedList(Dated):
    """A list of values that rules use as a placeholder (`%name%`)."""

    name: str
    values: tuple[str, ...]
    note: str = ""


D = TypeVar("D", bound=Dated)


@dataclass(frozen=True)
class Registers:
    """All registers, with look-ups. `at` = the local day (or instant) that is meant; None = entries still in force."""

    organisations: tuple[Organisation, ...] = ()
    units: tuple[Unit, ...] = ()
    assets: tuple[Asset, ...] = ()
    lists: tuple[NamedList, ...] = ()

    def organisation(self, at: date | datetime | None) -> Organisation | None:
        """The organisation as it was on that day."""
        return _newest(o for o in self.organisations if o.valid(at))

    def asset(self, asset_id: str, at: date | datetime | None = None) -> Asset | None:
        """The asset with this id; when none is valid on that day, the newest with the id."""
        same = [a for a in self.assets if a.id == asset_id]
        return _newest(a for a in same if a.valid(at)) or _newest(same)

    def asset_of(self, key: str, at: date | datetime | None = None) -> Asset | None:
        """The asset that has this address (most specific network first), host name, domain or id."""
        found = self._asset_nets.find(key, at)
        if found is not None or parse_address(key) is not None:
            return found
        return _newest(a for name in _names(key) for a in self._asset_names.get(name, ()) if a.valid(at))

    def unit_of(self, key: str, at: date | datetime | None = None) -> Unit | None:
        """The unit of an address, host name or asset: by its asset, else by the units' networks."""
        asset = self.asset_of(key, at)
        if asset is not None and asset.unit:
            unit = self.unit(asset.unit, at)
            if unit is not None:
                return unit
        return self._unit_nets.find(key, at)

    def unit(self, code: str, at: date | datetime | None = None) -> Unit | None:
        """The unit with this code on that day."""
        return _newest(u for u in self.units if u.code == code and u.valid(at))

    def units_at(self, code: str, at: date | datetime | None = None) -> tuple[Unit, ...]:
        """What has become of a unit on that day: itself, or its successors, theirs, and so on; empty when nothing is known."""
        todo, seen, out = [code], set[str](), []
        while todo:
            current = todo.pop(0)
            if current in seen:
                continue
            seen.add(current)
            unit = self.unit(current, at)
            if unit is not None:
                out.append(unit)
            else:
                todo += [s for u in self.units if u.code == current for s in u.successors]
        return tuple(out)

    def is_own(self, address: str, at: date | datetime | None = None) -> bool:
        """Whether the address is the province's: private, or in a registered network."""
        ip = parse_address(address)
        if ip is None:
            return self.asset_of(address, at) is not None
        if is_internal(address) or self._asset_nets.find(address, at) or self._unit_nets.find(address, at):
            return True
        return self._own_nets.find(address, at) is not None

    def placeholders(self, at: date | datetime | None = None) -> dict[str, list[str]]:
        """Values for rules by name: the lists, and what the other registers say (`own_networks`, `asset_addresses`, `Servers`, ...)."""
        assets = [a for a in self.assets if a.valid(at)]
        out = {
            "own_networks": [n for o in self.organisations if o.valid(at) for n in o.networks],
            "asset_addresses": [n for a in assets for n in a.addresses],
            "asset_hosts": [h for a in assets for h in a.hosts],
            "internal_domains": [d for a in assets for d in a.domains],
        }
        for tag, names in _HOSTS_TAGGED.items():
            out |= {key: [h for a in assets if a.tagged(tag) for h in a.hosts] for key in names}
        controllers = [a for a in assets if a.tagged("domain-controller")]
        out["dc_ip_addresses"] = [n for a in controllers for n in a.addresses if parse_address(n) is not None]
        out |= {key: [f"{h.partition('.')[0]}$" for a in controllers for h in a.hosts] for key in _ACCOUNTS}
        for entry in self.lists:
            if entry.valid(at):
                out = {name: values for name, values in out.items() if lower(name) != lower(entry.name)}
                out[entry.name] = list(entry.values)
        return {name: list(dict.fromkeys(values)) for name, values in out.items()}

    @cached_property
    def _asset_nets(self) -> _Networks[Asset]:
        return _Networks((n, a) for a in self.assets for n in a.addresses)

    @cached_property
    def _unit_nets(self) -> _Networks[Unit]:
        return _Networks((n, u) for u in self.units for n in u.networks)

    @cached_property
    def _own_nets(self) -> _Networks[Organisation]:
        return _Networks((n, o) for o in self.organisations for n in o.networks)

    @cached_property
    def _asset_names(self) -> dict[str, list[Asset]]:
        out: dict[str, list[Asset]] = {}
        for asset in self.assets:
            for name in (asset.id, *asset.hosts, *asset.domains):
                out.setdefault(lower(name), []).append(asset)
        return out


def parse_address(text: str) -> Address | None:
    """An address, v4-mapped v6 as v4, without zone; None when it is not one."""
    try:
        ip = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(ip, "ipv4_mapped", None)
    return mapped or ip


def is_internal(address: str) -> bool:
    """Not a host of the Internet: private, shared, unique local, link-local, loopback, multicast; False when it is no address.

    Addresses set aside for documentation count as Internet addresses: exercises use them in that role.
    """
    network = parse_network(address)
    return network is not None and any(network.version == inner.version and network.subnet_of(inner) for inner in _INTERNAL)  # type: ignore[arg-type]


def parse_network(text: str) -> Network | None:
    """An address or network (host bits allowed), v4-mapped v6 as v4; None when it is neither."""
    ip = parse_address(text)
    try:
        return ipaddress.ip_network(ip if ip is not None else text.strip(), strict=False)
    except ValueError:
        return None


class _Networks(Generic[D]):
    """Longest prefix first: one dictionary per prefix length."""

    def __init__(self, entries: Iterable[tuple[str, D]]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, list[D]]] = {}
        for text, entry in entries:
            net = parse_network(text)
            if net is not None:
                table = self._by_length.setdefault((net.version, net.prefixlen), {})
                table.setdefault(int(net.network_address), []).append(entry)
        self._lengths = sorted(self._by_length, reverse=True)

    def find(self, address: str, at: date | datetime | None) -> D | None:
        """The entry with the most specific network around the address that is valid on that day."""
        ip = parse_address(address)
        if ip is None:
            return None
        for version, length in self._lengths:
            if version == ip.version:
                base = int(ip) >> (ip.max_prefixlen - length) << (ip.max_prefixlen - length)
                entry = _newest(e for e in self._by_length[version, length].get(base, ()) if e.valid(at))
                if entry is not None:
                    return entry
        return None


def _newest(entries: Iterable[D]) -> D | None:
    return max(entries, key=lambda e: e.valid_from or date.min, default=None)


def _names(key: str) -> tuple[str, ...]:
    """A host as it is, then without its domain."""
    name = lower(key).rstrip(".")
    return (name, name.partition(".")[0])
