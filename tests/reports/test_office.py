"""The formal side of documents: how names break, numbers, recipients."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.registers import Organisation, Party, Registers
from reports.answers import Draft
from reports.office import Paper, addressees, closing, lines_of

AT = datetime(2026, 11, 24, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Sở Khoa học và Công nghệ", ("Sở Khoa học và Công nghệ",)),
        ("Ủy ban nhân dân tỉnh Lam Giang", ("Ủy ban nhân dân", "tỉnh Lam Giang")),
        ("Trung tâm Chuyển đổi số tỉnh Lam Giang", ("Trung tâm Chuyển đổi số", "tỉnh Lam Giang")),
        ("Sở Thông tin và Truyền thông", ("Sở Thông tin", "và Truyền thông")),
        ("", ()),
        ("Mộttêndàikhôngcókhoảngtrắngnàocả", ("Mộttêndàikhôngcókhoảngtrắngnàocả",)),
    ],
)
def test_long_names_break_where_people_break_them(name: str, lines: tuple[str, ...]) -> None:
    assert lines_of(Party(name=name)) == lines


def test_lines_of_the_register_are_kept() -> None:
    assert lines_of(Party(name="Ủy ban nhân dân tỉnh Lam Giang", lines=("Ủy ban", "nhân dân"))) == ("Ủy ban", "nhân dân")


@pytest.mark.parametrize(
    ("symbol", "number", "full"),
    [("BC", "5", "05/BC-STTTT"), ("BC", "12", "12/BC-STTTT"), ("", "5", "05/STTTT-CNTT"), ("BC", "05-1", "05-1/BC-STTTT")],
)
def test_numbers(symbol: str, number: str, full: str) -> None:
    org = Organisation(agency=Party(name="Sở", abbreviation="STTTT"), archive="VT, CNTT")
    assert Paper("weekly", symbol, number, AT, Registers((org,))).full_number == full


def test_addressees_and_recipients_by_kind_end_as_they_should() -> None:
    org = Organisation(
        addressees={"default": ("A",), "notice": ("A;", "B")}, recipients={"default": ("Như trên;", "Giám đốc")}, archive="VT, CNTT"
    )
    registers = Registers((org,))
    weekly, notice = (Paper(kind, "BC", "", AT, registers) for kind in ("weekly", "notice"))
    assert addressees(weekly, Draft((), {})).names == ("A",)
    assert addressees(notice, Draft((), {})).names == ("A;", "B.")
    assert closing(weekly, Draft((), {})).recipients == ("- Như trên;", "- Giám đốc;", "- Lưu: VT, CNTT.")
