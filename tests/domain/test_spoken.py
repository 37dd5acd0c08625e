"""What rules write in code, in words; every name of ATT&CK that is shipped has words."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain import attack, i18n, spoken
from domain.alert import Entity, Reason
from tests import house

TECHNIQUE_TAG = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)\b", re.IGNORECASE)
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
            r"Tiến trình (winlog.event_data.Image) kết thúc bằng “\cmd.exe”: C:\a\cmd.exe",
            id="a field of an open name space",
        ),
        pytest.param(Reason("user.name", "An", "eq: an"), "Người dùng (user.name): An", id="equal: said once"),
        pytest.param(Reason("unmapped.x", "5", "gte: 3"), "unmapped.x từ 3 trở lên: 5", id="no meaning: the name"),
        pytest.param(
            Reason("url.query", "a=1", "re: a=(1: 2)"), "Chuỗi truy vấn (url.query) khớp mẫu “a=(1: 2)”: a=1", id="colon in a value"
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
    assert "khớp mẫu “bbb" in text


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5 phút"), (5400, "1 giờ 30 phút"), (90_061, "1 ngày 1 giờ 1 phút 1 giây"), (0, "0 giây")]
)
def test_spans_in_words(seconds: float, text: str) -> None:
    assert spoken.span(seconds) == text


@pytest.mark.parametrize(
    ("kind", "more", "text"),
    [
        (
            "event_count", {"of": [["d302aafd-ff88-4958-92e9-5c84593cae85", "SSO Login Failed"]]},
            "12 sự kiện “Đăng nhập SSO thất bại” với IP nguồn (source.ip) 203.0.113.9 trong 5 phút (ngưỡng: từ 10 trở lên)",
        ),
        (
            "value_count", {"fields": ["user.name"]},
            "12 giá trị khác nhau của Người dùng (user.name) với IP nguồn (source.ip) 203.0.113.9 trong 5 phút (ngưỡng: từ 10 trở lên)",
        ),
        (
            "value_percentile", {"fields": ["http.response.bytes"], "percentile": 95, "group": {}},
            "Phân vị 95 của Kích thước trả lời (http.response.bytes) là 12 trong 5 phút (ngưỡng: từ 10 trở lên)",
        ),
        (
            "temporal_ordered", {"of": [["x", "Own Title"], ["y", "Other"]], "group": {}},
            "Các dấu hiệu xuất hiện lần lượt, đúng thứ tự, trong 5 phút “Own Title → Other”: 12 dấu hiệu (ngưỡng: từ 10 trở lên)",
        ),
        (
            "temporal_ordered", {"of": [["x", "Own Title"]] * 3 + [["y", "Other"], ["x", "Own Title"]], "group": {}},
            "Các dấu hiệu xuất hiện lần lượt, đúng thứ tự, trong 5 phút “3 × Own Title → Other → Own Title”: 12 dấu hiệu (ngưỡng: từ 10 trở lên)",
        ),
    ],
)  # fmt: skip
def test_what_a_correlation_counted_names_field_group_and_time(kind: str, more: dict[str, object], text: str) -> None:
    values = {"seconds": 300, "group": {"source.ip": "203.0.113.9"}, **more}
    assert spoken.reason(Reason(kind, "12", "gte 10", values=values)) == text


def test_a_sentence_says_what_matched_without_the_values() -> None:
    reasons = [
        Reason("process.command_line", "x" * 400, "contains: sekurlsa"), Reason("winlog.event_data.ParentImage", "C:\\cmd.exe", "endswith: \\cmd.exe"),
        Reason("event.code", "1", "eq: 1"),
    ]  # fmt: skip
    said = spoken.sentence(reasons)
    assert said.startswith(
        "Dòng lệnh (process.command_line) chứa “sekurlsa”; Tiến trình cha (winlog.event_data.ParentImage) kết thúc bằng “\\cmd.exe”; "
    )
    assert said.endswith("(event.code): 1")


def test_every_technique_has_a_name_and_a_sentence_that_fit(language: str) -> None:
    names, does = i18n.catalogue(language, "attack"), i18n.catalogue(language, "attack_does")
    techniques = {name for name in names if spoken.is_technique(name)}
    assert techniques == set(does)
    assert {n for n in techniques if len(names[n]) > 110 - 40 * (language == "vi")} == set(), "names fit a line"
    assert {n for n in does if len(does[n]) > 160 or not does[n].endswith(".")} == set(), "one sentence each"
    assert techniques <= attack.attack().techniques | attack.attack().retired.keys()
    assert {attack.parent(n) for n in techniques if attack.parent(n)} <= attack.attack().techniques | attack.attack().retired.keys()


def test_every_tactic_has_words(language: str) -> None:
    known = attack.attack()
    assert {*known.tactics, "defense_evasion"} <= i18n.catalogue(language, "attack").keys()
    assert known.retired.keys() & known.techniques == set()
    assert set(known.retired.values()) <= known.techniques | known.tactics.keys()
    assert (len([n for n in known.techniques if not attack.parent(n)]), len(known.techniques)) == (222, 697), "ATT&CK 19.2"


def test_every_technique_of_the_public_rules_has_words(shared_data: Path, language: str) -> None:
    found: set[str] = set()
    with tarfile.open(shared_data / "sigma" / "sigmahq-rules.tar.xz") as pack:
        for member in pack:
            file = pack.extractfile(member) if member.name.endswith(".yml") else None
            if file is not None:
                found.update(m[1].lower() for m in TECHNIQUE_TAG.finditer(file.read().decode()))
    assert len(found) > 390
    assert found - i18n.catalogue(language, "attack_does").keys() == set()
    assert found - attack.attack().techniques - attack.attack().retired.keys() == set(), "unknown techniques"


def test_every_shipped_attack_name_has_words(language: str) -> None:
    folders = ("rules", "playbooks", "detectors")
    paths = [p for p in house.tracked() if p.parts[0] in folders and p.suffix in {".yml", ".py"}]
    texts = [(house.ROOT / p).read_text(encoding="utf-8") for p in paths]
    named = {m[1].lower().replace("-", "_") for text in texts for m in TAG.finditer(text)}
    assert len(named) > 50
    assert named - i18n.catalogue(language, "attack").keys() == set()


def test_the_report_and_the_screen_name_tactics_alike() -> None:
    report, attack_names = i18n.catalogue("vi", "report"), i18n.catalogue("vi", "attack")
    assert {report[f"tactic_{name}"].lower() for name in attack.attack().tactics} == {
        attack_names[name] for name in attack.attack().tactics
    }
