"""What python-docx has no words for: fixed tables without margins, rules, page numbers, languages (ECMA-376 Part 1, 17)."""

# ruff: noqa: SLF001  the XML elements are python-docx's own way out

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypedDict, Unpack

from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.table import CT_Tc
from docx.shared import Mm, Pt
from docx.text.paragraph import Paragraph

_ALIGN: Final = {name: getattr(WD_ALIGN_PARAGRAPH, name.upper()) for name in ("left", "center", "right", "justify")}
_ORDER: Final = ("tblStyle", "tblW", "jc", "tblInd", "tblBorders", "shd", "tblLayout", "tblCellMar", "tblLook")
"""Order that the schema wants within w:tblPr."""
_TWIPS: Final = 56.6929
"""Twentieths of a point in a millimetre."""


class Look(TypedDict, total=False):
    """How a text looks; lengths in mm, `before` in pt."""

    bold: bool
    italic: bool
    align: str
    before: float
    first: float
    left: float
    hanging: float
    keep: bool


def write(place: Any, text: str, size: float, *, new: bool = False, **look: Unpack[Look]) -> Any:
    """Text into a paragraph, or into the first (`new`: another) paragraph of a cell."""
    paragraph = _paragraph(place, new=new)
    form = paragraph.paragraph_format
    if paragraph is not place:
        form.space_before, form.space_after, form.line_spacing = Pt(0), Pt(0), 1.0
    if "before" in look:
        form.space_before = Pt(look["before"])
    if "align" in look:
        paragraph.alignment = _ALIGN[look["align"]]
    first, left, hanging = look.get("first", 0), look.get("left", 0), look.get("hanging", 0)
    if first or left or hanging:
        form.left_indent, form.first_line_indent = Mm(left + hanging), Mm(first - hanging)
    form.keep_with_next = look.get("keep") or None
    for index, line in enumerate(text.split("\n")):
        run = paragraph.add_run()
        if index:
            run.add_break()
        run.add_text(line)
        run.font.size, run.font.bold, run.font.italic = Pt(size), look.get("bold") or None, look.get("italic") or None
    return paragraph


def _paragraph(place: Any, *, new: bool) -> Any:
    if isinstance(place, CT_Tc):
        return Paragraph(place.p_lst[0], place)  # without python-docx's slow walk over the grid
    if hasattr(place, "paragraphs"):
        return place.add_paragraph() if new else place.paragraphs[0]
    return place


def fixed_grid(table: Any, widths: Sequence[float], *, borders: bool) -> Any:
    """A table of fixed column widths (mm): bordered with thin lines, or invisible and without cell margins."""
    table.autofit = False
    properties = table._tbl.tblPr
    _child(properties, "w:tblW", {"w:w": str(round(sum(widths) * _TWIPS)), "w:type": "dxa"})
    if borders:
        edges = _child(properties, "w:tblBorders", {})
        for edge in ("top", "left", "bottom", "right", "insideH", "insideV"):
            _child(edges, f"w:{edge}", {"w:val": "single", "w:sz": "4", "w:space": "0", "w:color": "000000"})
    _child(properties, "w:tblLayout", {"w:type": "fixed"})
    margin = "60" if borders else "0"
    margins = _child(properties, "w:tblCellMar", {})
    for edge in ("left", "right"):
        _child(margins, f"w:{edge}", {"w:w": margin, "w:type": "dxa"})
    properties[:] = sorted(properties, key=lambda child: _ORDER.index(child.tag.rpartition("}")[2]))
    for column, width in zip(table._tbl.tblGrid.gridCol_lst, widths, strict=True):
        column.w = Mm(width)
    for row in table._tbl.tr_lst:
        for cell, width in zip(row.tc_lst, widths, strict=True):
            cell.width = Mm(width)
    return table


def repeat_head(table: Any) -> None:
    """The first row stands on every page."""
    _child(table._tbl.tr_lst[0].get_or_add_trPr(), "w:tblHeader", {})


def keep_rows(table: Any) -> None:
    """No row is split over two pages."""
    for row in table._tbl.tr_lst:
        properties = row.get_or_add_trPr()
        split = OxmlElement("w:cantSplit")
        properties.insert(0, split)


def rule(place: Any, width: float, share: float) -> None:
    """A centred line, `share` of `width` (mm) long: an empty paragraph with a border and indents."""
    paragraph = place.add_paragraph()
    form = paragraph.paragraph_format
    form.space_before, form.space_after, form.line_spacing = Pt(0), Pt(3), Pt(3)
    form.left_indent = form.right_indent = Mm(width * (1 - share) / 2)
    paragraph.add_run().font.size = Pt(2)
    border_below(paragraph._p.get_or_add_pPr(), 6)


def border_below(properties: Any, eighths: int | None) -> None:
    """A line below a paragraph, in eighths of a point; None takes it away."""
    for old in properties.findall(qn("w:pBdr")):
        properties.remove(old)
    if eighths is not None:
        border = OxmlElement("w:pBdr")
        _child(border, "w:bottom", {"w:val": "single", "w:sz": str(eighths), "w:space": "1", "w:color": "000000"})
        properties.insert_element_before(border, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc", "w:rPr")


def page_field(paragraph: Any, size: float) -> None:
    """The page number, centred."""
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        run = paragraph.add_run()
        run.font.size = Pt(size)
        if kind:
            run._r.append(_element("w:fldChar", {"w:fldCharType": kind}))
        else:
            instruction = _element("w:instrText", {"xml:space": "preserve"})
            instruction.text = text
            run._r.append(instruction)


def language(document: Any, tag: str) -> None:
    """The language of all text, for the spelling checker and screen readers."""
    for node in document.styles.element.iter(qn("w:lang")):
        node.set(qn("w:val"), tag)


def _element(name: str, attributes: dict[str, str]) -> Any:
    element = OxmlElement(name)
    for key, value in attributes.items():
        element.set(qn(key), value)
    return element


def _child(parent: Any, name: str, attributes: dict[str, str]) -> Any:
    """A child element with these attributes; an old one of the same name gives way in its place."""
    old = parent.find(qn(name))
    element = _element(name, attributes)
    if old is not None:
        parent.replace(old, element)
    else:
        parent.append(element)
    return element
