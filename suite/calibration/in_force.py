"""Which recalibrated cards the stages read by: a folder with one ``STAGE.json`` for each recalibrated stage.

A card holds for the weights whose sha256 it states and for no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from suite.errors import InputError, StorageError, WeightsError
from suite.stages.contract import Stage
from suite.stages.weights import read_card
from suite.storage import whole_folder, write_text

FOLDER = "calibration"
"""Name of the folder inside the service's data folder."""

SUMMARY = "calibration.json"
"""What ``radsuite calibrate`` writes beside its cards and is none."""


@runtime_checkable
class Recalibrated(Protocol):
    """A stage whose probabilities can be calibrated anew."""

    def recalibrate(self, content: Mapping[str, Any]) -> None:
        """Use the calibrations of a model card's content instead of its own."""


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """One recalibrated card.

    Attributes:
        stage: the stage it is for.
        sha256: of the card's file; it is in the provenance of every report.
        source: the films it was fitted on, in words.
        content: the card's.
    """

    stage: str
    sha256: str
    source: str
    content: Mapping[str, Any]

    def as_json(self) -> dict[str, str]:
        """The entry of a stage in ``report.provenance.stages``."""
        return {"sha256": self.sha256, "source": self.source}


def read_site_calibrations(folder: Path) -> dict[str, SiteCalibration]:
    """All recalibrated cards of the folder by stage; it may be what ``radsuite calibrate`` left behind.

    Raises:
        InputError: the folder is not there or holds none.
        WeightsError: a card is damaged, or is no recalibrated one.
    """
    listed = sorted(folder.glob("*.json")) if folder.is_dir() else []
    paths = [path for path in listed if path.name != SUMMARY]
    if not paths:
        raise InputError(
            f"{folder}: holds no recalibrated model card; make them with radsuite calibrate, "
            "or name another folder."
        )
    found = {}
    for path in paths:
        card = read_card(path)
        recalibration = card.content.get("recalibration")
        if not isinstance(recalibration, Mapping):
            raise WeightsError(
                f"{path}: is a model card but no recalibrated one; take it out of the calibration folder."
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[card.name] = SiteCalibration(
            card.name, digest, str(recalibration.get("source", "")), card.content
        )
    return found


def put_in_force(stage: Stage, calibration: SiteCalibration) -> None:
    """Make ``stage`` read by ``calibration``.

    Raises:
        WeightsError: the card is of other weights, or the stage cannot be recalibrated.
    """
    stated = str(calibration.content["sha256"])
    if stated != stage.weights_sha256:
        installed = (stage.weights_sha256 or "none")[:12]
        raise WeightsError(
            f"the calibration of {stage.name} was fitted to weights {stated[:12]} and {installed} are "
            "installed; calibrate again, or take its card out of the calibration folder."
        )
    if not isinstance(stage, Recalibrated):
        raise WeightsError(
            f"stage {stage.name} has nothing to calibrate; take its card out of the calibration folder."
        )
    try:
        stage.recalibrate(calibration.content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"the calibration of {stage.name} cannot be used ({error}); calibrate again."
        ) from None


def apply(cards: Sequence[Path], folder: Path) -> Path:
    """Put copies of recalibrated cards into ``folder``; those of other stages stay in force.

    Raises:
        StorageError: the disk refused.
    """
    kept = sorted(folder.glob("*.json")) if folder.is_dir() else []
    texts = {card.name: card.read_text() for card in (*kept, *cards)}
    with whole_folder(folder) as temporary:
        for name, text in texts.items():
            write_text(temporary / name, text)
    return folder


def withdraw(folder: Path) -> bool:
    """Remove the calibration in force; ``False`` if there was none.

    Raises:
        StorageError: the disk refused.
    """
    if not folder.is_dir():
        return False
    try:
        for path in folder.glob("*.json"):
            path.unlink()
        folder.rmdir()
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be removed ({error.strerror}); remove it by hand."
        ) from error
    return True
