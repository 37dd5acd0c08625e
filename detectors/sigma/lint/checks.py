"""All checks by the code of their issue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.sigma.lint import conditions, files, modifiers, structure
from detectors.sigma.lint.base import Check

CHECKS: Final[Mapping[str, Check]] = {
    # the file
    "unreadable": Check("error", file=files.unreadable),
    "file-too-large": Check("error", file=files.too_large),
    "not-utf8": Check("error", file=files.not_utf8),
    "yaml-tab": Check("error", file=files.yaml_tab),
    "yaml-syntax": Check("error", file=files.yaml_syntax),
    "empty-file": Check("error", file=files.empty_file),
    "not-a-mapping": Check("error", file=files.not_a_mapping),
    "action-document": Check("error", file=files.action_document),
    "duplicate-key": Check("error", file=files.duplicate_key),
    "byte-order-mark": Check("note", file=files.byte_order_mark),
    "carriage-returns": Check("note", file=files.carriage_returns),
    "skip-without-reason": Check("warning"),
    "unknown-skip": Check("warning"),
    "idle-skip": Check("note"),
    # why the loader does not take a document
    "missing-key": Check("error", structure.missing_key, refused=True),
    "unknown-key": Check("error", structure.unknown_key, refused=True),
    "wrong-type": Check("error", structure.wrong_type, refused=True),
    "empty-logsource": Check("error", structure.empty_logsource, refused=True),
    "invalid-level": Check("error", structure.invalid_level, refused=True),
    "invalid-status": Check("error", structure.invalid_status, refused=True),
    "invalid-date": Check("error", structure.invalid_date, refused=True),
    "invalid-related": Check("error", structure.invalid_related, refused=True),
    "title-limit": Check("error", structure.title_limit, refused=True),
    "empty-name": Check("error", structure.empty_name, refused=True),
    "tag-without-namespace": Check("error", structure.tag_without_namespace, refused=True),
    "empty-selection": Check("error", structure.empty_selection, refused=True),
    "nested-value": Check("error", structure.nested_value, refused=True),
    "unknown-modifier": Check("error", modifiers.unknown_modifier, refused=True),
    "modifier-combination": Check("error", modifiers.modifier_combination, refused=True),
    "modifier-value": Check("error", modifiers.modifier_value, refused=True),
    "invalid-regex": Check("error", modifiers.invalid_regex, refused=True),
    "condition-syntax": Check("error", conditions.condition_syntax, refused=True),
    "missing-selection": Check("error", conditions.missing_selection, refused=True),
    "deprecated-aggregation": Check("error", conditions.deprecated_aggregation, refused=True),
    "deprecated-timeframe": Check("error", conditions.deprecated_timeframe, refused=True),
    "not-understood": Check("error"),
    # keys of the author's own
    "custom-key": Check("error", structure.custom_key),
    # the condition
    "unused-selection": Check("warning", conditions.unused_selection),
    "all-of-them": Check("note", conditions.all_of_them),
    "them-of-one": Check("note", conditions.them_of_one),
    "pattern-of-one": Check("note", conditions.pattern_of_one),
}
