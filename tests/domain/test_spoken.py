"""What rules write in code, in words; every name of ATT&CK that is shipped has words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from domain import i18n, spoken
from domain.alert import Entity, Reason
from tests import house

TAG = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?|[a-z]+(?:[-_][a-z]+)+)", re.IGNORECASE)


@pytest.fixture(params=["vi", "en"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each language in turn."""
    i18n.use(request.param)
    yield request.param
    i18n.use("vi")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        pytest.param(
            Reason("winlog.event_data.Image", r"C:\a\cmd.exe", r"endswith: \cmd.exe"),
            r"Tiến trình (winlog.event_data.Image): C:\a\cmd.exe, kết thúc bằng \cmd.exe",
            id="a field of an open name space",
        ),
        pytest.param(Reason("user.name", "An", "eq: an"), "Người dùng (user.name): An", id="equal: said once"),
        pytest.param(Reason("unmapped.x", "5", "gte: 3"), "unmapped.x: 5, từ 3 trở lên", id="no meaning: the name"),
        pytest.param(
            Reason("url.query", "a=1", "re: a=(1: 2)"), "Chuỗi truy vấn (url.query): a=1, khớp mẫu a=(1: 2)", id="colon in a value"
        ),
        pytest.param(
            Reason("value_count", "73", "gte 60"),
            "73 giá trị khác nhau trong khoảng thời gian của luật (ngưỡng: từ 60 trở lên)",
            id="correlation",
        ),
        pytest.param(Reason("temporal", "4"), "Mọi dấu hiệu mà luật nêu cùng xuất hiện: 4 sự kiện", id="correlation without a limit"),
        pytest.param(Reason("user.name", "x", "odd thing"), "Người dùng (user.name): x (odd thing)", id="what is not known stays"),
    ],
)
def test_reasons_in_vietnamese(reason: Reason, text: str) -> None:
    assert spoken.reason(reason) == text


def test_long_patterns_are_cut() -> None:
    text = spoken.reason(Reason("process.name", "a", "re: " + "b" * 1000))
    assert len(text) < 250
    assert "khớp mẫu bbb" in text


def test_hostile_values_stay_on_one_line() -> None:
    assert "\x1b" not in spoken.reason(Reason("process.name", "a\x1b[31m\nb", "contains: a"))


def test_attack_puts_tactics_first(language: str) -> None:
    known = i18n.catalogue(language, "attack")
    said = spoken.attack(["attack.t1505.003", "attack.initial-access", "cve.2024-1"])
    assert said == f"{known['initial_access']}; cve.2024-1; T1505.003 {known['t1505.003']}"


def test_entities_and_playbook_hits() -> None:
    assert spoken.entity(Entity("host", "A")) == "máy A"
    assert spoken.entity(Entity("odd", "A")) == "odd A"
    assert spoken.hit("attack.t1190").startswith("T1190 ")
    assert spoken.hit("phishing") == "phishing"


def test_every_shipped_attack_name_has_words(language: str) -> None:
    folders = ("rules", "playbooks", "detectors")
    paths = [p for p in house.tracked() if p.parts[0] in folders and p.suffix in {".yml", ".py"}]
    texts = [(house.ROOT / p).read_text(encoding="utf-8") for p in paths]
    named = {m[1].lower().replace("-", "_") for text in texts for m in TAG.finditer(text)}
    assert len(named) > 50
    assert named - i18n.catalogue(language, "attack").keys() == set()
