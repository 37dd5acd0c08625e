"""Every format: layout of NĐ 30/2020, equal bytes for equal input, hostile text, large tables."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import docx
import pytest
from docx.enum.section import WD_ORIENT
from docx.oxml.ns import qn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.document import Appendix, Document, Heading, Paragraph
from domain.errors import UsageError
from reports.render import FORMATS, render
from tests.reports.samples import AT, document
from tests.reports.seed import HOSTILE


def _word(source: Document) -> docx.document.Document:
    return docx.Document(io.BytesIO(render(source, "docx")))


def pdf_text(data: bytes, *options: str) -> str:
    """Text of a PDF as a reader copies it; skips where pdftotext is not installed."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    done = subprocess.run(["pdftotext", *options, "-", "-"], input=data, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_document_gives_the_same_bytes(form: str) -> None:
    assert render(document(), form) == render(document(), form)


def test_an_unknown_format_says_which_there_are() -> None:
    with pytest.raises(UsageError, match=re.escape("--format odt: docx | pdf | html | md")):
        render(document(), "odt")


def test_word_page_is_a4_with_the_margins_of_the_decree() -> None:
    first = _word(document()).sections[0]
    names = ("page_width", "page_height", "top_margin", "bottom_margin", "left_margin", "right_margin")
    millimetres = {name: round(getattr(first, name).mm) for name in names}
    assert (millimetres["page_width"], millimetres["page_height"]) == (210, 297)
    assert 20 <= millimetres["top_margin"] <= 25
    assert 20 <= millimetres["bottom_margin"] <= 25
    assert 30 <= millimetres["left_margin"] <= 35
    assert 15 <= millimetres["right_margin"] <= 20


def test_word_page_number_stands_top_centre_and_not_on_page_one() -> None:
    first = _word(document()).sections[0]
    assert first.different_first_page_header_footer
    assert not first.first_page_header.paragraphs[0].runs
    header = first.header.paragraphs[0]
    assert header.alignment == docx.enum.text.WD_ALIGN_PARAGRAPH.CENTER
    assert [i.text for i in header._p.iter(qn("w:instrText"))] == ["PAGE"]
    assert 13 <= header.runs[0].font.size.pt <= 14


def test_word_is_times_new_roman_13_to_14() -> None:
    out = _word(document())
    fonts = out.styles["Normal"].element.rPr.find(qn("w:rFonts"))
    assert {fonts.get(qn(f"w:{k}")) for k in ("ascii", "hAnsi", "cs", "eastAsia")} == {"Times New Roman"}
    assert not any(key.endswith("Theme") for key in fonts.attrib)
    body = [p for p in out.paragraphs if p.text.startswith("Mở đầu:")]
    assert all(13 <= run.font.size.pt <= 14 for run in body[0].runs)
    names = {r.get(qn("w:ascii")) for r in out.element.iter(qn("w:rFonts"))}
    assert names <= {"Times New Roman", None}


def test_word_head_of_the_document() -> None:
    cells = _word(document()).tables[0]
    agency, nation = cells.rows[0].cells
    assert [p.text for p in agency.paragraphs if p.text] == ["ỦY BAN NHÂN DÂN", "TỈNH SAO MAI", "SỞ KHOA HỌC", "VÀ CÔNG NGHỆ"]
    assert [bool(p.runs[0].font.bold) for p in agency.paragraphs if p.text] == [False, False, True, True]
    assert [p.text for p in nation.paragraphs if p.text] == ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc"]
    assert [c.text for c in cells.rows[1].cells] == ["Số: 05/BC-SKHCN", "Sao Mai, ngày 05 tháng 02 năm 2026"]
    assert cells.rows[1].cells[1].paragraphs[0].runs[0].font.italic
    rules = [p for cell in (agency, nation) for p in cell.paragraphs if p._p.pPr is not None and p._p.pPr.find(qn("w:pBdr")) is not None]
    assert len(rules) == 2


def test_word_signature_recipients_and_annexes() -> None:
    out = _word(document())
    left, right = next(t.rows[0].cells for t in out.tables if t.rows[0].cells[0].text.startswith("Nơi nhận:"))
    assert left.text == "Nơi nhận:\n- Như trên;\n- Lưu: VT."
    assert [p.text for p in right.paragraphs] == ["KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC", "(Ký tên, đóng dấu)", "Trần Thị Ví Dụ"]
    assert [s.orientation for s in out.sections] == [WD_ORIENT.PORTRAIT, WD_ORIENT.LANDSCAPE, WD_ORIENT.PORTRAIT]
    assert [bool(s.different_first_page_header_footer) for s in out.sections] == [True, False, False]


def test_word_tables_repeat_their_head_and_pictures_have_words() -> None:
    out = _word(document(rows=300))
    table = next(t for t in out.tables if len(t._tbl.tr_lst) == 301)
    assert table._tbl.tr_lst[0].trPr.find(qn("w:tblHeader")) is not None
    assert all(row.trPr.find(qn("w:cantSplit")) is not None for row in table._tbl.tr_lst)
    words = [p.get("descr") for p in out.element.iter(qn("wp:docPr"))]
    assert words == ["Biểu đồ lines. Nội dung", "Biểu đồ bars. Nội dung", "Biểu đồ heat. Nội dung"]


def test_word_archive_has_one_date_and_no_clock() -> None:
    with zipfile.ZipFile(io.BytesIO(render(document(), "docx"))) as archive:
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2026-02-05T01:15:00Z" in archive.read("docProps/core.xml")


def test_pdf_says_what_it_conforms_to_and_has_the_text() -> None:
    data = render(document(), "pdf")
    assert data.startswith(b"%PDF-1.7")
    assert b"pdfaid" in data
    assert b"pdfuaid" in data
    text = pdf_text(data, "-layout")
    assert re.search(r"ỦY BAN NHÂN DÂN\s+CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", text)
    known = (
        "Số: 05/BC-SKHCN",
        "Sao Mai, ngày 05 tháng 02 năm 2026",
        "BÁO CÁO",
        "Không phát hiện.",
        "PHÓ GIÁM ĐỐC",
        "Phụ lục I",
        "203.0.113.2",
    )
    for words in known:
        assert words in text


def test_pdf_numbers_pages_from_the_second() -> None:
    pages = pdf_text(render(document(rows=60), "pdf"), "-layout").split("\f")
    assert not re.match(r"\s*1\s*\n", pages[0])
    assert [re.match(r"\s*(\d+)\s*\n", p)[1] for p in pages[1:4]] == ["2", "3", "4"]  # type: ignore[index]


def test_pdf_copies_long_words_as_they_were() -> None:
    word = "a1b2c3d4" * 8
    assert word in pdf_text(render(document(word), "pdf")).replace("\n", "")


@pytest.mark.parametrize("levels", [(3,), (2, 1), (1, 3, 2), (3, 3, 1, 2, 3)])
def test_headings_of_any_order_make_a_pdf(levels: tuple[int, ...]) -> None:
    blocks = (*(Heading("Mục", n) for n in levels), Appendix("Phụ lục I", "Tên"), *(Heading("Mục", n) for n in levels))
    assert pdf_text(render(Document("sample", "Mẫu", blocks, AT), "pdf")).count("Mục") == 2 * len(levels)


def test_html_loads_nothing_and_runs_nothing() -> None:
    page = render(document(HOSTILE), "html").decode()
    tags = _Tags(page)
    assert {"script", "iframe", "object", "link", "img", "base", "form"} & tags.names == set()
    assert not any(name.startswith("on") or name == "style" for name, _ in tags.attributes)
    assert not any(name in ("src", "href", "action") for name, _ in tags.attributes)
    assert any("default-src 'none'" in (value or "") for _, value in tags.attributes)
    ids = [value for name, value in tags.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 0


def test_markdown_is_inert() -> None:
    text = render(document("# [x](javascript:1) <b>|`*_\n- y"), "md").decode()
    assert "<b>" not in text
    assert "[x](" not in text
    row = next(line for line in text.splitlines() if line.startswith("| 1 | 203"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_text_is_shown_and_does_nothing(form: str) -> None:
    data = render(document(HOSTILE, rows=40), form)
    text = data.decode() if form in ("html", "md") else pdf_text(data) if form == "pdf" else _all_text(data)
    assert "‹U+202E›" in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "{{7*7}}" in text or "\\{\\{7\\*7\\}\\}" in text or "{{7\\*7}}" in text
    assert "<script>" not in text or form in ("docx", "pdf")


def _all_text(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return "".join(re.findall(r"<w:t[^>]*>([^<]*)</w:t>", archive.read("word/document.xml").decode()))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80))
def test_no_text_at_all_makes_a_renderer_fail(text: str) -> None:
    source = Document("sample", text, (Paragraph(text, lead=text),), AT, text)
    for form in FORMATS:
        assert render(source, form)


@pytest.mark.slow
def test_an_office_suite_opens_the_word_file(tmp_path: Path) -> None:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed")
    (tmp_path / "x.docx").write_bytes(render(document(rows=120), "docx"))
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", tmp_path, tmp_path / "x.docx"]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    text = pdf_text((tmp_path / "x.pdf").read_bytes(), "-layout")
    assert re.search(r"ỦY BAN NHÂN DÂN\s+CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", text)
    assert text.count("Địa chỉ IP") >= 4
