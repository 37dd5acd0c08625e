"""Receive or pull raw records; unwrap envelopes; parse. The literal dicts below are all there is: adding one = one line."""

from __future__ import annotations

from typing import Final

SOURCES: Final[dict[str, str]] = {}
"""Source type -> "module:class" of its Collector."""

ENVELOPES: Final[dict[str, str]] = {}
"""Envelope name -> "module:object"."""

PARSERS: Final[dict[str, str]] = {
    "windows": "collectors.parsers.windows:PARSER",
}
"""Parser name -> "module:object". Order = priority of detection."""
