"""One data set without its patient, in place, and the record of what was done to each attribute."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from suite.dicom.attributes import MALFORMED, text
from suite.dicom.deidentification.profile import (
    DATE_KINDS,
    FREE_TEXT,
    OPTIONS,
    REPEATING_GROUPS,
    Action,
    kept_by,
    table,
)
from suite.dicom.deidentification.pseudonyms import Pseudonyms, shifted

_IDENTIFIERS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "MedicalRecordLocator",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PhysiciansOfRecord",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "RequestingPhysician",
    "ResponsiblePerson",
)
"""Values that must not survive anywhere, also not inside attributes that the profile lets stand."""

_SHORTEST_IDENTIFIER = 4
_DUMMY_NUMBERS = frozenset({"DS", "IS"})
_DUMMY_BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_DUMMY_COUNTS = frozenset({"FL", "FD", "SL", "SS", "UL", "US", "SV", "UV"})


@dataclass(slots=True)
class Cleaning:
    """The rules for one patient, and the record: (tag, keyword, action) once for each attribute met."""

    pseudonyms: Pseudonyms
    keep: frozenset[str]
    patient: str
    shift: timedelta
    identifiers: re.Pattern[str] | None
    record: dict[tuple[str, str], Action] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, pseudonyms: Pseudonyms, keep: Iterable[str] = ()) -> Cleaning:
        """The rules for a data set's patient; ``keep`` names options of ``profile.OPTIONS``."""
        wanted = frozenset(keep)
        shift = timedelta(0) if "dates" in wanted else pseudonyms.shift(dataset)
        return cls(pseudonyms, wanted, pseudonyms.patient(dataset), shift, _identifiers(dataset))

    def clean(self, dataset: Dataset) -> None:
        """De-identify in place, with all sequences; add what the standard wants to be told about it."""
        self._clean(dataset)
        dataset.PatientName = dataset.PatientID = self.patient
        dataset.PatientIdentityRemoved = "YES"
        kept_dates = "MODIFIED" if "dates" not in self.keep else "UNMODIFIED"
        dataset.LongitudinalTemporalInformationModified = kept_dates
        dataset.DeidentificationMethodCodeSequence = Sequence(self._methods())
        if "DeidentificationMethod" in dataset:
            del dataset.DeidentificationMethod

    def note(self, tag: BaseTag, action: Action, keyword: str | None = None) -> None:
        """Record what became of an attribute; the first record of a tag stands."""
        name = keyword or keyword_for_tag(tag) or "unknown"
        self.record.setdefault((f"({tag.group:04X},{tag.element:04X})", name), action)

    def add_method(self, dataset: Dataset, code: str) -> None:
        """Name a further option that was applied, by its code in context group 7050."""
        dataset.DeidentificationMethodCodeSequence.append(_method(code))

    def _methods(self) -> list[Dataset]:
        codes = ["113100", *([] if "dates" in self.keep else ["113107"])]
        return [_method(code) for code in (*codes, *(OPTIONS[name][0] for name in sorted(self.keep)))]

    def _clean(self, dataset: Dataset) -> None:
        for tag in sorted(dataset.keys()):
            if tag.group in (0x0000, 0x0002) or tag.element == 0:
                del dataset[tag]  # of the message or the file that brought it, not of the object
                continue
            if tag.is_private or not _is_known(tag):
                self.note(tag, Action.REMOVE, "private" if tag.is_private else "unknown")
                del dataset[tag]
                continue
            try:
                element = dataset[tag]
            except MALFORMED:  # what cannot be parsed cannot be cleaned
                self.note(tag, Action.REMOVE)
                del dataset[tag]
                continue
            self._apply(dataset, element)

    def _apply(self, dataset: Dataset, element: DataElement) -> None:
        action = self._action(element)
        if action is Action.REMOVE:
            del dataset[element.tag]
        elif element.VR == "SQ" and action is not Action.EMPTY:
            for item in element.value or ():
                self._clean(item)
        elif action is Action.EMPTY:
            element.value = Sequence() if element.VR == "SQ" else None
        elif action is Action.UID:
            self._replace_uid(element)
        elif action is Action.SHIFT:
            _replace_each(element, lambda value: shifted(value, self.shift))
        elif action is Action.PSEUDONYM:
            element.value = self.patient
        elif action is Action.DUMMY:
            _make_dummy(element)
        elif self._holds_identifier(element):
            action = Action.REMOVE
            del dataset[element.tag]
        self.note(element.tag, action)

    def _action(self, element: DataElement) -> Action:
        tag, kind = element.tag, element.VR
        if tag.group & 0xFF00 in REPEATING_GROUPS:
            return Action.REMOVE
        if any(tag in kept_by(option) for option in self.keep):
            return Action.KEEP
        listed = table().get((tag.group, tag.element))
        if kind == "UI" and listed is not Action.REMOVE:
            return Action.KEEP if "uids" in self.keep else Action.UID
        if kind == "PN":
            return Action.PSEUDONYM if listed is Action.DUMMY else listed or Action.EMPTY
        if kind in ("DA", "DT") and not _is_birth(element):
            return Action.KEEP if "dates" in self.keep else Action.SHIFT
        if kind == "TM" and not _is_birth(element):
            return Action.KEEP  # the option moves whole days, so that intervals and times of day stay
        if listed is None and kind in FREE_TEXT:
            return Action.REMOVE
        return listed or Action.KEEP

    def _replace_uid(self, element: DataElement) -> None:
        if element.VR == "UI":
            _replace_each(element, self.pseudonyms.uid)

    def _holds_identifier(self, element: DataElement) -> bool:
        """Whether one of the patient's own identifiers stands in an attribute that would be kept."""
        if self.identifiers is None or element.VR == "SQ":
            return False
        if isinstance(element.value, bytes) and (element.tag.group, element.tag.element) != (0x7FE0, 0x0010):
            found = element.value.decode("latin-1")
        elif isinstance(element.value, str | MultiValue | list):
            found = str(element.value)
        else:
            return False
        return self.identifiers.search(found) is not None


def _identifiers(dataset: Dataset) -> re.Pattern[str] | None:
    """The patient's, physicians' and order's names and numbers, as words to look for."""
    words: set[str] = set()
    for keyword in _IDENTIFIERS:
        for part in re.split(r"[\\^=\s,;]+", text(dataset, keyword) or ""):
            if len(part) >= _SHORTEST_IDENTIFIER:
                words.add(re.escape(part))
    if not words:
        return None
    longest_first = "|".join(sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])", re.IGNORECASE)


def _is_birth(element: DataElement) -> bool:
    """Birth dates are of the person, not of the examination: they are emptied, not shifted."""
    return "Birth" in element.keyword


def _replace_each(element: DataElement, change: Any) -> None:
    value = element.value
    if value is None or value == "":
        return
    if isinstance(value, MultiValue | list):
        element.value = [change(str(part)) for part in value]
    else:
        element.value = change(str(value))


def _make_dummy(element: DataElement) -> None:
    """A value of the element's form that says nothing."""
    kind = element.VR
    if kind in DATE_KINDS:
        element.value = {"DA": "19000101", "DT": "19000101", "TM": "000000"}[kind]
    elif kind in _DUMMY_BINARY:
        element.value = b"\0\0"
    elif kind in _DUMMY_NUMBERS:
        element.value = "0"
    elif kind in _DUMMY_COUNTS:
        element.value = 0
    elif kind == "AS":
        element.value = "000Y"
    elif kind == "UR":
        element.value = "http://removed.invalid"
    else:
        element.value = "REMOVED"


def _method(code: str) -> Dataset:
    from pydicom.sr.codedict import codes

    options = (getattr(codes.cid7050, name) for name in dir(codes.cid7050))
    meaning = next(option.meaning for option in options if option.value == code)
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
    return item


def _is_known(tag: BaseTag) -> bool:
    """Whether the standard's dictionary has the tag; others cannot be judged."""
    try:
        dictionary_VR(tag)
    except KeyError:
        return False
    return True
