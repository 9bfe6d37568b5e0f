"""The 13 findings, in the fixed order of every label vector, table and report.

The codes follow CheXpert's observations (Irvin 2019); ``lung_opacity`` is what the paper calls AO, airspace
opacity. A label is 1 (present), 0 (absent) or NaN (nothing known).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its code in files, its name on pages, and the abbreviation used in the paper's Table 1."""

    code: str
    name: str
    abbreviation: str


FINDINGS: tuple[Finding, ...] = (
    Finding("enlarged_cardiomediastinum", "Enlarged cardiomediastinum", "EC"),
    Finding("cardiomegaly", "Cardiomegaly", "CA"),
    Finding("lung_opacity", "Lung opacity", "AO"),
    Finding("lung_lesion", "Lung lesion", "LL"),
    Finding("edema", "Edema", "ED"),
    Finding("consolidation", "Consolidation", "CO"),
    Finding("pneumonia", "Pneumonia", "PN"),
    Finding("atelectasis", "Atelectasis", "AT"),
    Finding("pneumothorax", "Pneumothorax", "PX"),
    Finding("pleural_effusion", "Pleural effusion", "PE"),
    Finding("pleural_other", "Pleural other", "PO"),
    Finding("fracture", "Fracture", "FR"),
    Finding("support_devices", "Support devices", "SD"),
)

UNPAIRED = frozenset({"enlarged_cardiomediastinum", "cardiomegaly"})
"""Findings of organs in the middle of the chest: they have no side and no zone of a lung."""

CODES: tuple[str, ...] = tuple(finding.code for finding in FINDINGS)
NAMES: dict[str, str] = {finding.code: finding.name for finding in FINDINGS}
