"""Which techniques lie within which, whatever version their ids are of."""

from __future__ import annotations

import pytest

from domain import attack


@pytest.mark.parametrize(
    ("tag", "wanted", "holds"),
    [
        ("attack.t1110.001", "attack.t1110", True),
        ("attack.T1110", "attack.t1110", True),
        ("attack.t1110", "attack.t1110.001", False),
        ("attack.t1110", "attack.t111", False),
        ("attack.t1685.005", "attack.t1070", True),
        ("attack.t1070.001", "attack.t1685", True),
        ("attack.t1686.003", "attack.t1562", True),
        ("attack.t1562.004", "attack.t1686", True),
        ("attack.t1685.005", "attack.t1110", False),
        ("attack.defense-evasion", "attack.stealth", True),
        ("attack.stealth", "attack.defense_evasion", True),
        ("cve.2024-1", "cve.2024-1", False),
    ],
)
def test_within(tag: str, wanted: str, holds: bool) -> None:
    assert attack.within(tag, wanted) is holds


def test_names_and_parents() -> None:
    assert [attack.name_of(t) for t in ("attack.Credential-Access", "attack.T1003.001", "cve.1")] == ["credential_access", "t1003.001", ""]
    assert [attack.parent(n) for n in ("t1003.001", "t1003")] == ["t1003", ""]
    assert {"t1053.002", "t1053.007", "t1574.014", "t1690"} <= attack.attack().techniques
    assert {"t1053.001", "t1562.001", "t1574.002"} & attack.attack().techniques == set()
