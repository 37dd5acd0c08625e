"""How YAML of rules is read: plain scalars as YAML 1.2 has them, which the Sigma specification names, not as PyYAML's YAML 1.1.

`yes`, `no`, `on`, `off` are text, and so are `12:30` (750 in YAML 1.1), `007`, `1_000`, `0b11` and `=`. Dates stay dates.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

_TAG: Final = "tag:yaml.org,2002:"
_FORMS: Final = {
    f"{_TAG}bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"),
    f"{_TAG}int": re.compile(r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)$"),
    f"{_TAG}float": re.compile(
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
}  # fmt: skip
_DROPPED: Final = f"{_TAG}value"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader with these scalars."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, _FORMS.get(tag, form)) for tag, form in forms if tag != _DROPPED]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
