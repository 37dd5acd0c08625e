"""Compare-and-swap lost: the same words from every engine."""

from __future__ import annotations

from domain.errors import ConflictError
from domain.raw import Checkpoint

_AGAIN = "run the collection again: it goes on from there"


def began(old: int, new: Checkpoint) -> ConflictError:
    """A delivery goes on from a position that is no longer the newest."""
    what = f"another collector has stored this stream up to position {old}, this delivery begins at {new.position}"
    return ConflictError(what, where=f"{new.source}/{new.stream}", hint=_AGAIN)


def ended(old: int, new: Checkpoint) -> ConflictError:
    """A delivery ends before what is stored already."""
    what = f"another collector has stored this stream up to position {old}, this delivery ends at {new.position}; nothing was stored"
    return ConflictError(what, where=f"{new.source}/{new.stream}", hint=_AGAIN)


def replayed(number: int) -> ConflictError:
    """A dead letter is no longer there."""
    return ConflictError(f"dead letter {number} was replayed by somebody else; nothing was stored", hint="soc collect replay")


def version(stream: str, key: str, newest: int, expected: int) -> ConflictError:
    """A record is not the newest of its key any more."""
    what = f"somebody else wrote first: {stream} {key} has version {newest}, not {expected}; nothing was stored"
    return ConflictError(what, hint="look at it again, then repeat the command")
