"""pySigma's own validators: each has a check of ours, or a reason why not."""

from __future__ import annotations

from sigma.validators.core import validators

from detectors.sigma.lint import CHECKS
from tests.detectors.sigma.lint.examples import merged
from tests.detectors.sigma.lint.test_lint import found

OURS: dict[str, tuple[str, ...]] = {
    "all_of_them_condition": ("all-of-them",),
    "attacktag": ("attack-tag", "retired-tag"),  # pySigma's fetches the list from the network
    "cartag": ("tag-pattern",),
    "control_character": ("control-character",),
    "custom_attributes": ("custom-key",),
    "cvetag": ("tag-pattern",),
    "d3_fendtag": ("tag-pattern",),  # pySigma's fetches the list from the network
    "dangling_condition": ("missing-selection",),
    "dangling_detection": ("unused-selection",),
    "detection_tag": ("tag-pattern",),
    "double_wildcard": ("double-wildcard",),
    "duplicate_filename": ("duplicate-filename",),
    "duplicate_references": ("duplicate-reference",),
    "duplicate_tag": ("duplicate-tag",),
    "duplicate_title": ("duplicate-title",),
    "escaped_wildcard": ("escaped-wildcard",),  # only where a path shows that it is not meant
    "fieldname_logsource": ("unknown-key",),
    "filename_length": ("filename-form",),
    "identifier_existence": ("missing-id",),
    "identifier_uniqueness": ("duplicate-id", "overridden"),
    "invalid_modifier_combinations": ("modifier-combination", "all-of-equals", "offset-without-contains"),
    "namespace_tag": ("tag-namespace",),
    "number_as_string": ("number-as-text", "eventid-as-text"),
    "specific_instead_of_generic_logsource": ("specific-logsource",),
    "stptag": ("tag-pattern",),
    "tag_format": ("tag-form",),
    "them_condition_with_single_detection": ("them-of-one",),
    "tlptag": ("tag-pattern",),
    "tlpv1_tag": ("tag-pattern",),
    "tlpv2_tag": ("tag-pattern",),
    "wildcards_instead_of_modifiers": ("wildcard-for-modifier",),
}


def test_every_validator_has_checks_of_ours() -> None:
    assert set(validators) == set(OURS)
    assert {code for codes in OURS.values() for code in codes} <= set(CHECKS)


def test_windash_with_all_is_no_problem_here() -> None:
    """pySigma warns of it: it would ask for all spellings at once. Ours asks for one spelling of each value."""
    text = "detection:\n  selection:\n    CommandLine|windash|contains|all: [' -one', ' -two']\n  condition: selection\n"
    assert found(merged(text)) == []
