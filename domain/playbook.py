"""Playbooks: reviewed procedures as data. A step asks, queries the logs live, says what to do, and keeps what was found.

Nothing here is ever executed on another system: commands and letters are printed, and later queries verify their effect.
Texts that people read are mappings language -> text (`vi`, `en`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from domain.attack import within

Text: TypeAlias = Mapping[str, str]
"""Language -> text; `vi` is always there."""

PHASES: Final = ("prepare", "identify", "preserve", "analyse", "report", "contain", "eradicate", "recover", "lessons")
"""The phase model of vietnam.md 4.1 (VNCERT/CC, TT 20/2017, QĐ 05/2017, NĐ 333/2026, NIST SP 800-61); names: `playbook.phase_<key>`."""
ROLES: Final = ("duty", "lead", "admin", "leader", "spokesperson")
"""Who does a step; names: `playbook.role_<key>`."""
SYSTEMS: Final = ("fortigate", "nginx", "apache", "linux", "windows", "ad", "keycloak", "wso2", "soc")
"""What a command is typed on: decides how values are quoted."""
ENTITIES: Final = ("ip", "host", "user", "url", "file", "process", "source", "hash", "client", "text")
"""Kinds of input: alert entity types, or free text."""
SCOPES: Final = ("external", "internal")
BUILTINS: Final = ("incident", "t0", "title", "now")
"""Placeholders that every playbook has in commands and letters."""


@dataclass(frozen=True)
class Trigger:
    """When the playbook is proposed: any of these."""

    sigma_tags: tuple[str, ...] = ()
    """attack.t1190, ...; a technique also covers its sub-techniques."""
    rules: tuple[str, ...] = ()
    """Rule ids."""
    models: tuple[str, ...] = ()
    """Anomaly models (`<model>`, with or without `anomaly.` before it); a model covers its variants (`login_burst`: login_burst.spray)."""
    categories: tuple[str, ...] = ()
    """Incident categories."""


@dataclass(frozen=True)
class Input:
    """A placeholder: filled from the incident's entities, or by `--set name=value`."""

    name: str
    entity: str
    """One of ENTITIES."""
    label: Text
    scope: str = ""
    """For addresses, one of SCOPES: external ones may be blocked, internal ones are our own machines; empty = both."""


@dataclass(frozen=True)
class Query:
    """A question that the logs answer."""

    id: str
    """Unique within the step."""
    ask: Text
    query: str
    """One line of the query grammar; `{input}` stands for the values of an input, only as a whole value."""
    start: str
    """t0-24h, now-1h, step:C1 (when that step was done), ...: see `playbooks.window`."""
    end: str
    by: tuple[str, ...] = ()
    """Group by these fields; empty = list the events."""
    every: str = ""
    """Time buckets: 5m, 1h, 1d."""
    fields: tuple[str, ...] = ()
    """Columns of listed events."""
    limit: int = 50
    """Rows kept; the count is always of all."""
    some: Text = field(default_factory=dict)
    """What it means when there are rows."""
    none: Text = field(default_factory=dict)
    """What it means when there are none."""
    expect: str = ""
    """Verification: some | none; empty = no expectation."""


@dataclass(frozen=True)
class Option:
    """One answer to a decision."""

    value: str
    label: Text
    category: str = ""
    level: str = ""
    status: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    skips: tuple[str, ...] = ()
    """Steps that do not apply with this answer."""
    reopens: tuple[str, ...] = ()
    """Steps to do again (a new indicator: back to the analysis)."""


@dataclass(frozen=True)
class Decision:
    """A question a person answers; the logs propose an answer."""

    ask: Text
    options: tuple[Option, ...]
    query: str = ""
    """Id of the query that proposes."""
    some: str = ""
    """Option proposed when that query has rows."""
    none: str = ""
    """Option proposed when it has none."""
    default: str = ""
    """Option proposed otherwise."""


@dataclass(frozen=True)
class Command:
    """Something to type on another system: printed, never executed."""

    system: str
    text: str
    """Template; repeated for every value of the first input in it."""
    note: Text = field(default_factory=dict)
    undo: str = ""
    """How to take it back."""
    family: int = 0
    """4 or 6: only for addresses of that family; 0 = any."""


@dataclass(frozen=True)
class Letter:
    """A request to print: công văn to an ISP, a system owner, ..."""

    id: str
    title: Text
    to: Text
    body: Text
    """Template."""


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    id: str
    phase: str
    who: str
    title: Text
    do: Text
    required: bool = True
    """A step that is not required may stay open when the run ends."""
    needs: tuple[str, ...] = ()
    """Steps that must be done or skipped before."""
    queries: tuple[Query, ...] = ()
    decision: Decision | None = None
    commands: tuple[Command, ...] = ()
    letters: tuple[str, ...] = ()
    """Ids of letters of the playbook."""
    approval: str = ""
    """Role that must approve before it is done."""
    duties: tuple[str, ...] = ()
    """Legal duties (domain/duties.yml) that must be met, where they apply, before it is done."""
    hours: float = 0
    """Deadline in hours from T0; 0 = none."""
    evidence: tuple[Text, ...] = ()
    """What to keep (`soc incident evidence`)."""
    status: str = ""
    """Incident status that doing this step reaches."""


@dataclass(frozen=True)
class Condition:
    """What must hold before the incident is closed."""

    id: str
    text: Text
    query: Query | None = None
    """Checked in the logs; None = a person confirms."""


@dataclass(frozen=True)
class Playbook:
    """A whole procedure."""

    id: str
    """PB04."""
    version: int
    title: Text
    summary: Text
    categories: tuple[str, ...]
    """Incident categories it is for; the first is proposed."""
    triggers: Trigger
    inputs: Mapping[str, Input]
    steps: tuple[Step, ...]
    letters: Mapping[str, Letter]
    close: tuple[Condition, ...]
    digest: str = ""
    """SHA-256 of the file."""
    origin: str = ""
    """File it was read from."""

    def step(self, step_id: str) -> Step | None:
        """The step with this id."""
        return next((s for s in self.steps if s.id == step_id), None)


def say(text: Text, lang: str) -> str:
    """The text in a language, else in Vietnamese; empty when there is none."""
    return text.get(lang) or text.get("vi", "")


def matches(trigger: Trigger, *, tags: frozenset[str], rule_id: str, category: str) -> str:
    """Why an alert or incident calls for this playbook: the value that matched, or ""."""
    for tag in trigger.sigma_tags:
        hit = next((t for t in sorted(tags) if t == tag or t.startswith(f"{tag}.") or within(t, tag)), "")
        if hit:
            return hit
    models = {m.removeprefix("anomaly.") for m in trigger.models}
    if rule_id and (rule_id in trigger.rules or (rule_id.startswith("anomaly.") and rule_id.split(".")[1] in models)):
        return rule_id
    return category if category in trigger.categories else ""


def as_text(value: Any) -> Text:
    """A YAML text: a mapping by language, or one string for all."""
    return {"vi": str(value)} if isinstance(value, str) else {str(k): str(v).strip() for k, v in (value or {}).items()}
