"""Dead letters: records that were refused, bytes and all, until they are replayed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from domain.errors import StoreError
from domain.window import micros
from store import conflicts
from store.base import DeadLetter
from store.opensearch.client import Cluster
from store.opensearch.deliveries import EPOCH, at_or_none
from store.opensearch.log import Log

_BITS: Final = 20
"""A letter's number: number of the log entry, then its place among those of the delivery."""
_PAGE: Final = 20
_PROPERTIES: Final[Mapping[str, object]] = {
    "source": {"type": "keyword"}, "reason": {"type": "keyword"}, "delivery": {"type": "keyword"}, "raw": {"type": "binary"},
}  # fmt: skip


class Dead:
    """One index of letters; the log says which of them count."""

    def __init__(self, cluster: Cluster, prefix: str, log: Log) -> None:
        self._cluster = cluster
        self._index = f"{prefix}-dead"
        self._log = log
        self._made = False

    def write(self, delivery: str, letters: Sequence[DeadLetter]) -> None:
        """Before the delivery that counts them is entered in the log; doing it again does no harm."""
        if not letters:
            return
        if len(letters) >= 1 << _BITS:
            raise StoreError(f"{len(letters)} refused records in one delivery", where=self._index, hint="deliver fewer records at once")
        if not self._made:
            self._cluster.make(self._index, _PROPERTIES)
            self._made = True
        for start in range(0, len(letters), _PAGE):
            lines = b"".join(_line(delivery, start + n, letter) for n, letter in enumerate(letters[start : start + _PAGE]))
            answer = self._cluster.call("POST", f"/{self._index}/_bulk", lines)
            failed = [i["create"] for i in answer["items"] if i["create"]["status"] not in (200, 201, 409)]
            if failed:
                raise StoreError(
                    f"dead letters cannot be stored: {failed[0].get('error', {}).get('reason', '')}", where=self._index, hint="soc doctor"
                )

    def waiting(self, source: str, upto: int) -> Iterator[tuple[int, DeadLetter]]:
        """Numbered letters that were not replayed, in order."""
        done = {
            number for entry in self._log.find([{"exists": {"field": "replayed"}}], upto, exclude="slices") for number in entry["replayed"]
        }
        for entry in self._log.find([{"exists": {"field": "dead"}}], upto, exclude="slices"):
            places = [n for n in range(entry["dead"]) if _number(entry["number"], n) not in done]
            for start in range(0, len(places), _PAGE):
                part = places[start : start + _PAGE]
                for place, letter in zip(part, self._read(entry["delivery"], part), strict=True):
                    if not source or letter.source == source:
                        yield _number(entry["number"], place), letter

    def rejected(self, numbers: Sequence[int]) -> dict[str, dict[str, int]]:
        """Source -> reason -> how many of these letters. ConflictError when one is not there."""
        out: dict[str, dict[str, int]] = {}
        for number in numbers:
            found = self._cluster.call("GET", f"/{self._index}/_doc/{self._id(number)}", params={"_source_excludes": "raw"}, missing=True)
            if not found or not found.get("found"):
                raise conflicts.replayed(number)
            letter = found["_source"]
            reasons = out.setdefault(letter["source"], {})
            reasons[letter["reason"]] = reasons.get(letter["reason"], 0) + 1
        return out

    def check(self, numbers: Sequence[int], upto: int) -> None:
        """ConflictError when one was replayed already."""
        for start in range(0, len(numbers), 1000):
            part = set(numbers[start : start + 1000])
            for entry in self._log.find([{"terms": {"replayed": sorted(part)}}], upto, exclude="slices"):
                raise conflicts.replayed(min(part & set(entry["replayed"])))

    def forget(self, numbers: Sequence[int]) -> None:
        """Their bytes are events now."""
        for number in numbers:
            with suppress(StoreError):  # the log says that they are done: what is left takes room, no more
                self._cluster.call("DELETE", f"/{self._index}/_doc/{self._id(number)}", missing=True)

    def _id(self, number: int) -> str:
        entries = self._log.entries([number >> _BITS], exclude="slices")
        if not entries:
            raise conflicts.replayed(number)
        return f"{entries[0]['delivery']}-{number & ((1 << _BITS) - 1)}"

    def _read(self, delivery: str, places: Sequence[int]) -> list[DeadLetter]:
        docs = self._cluster.documents(self._index, [f"{delivery}-{n}" for n in places])
        lost = [doc["_id"] for doc in docs if not doc.get("found")]
        if lost:
            raise StoreError(f"dead letter {lost[0]} is gone from the index", where=self._index, hint="restore the index from a snapshot")
        return [_letter(doc["_source"]) for doc in docs]


def _line(delivery: str, place: int, letter: DeadLetter) -> bytes:
    body = {
        "delivery": delivery, "source": letter.source, "stream": letter.stream, "position": letter.position, "reason": letter.reason,
        "parser": letter.parser, "at": micros(letter.at), "raw": base64.b64encode(letter.raw).decode(),
    }  # fmt: skip
    return orjson.dumps({"create": {"_id": f"{delivery}-{place}"}}) + b"\n" + orjson.dumps(body) + b"\n"


def _letter(body: Mapping[str, Any]) -> DeadLetter:
    at = at_or_none(body["at"]) or EPOCH
    return DeadLetter(body["source"], body["stream"], body["position"], body["reason"], base64.b64decode(body["raw"]), body["parser"], at)


def _number(entry: int, place: int) -> int:
    return entry << _BITS | place
