"""Look-ups of registers: by address, host and day; what has become of a unit."""

from __future__ import annotations

import ipaddress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.registers import Asset, NamedList, Organisation, Party, Registers, Unit, is_internal

REGISTERS = Registers(
    organisations=(
        Organisation(valid_to=date(2025, 6, 30), agency=Party(name="cũ"), networks=("198.51.100.0/24",)),
        Organisation(valid_from=date(2025, 7, 1), agency=Party(name="mới"), networks=("198.51.100.0/24", "2001:db8:20::/48")),
    ),
    units=(
        Unit(code="T", name="tỉnh", networks=("10.0.0.0/8", "2001:db8:20::/48")),
        Unit(code="H", name="huyện", networks=("10.50.0.0/23",), valid_to=date(2025, 6, 30), successors=("X1", "X2")),
        Unit(code="X1", name="xã 1", networks=("10.50.0.0/24",), valid_from=date(2025, 7, 1)),
        Unit(code="X2", name="xã 2", networks=("10.50.1.0/24",), valid_from=date(2025, 7, 1)),
    ),
    assets=(
        Asset(id="net", name="mạng", addresses=("10.50.0.0/16",), unit="T"),
        Asset(
            id="web", name="cổng", addresses=("10.50.0.10", "2001:db8:20::10", "203.0.113.9"), hosts=("WEB01",), domains=("dvc.example",),
            unit="X1", valid_from=date(2020, 1, 2),
        ),
        Asset(id="web", name="cổng trước kia", addresses=("10.50.0.10",), valid_to=date(2020, 1, 1)),
    ),
    lists=(NamedList(name="admins", values=("a", "b", "a")), NamedList(name="old", values=("x",), valid_to=date(2020, 1, 1))),
)  # fmt: skip
NOW = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("key", "asset"),
    [
        ("10.50.0.10", "web"), ("10.50.0.11", "net"), ("::ffff:10.50.0.10", "web"), ("2001:DB8:20:0::10", "web"),
        ("[2001:db8:20::10]", "web"), ("web01", "web"), ("Web01.tinh.example", "web"), ("DVC.example", "web"), ("net", "net"),
        ("192.0.2.1", None), ("web02", None), ("", None),
    ],
)  # fmt: skip
def test_the_most_specific_asset(key: str, asset: str | None) -> None:
    found = REGISTERS.asset_of(key, NOW)
    assert (found.id if found else None) == asset


def test_the_asset_is_the_one_of_that_day() -> None:
    found = REGISTERS.asset_of("10.50.0.10", date(2019, 5, 1))
    assert found is not None
    assert found.name == "cổng trước kia"


def test_a_day_is_local() -> None:
    before = datetime(2025, 6, 30, 16, 59, tzinfo=UTC)
    after = datetime(2025, 6, 30, 17, 0, tzinfo=UTC)
    assert [REGISTERS.organisation(at).agency.name for at in (before, after)] == ["cũ", "mới"]  # type: ignore[union-attr]


def test_units_by_network_when_no_asset_has_one() -> None:
    bare = Registers(units=REGISTERS.units)
    assert [bare.unit_of("10.50.1.7", at).code for at in (date(2025, 6, 30), date(2025, 7, 1))] == ["H", "X2"]  # type: ignore[union-attr]
    assert bare.unit_of("2001:db8:20::5", NOW).code == "T"  # type: ignore[union-attr]


def test_what_has_become_of_a_district() -> None:
    assert [u.code for u in REGISTERS.units_at("H", date(2025, 6, 30))] == ["H"]
    assert [u.code for u in REGISTERS.units_at("H", NOW)] == ["X1", "X2"]
    assert REGISTERS.units_at("unknown", NOW) == ()


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("10.1.2.3", True),
        ("198.51.100.7", True),
        ("2001:db8:20:1::1", True),
        ("203.0.113.9", True),
        ("203.0.113.10", False),
        ("2001:db8:bad::1", False),
    ],
)
def test_what_is_ours(address: str, own: bool) -> None:
    assert REGISTERS.is_own(address, NOW) is own


def test_placeholders_hold_the_lists_in_force_and_what_the_registers_know() -> None:
    found = REGISTERS.placeholders(NOW)
    assert found["admins"] == ["a", "b"]
    assert "old" not in found
    assert found["own_networks"] == ["198.51.100.0/24", "2001:db8:20::/48"]
    assert found["asset_hosts"] == ["WEB01"]


def test_placeholders_of_public_rules_come_from_tags_of_assets_and_lists_go_before_them() -> None:
    dc = Asset(id="dc", name="DC", hosts=("DC01.tinh.example",), addresses=("10.0.0.5", "10.0.9.0/24"), domains=("tinh.example",),
               tags=("Domain_Controller", "server"))  # fmt: skip
    found = Registers(assets=(dc, Asset(id="w", name="W", hosts=("WS1",), tags=("workstation",)))).placeholders()
    assert found["DomainControllers"] == found["domain_controller_hostnames"] == found["Servers"] == ["DC01.tinh.example"]
    assert found["Workstations"] == ["WS1"]
    assert found["dc_ip_addresses"] == ["10.0.0.5"]
    assert found["dc_machine_accounts"] == found["DC-MACHINE-NAME"] == ["DC01$"]
    assert found["internal_domains"] == ["tinh.example"]
    assert found["JumpServers"] == []
    named = Registers(assets=(dc,), lists=(NamedList(name="servers", values=("srv*",)),)).placeholders()
    assert named["servers"] == ["srv*"]
    assert "Servers" not in named


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("10.0.0.1", True), ("172.31.255.255", True), ("172.32.0.1", False), ("192.168.1.1", True), ("100.64.0.1", True),
        ("169.254.1.1", True), ("127.0.0.1", True), ("fd00::1", True), ("fe80::1%eth0", True), ("::1", True), ("::ffff:192.168.1.1", True), ("10.0.0.0/24", True),
        ("8.8.8.8", False), ("203.0.113.5", False), ("2001:db8::1", False), ("2001:4860:4860::8888", False), ("0.0.0.0/0", False),
        ("host", False),
    ],
)  # fmt: skip
def test_internal_addresses(address: str, internal: bool) -> None:
    assert is_internal(address) is internal


@given(st.ip_addresses())
def test_longest_prefix_agrees_with_a_search_by_hand(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    nets = ["0.0.0.0/1", "128.0.0.0/2", "0.0.0.0/3", "::/3", "2000::/4", "::/1"]
    registers = Registers(assets=tuple(Asset(id=n, name=n, addresses=(n,)) for n in nets))
    mapped = getattr(address, "ipv4_mapped", None) or address
    around = [n for n in map(ipaddress.ip_network, nets) if n.version == mapped.version and mapped in n]
    found = registers.asset_of(str(address))
    assert (found.id if found else None) == (str(max(around, key=lambda n: n.prefixlen)) if around else None)
