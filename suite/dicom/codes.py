"""Coded terms for results: the standard's and SNOMED's where they exist, our own scheme elsewhere.

Terms of DICOM, UCUM and RadLex, and most of SNOMED CT, are those of the standard's own context groups. The
SNOMED CT terms that no context group holds are listed with SNOMED's own names in
``tests/test_dicom_objects_codes``, so that a change of either is noticed.
"""

from __future__ import annotations

from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset

from suite.findings import FINDINGS, UNPAIRED

SCHEME = "99RADSUITE"
"""Coding scheme of terms that neither DICOM nor SNOMED CT has."""

CHEST_RADIOGRAPHY = CodedConcept("399208008", "SCT", "Plain chest X-ray")
PROBABILITY = CodedConcept("122157", "DCM", "Probability")
AREA = CodedConcept("42798000", "SCT", "Area")
NO_UNITS = CodedConcept("1", "UCUM", "no units")
SQUARE_MILLIMETRE = CodedConcept("mm2", "UCUM", "square millimeter")
CHEST = CodedConcept("816094009", "SCT", "Chest")
ANATOMICAL_STRUCTURE = CodedConcept("91723000", "SCT", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = CodedConcept("39607008", "SCT", "Lung")
HEART = CodedConcept("80891009", "SCT", "Heart")
CLAVICLE = CodedConcept("51299004", "SCT", "Clavicle")
MEDIASTINUM = CodedConcept("72410000", "SCT", "Mediastinum")
PLEURA = CodedConcept("3120008", "SCT", "Pleura")
PNEUMOTHORAX = CodedConcept("36118008", "SCT", "Pneumothorax")
RIGHT = CodedConcept("24028007", "SCT", "Right")
LEFT = CodedConcept("7771000", "SCT", "Left")
BOTH = CodedConcept("51440002", "SCT", "Bilateral")
ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")
DEVICE = CodedConcept("121007", "DCM", "Device")
PERSON = CodedConcept("121006", "DCM", "Person")
CLASS_ACTIVATION = CodedConcept("130402", "DCM", "Class activation")

STATE = CodedConcept("121052", "DCM", "Presence of property")
COMMENT = CodedConcept("121106", "DCM", "Comment")
NORMALITY = CodedConcept("121402", "DCM", "Normality")
IMAGE_QUALITY = CodedConcept("111101", "DCM", "Image Quality")

OPERATING_POINT = CodedConcept("operating-point", SCHEME, "Operating point")
ZONE = CodedConcept("zone", SCHEME, "Zone of the chest")
VERDICT = CodedConcept("verdict", SCHEME, "Verdict of the reader")

ZONES = {
    "upper": CodedConcept("281392002", "SCT", "Upper zone of lung"),
    "middle": CodedConcept("281393007", "SCT", "Middle zone of lung"),
    "lower": CodedConcept("281394001", "SCT", "Lower zone of lung"),
}
"""Context group 6171."""

SIDES = {"right": RIGHT, "left": LEFT, "bilateral": BOTH}

_STANDARD = {
    # The standard's context groups print 287272002 as "Cardiomegaly"; in SNOMED CT that is the disorder
    # "Enlarged septal foramen of heart", so SNOMED's own term is used.
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
"""The other four have no term of their scope: a lung lesion is nodule or mass, pleural other a remainder."""

_SITES = {
    "enlarged_cardiomediastinum": MEDIASTINUM,
    "cardiomegaly": HEART,
    "pneumothorax": PLEURA,
    "pleural_effusion": PLEURA,
    "pleural_other": PLEURA,
    "fracture": CHEST,
    "support_devices": CHEST,
}
"""Where a finding sits; all others sit in the lung, whose zones the standard can name."""

_STATES = {
    "suggested": ("415684004", "SCT", "Suspected"),
    "uncertain": ("121059", "DCM", "Presence Undetermined"),
    # "Absent" would claim more than a probability below the operating point says.
    "not_suggested": ("not-suggested", SCHEME, "Not suggested"),
    "not_trained": ("not-trained", SCHEME, "Not trained"),
}
_NORMALITY = {
    "normal": ("17621005", "SCT", "Normal"),
    "abnormal": ("263654008", "SCT", "Abnormal"),
    "uncertain": ("42425007", "SCT", "Equivocal"),
}
_QUALITY = {
    "accepted": ("RID12", "RADLEX", "Diagnostic quality"),
    "refused": ("RID14", "RADLEX", "Non-diagnostic quality"),
    "not_judged": ("261665006", "SCT", "Unknown"),
}
_VERDICTS = {"accepted": "Accepted by the reader", "rejected": "Rejected by the reader"}


def finding_code(code: str) -> CodedConcept:
    """The coded term of one of the 13 findings, by its code in ``report.json``."""
    if code in _STANDARD:
        return CodedConcept(*_STANDARD[code])
    finding = next(finding for finding in FINDINGS if finding.code == code)
    return CodedConcept(finding.abbreviation, SCHEME, finding.name)


def site_code(code: str, zone: str | None = None) -> tuple[CodedConcept, CodedConcept | None]:
    """Anatomic site and laterality of a finding, or of one region of it.

    Args:
        code: of the finding.
        zone: of the region, such as ``right lower`` or ``bilateral lower``; a lateral film's has no side.
    """
    words = (zone or "").split()
    side = next((SIDES[word] for word in words if word in SIDES), None)
    height = next((ZONES[word] for word in words if word in ZONES), None)
    if code in UNPAIRED:
        return _SITES[code], None  # unpaired, whatever side of the film the evidence lies on
    if code in _SITES:
        return _SITES[code], side
    return (LUNG if height is None else height), side


def state_code(state: str) -> CodedConcept:
    """The coded term of a finding's state."""
    return CodedConcept(*_STATES[state])


def normality_code(state: str) -> CodedConcept:
    """The coded term of the triage's state."""
    return CodedConcept(*_NORMALITY[state])


def quality_code(state: str) -> CodedConcept:
    """The coded term of the gate's verdict: ``accepted``, ``refused`` or ``not_judged``."""
    return CodedConcept(*_QUALITY[state])


def verdict_code(verdict: str) -> CodedConcept:
    """The coded term of a reader's verdict on a finding: ``accepted`` or ``rejected``."""
    return CodedConcept(verdict, SCHEME, _VERDICTS[verdict])


def copied(item: Dataset) -> CodedConcept:
    """The code, scheme and meaning of an item, without whatever else it carries."""
    return CodedConcept(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)


def zone_code(zone: str) -> CodedConcept:
    """The coded term of a zone in words, such as ``right lower``, on the film rather than in the lung."""
    return CodedConcept(zone.replace(" ", "-")[:16], SCHEME, zone)
