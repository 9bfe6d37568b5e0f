"""Coded terms: each is the standard's own, or listed here with where else its meaning was found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.sr._concepts_dict import concepts

from suite.dicom import codes
from suite.findings import CODES

OUTSIDE_THE_CONTEXT_GROUPS = {
    # SNOMED CT terms that no context group of DICOM holds, with SNOMED's own fully specified name.
    "399208008": "Plain chest X-ray (procedure)",
    "8186001": "Cardiomegaly (disorder)",
    "95436008": "Lung consolidation (disorder)",
    "233604007": "Pneumonia (disorder)",
    "46621007": "Atelectasis (disorder)",
    "125605004": "Fracture of bone (disorder)",
}


def _all_codes() -> Iterator[CodedConcept]:
    yield from (value for value in vars(codes).values() if isinstance(value, CodedConcept))
    yield from codes.ZONES.values()
    yield from (codes.finding_code(code) for code in CODES)
    for code in CODES:
        yield from (part for part in codes.site_code(code, "right lower") if part is not None)
    states = ("suggested", "uncertain", "not_suggested", "not_trained")
    yield from (codes.state_code(state) for state in states)
    yield from (codes.normality_code(state) for state in ("normal", "abnormal", "uncertain"))
    yield from (codes.quality_code(state) for state in ("accepted", "refused", "not_judged"))
    yield from (codes.verdict_code(verdict) for verdict in ("accepted", "rejected"))


def _meanings(scheme: str, value: str) -> set[str]:
    """What the standard's dictionary says a code means; it may have several names."""
    return {entry[value][0].lower() for entry in concepts[scheme].values() if value in entry}


@pytest.mark.parametrize(
    "code", list(_all_codes()), ids=lambda code: f"{code.scheme_designator} {code.value}"
)
def test_a_code_means_what_it_says(code: CodedConcept) -> None:
    if code.scheme_designator == codes.SCHEME:
        assert len(code.value) <= 16
    elif code.value in OUTSIDE_THE_CONTEXT_GROUPS:
        assert OUTSIDE_THE_CONTEXT_GROUPS[code.value].startswith(code.meaning)
    else:
        assert code.meaning.lower() in _meanings(code.scheme_designator, code.value)


@pytest.mark.parametrize(
    ("finding", "zone", "site", "side"),
    [
        ("consolidation", "right lower", "281394001", "24028007"),
        ("consolidation", "left upper", "281392002", "7771000"),
        ("consolidation", "bilateral lower", "281394001", "51440002"),
        ("pleural_effusion", "bilateral lower", "3120008", "51440002"),
        ("cardiomegaly", "bilateral lower", "80891009", None),
        ("consolidation", "middle", "281393007", None),
        ("consolidation", None, "39607008", None),
        ("pneumothorax", "left upper", "3120008", "7771000"),
        ("cardiomegaly", "left lower", "80891009", None),
        ("fracture", "right middle", "816094009", "24028007"),
    ],
)
def test_a_region_lies_in_an_organ_on_a_side(
    finding: str, zone: str | None, site: str, side: str | None
) -> None:
    found, laterality = codes.site_code(finding, zone)

    assert found.value == site
    assert (laterality.value if laterality else None) == side
