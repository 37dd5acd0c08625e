r"""The one-line query language of `soc search` and of playbook queries: Sigma's vocabulary, written in a line.

    source.ip:10.1.2.3 and not event.outcome:success
    process.command_line|contains:(mimikatz or "sekurlsa::")      a list means "any of them"
    url.path:*/wp-login.php*   user.name:admin?   user.name:*     wildcards; `field:*` = present
    source.ip|cidr:2001:db8::/32   http.response.bytes|gt:1000000   url.query|re:"(?i)union\s+select"
    "đăng nhập thất bại"                                           any text of the event, without case and diacritics
    *|contains:whoami                                              any field, as a Sigma keyword

Terms side by side mean `and`. As in Sigma a backslash is a plain character unless `\`, `*` or `?` follows (in quotes: or the quote).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from domain import fields
from domain.canonical import COMPARE, PARTS, Wild, address_of, canonical, is_network, literal, number_of, pattern, pieces_of, word_test
from domain.errors import UsageError
from domain.query import TRUE, Expr, Not, Test, all_of, any_of
from domain.text import clean
from domain.wording import ANY, NAME, show

__all__ = ["canonical", "parse", "show"]

_OPS: Final = frozenset({
    "contains", "startswith", "endswith", "re", "cidr", *COMPARE, "exists", "null", "fold", *PARTS,
    "fieldref", "fieldref_startswith", "fieldref_endswith", "fieldref_contains",
})  # fmt: skip
_MODIFIERS: Final = (*sorted(_OPS), "cased")
_DEPTH: Final = 50
_FIELD: Final = re.compile(rf"""(?P<name>\*|{NAME.pattern}|"(?:[^"\\]|\\.)+")(?P<mods>(?:\|[A-Za-z_]*)*):""")
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_BARE: Final = re.compile(r"""[^\s()"'][^\s()]*""")
_ITEM: Final = re.compile(r"""[^\s()"',][^\s(),]*""")


def parse(text: str) -> Expr:
    """A query as an expression; empty text or `*` is everything. UsageError shows the column and points at it."""
    return _Parser(text).query()


@dataclass
class _Parser:
    """Recursive descent: or, and, not, term."""

    text: str
    at: int = 0
    depth: int = 0

    def query(self) -> Expr:
        self._space()
        if self.at == len(self.text):
            return TRUE
        expr = self._or()
        if self.at < len(self.text):
            raise self._error("this closing parenthesis has no opening one" if self.text[self.at] == ")" else "this is not understood here")
        return canonical(expr)

    def _or(self) -> Expr:
        children = [self._and()]
        while self._word("or"):
            children.append(self._and())
        return any_of(*children)

    def _and(self) -> Expr:
        children = [self._not()]
        while True:
            explicit = self._word("and")
            if not explicit and (self.at == len(self.text) or self.text[self.at] == ")" or self._peek("or")):
                return all_of(*children)
            children.append(self._not())

    def _not(self) -> Expr:
        times = 0
        while self._word("not"):
            times += 1
        expr = self._primary()
        return Not(expr) if times % 2 else expr

    def _primary(self) -> Expr:
        self._space()
        if self.at == len(self.text) or self.text[self.at] == ")" or self._peek("and") or self._peek("or"):
            raise self._error("a term is missing here: field:value, a word, or a phrase in quotes")
        if self.text[self.at] != "(":
            return self._term()
        opened = self.at
        self.depth += 1
        if self.depth > _DEPTH:
            raise self._error(f"parentheses are nested deeper than {_DEPTH}")
        self.at += 1
        expr = self._or()
        if not self._take(")"):
            raise self._error("this parenthesis is never closed", opened)
        self.depth -= 1
        return expr

    def _term(self) -> Expr:
        found = _FIELD.match(self.text, self.at)
        start = self.at
        if found is None or address_of(_bare(self.text, self.at)):
            raw, quoted = self._value()
            return word_test(pieces_of(raw)) if quoted or raw != ANY else TRUE
        name = self._field(found)
        mods = [m.lower() for m in found["mods"].split("|")[1:]]
        for mod in mods:
            if mod not in _MODIFIERS:
                self._unknown(f"unknown modifier {mod or '(empty)'}", mod, _MODIFIERS, start + len(found["name"]))
        self.at = found.end()
        ops = [m for m in mods if m != "cased"]
        if len(ops) > 1:
            raise self._error(f"modifiers {' and '.join(ops)} do not go together", start)
        made = [self._test(name, ops[0] if ops else "", place, raw) for place, raw in self._values()]
        return any_of(*(Test(t.field, t.op, t.values, cased="cased" in mods) if isinstance(t, Test) else t for t in made))

    def _field(self, found: re.Match[str]) -> str | None:
        name = found["name"]
        if name == ANY:
            return None
        if name.startswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        if fields.lookup(name) is None:
            hint = f'for the text itself write it in quotes: "{_bare(self.text, self.at)}"'
            self._unknown(f"unknown field {name}", name, tuple(fields.dictionary()), self.at, hint)
        return name

    def _values(self) -> list[tuple[int, tuple[str, bool]]]:
        """(column, (raw text, in quotes)) of the value, or of each value of a list."""
        if self.at == len(self.text) or self.text[self.at].isspace() or self.text[self.at] == ")":
            raise self._error("a value is missing after the colon")
        if self.text[self.at] != "(":
            return [(self.at, self._value())]
        opened = self.at
        self.at += 1
        values = []
        while True:
            self._space()
            if self.at == len(self.text):
                raise self._error("this list is never closed", opened)
            values.append((self.at, self._value(_ITEM)))
            if self._take(")"):
                return values
            if not (self._take(",") or self._word("or")):
                raise self._error("in a list, values are joined by or: field:(a or b); field:(…) takes no and, not", self.at)

    def _value(self, bare: re.Pattern[str] = _BARE) -> tuple[str, bool]:
        found = _QUOTED.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            if self.at < len(self.text) and not (self.text[self.at].isspace() or self.text[self.at] in "(),"):
                raise self._error("a blank is missing after the closing quote")
            return _unquoted(found[0]), True
        if self.at < len(self.text) and self.text[self.at] in "\"'":
            raise self._error("this quote is never closed (a backslash before the closing quote must be doubled)")
        found = bare.match(self.text, self.at)
        if found is None:
            raise self._error("a value is missing here; text with blanks, commas or parentheses goes in quotes")
        self.at = found.end()
        return found[0], False

    def _test(self, name: str | None, op: str, place: int, value: tuple[str, bool]) -> Expr:
        raw, quoted = value
        if op in ("re", "fold") or op.startswith("fieldref"):
            return self._special(name, op, place, raw)
        if op in ("exists", "null"):
            if raw.lower() not in ("true", "false"):
                raise self._error(f"|{op}: takes true or false", place)
            if op == "null":
                return Test(name, "null") if raw.lower() == "true" else Not(Test(name, "null"))
            return Test(name, "exists", (raw.lower() == "true",))
        if op == "cidr":
            return self._checked(Test(name, "cidr", (raw,)), is_network(raw), "not a network: 10.0.0.0/8, 2001:db8::/32", place)
        if op in (*COMPARE, *PARTS):
            known = fields.lookup(name) if name else None
            if op in COMPARE and known is not None and known.type == "date":
                raise self._error("times are compared with --since and --until", place)
            number = number_of(raw)
            return self._checked(Test(name, op, (number or 0,)), number is not None, "not a number", place)  # type: ignore[arg-type]
        if not op and not quoted and raw == ANY:
            return Test(name, "exists", (True,))
        pieces = pieces_of(raw)
        known = fields.lookup(name) if name and not op and not quoted else None
        if known is not None and known.type == "ip" and (address := address_of(raw)):
            pieces = [address]
        if op in ("contains", "endswith"):
            pieces = [Wild.RUN, *pieces]
        if op in ("contains", "startswith"):
            pieces = [*pieces, Wild.RUN]
        return pattern(name, pieces)

    def _special(self, name: str | None, op: str, place: int, raw: str) -> Test:
        if op == "re":
            try:
                pc.match_substring_regex(pa.array([""]), raw)
            except pa.ArrowInvalid as error:
                raise self._error(f"not a regular expression (RE2): {error}", place) from None
            return Test(name, "re", (raw,))
        return Test(name, op, (literal(pieces_of(raw)),))  # type: ignore[arg-type]

    def _checked(self, test: Test, good: bool, what: str, place: int) -> Test:
        if not good:
            raise self._error(what, place)
        return test

    def _space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _take(self, sign: str) -> bool:
        self._space()
        found = self.text.startswith(sign, self.at)
        self.at += len(sign) if found else 0
        return found

    def _peek(self, word: str) -> bool:
        self._space()
        end = self.at + len(word)
        return self.text[self.at : end].lower() == word and (end == len(self.text) or self.text[end].isspace() or self.text[end] in "()\"'")

    def _word(self, word: str) -> bool:
        found = self._peek(word)
        self.at += len(word) if found else 0
        self._space()
        return found

    def _unknown(self, what: str, word: str, known: tuple[str, ...], place: int, hint: str = "") -> None:
        close = difflib.get_close_matches(word, known, 3)
        allowed = f"did you mean {' or '.join(close)}?" if close else f"modifiers: {', '.join(known)}" if known is _MODIFIERS else ""
        raise self._error(what, place, "; ".join(h for h in (allowed, hint) if h))

    def _error(self, what: str, place: int | None = None, hint: str = "") -> UsageError:
        """The message, the query (the part of it around the place) and a caret under the place."""
        at = self.at if place is None else place
        start = max(0, at - 60)
        line = clean(re.sub(r"\s", " ", self.text[start : at + 40]))
        caret = " " * len(clean(re.sub(r"\s", " ", self.text[start:at]))) + "^"
        return UsageError(f"query, column {at + 1}: {what}\n{line}\n{caret}", hint=hint or "soc search --help shows the query language")


def _bare(text: str, at: int) -> str:
    """What stands here up to a blank or parenthesis."""
    found = _BARE.match(text, at)
    return found[0] if found else ""


def _unquoted(text: str) -> str:
    """What stands between quotes; an escaped quote is a quote, other backslashes stay."""
    mark = text[0]
    return re.sub(r"\\(.)", lambda m: m[1] if m[1] == mark else m[0], text[1:-1], flags=re.DOTALL)
