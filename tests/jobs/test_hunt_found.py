"""A hit shows its record, whatever numbers and letters stand in it."""

from __future__ import annotations

import orjson
import pytest

from jobs.hunt_found import FileHit


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (b'{"a": "b", "n": 1.5}', {"a": "b", "n": 1.5}),
        (b'{"a": "\\ud800x"}', {"a": "\ufffdx"}),
        (b'{"n": 1e999, "m": NaN, "o": -Infinity, "p": 2}', {"n": "1e999", "m": "NaN", "o": "-Infinity", "p": 2}),
        (b'{"n": ' + b"9" * 400 + b"}", {"n": "9" * 400}),
        (b'{"n": 1e999, "m": 18446744073709551616}', {"n": "1e999", "m": 18446744073709551616.0}),
        (b'{"a": "cut', {"event.original": '{"a": "cut'}),
        (b'{"a":' * 2000, {"event.original": '{"a":' * 2000}),
    ],
)
def test_a_hit_shows_its_record(record: bytes, shown: dict[str, object]) -> None:
    found = FileHit(0, "s", 0, None, "", record).original()
    assert found == shown
    assert orjson.loads(orjson.dumps(found)) == shown
