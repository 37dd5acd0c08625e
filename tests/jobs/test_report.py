"""`soc report` from end to end: files, answers, what is missing, numbers, the record that is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import docx
import pytest

from domain.alert import Entity
from domain.grammar import parse
from domain.incident import closed
from domain.query import Query
from domain.window import TimeWindow
from jobs.registers import EXAMPLE
from store import open_store
from store.base import NewRecord, Record
from tests.conftest import Soc
from tests.reports import seed
from tests.reports.test_render import pdf_text

Run = Callable[..., "CompletedProcess[str]"]
OLD = datetime(2026, 5, 3, 2, tzinfo=UTC)
"""T0 under the regime of 2017."""


@pytest.fixture
def province(tmp_path: Path) -> Path:
    """A folder with registers that are not marked as an example, and one configured source."""
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "fw-01"\ntype = "file"\npath = "x"\n', encoding="utf-8")
    registers = tmp_path / "content" / "registers"
    shutil.copytree(EXAMPLE, registers)
    text = (registers / "organisation.yml").read_text(encoding="utf-8").replace("example: true", "example: false")
    (registers / "organisation.yml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def week(province: Path) -> Path:
    """The same with an ordinary week in the store."""
    store = open_store(f"file:{province / 'data'}", {})
    seed.week(store)
    seed.incident(store, OLD, title="Dò mật khẩu từ 10.20.30.40 và fd00::5 tới cổng", flags=("personal_data",))
    store.close()
    return province


@pytest.fixture
def report(soc_here: Soc) -> Run:
    """`soc report ...` on 24/11/2026 at 08:00."""

    def run(*args: str, now: str = "2026-11-24T08:00") -> CompletedProcess[str]:
        return soc_here("report", *args, "--now", now)

    return run


def _records(folder: Path) -> list[Record]:
    store = open_store(f"file:{folder / 'data'}", {})
    found = list(store.records.find("document"))
    store.close()
    return found


def _incidents(folder: Path) -> list[Record]:
    store = open_store(f"file:{folder / 'data'}", {})
    found = list(store.records.find("incident"))
    store.close()
    return found


def _markdown(folder: Path, name: str = "weekly-2026-W47") -> str:
    return (folder / "documents" / f"{name}.md").read_text(encoding="utf-8")


def test_without_a_period_the_last_whole_week_in_every_format(week: Path, report: Run) -> None:
    done = report("weekly", "--format", "docx,pdf,html,md")
    assert done.returncode == 0, done.stderr
    names = [f"weekly-2026-W47.{form}" for form in ("docx", "pdf", "html", "md")]
    assert [Path(line).name for line in done.stdout.split()] == names
    assert all((week / "documents" / name).stat().st_size > 1000 for name in names)


def test_the_five_items_in_their_order(week: Path, report: Run) -> None:
    report("weekly", "--format", "md")
    text = _markdown(week)
    items = [
        "1\\. Thời gian giám sát", "2\\. Danh mục đối tượng bị tấn công cần chú ý",
        "3\\. Kỹ thuật tấn công đã phát hiện được và chứng cứ liên quan",
        "4\\. Các đối tượng thực hiện tấn công", "5\\. Các thay đổi trong hệ thống được giám sát và hệ thống giám sát",
    ]  # fmt: skip
    assert [text.index(item) for item in items] == sorted(text.index(item) for item in items)
    assert "| 1 | 10.20.10.10 | Dịch vụ công trực tuyến, một cửa điện tử, Trung tâm tích hợp dữ liệu |" in text
    assert "T1110.001 Đoán mật khẩu (Truy cập thông tin xác thực)" in text
    assert "| 203.0.113.66 | Bên ngoài | 10.20.10.10 |" in text
    assert "| 2001:db8:bad::66 | Bên ngoài | 2001:db8:20:10::20 |" in text
    assert "| dc01 | user-added | 4 |" in text


def test_an_empty_week_still_has_all_five_items(province: Path, report: Run) -> None:
    assert report("weekly", "--format", "md").returncode == 0
    text = _markdown(province)
    assert [text.count(f"### {n}\\. ") for n in range(1, 6)] == [1] * 5
    assert text.count("Không phát hiện.") == 4
    assert "Không phát hiện sự cố trong kỳ." in text
    assert "Trong kỳ có – cảnh báo" in text
    assert "| Nghiêm trọng | – | – | – | – |" in text
    assert "Số liệu trong thời gian mất giám sát là không xác định" in text


def test_a_gap_of_three_hours_is_printed_and_unknown_figures_are_dashes(week: Path, report: Run) -> None:
    report("weekly", "--format", "md")
    rows = {line.split(" | ")[1]: line for line in _markdown(week).splitlines() if line.startswith("| ")}
    assert "18/11/2026 11:40:00 – 15:00:00" in rows["dvc-web01 (nguồn mới)"]
    assert "3 giờ 20 phút" in rows["dvc-web01 (nguồn mới)"]
    assert "\n| 1 | dc01 | – | – | 7 ngày | 16/11/2026 00:00:00 – 23/11/2026 00:00:00 |\n" in _markdown(week)


def test_the_record_keeps_files_queries_window_rules_and_gaps(week: Path, report: Run) -> None:
    report("weekly", "--format", "pdf,html")
    record = _records(week)[-1]
    assert (record.type, record.key) == ("draft", "weekly:2026-W47")
    for file in record.body["files"]:  # type: ignore[attr-defined]
        assert hashlib.sha256((week / "documents" / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert (record.body["from"], record.body["to"]) == ("2026-11-16T00:00:00.000+07:00", "2026-11-23T00:00:00.000+07:00")
    figures = {q["figure"]: q for q in record.body["queries"]}  # type: ignore[attr-defined]
    assert figures["events"]["result"] == 1028
    assert figures["blocked"]["result"] == 25
    queries = [q["query"] for q in figures.values() if not q["query"].startswith("records ")]
    assert len(queries) == 3
    store = open_store(f"file:{week / 'data'}", {})
    window = TimeWindow(seed.MONDAY, seed.MONDAY + timedelta(days=7))
    assert [store.events.count(Query(parse(q), window)) for q in queries] == [1028, 4, 25]
    store.close()
    assert {g["source"] for g in record.body["gaps"]} == {"dc01", "dvc-web01"}  # type: ignore[attr-defined]
    assert record.body["rule_count"] == 2
    assert len(str(record.body["rules"])) == 64


def test_the_same_input_gives_the_same_bytes_and_one_record(week: Path, report: Run) -> None:
    for _ in range(2):
        report("weekly", "--format", "docx,pdf,html,md", "--out", str(week / "a"))
    first = {p.name: p.read_bytes() for p in (week / "a").iterdir()}
    shutil.rmtree(week / "a")
    report("weekly", "--format", "docx,pdf,html,md", "--out", str(week / "a"))
    assert {p.name: p.read_bytes() for p in (week / "a").iterdir()} == first
    assert len(_records(week)) == 1


def test_answers_survive_and_reach_the_document(week: Path, report: Run) -> None:
    first = report("weekly", "--format", "md")
    path = week / "documents" / "weekly-2026-W47.answers.yml"
    assert "Fill them in" in first.stderr
    mine = "# ghi chú của tôi\nrecommendations: |\n  Vá máy chủ dvc-web01.\n  Bổ sung nguồn nhật ký dc01.\n"
    path.write_text(mine, encoding="utf-8")
    again = report("weekly", "--format", "md")
    assert path.read_text(encoding="utf-8") == mine
    assert "Fill them in" not in again.stderr
    assert "Vá máy chủ dvc-web01.\n\nBổ sung nguồn nhật ký dc01." in _markdown(week)


def test_final_refuses_while_something_is_missing(week: Path, report: Run) -> None:
    done = report("weekly", "--format", "md", "--final")
    assert done.returncode == 1
    assert "Still missing (2):" in done.stderr
    assert "Document number (--number)" in done.stderr
    assert "Recommendations and proposals" in done.stderr
    assert "……………" in _markdown(week)
    assert _records(week)[-1].type == "draft"


def test_final_with_all_there_is_numbered_and_recorded(week: Path, report: Run) -> None:
    answers = week / "a.yml"
    answers.write_text("recommendations: Không có.\n", encoding="utf-8")
    done = report("weekly", "--format", "docx,md", "--final", "--number", "5", "--answers", str(answers))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Số: 05/BC-SKHCN" in _markdown(week)
    assert "……" not in _markdown(week)
    record = _records(week)[-1]
    assert (record.type, record.body["number"], record.body["missing"]) == ("final", "05/BC-SKHCN", [])
    document = docx.Document(str(week / "documents" / "weekly-2026-W47.docx"))
    assert [p.text for p in document.paragraphs if p.text.endswith("./.")]


def test_a_number_is_given_once_a_year(week: Path, report: Run) -> None:
    answers = week / "a.yml"
    answers.write_text("recommendations: Không có.\n", encoding="utf-8")
    options = ("--format", "md", "--final", "--number", "05", "--answers", str(answers))
    assert report("weekly", *options).returncode == 0
    other = report("weekly", "--period", "2026-W46", *options)
    assert other.returncode == 2
    assert "05/BC-SKHCN is weekly:2026-W47 already" in other.stderr
    assert report("weekly", *options).returncode == 0


def test_an_example_organisation_cannot_sign(week: Path, report: Run) -> None:
    shutil.copy(EXAMPLE / "organisation.yml", week / "content" / "registers" / "organisation.yml")
    done = report("weekly", "--format", "md", "--final", "--number", "5")
    assert done.returncode == 1
    assert "fictitious example" in done.stderr


def test_without_registers_everything_formal_is_missing(tmp_path: Path, report: Run) -> None:
    done = report("weekly", "--format", "md", "--json")
    missing = json.loads(done.stdout)["missing"]
    assert {"need_agency", "need_abbreviation", "need_place", "need_addressees", "need_position", "need_signer"} < set(missing)
    assert "**……………**" in _markdown(tmp_path)


@pytest.mark.parametrize(
    ("now", "agency", "symbol"),
    [("2025-06-30T23:59", "**VÀ TRUYỀN THÔNG**", "BC-STTTT"), ("2025-07-01T00:00", "**VÀ CÔNG NGHỆ**", "BC-SKHCN")],
)
def test_the_letterhead_is_the_one_of_the_signing_date(province: Path, report: Run, now: str, agency: str, symbol: str) -> None:
    report("weekly", "--format", "md", "--period", "2025-W25", now=now)
    text = _markdown(province, "weekly-2025-W25")
    assert agency in text
    assert symbol in text
    assert f"ngày {'30 tháng 6' if now < '2025-07' else '01 tháng 7'} năm 2025" in text


def test_quarters_follow_the_cut_off_unless_the_calendar_is_asked_for(province: Path, report: Run) -> None:
    report("weekly", "--format", "md", "--period", "2026-Q3")
    assert "từ ngày 15/06/2026 đến ngày 14/09/2026" in _markdown(province, "weekly-2026-Q3")
    report("weekly", "--format", "md", "--period", "2026-Q3", "--calendar")
    assert "từ ngày 01/07/2026 đến ngày 30/09/2026" in _markdown(province, "weekly-2026-Q3")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("monthly",), "monthly: is not built yet"),
        (("wekly",), "wekly: no such kind of document"),
        (("weekly", "--period", "tuần"), "no such period"),
        (("weekly", "--format", "odt"), "--format odt: docx | pdf | html | md"),
        (("weekly", "--incident", "SC"), "weekly is about a period"),
        (("notice",), "notice is about an incident"),
        (("notice", "--incident", "SC-2999"), "no such incident"),
        (("notice", "--incident", "SC-2026"), "several incidents begin so"),
        (("weekly", "--number", "../5"), "--number ../5"),
    ],
)
def test_what_cannot_be_asked_for(week: Path, report: Run, args: tuple[str, ...], message: str) -> None:
    done = report(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_folder_that_cannot_be_written_is_named(week: Path, report: Run) -> None:
    (week / "here").write_text("a file", encoding="utf-8")
    done = report("weekly", "--format", "md", "--out", str(week / "here"))
    assert done.returncode == 3
    assert f"{week / 'here'}" in done.stderr
    assert "--out DIR" in done.stderr
    assert _records(week) == []


def test_the_list_says_what_is_built(report: Run) -> None:
    rows = json.loads(report("list", "--json").stdout)
    assert [r["kind"] for r in rows if r["built"]] == ["weekly", "notice", "initial", "closing"]
    assert len(rows) == 15


def test_the_regime_of_t0_chooses_the_notice(week: Path, report: Run) -> None:
    report("notice", "--incident", "SC-20261117", "--format", "md")
    report("notice", "--incident", "SC-20260503", "--format", "md")
    new, old = (next((week / "documents").glob(f"notice-SC-{day}-*.md")).read_text(encoding="utf-8") for day in ("20261117", "20260503"))
    assert "V/v thông báo ban đầu về sự cố an ninh mạng nghiêm trọng" in new
    assert "Số:        /SKHCN-TTGS" in new
    assert "Nghị định số 331/2026/NĐ-CP" in new
    assert "# THÔNG BÁO" in old
    assert "/TB-SKHCN" in old
    assert "Kết quả xử lý sự cố (\\*)" in old or "Kết quả xử lý sự cố (*)" in old
    assert "331/2026" not in old


def test_the_letter_of_the_new_regime_fits_one_page(week: Path, report: Run) -> None:
    answers = week / "a.yml"
    answers.write_text(
        "proposals: Đề nghị hỗ trợ phân tích mã độc.\nlevel_reason: Hệ thống cấp độ 3, tài khoản quản trị bị chiếm.\n", encoding="utf-8"
    )
    report("notice", "--incident", "SC-20261117", "--format", "pdf", "--answers", str(answers))
    pages = pdf_text(next((week / "documents").glob("notice-*.pdf")).read_bytes()).split("\f")
    assert [bool(p.strip()) for p in pages] == [True, False]


def test_the_night_between_the_regimes(province: Path, report: Run) -> None:
    store = open_store(f"file:{province / 'data'}", {})
    change = datetime(2026, 6, 30, 17, tzinfo=UTC)
    before = seed.incident(store, change - timedelta(minutes=1), title="a")
    after = seed.incident(store, change, title="b")
    store.close()
    heads = {}
    for key in (before, after):
        report("initial", "--incident", key, "--format", "md")
        text = (province / "documents" / f"initial-{key}.md").read_text(encoding="utf-8")
        heads[key] = "BÁO CÁO BAN ĐẦU SỰ CỐ MẠNG" in text, "PHẠM VI ẢNH HƯỞNG" in text
    assert heads == {before: (True, False), after: (False, True)}


def test_form_03_has_its_fields_in_order_and_no_internal_address(week: Path, report: Run) -> None:
    report("initial", "--incident", "SC-20260503", "--format", "md,docx")
    text = next((week / "documents").glob("initial-SC-20260503-*.md")).read_text(encoding="utf-8")
    fields = [
        "THÔNG TIN VỀ TỔ CHỨC/CÁ NHÂN BÁO CÁO SỰ CỐ", "NGƯỜI LIÊN HỆ", "THÔNG TIN CHI TIẾT VỀ HỆ THỐNG BỊ SỰ CỐ",
        "Tên đơn vị vận hành hệ thống thông tin", "Cơ quan chủ quản", "Tên hệ thống bị sự cố", "Phân loại cấp độ", "Tổ chức cung cấp dịch vụ an toàn thông tin",
        "Tên nhà cung cấp dịch vụ kết nối", "Mô tả sơ bộ về sự cố", "Ngày phát hiện", "Thời gian phát hiện", "HIỆN TRẠNG SỰ CỐ",
        "CÁCH THỨC PHÁT HIỆN",
        "ĐÃ GỬI THÔNG BÁO SỰ CỐ CHO", "THÔNG TIN BỔ SUNG", "Hệ điều hành", "Các dịch vụ có trên hệ thống",
        "Các biện pháp an toàn thông tin đã triển khai", "Các địa chỉ IP của hệ thống", "Các tên miền của hệ thống", "Mục đích chính", "Thông tin gửi kèm", "giữ bí mật",
        "KIẾN NGHỊ, ĐỀ XUẤT HỖ TRỢ", "THỜI GIAN THỰC HIỆN BÁO CÁO SỰ CỐ",
    ]  # fmt: skip
    places = [text.index(name) for name in fields]
    assert places == sorted(places)
    assert "198.51.100.10, 2001:db8:20:10::10" in text
    word = "\n".join(p.text for p in docx.Document(str(next((week / "documents").glob("initial-SC-20260503-*.docx")))).paragraphs)
    for address in ("10.20.30.40", "fd00::5", "10.20.10.10"):
        assert address not in text
        assert address not in word
    assert "Mẫu số 08 Nghị định số 356/2025/NĐ-CP" in text


def test_form_04_names_the_initial_report_and_what_was_owed(week: Path, report: Run) -> None:
    key = next(r.key for r in _incidents(week) if r.key.startswith("SC-20260503"))
    initial = report("initial", "--incident", key, "--format", "md", "--final", "--number", "7", now="2026-05-04T08:00")
    assert initial.returncode == 0, initial.stderr
    open_end = report("closing", "--incident", key, "--format", "md", "--final", "--number", "9")
    assert open_end.returncode == 1
    assert "The response has not ended" in open_end.stderr
    store = open_store(f"file:{week / 'data'}", {})
    kind, body = closed("Mật khẩu yếu", {"lessons": "Bật xác thực hai lớp", "recommendations": "Rà soát", "consequences": "Không"})
    store.records.append([NewRecord("incident", key, kind, body, "mai")], OLD + timedelta(days=2))
    store.close()
    answers = week / "a.yml"
    answers.write_text("result: Đã khóa tài khoản từ 10.20.30.40, khôi phục dịch vụ.\n", encoding="utf-8")
    done = report("closing", "--incident", key, "--format", "md,docx,pdf", "--final", "--number", "9", "--answers", str(answers))
    assert (done.returncode, done.stderr) == (0, "")
    text = (week / "documents" / f"closing-{key}.md").read_text(encoding="utf-8")
    assert "# BÁO CÁO KẾT THÚC ỨNG PHÓ SỰ CỐ" in text
    assert "Số ký hiệu: 07/BC-SKHCN" in text
    assert "Ngày báo cáo: 04/05/2026" in text
    assert "Bật xác thực hai lớp" in text
    assert "10.20.30.40" not in text
    assert "| Thông báo sự cố (trong 05 ngày) | 08/05/2026 09:00:00 | – | quá hạn |" in text


def test_answers_with_internal_addresses_do_not_leak_either(week: Path, report: Run) -> None:
    answers = week / "a.yml"
    answers.write_text("description: Máy 192.168.7.7 bị chiếm từ fe80::1%eth0\nproposals: chặn 10.9.8.7:445\n", encoding="utf-8")
    report("initial", "--incident", "SC-20260503", "--format", "md,html", "--answers", str(answers))
    for form in ("md", "html"):
        text = next((week / "documents").glob(f"initial-SC-20260503-*.{form}")).read_text(encoding="utf-8")
        assert not {"192.168.7.7", "fe80::1", "10.9.8.7"} & set(text.replace(":445", " ").split())
        assert "192.168" not in text
        assert "fe80" not in text


def test_a_district_that_is_gone_is_named_with_its_successors(province: Path, report: Run) -> None:
    store = open_store(f"file:{province / 'data'}", {})
    at = datetime(2025, 6, 26, 2, tzinfo=UTC)
    ids = seed.store_events(store, [seed.event("fw-01", at, source__ip="203.0.113.5", destination__ip="10.20.51.7")])
    seed.alert(store, "Quét cổng", ids, [Entity("ip", "203.0.113.5")], at=at)
    store.close()
    report("weekly", "--format", "md", "--period", "2025-W26", now="2025-06-30T08:00")
    assert "| 10.20.51.7 | Ủy ban nhân dân huyện Bình Minh |" in _markdown(province, "weekly-2025-W26")
    report("weekly", "--format", "md", "--period", "2025-W26", now="2025-07-01T08:00")
    heirs = "nay: Ủy ban nhân dân xã Bình An, Ủy ban nhân dân xã Bình Hòa"
    assert f"| 10.20.51.7 | Ủy ban nhân dân huyện Bình Minh ({heirs}) |" in _markdown(province, "weekly-2025-W26")


def test_exercises_are_not_counted(week: Path, report: Run) -> None:
    store = open_store(f"file:{week / 'data'}", {})
    start = seed.MONDAY + timedelta(hours=50)
    sides = {"source__ip": "203.0.113.99", "destination__ip": "10.20.10.10", "thapcanh__exercise": True}
    ids = seed.store_events(store, [seed.event("fw-dt", start + timedelta(seconds=i), **sides) for i in range(9)])
    seed.alert(store, "Diễn tập", ids, [Entity("ip", "203.0.113.99")], exercise=True, at=start)
    seed.incident(store, start, title="Diễn tập", exercise=True)
    store.close()
    report("weekly", "--format", "md")
    text = _markdown(week)
    assert "203.0.113.99" not in text
    assert "fw-dt" not in text
    assert "Tổng số sự kiện thu nhận: 1.028." in text
    assert "1 cảnh báo diễn tập không tính vào số liệu" in text
    assert "| Diễn tập |" not in text


def test_hostile_logs_make_no_format_fail(province: Path, report: Run) -> None:
    store = open_store(f"file:{province / 'data'}", {})
    seed.hostile(store, 60)
    store.close()
    done = report("weekly", "--format", "docx,pdf,html,md")
    assert done.returncode == 0, done.stderr
    page = (province / "documents" / "weekly-2026-W47.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "‹U+202E›gnp.exe" in page
    assert "Còn 20 mục không in trong bảng này" in page
