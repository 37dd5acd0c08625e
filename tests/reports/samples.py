"""A document with every kind of block."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.document import (
    Addressees,
    Appendix,
    Block,
    Chart,
    Closing,
    Column,
    Document,
    Entry,
    Form,
    Heading,
    Letterhead,
    Paragraph,
    Series,
    Table,
    Ticks,
    Title,
)  # fmt: skip

AT = datetime(2026, 2, 5, 1, 15, tzinfo=UTC)


def blocks(text: str = "Nội dung", rows: int = 3) -> tuple[Block, ...]:
    """One block of each kind; `text` stands wherever text can stand."""
    columns = (Column("Địa chỉ IP", 2), Column("Mô tả", 4), Column("Số lần", 1, "right"))
    series = (Series("Cao", (1, None, 3)), Series(text, (2, None, 0)))
    return (
        Letterhead(
            ("Ủy ban nhân dân", "tỉnh Sao Mai"), ("Sở Khoa học", "và Công nghệ"), "Số: 05/BC-SKHCN", "Sao Mai, ngày 05 tháng 02 năm 2026",
        ),
        Title("Báo cáo", f"Kết quả giám sát\n{text}"),
        Addressees("Kính gửi:", ("Ủy ban nhân dân tỉnh;", f"{text}.")),
        Paragraph(f"Căn cứ {text};", style="basis"),
        Heading("I. TÌNH HÌNH"), Heading("1. Mục", 2), Heading("a) Điểm", 3),
        Paragraph(text, lead="Mở đầu:"), Paragraph(text, style="note"),
        *(Chart(kind, f"Biểu đồ {kind}", text, ("T2", "T3", "T4"), series, "lần") for kind in ("lines", "bars", "heat")),
        Table(columns, tuple((f"203.0.113.{i}", text, "1.234") for i in range(rows)), "Bảng 1", "STT", "Không phát hiện."),
        Table(columns, (), "Bảng 2", "STT", "Không phát hiện."),
        Form((Entry("Tên tổ chức", text, required=True), Entry("Địa chỉ", "……………"))),
        Ticks("HIỆN TRẠNG", (("Đã xử lý", True), (text, False)), required=True),
        Paragraph("Trên đây là báo cáo./."),
        Closing("KT. Giám đốc", "Phó Giám đốc", "Trần Thị Ví Dụ", ("- Như trên;", "- Lưu: VT."), "Nơi nhận:", "(Ký tên, đóng dấu)"),
        Appendix("Phụ lục I", "Bảng ngang", landscape=True),
        Table(columns, (("a", text, "1"),)),
        Appendix("Phụ lục II", "Bảng dọc"),
        Paragraph(text),
    )  # fmt: skip


def document(text: str = "Nội dung", rows: int = 3) -> Document:
    """The whole."""
    return Document("sample", f"Mẫu {text}", blocks(text, rows), AT, "Sở Khoa học và Công nghệ")
