"""One cleaner for every channel that people read; folding and lower-casing for search and match.

Log content is hostile. `clean` makes it harmless for documents and terminals; `csv_safe` for spreadsheets.
"""

from __future__ import annotations

import json
import re
import unicodedata

_BAD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_ACTIVE = re.compile(
    rb"\x7f|\xc2[\x80-\x9f\xad]|\xd8\x9c|\xe1\xa0\x8e|\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])"
    rb"|\xef(?:\xbb\xbf|\xbf[\xb9-\xbb\xbe\xbf])|\xf3\xa0[\x80\x81][\x80-\xbf]"
)
"""What `_BAD` names beyond ASCII control characters (JSON has those as escapes), as UTF-8."""
_ESCAPES = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})")
"""An escaped backslash, a surrogate pair, or a surrogate that stands alone (the group)."""
_FOLD = str.maketrans({"đ": "d", "Đ": "d", "ı": "i", "ß": "ss"})


def clean(text: str, limit: int = 0) -> str:
    """NFC; control, bidi and invisible characters shown as ‹U+202E›; longer than `limit` (0 = no limit) is cut and says so."""
    if limit and len(text) > limit:
        text = f"{text[:limit]}… (+{len(text) - limit})"
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n")
    return _BAD.sub(lambda m: f"‹U+{ord(m[0]):04X}›", text)


def one_line(text: str, limit: int = 0) -> str:
    """`clean`, with line breaks and tabs shown as spaces: for a table cell or a terminal line."""
    return clean(re.sub(r"[\r\n\t]+", " ", text), limit)


def excerpt(text: str, part: str, limit: int) -> str:
    """At most `limit` characters of a long text, around the first place of a part of it (in any case): what matters must be seen."""
    if len(text) <= limit:
        return text
    at = lower(text).find(lower(part)) if part else 0
    start = max(0, min(at - max(0, limit - len(part)) // 2, len(text) - limit))
    cut = text[start : start + limit]
    return f"{'…' if start else ''}{cut}{f'… (+{len(text) - start - limit})' if start + limit < len(text) else ''}"


def json_safe(text: bytes) -> bytes:
    """JSON in UTF-8 as the same JSON that does nothing on a terminal: C1 control, bidi and invisible characters as escapes."""
    return _ACTIVE.sub(lambda m: json.dumps(m[0].decode())[1:-1].encode().replace(b"\x7f", b"\\u007f"), text)


def csv_safe(text: str) -> str:
    """`clean`, and a leading formula sign (= + - @, tab, CR) disarmed by an apostrophe."""
    text = clean(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def lower(text: str) -> str:
    """Lower-case per code point, as Lucene and pyarrow do: İ becomes i (one code point), Σ becomes σ always."""
    return text.lower() if "İ" not in text and "Σ" not in text else "".join(c.lower()[:1] for c in text)


def fold(text: str) -> str:
    """Without diacritics and case: "Đỗ Văn Ánh" and "do van anh" are one. Search folds both sides."""
    text = unicodedata.normalize("NFD", text.casefold()).translate(_FOLD)
    return unicodedata.normalize("NFC", "".join(c for c in text if not unicodedata.combining(c)))


def nfc(text: str) -> str:
    """Canonical composition: Vietnamese text is stored and compared so."""
    return unicodedata.normalize("NFC", text)


def paired(text: str) -> str:
    r"""JSON text in which surrogates that stand alone (`\ud800`), which decoders refuse, are U+FFFD: no way to hide from rules."""
    return _ESCAPES.sub(lambda m: r"\ufffd" if m[1] else m[0], text)
