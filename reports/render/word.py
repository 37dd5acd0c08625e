"""Word: python-docx with the layout of NĐ 30/2020/NĐ-CP. The zip is written again with fixed dates, so equal input gives equal bytes."""

# ruff: noqa: SLF001  the XML elements are python-docx's own way out

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

import docx
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from domain.document import (
    Addressees,
    Appendix,
    Chart,
    Closing,
    Document,
    Form,
    Heading,
    Letterhead,
    Paragraph,
    Table,
    Ticks,
    Title,
    caps,
)
from reports import layout
from reports.render import blocks, pdf
from reports.render.word_xml import border_below, fixed_grid, keep_rows, language, page_field, repeat_head, rule, write

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def render(document: Document) -> bytes:
    """The file."""
    out = docx.Document()
    _properties(out, document)
    _styles(out, document.lang)
    _page(out.sections[0])
    for block in document.blocks:
        _BLOCKS[type(block)](out, block)
    _last_line(out)
    buffer = io.BytesIO()
    out.save(buffer)
    return _stable(buffer.getvalue())


def _properties(out: Any, document: Document) -> None:
    core = out.core_properties
    core.title, core.author, core.language = document.title[:255], document.author[:255], document.lang
    core.created = core.modified = document.at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    core.last_modified_by, core.comments, core.revision = document.author[:255], "", 1


def _styles(out: Any, lang: str) -> None:
    for name in ("Normal", "Heading 1", "Heading 2", "Heading 3", "Title"):
        style = out.styles[name]
        font = style.font
        font.name, font.size, font.bold, font.italic = layout.FONT, Pt(layout.BODY), name != "Normal", False
        font.color.rgb = None
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for key in list(fonts.attrib):
            if key.endswith("Theme"):
                del fonts.attrib[key]
        for key in ("ascii", "hAnsi", "cs", "eastAsia"):
            fonts.set(qn(f"w:{key}"), layout.FONT)
        spacing = style.paragraph_format
        spacing.space_before, spacing.space_after, spacing.line_spacing = Pt(layout.SPACE), Pt(0), 1.05
        for colour in style.element.rPr.findall(qn("w:color")):
            style.element.rPr.remove(colour)
    border_below(out.styles["Title"].element.get_or_add_pPr(), None)
    language(out, {"vi": "vi-VN", "en": "en-GB"}.get(lang, lang))


def _page(section: Any, *, landscape: bool = False) -> None:
    width, height = layout.PAGE[::-1] if landscape else layout.PAGE
    section.orientation = WD_ORIENT.LANDSCAPE if landscape else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(width), Mm(height)
    section.top_margin, section.bottom_margin = Mm(layout.TOP), Mm(layout.BOTTOM)
    section.left_margin, section.right_margin = Mm(layout.LEFT), Mm(layout.RIGHT)
    section.header_distance, section.footer_distance = Mm(10), Mm(10)
    if not section.header.is_linked_to_previous:
        return
    section.different_first_page_header_footer = True
    section.header.is_linked_to_previous = False
    section.first_page_header.is_linked_to_previous = False
    page_field(section.header.paragraphs[0], layout.NUMBER)


def _width(out: Any) -> float:
    section = out.sections[-1]
    return float(section.page_width - section.left_margin - section.right_margin) / Mm(1)


def _letterhead(out: Any, block: Letterhead) -> None:
    grid = fixed_grid(out.add_table(2, 2), list(layout.HEAD_COLUMNS), borders=False)
    agency, nation, number, place = (cell for row in grid.rows for cell in row.cells)
    lines = [(caps(x), False) for x in block.superior] + [(caps(x), True) for x in block.agency]
    for index, (text, bold) in enumerate(lines):
        write(agency, text, layout.HEAD, bold=bold, align="center", new=index > 0)
    rule(agency, layout.HEAD_COLUMNS[0], 0.36)
    write(nation, blocks.nation(), layout.NATION, bold=True, align="center")
    write(nation, blocks.motto(), layout.BODY, bold=True, align="center", new=True)
    rule(nation, layout.HEAD_COLUMNS[1], 0.54)
    write(number, block.number, layout.NUMBER, align="center")
    if block.subject:
        write(number, block.subject, layout.HEAD, align="center", new=True)
    if block.urgency:
        write(number, block.urgency, layout.NUMBER, bold=True, align="center", new=True)
    write(place, block.place_date, layout.NUMBER, italic=True, align="center")


def _title(out: Any, block: Title) -> None:
    paragraph = out.add_paragraph(style="Title")
    write(paragraph, caps(block.name), layout.BODY, bold=True, align="center", before=12)
    if block.about:
        write(out.add_paragraph(), block.about, layout.BODY, bold=True, align="center", before=0)
        rule(out, _width(out), 0.22)


def _addressees(out: Any, block: Addressees) -> None:
    if len(block.names) == 1:
        write(out.add_paragraph(), f"{block.label} {block.names[0]}", layout.BODY, align="center", before=12)
        return
    write(out.add_paragraph(), block.label, layout.BODY, before=12, left=40)
    for name in block.names:
        write(out.add_paragraph(), f"- {name}", layout.BODY, before=2, left=58)


def _heading(out: Any, block: Heading) -> None:
    paragraph = out.add_paragraph(style=f"Heading {min(3, block.level)}")
    write(paragraph, block.text, layout.BODY, bold=True, italic=block.level > 2, before=layout.SPACE + 2)


def _paragraph(out: Any, block: Paragraph) -> None:
    size = layout.SMALL if block.style == "note" else layout.BODY
    paragraph = out.add_paragraph()
    italic = block.style != "body"
    if block.lead:
        write(paragraph, f"{block.lead} ", size, bold=True)
    write(paragraph, block.text, size, italic=italic, align="justify", first=layout.INDENT)


def _table(out: Any, block: Table) -> None:
    if block.caption:
        write(out.add_paragraph(), block.caption, layout.CELL, bold=True, align="center", keep=True)
    if not block.rows:
        write(out.add_paragraph(), block.empty, layout.BODY, italic=True, first=layout.INDENT)
        return
    titles, aligns, rows = blocks.titles(block), blocks.aligns(block), blocks.cells(block)
    grid = out.add_table(1 + len(rows), len(titles))
    fixed_grid(grid, [share * _width(out) for share in blocks.widths(block)], borders=True)
    repeat_head(grid)
    keep_rows(grid)
    for row, values, head in zip(grid.rows, [titles, *rows], [True, *[False] * len(rows)], strict=True):
        for cell, value, align in zip(row._tr.tc_lst, values, aligns, strict=True):
            write(cell, value, layout.CELL, bold=head, align="center" if head else align, before=1)


def _form(out: Any, block: Form) -> None:
    for entry in block.entries:
        paragraph = out.add_paragraph()
        write(paragraph, f"{blocks.label(entry.label, entry.required)}: ", layout.BODY, hanging=5)
        write(paragraph, entry.value, layout.BODY, hanging=5)


def _ticks(out: Any, block: Ticks) -> None:
    write(out.add_paragraph(), blocks.label(block.label, block.required), layout.BODY, bold=True, keep=True)
    width = _width(out) / 2
    grid = fixed_grid(out.add_table((len(block.options) + 1) // 2, 2), [width, width], borders=False)
    for index, (text, on) in enumerate(block.options):
        write(grid.cell(index // 2, index % 2), f"{blocks.TICKED if on else blocks.EMPTY} {text}", layout.BODY, before=2, left=5)


def _chart(out: Any, block: Chart) -> None:
    write(out.add_paragraph(), block.title, layout.CELL, bold=True, align="center", keep=True)
    paragraph = write(out.add_paragraph(), "", layout.CELL, align="center", before=2)
    picture = paragraph.add_run().add_picture(io.BytesIO(pdf.png(block)), width=Mm(layout.TEXT - 5))
    about = picture._inline.docPr
    about.set("title", block.title)
    about.set("descr", f"{block.title}. {block.description}")


def _closing(out: Any, block: Closing) -> None:
    body = out.element.body
    last = body.xpath("w:p")[-1:] if body[-2].tag == qn("w:p") else []
    for paragraph in last:
        paragraph.get_or_add_pPr().get_or_add_keepNext()
    write(out.add_paragraph(), "", layout.SMALL, before=0, keep=True)
    half = _width(out) / 2
    grid = fixed_grid(out.add_table(1, 2), [half, half], borders=False)
    keep_rows(grid)
    left, right = grid.rows[0].cells
    if block.recipients:
        write(left, block.recipients_label, layout.RECIPIENTS, bold=True, italic=True, before=0)
        for name in block.recipients:
            write(left, name, layout.SMALL, before=0, new=True)
    if block.authority:
        write(right, caps(block.authority), layout.BODY, bold=True, align="center", before=0)
    write(right, caps(block.position), layout.BODY, bold=True, align="center", before=0, new=bool(block.authority))
    if block.hint:
        write(right, block.hint, layout.NUMBER, italic=True, align="center", before=0, new=True)
    write(right, block.name, layout.BODY, bold=True, align="center", before=64, new=True)


def _appendix(out: Any, block: Appendix) -> None:
    turned = out.sections[-1].orientation == WD_ORIENT.LANDSCAPE
    if block.landscape != turned:
        _page(out.add_section(WD_SECTION.NEW_PAGE), landscape=block.landscape)
        out.sections[-1].different_first_page_header_footer = False
    paragraph = out.add_paragraph(style="Heading 1")
    paragraph.paragraph_format.page_break_before = block.landscape == turned
    write(paragraph, block.name, layout.BODY, bold=True, align="center")
    write(out.add_paragraph(), block.title, layout.BODY, bold=True, align="center", before=0)


_BLOCKS: Final[dict[type, Callable[[Any, Any], None]]] = {
    Letterhead: _letterhead, Title: _title, Addressees: _addressees, Heading: _heading, Paragraph: _paragraph, Table: _table,
    Form: _form, Ticks: _ticks, Chart: _chart, Closing: _closing, Appendix: _appendix,
}  # fmt: skip


def _last_line(out: Any) -> None:
    """Word wants a paragraph after a table: make it as small as can be."""
    write(out.add_paragraph(), "", 1, before=0)


def _stable(data: bytes) -> bytes:
    """The same parts in the same order, with one fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            part = zipfile.ZipInfo(name, _EPOCH)
            part.compress_type, part.create_system, part.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
            new.writestr(part, old.read(name))
    return buffer.getvalue()
