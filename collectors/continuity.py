"""Is an index still the one that was read? What the cluster shows, compared with what is remembered of a shard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collectors.sequence import OLD, Anchor, Progress

SAME: Final = "same"
"""Go on: the documents read last were deleted or updated since."""
WAIT: Final = "wait"
"""The cluster shows less than was read: a copy that lags, or documents that are gone."""
REWOUND: Final = "rewound"
"""The same index, but its newest documents are others or gone: go on from the newest that is known."""
RESTORED: Final = "restored"
"""Another index with the same documents: a snapshot."""
RECREATED: Final = "recreated"
"""Another index with other documents."""


@dataclass(frozen=True)
class Seen:
    """What the cluster shows of a shard."""

    uuid: str
    """Of the index; "" when it does not tell."""
    held: Mapping[int, Anchor]
    """What stands at the numbers of the anchors."""
    newest: int
    """Highest visible number; -1 = the shard is empty."""


def judge(progress: Progress, seen: Seen, now: int) -> str:
    """The verdict, when the newest anchor is not where it was or there is none. Moves `progress` to where reading goes on."""
    matching = [a for a in progress.anchors if seen.held.get(a.seq) == a]
    known = bool(seen.uuid and progress.uuid)
    if known and seen.uuid != progress.uuid:
        if not matching:
            return RECREATED
        progress.uuid = seen.uuid
        _back(progress, matching)
        return RESTORED
    top = progress.anchors[0] if progress.anchors else None
    if top is None or (seen.newest >= top.seq and top.seq not in seen.held):
        progress.anchors = matching
        return SAME
    if not known and not matching:
        return RECREATED
    if top.seq not in seen.held and not (progress.behind and now - progress.behind >= OLD):
        progress.behind = progress.behind or now
        return WAIT
    _back(progress, matching)
    return REWOUND


def _back(progress: Progress, matching: list[Anchor]) -> None:
    if not matching:
        progress.rewind(0)
    elif matching[0] != progress.anchors[0]:
        progress.rewind(matching[0].seq + 1)
