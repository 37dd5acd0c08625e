"""Single values: text, numbers, truth. None where a value does not fit; nothing here raises for log content."""

from __future__ import annotations

from typing import Final

_INT64: Final = 1 << 63
_TOO_DEEP: Final = "{…}"


def text(value: object) -> str:
    """Any value as text; booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        import orjson

        try:
            return orjson.dumps(value, default=str).decode()
        except TypeError:  # nested deeper than JSON writers go
            return _TOO_DEEP
    return str(value)


def integer(value: object) -> int | None:
    """A 64-bit integer, or None: "12", 12, 12.0, "0x1f", "-"."""
    try:
        if isinstance(value, str):
            number = int(value, 16) if value[:2].lower() == "0x" else int(value)
        elif isinstance(value, (int, float)):
            number = int(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return number if -_INT64 <= number < _INT64 else None


def decimal(value: object) -> float | None:
    """A floating-point number, or None."""
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def boolean(value: object) -> bool | None:
    """A truth value, or None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text(value).lower())
