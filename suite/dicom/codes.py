"""Coded terms for results: the standard's and SNOMED's where they exist, our own scheme elsewhere."""

from __future__ import annotations

from highdicom.sr.coding import CodedConcept

from suite.findings import FINDINGS

SCHEME = "99RADSUITE"
"""Coding scheme of terms that neither DICOM nor SNOMED CT has; code values are the paper's abbreviations."""

CHEST_RADIOGRAPHY = CodedConcept("399208008", "SCT", "Plain chest X-ray")
PROBABILITY = CodedConcept("122157", "DCM", "Probability")
NO_UNITS = CodedConcept("1", "UCUM", "no units")
CHEST = CodedConcept("816094009", "SCT", "Chest")
ANATOMICAL_STRUCTURE = CodedConcept("123037004", "SCT", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Altered Structure")
LUNG = CodedConcept("39607008", "SCT", "Lung")
RIGHT_LUNG = CodedConcept("3341006", "SCT", "Right lung")
LEFT_LUNG = CodedConcept("44029006", "SCT", "Left lung")
HEART = CodedConcept("80891009", "SCT", "Heart")
PNEUMOTHORAX = CodedConcept("36118008", "SCT", "Pneumothorax")
ARTIFICIAL_INTELLIGENCE = CodedConcept("110690", "DCM", "Artificial Intelligence")

STATE = CodedConcept("state", SCHEME, "State of the suggestion")
ZONE = CodedConcept("zone", SCHEME, "Zone of the chest")
GATE = CodedConcept("gate", SCHEME, "Film suited for reading")
TRIAGE = CodedConcept("triage", SCHEME, "Normal or abnormal")

_STANDARD = {
    "cardiomegaly": ("8186001", "SCT", "Cardiomegaly"),
    "lung_opacity": ("112001", "DCM", "Opacity"),
    "edema": ("19242006", "SCT", "Pulmonary edema"),
    "consolidation": ("95436008", "SCT", "Lung consolidation"),
    "pneumonia": ("233604007", "SCT", "Pneumonia"),
    "atelectasis": ("46621007", "SCT", "Atelectasis"),
    "pneumothorax": ("36118008", "SCT", "Pneumothorax"),
    "pleural_effusion": ("60046008", "SCT", "Pleural effusion"),
    "fracture": ("125605004", "SCT", "Fracture of bone"),
}

_STATES = {
    "suggested": "Suggested",
    "uncertain": "Uncertain",
    "not_suggested": "Not suggested",
    "normal": "Normal",
    "abnormal": "Abnormal",
    "accepted": "Accepted",
    "refused": "Refused",
    "not_judged": "Not judged",
}


def finding_code(code: str) -> CodedConcept:
    """The coded term of one of the 13 findings, by its code in ``report.json``."""
    if code in _STANDARD:
        return CodedConcept(*_STANDARD[code])
    finding = next(finding for finding in FINDINGS if finding.code == code)
    return CodedConcept(finding.abbreviation, SCHEME, finding.name)


def state_code(state: str) -> CodedConcept:
    """The coded term of a finding's, the triage's or the gate's state."""
    return CodedConcept(state, SCHEME, _STATES[state])


def zone_code(zone: str) -> CodedConcept:
    """The coded term of a zone in words, such as ``right lower``."""
    return CodedConcept(zone.replace(" ", "-")[:16], SCHEME, zone)
