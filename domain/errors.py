"""The exception tree.

SocError                 base: says what was wrong, where, what is allowed and the next command
├── UsageError           exit 2: the command line cannot be understood
├── ConfigError          exit 3: soc.toml
├── ContentError         exit 4: a rule, playbook, filter or register is invalid
├── SourceError          exit 5: a log source cannot be reached or read
│   └── LackingError     exit 6: the source's cluster grants us too little; the privilege is named
├── StoreError           exit 6: the store is unreachable, full, locked or of another version
│   └── ConflictError    exit 6: somebody else wrote first (compare-and-swap lost)
└── NotPermitted         exit 7
Anything else that reaches the top is an internal error: exit 70, one line and the log file.
"""

from __future__ import annotations


class SocError(Exception):
    """An error that is shown to people: `what` happened, `where` (file:line, source id), `hint` (what to do next)."""

    exit_code = 70

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{hint}"


class UsageError(SocError):
    """The command line cannot be understood."""

    exit_code = 2


class ConfigError(SocError):
    """The configuration is wrong."""

    exit_code = 3


class ContentError(SocError):
    """A rule, playbook, filter or register is invalid."""

    exit_code = 4


class SourceError(SocError):
    """A log source cannot be reached or read."""

    exit_code = 5


class LackingError(SourceError):
    """The cluster that a source reads grants us too little."""

    exit_code = 6


class StoreError(SocError):
    """The store is unreachable, full, locked or of another version."""

    exit_code = 6


class ConflictError(StoreError):
    """Somebody else wrote first."""


class NotPermitted(SocError):
    """The actor lacks the role."""

    exit_code = 7
