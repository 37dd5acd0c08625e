"""What rules are called in the language of the reader."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from detectors.sigma.refs import reference
from domain import i18n, titles
from domain.alert import Entity, RuleRef


@pytest.fixture(autouse=True)
def _vietnamese() -> Iterator[None]:
    i18n.use("vi")
    yield
    i18n.use("vi")


def rule(title: str, *tags: str, source: str = "", kind: str = "sigma", name: str = "r") -> RuleRef:
    return RuleRef(name, title, "high", "v", tags, kind, source)


@pytest.mark.parametrize(
    ("ref", "vi", "en"),
    [
        pytest.param(
            rule("HackTool - Mimikatz", "attack.credential-access", "attack.T1003.001"),
            "Đánh cắp thông tin xác thực: bộ nhớ LSASS [HackTool - Mimikatz]", "HackTool - Mimikatz", id="by its technique",
        ),
        pytest.param(
            rule("Dump", "attack.t1003.001", "attack.t1003.002"),
            "Đánh cắp thông tin xác thực của hệ điều hành [Dump]", "Dump", id="several of one kind: their parent",
        ),
        pytest.param(
            rule("X", "attack.t1059", "attack.t1218.011"), "Chạy mã qua rundll32 [X]", "X", id="the more precise one",
        ),
        pytest.param(
            rule("X", "attack.execution", source="process_creation"), "Tiến trình bất thường: thực thi [X]", "X", id="by source and tactic",
        ),
        pytest.param(rule("X", source="bits-client"), "Tải tệp qua BITS bất thường [X]", "X", id="by source"),
        pytest.param(rule("X", "attack.impact", source="odd"), "Dấu hiệu bất thường: gây tác động [X]", "X", id="a source nobody named"),
        pytest.param(rule("X", "attack.t9999", "cve.2024-1"), "X", "X", id="nothing is known: its own"),
        pytest.param(
            rule("Tệp lạ", "attack.t1505.003"), "Tệp lạ", "Server Software Component: Web Shell [Tệp lạ]", id="written in Vietnamese",
        ),
        pytest.param(
            rule("Webshell", "attack.t1505.003", name="f2c3ea2a-554a-4e5a-8beb-1556a55c0f76"),
            "Tập lệnh trả lời từ thư mục tải lên hoặc thư mục tĩnh", "Webshell", id="a rule of ours",
        ),
        pytest.param(
            rule("Nguồn nhật ký im lặng", kind="anomaly", name="anomaly.silence"), "Nguồn nhật ký im lặng", "Log source is silent",
            id="a model: the reader's language, not the scan's",
        ),
    ],
)  # fmt: skip
def test_titles(ref: RuleRef, vi: str, en: str) -> None:
    assert titles.full(ref) == vi
    assert titles.title(ref, "vi") == vi.removesuffix(f" [{ref.title}]")
    i18n.use("en")
    assert titles.full(ref) == en


def test_a_headline_names_whom_it_is_about() -> None:
    ref = rule("HackTool", "attack.t1003.001")
    assert titles.headline(ref, [Entity("host", "ADSERVER")]) == "Đánh cắp thông tin xác thực: bộ nhớ LSASS – máy ADSERVER"
    many = [Entity("host", "A"), Entity("user", "b"), Entity("ip", "192.0.2.1")]
    assert titles.headline(ref, many).endswith(" – máy A, người dùng b, …")
    assert titles.headline(ref, []) == "Đánh cắp thông tin xác thực: bộ nhớ LSASS"


def test_every_public_rule_has_a_vietnamese_title(shared_data: Path) -> None:
    found, untitled = set(), []
    with tarfile.open(shared_data / "sigma" / "sigmahq-rules.tar.xz") as pack:
        for member in pack:
            file = pack.extractfile(member) if member.name.endswith(".yml") else None
            for data in yaml.load_all(file.read(), yaml.CSafeLoader) if file is not None else ():
                if isinstance(data, dict) and "detection" in data:
                    ref = reference(data)
                    found.add(titles.title(ref))
                    untitled += [ref.title] if titles.title(ref) == ref.title else []
    assert untitled == []
    assert len(found) > 450, "they say what each is about"
    assert max(map(len, found)) <= 75
