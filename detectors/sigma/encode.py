"""`base64`, `base64offset`, `wide`, `utf16`, `utf16le`, `utf16be`: what a literal looks like when it is encoded, byte by byte."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from sigma import modifiers
from sigma.exceptions import SigmaValueError
from sigma.types import SigmaCasedString, SigmaExpansion, SigmaString

from detectors.sigma.strings import blank, made, whole


class Encoded(SigmaString):
    """Text that an encoder has turned into bytes, for the base64 modifier after it."""

    encoded: bytes = b""


class EncodedCased(Encoded, SigmaCasedString):
    """The same after `cased`."""


class _Encoder(modifiers.SigmaValueModifier[SigmaString, SigmaString]):
    codec = "utf-16-le"
    mark = b""

    def modify(self, val: SigmaString) -> SigmaString:
        """Bytes for the base64 after it; without one, the text that those bytes are."""
        if blank(val):
            return val
        after = self.detection_item.modifiers[len(self.applied_modifiers) + 1 :]
        if Base64 in after or Base64Offset in after:
            out = EncodedCased() if isinstance(val, SigmaCasedString) else Encoded()
            out.s, out.original = list(val.s), val.original
            out.encoded = self.mark + _bytes(val, self.source).decode().encode(self.codec)
            return out
        try:
            return made(val, [self._plain(part) if isinstance(part, str) else part for part in val.s])
        except UnicodeDecodeError:
            raise SigmaValueError("the encoded value is no text: base64 or base64offset must follow", source=self.source) from None

    def _plain(self, part: str) -> str:
        return (self.mark + part.encode(self.codec)).decode()


class Utf16Le(_Encoder):
    """UTF-16 little-endian without byte-order mark: `wide` and `utf16le`."""


class Utf16Be(_Encoder):
    """UTF-16 big-endian without byte-order mark."""

    codec = "utf-16-be"


class Utf16(_Encoder):
    """UTF-16 little-endian after its byte-order mark."""

    mark = b"\xff\xfe"


def _bytes(val: SigmaString, source: Any) -> bytes:
    return val.encoded if isinstance(val, Encoded) and val.encoded else whole(val, "an encoder", source).encode()


class Base64(modifiers.SigmaValueModifier[SigmaString, SigmaString]):
    """The bytes in base64."""

    def modify(self, val: SigmaString) -> SigmaString:
        """One value."""
        return val if blank(val) else made(val, [b64encode(_bytes(val, self.source)).decode()])


class Base64Offset(modifiers.SigmaValueModifier[SigmaString, SigmaExpansion]):
    """What the bytes look like inside a longer base64 text, at each of the three offsets; lengths are counted in bytes."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Up to three values, any of which counts: one byte shows at two offsets only."""
        if blank(val):
            return SigmaExpansion([val])
        raw = _bytes(val, self.source)
        texts = [b64encode(b" " * i + raw)[(0, 2, 3)[i] : (None, -3, -2)[(len(raw) + i) % 3]].decode() for i in range(3)]
        if not raw:
            raise SigmaValueError("base64offset of an empty value is everywhere", source=self.source)
        return SigmaExpansion([made(val, [text]) for text in texts if text])
