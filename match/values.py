"""Distinct values of a column, ready for tests: texts lower-cased once, elements of several-valued fields taken apart."""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.event import SEP, Codes, Column

Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One bool per distinct value."""


class Values:
    """The distinct values of one column. Tests answer with one bool per value; `spread` brings element answers to values."""

    def __init__(self, column: Column) -> None:
        self.codes = column.codes
        self.raw = column.values
        self.null = column.null
        self._multi = column.multi and pa.types.is_string(column.values.type)

    def only(self, codes: Codes) -> Values:
        """Some of the values, in this order."""
        index = pa.array(codes)
        null = np.flatnonzero(codes == self.null)
        part = Column(np.arange(len(codes), dtype=np.int32), self.raw.take(index), self._multi, int(null[0]) if len(null) else -1)
        return Values(part)

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def texts(self) -> pa.Array:
        """Elements as pa.string(), case kept. Numbers in decimal, booleans as true/false."""
        array = self.raw.cast(pa.string()) if not pa.types.is_string(self.raw.type) else self.raw
        if pa.types.is_floating(self.raw.type):
            array = pc.replace_substring_regex(array, r"\.0+$", "")
        if self._multi and pc.any(pc.match_substring(array, SEP)).as_py():
            parts = pc.split_pattern(array, SEP)
            self._parents = pc.list_parent_indices(parts).to_numpy()
            return parts.flatten()
        self._parents = None
        return array

    @cached_property
    def lowered(self) -> pa.Array:
        """`texts`, lower-cased per code point."""
        return lower(self.texts)

    @cached_property
    def folded(self) -> pa.Array:
        """`texts` without case and diacritics."""
        return fold(self.texts)

    @cached_property
    def numbers(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Elements as float64; NaN where the text is no number."""
        _ = self.texts
        if not pa.types.is_string(self.raw.type) and not pa.types.is_boolean(self.raw.type):
            return self.raw.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return to_numbers(self.texts)

    def spread(self, elements: Mask) -> Mask:
        """Element answers as value answers (any element)."""
        _ = self.texts
        if self._parents is not None:
            out = np.zeros(len(self.raw), np.bool_)
            out[self._parents[elements]] = True
        else:
            out = elements
        if self.null >= 0:
            out = out.copy()
            out[self.null] = False
        return out

    def nothing(self) -> Mask:
        """No value."""
        return np.zeros(len(self.raw), np.bool_)


def lower(array: pa.Array) -> pa.Array:
    """Lower-case per code point (as Lucene does), one contiguous array. ASCII texts, nearly all, take the quick way."""
    plain = pc.string_is_ascii(array)
    quick = pc.ascii_lower(array)
    if pc.all(plain).as_py() is not False:
        return quick
    other = pc.invert(plain)
    return pc.replace_with_mask(quick, other, pc.utf8_lower(array.filter(other)))


def lower_text(text: str) -> str:
    """One text as `lower` does."""
    return text.lower() if text.isascii() else str(pc.utf8_lower(pa.scalar(text)).as_py())


def fold(array: pa.Array) -> pa.Array:
    """Without case and diacritics, đ as d: the vectorised twin of `domain.text.fold`."""
    if pc.all(pc.string_is_ascii(array)).as_py() is not False:
        return pc.utf8_lower(array)
    plain = pc.replace_substring_regex(pc.utf8_normalize(array, "NFD"), r"\p{Mn}+", "")
    return pc.replace_substring(pc.utf8_lower(plain), "đ", "d")


def to_numbers(texts: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Texts that are decimal numbers as float64, NaN for others."""
    good = pc.match_substring_regex(texts, r"\A[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\z")
    clean = pc.if_else(good, texts, pa.scalar(None, pa.string()))
    return clean.cast(pa.float64()).to_numpy(zero_copy_only=False)
