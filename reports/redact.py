"""Internal addresses never leave the house: forms ask for Internet addresses only (Mẫu 03, TT 20/2017)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from domain.registers import is_internal, parse_network
from reports.text import vi

_V4: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?!\d|\.\d)")
_V6: Final = re.compile(
    r"""(?<![\w:.])
    [0-9A-Fa-f]{0,4} (?: : [0-9A-Fa-f]{0,4} ){2,8}   # groups, at least two colons
    (?: (?<=:) (?: \d{1,3} \. ){3} \d{1,3} )?        # ::ffff:10.0.0.1
    (?: % [\w.-]+ )? (?: / \d{1,3} )?                # zone, prefix length
    (?![\w:])""",
    re.VERBOSE,
)


def without_internal(text: str) -> str:
    """The text with every internal v4 and v6 address or network replaced by words."""
    return _V4.sub(_hidden, _V6.sub(_hidden, text))


def _hidden(match: re.Match[str]) -> str:
    text = re.sub(r"%[\w.-]+", "", match[0])
    if not re.search(r"[0-9A-Fa-f]", text):
        return match[0]
    plain = ".".join(str(int(part)) for part in text.partition("/")[0].split(".")) if match.re is _V4 else text
    return vi("internal_address") if is_internal(plain) else match[0]


def public(addresses: Iterable[str]) -> list[str]:
    """Only Internet addresses and networks."""
    return [a for a in addresses if parse_network(a) is not None and not is_internal(a)]
