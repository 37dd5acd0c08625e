"""No internal address leaves the house, however it is written."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.registers import is_internal
from reports.redact import public, without_internal

HIDDEN = "[địa chỉ nội bộ]"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "010.000.000.001", "192.168.1.0/24", "172.16.5.4", "169.254.0.9", "127.0.0.1", "100.64.3.2", "fd12:3456::1",
        "FE80::1%eth0", "fe80::a00:27ff:fe4e:66a1", "::ffff:10.1.2.3", "fd00::/8", "::1", "fc00:0:0:0:0:0:0:7",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "từ {} đến", "({})", "src={},", "{}:8080", "[{}]:443", "{}.", "http://{}/x", '"{}"', "a {}; {}"])
def test_an_internal_address_is_hidden(address: str, around: str) -> None:
    if ":" in address and around in ("{}:8080", "src={},"):
        around = "[{}]"
    text = without_internal(around.replace("{}", address))
    assert HIDDEN in text
    assert address not in text


@pytest.mark.parametrize(
    "text",
    ["203.0.113.9", "8.8.8.8:53", "2001:db8::1", "lúc 08:15:03", "phiên bản 10.0.1", "1.2.3.4.5", "10.20", "luật a::b", "172.32.0.1", "::"],
)
def test_everything_else_stays(text: str) -> None:
    assert without_internal(text) == text


@given(st.ip_addresses(), st.sampled_from(["{}", "x {} y", "({})", "{},", "[{}]"]))
def test_what_stays_is_an_internet_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, around: str) -> None:
    text = without_internal(around.format(address))
    assert (str(address) in text) is not is_internal(str(address)) or str(address) == "::"


@given(st.text(alphabet="0123456789abcdf:.%/ []", max_size=60))
def test_any_text_is_safe_to_clean_and_cleaning_twice_changes_nothing(text: str) -> None:
    once = without_internal(text)
    assert without_internal(once) == once
    left = [word for word in re.split(r"[^0-9A-Fa-f:.]+", once) if is_internal(word)]
    assert set(left) <= {"::"}


def test_only_internet_addresses_are_listed() -> None:
    mixed = ["198.51.100.1", "10.0.0.1", "2001:db8::/32", "fd00::1", "portal", "203.0.113.0/24"]
    assert public(mixed) == ["198.51.100.1", "2001:db8::/32", "203.0.113.0/24"]
