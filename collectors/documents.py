r"""Text files whose records are no lines: JSON arrays, JSON over several lines, Windows events as XML (wevtutil, Event Viewer).

Each record comes as one line: a JSON value as it was written, an XML event as the EVTX reader renders the same event, so one parser reads
both. An event's XML is cut out of the file before it is parsed: there is no document type, so no entity to expand.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

import orjson

from domain.i18n import t

LONGEST: Final = 16 << 20
"""Characters of one record; a longer one ends the reading."""
_ARRAY: Final = re.compile(r"\s*\[\s*\{|\s*\{\s*[\r\n]")
_XML: Final = re.compile(r"\s*(<\?xml|<Events>|<Event[ >]|Record \d+\s*<\?xml)")
_BETWEEN: Final = re.compile(r"[\s,\[\]\x1e]*")
_OPEN: Final = "<Event"
_CLOSE: Final = "</Event>"
_NO_XML: Final = re.compile(
    r"&#(?:x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]);|0*(?:[0-8]|1[124-9]|2\d|3[01]);)|[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
)
"""Characters that XML 1.0 has no way to write, although Windows writes them."""
_NAMESPACE: Final = re.compile(r"\A\{[^}]*\}")


def kind(head: bytes) -> str:
    """`json`, `xml`, or "" for files of lines; `head`: the first bytes."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    if _ARRAY.match(text):
        return "json"
    return "xml" if _XML.match(text) and "<Event" in text else ""


def json_values(blocks: Iterable[str], tell: Callable[[str], None]) -> Iterator[tuple[int, bytes]]:
    """(number, text) of the values of an array, or of values that follow each other. `tell` hears why reading ended early."""
    decode = json.JSONDecoder(strict=False).raw_decode
    text, number = "", 0
    for block in _joined(blocks):
        text += block
        place = 0
        while (place := _end(text, place)) < len(text):
            try:
                _, end = decode(text, place)
            except (json.JSONDecodeError, RecursionError) as error:
                reason = str(error)
                break
            yield number, re.sub(r"\s*[\r\n]+\s*", " ", text[place:end]).encode("utf-8", "replace")
            number, place = number + 1, end
        text = text[place:]
        if len(text) > LONGEST:
            break
    if text.strip():
        why = reason if len(text) <= LONGEST else t("collect.too_long")
        tell(t("collect.json_ends", n=number, error=why))


def _joined(blocks: Iterable[str]) -> Iterator[str]:
    """The blocks, and an empty one at the end: what is left over is tried once more."""
    yield from blocks
    yield ""


def _end(text: str, place: int) -> int:
    found = _BETWEEN.match(text, place)
    return found.end() if found else place


def xml_events(blocks: Iterable[str], tell: Callable[[str], None]) -> Iterator[tuple[int, bytes]]:
    """(EventRecordID, JSON) of each `<Event>`; `tell` hears how many could not be read."""
    text, bad, first = "", 0, ""
    for block in blocks:
        text += block
        place = 0
        while (start := _start(text, place)) >= 0 and (end := text.find(_CLOSE, start)) >= 0:
            place = end + len(_CLOSE)
            try:
                yield _rendered(text[start:place])
            except (ET.ParseError, ValueError, RecursionError) as error:
                bad, first = bad + 1, first or str(error)
        text = text[start:] if start >= 0 else text[-len(_OPEN) :]
        if len(text) > LONGEST:
            tell(t("collect.xml_long"))
            break
    else:
        if _start(text, 0) >= 0:
            tell(t("collect.xml_cut"))
    if bad:
        tell(t("collect.xml_bad", n=bad, error=first))


def _start(text: str, place: int) -> int:
    """Where the next `<Event ` or `<Event>` begins, -1 = nowhere."""
    while (place := text.find(_OPEN, place)) >= 0 and text[place + len(_OPEN) : place + len(_OPEN) + 1] not in (" ", ">"):
        place += len(_OPEN)
    return place


def _rendered(xml: str) -> tuple[int, bytes]:
    event = ET.fromstring(_NO_XML.sub("\ufffd", xml))  # noqa: S314  no document type: nothing to expand
    out = {_name(part): _section(part) for part in event}
    system = out.get("System")
    number = str(system.get("EventRecordID")) if isinstance(system, dict) else ""
    return int(number) if re.fullmatch(r"[0-9]{1,18}", number) else 0, orjson.dumps({"Event": out})


def _section(part: ET.Element) -> Any:
    """System by element, EventData by the names of its Data."""
    if _name(part) != "EventData":
        return _value(part)
    out: dict[str, Any] = {}
    unnamed: list[str] = []
    for data in part:
        name = data.get("Name")
        if name:
            out[name] = data.text or ""
        elif _name(data) == "Data":
            unnamed.append(data.text or "")
        else:
            out[_name(data)] = _value(data)
    if unnamed:
        out["Data"] = {"#text": unnamed if len(unnamed) > 1 else unnamed[0]}
    return out


def _value(part: ET.Element) -> Any:
    """Text, or attributes and children as the EVTX reader has them."""
    out: dict[str, Any] = {}
    if part.attrib:
        out["#attributes"] = {_NAMESPACE.sub("", key): value for key, value in part.attrib.items()}
    for child in part:
        out[_name(child)] = _value(child)
    text = (part.text or "").strip() if len(part) else part.text or ""
    if not out:
        return text if text.strip() else None
    return out | ({"#text": text} if text.strip() else {})


def _name(part: ET.Element) -> str:
    return _NAMESPACE.sub("", part.tag)
