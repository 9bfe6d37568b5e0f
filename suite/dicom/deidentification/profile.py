"""The basic profile's table (PS3.15 table E.1-1), edition 2026c, and the options that keep part of it.

The table itself comes from the library dicom-anonymizer, which generates it from the standard's text. Only
the table: the library's actions empty the leaves of sequences that are to go, and draw UIDs at random.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as edition
from pydicom.datadict import tag_for_keyword


class Action(StrEnum):
    """What is done to an attribute. Where the table leaves a choice, the one that keeps files valid."""

    REMOVE = "removed"
    EMPTY = "emptied"
    DUMMY = "replaced"
    UID = "new UID"
    KEEP = "kept"
    PSEUDONYM = "pseudonym"
    SHIFT = "date shifted"
    BLANK = "blanked"


_COLUMNS = {
    Action.REMOVE: ("X_TAGS",),
    Action.EMPTY: ("Z_TAGS", "X_Z_TAGS"),
    Action.DUMMY: ("D_TAGS", "Z_D_TAGS", "X_D_TAGS", "X_Z_D_TAGS"),
    Action.UID: ("U_TAGS", "X_Z_U_STAR_TAGS"),
}

REPEATING_GROUPS = (0x5000, 0x6000)
"""Curves and overlays: removed with all their attributes, since the rest makes no sense without the data."""

OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "characteristics": (
        "113108",
        (
            "PatientAge",
            "PatientSex",
            "PatientSize",
            "PatientWeight",
            "EthnicGroup",
            "PatientSexNeutered",
            "PregnancyStatus",
            "SmokingStatus",
        ),
    ),
    "device": (
        "113109",
        (
            "StationName",
            "DeviceSerialNumber",
            "DetectorID",
            "PlateID",
            "CassetteID",
            "GeneratorID",
            "GantryID",
            "DeviceUID",
            "PerformedStationName",
            "PerformedStationAETitle",
        ),
    ),
    "institution": (
        "113112",
        ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "InstitutionCodeSequence"),
    ),
    "uids": ("113110", ()),
    "dates": ("113106", ()),
}
"""Options by name: the code of context group 7050, and the attributes kept (the table's columns)."""

DATE_KINDS = frozenset({"DA", "DT", "TM"})
FREE_TEXT = frozenset({"LT", "ST", "UT", "UC", "UR"})
"""Representations without length or form: whatever of them the table does not name is removed as well."""


@cache
def table() -> dict[tuple[int, int], Action]:
    """Action by (group, element); repeating groups are not in it (:data:`REPEATING_GROUPS`)."""
    return {
        (tag[0], tag[1]): action
        for action, columns in _COLUMNS.items()
        for column in columns
        for tag in getattr(edition, column)
        if len(tag) == 2
    }


@cache
def kept_by(option: str) -> frozenset[int]:
    """Tags that an option keeps."""
    return frozenset(tag for keyword in OPTIONS[option][1] if (tag := tag_for_keyword(keyword)) is not None)
