"""A data set as a table: one record a study, whatever the set's own layout; and splits no patient crosses."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from suite.errors import DatasetError
from suite.findings import CODES

UNKNOWN: tuple[float, ...] = (math.nan,) * len(CODES)
CERTAIN: tuple[bool, ...] = (False,) * len(CODES)
SplitName = Literal["train", "validation", "test"]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in shares of the frontal film's width and height, so that a resized copy keeps its boxes."""


@dataclass(frozen=True, slots=True)
class FilmFile:
    """The file of a film, and what has to be known to read it.

    It is no path: what reads films takes a ``FilmFile``, so that none is read the wrong way round. As a word
    it tells films apart, also one file that two sets hold for a positive and for a negative.

    Attributes:
        path: the file.
        inverted: white and black are exchanged in it, as the data set says and the file itself does not.
    """

    path: Path
    inverted: bool = False

    def __str__(self) -> str:
        return f"{self.path} (inverted)" if self.inverted else str(self.path)


@dataclass(frozen=True, slots=True)
class Record:
    """One study of a data set.

    Attributes:
        id: unique in its set.
        patient_id: what splits are made by.
        frontal, lateral: the films; a lateral is the exception. A path alone is that of a positive.
        labels: 13 values in the order of ``suite.findings.CODES``; 1, 0 or NaN (the set does not know).
        abnormal: 1, 0 or NaN.
        targets: further files by what they show (``organs``, ``lung_mask``, ``bone``), in the set's encoding.
        attributes: ``view``, ``age``, ``sex`` ... where the set gives them.
        uncertain: 13 flags: the set calls the finding uncertain (CheXpert's -1); its label is then NaN.
        part: the part of the set's official split it belongs to, where there is one.
        boxes: where a finding is, by its code, on the frontal film.
    """

    id: str
    patient_id: str
    frontal: FilmFile
    lateral: FilmFile | None = None
    labels: tuple[float, ...] = UNKNOWN
    abnormal: float = math.nan
    targets: Mapping[str, Path] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    uncertain: tuple[bool, ...] = CERTAIN
    part: SplitName | None = None
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for view in ("frontal", "lateral"):
            if isinstance(getattr(self, view), Path):
                object.__setattr__(self, view, FilmFile(getattr(self, view)))
        for kind, values in (("labels", self.labels), ("uncertainty flags", self.uncertain)):
            if len(values) != len(CODES):
                raise DatasetError(
                    f"record {self.id} has {len(values)} {kind}; give one for each of {len(CODES)} findings."
                )
        for value in (*self.labels, self.abnormal):
            if not (math.isnan(value) or value in (0.0, 1.0)):
                raise DatasetError(f"record {self.id} has the label {value}; use 1, 0 or NaN.")
        for code, label, flag in zip(CODES, self.labels, self.uncertain, strict=True):
            if flag and not math.isnan(label):
                raise DatasetError(
                    f"record {self.id} calls {code} both uncertain and {label:g}; an uncertain label is NaN."
                )


@dataclass(frozen=True, slots=True)
class Manifest:
    """All records of one data set."""

    name: str
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for record in self.records:
            if record.id in seen:
                raise DatasetError(f"data set {self.name} has two records {record.id!r}; keep one of them.")
            seen.add(record.id)
        if not self.records:
            raise DatasetError(
                f"data set {self.name} is empty; check the folder against `radsuite datasets`."
            )

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def with_target(self, target: str) -> Manifest:
        """Only the records that have ``target``."""
        return Manifest(self.name, tuple(record for record in self.records if target in record.targets))

    def split(self, seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> Split:
        """Patient-wise train, validation and test parts.

        A patient's place is a hash of seed, set and patient id, so it does not change when films are added,
        and the same patient can never be in two parts. Where the set has an official split, that is the
        split; a part it lacks (ChestX-ray14 has no validation part) is taken from its training patients by
        the same hash, in the proportion of ``fractions``.

        Raises:
            DatasetError: the fractions are not three shares, or the set's own split puts a patient in two
                parts.
        """
        if abs(sum(fractions) - 1.0) > 1e-9 or min(fractions) < 0:
            raise DatasetError(f"split fractions {fractions} do not add up to 1; give three shares.")
        shares = self._open_shares(fractions)
        parts: dict[SplitName, list[Record]] = {"train": [], "validation": [], "test": []}
        for record in self.records:
            if record.part is None or record.part == "train":
                parts[_place(f"{seed}:{self.name}:{record.patient_id}", shares)].append(record)
            else:
                parts[record.part].append(record)
        return Split({name: tuple(records) for name, records in parts.items()})

    def _open_shares(self, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        """Where the patients go whom no official part claims: 0 for a part that the set defines itself."""
        official = {record.part for record in self.records}
        train, validation, test = fractions
        validation = 0.0 if "validation" in official else validation
        test = 0.0 if "test" in official else test
        total = train + validation + test
        return (train / total, validation / total, test / total) if total else (1.0, 0.0, 0.0)

    def fold(self, index: int, count: int = 5, seed: int = 0, validation: float = 0.125) -> Split:
        """Fold ``index`` of ``count`` of a cross-validation: a part to test on, the rest to learn from.

        The test parts of the ``count`` folds are disjoint and together the whole set. ``validation`` is the
        share of the rest that is kept back to choose by.

        Raises:
            DatasetError: there is no such fold.
        """
        if count < 2:
            raise DatasetError(f"a cross-validation has {count} folds; give two or more, say five.")
        if not 0 <= index < count:
            raise DatasetError(f"fold {index} of {count} does not exist; give one of 0 to {count - 1}.")
        parts: dict[SplitName, list[Record]] = {"train": [], "validation": [], "test": []}
        for record in self.records:
            key = f"{seed}:{self.name}:{record.patient_id}"
            if int(_position(f"fold:{key}") * count) == index:
                parts["test"].append(record)
            else:
                kept = _position(f"kept:{index}:{key}") < validation
                parts["validation" if kept else "train"].append(record)
        return Split({name: tuple(records) for name, records in parts.items()})


def _position(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _place(key: str, fractions: Sequence[float]) -> SplitName:
    position = _position(key)
    if position < fractions[0]:
        return "train"
    return "validation" if position < fractions[0] + fractions[1] or not fractions[2] else "test"


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint parts of one or more data sets.

    Raises:
        DatasetError: a patient stands in two parts.
    """

    parts: Mapping[SplitName, tuple[Record, ...]]

    def __post_init__(self) -> None:
        owner: dict[str, str] = {}
        for name, records in self.parts.items():
            for record in records:
                if owner.setdefault(record.patient_id, name) != name:
                    raise DatasetError(
                        f"patient {record.patient_id} is in both the {owner[record.patient_id]} and the "
                        f"{name} part; split by patient."
                    )

    def __getitem__(self, name: SplitName) -> tuple[Record, ...]:
        return self.parts.get(name, ())
