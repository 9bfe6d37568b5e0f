"""Shenzhen: 662 films, 336 of them with tuberculosis (Jaeger 2014), 566 with both lungs in one mask.

Layout; the masks (Stirenko 2018) come apart from the films::

    CXR_png/CHNCXR_0001_0.png            _0 normal, _1 tuberculosis
    mask/CHNCXR_0001_0_mask.png          both lungs, sides not told apart (also mask/mask/ or masks/)
    ClinicalReadings/CHNCXR_0001_0.txt   sex, age, findings in words
"""

from __future__ import annotations

from pathlib import Path

from suite.datasets import readings
from suite.datasets.manifest import FilmFile, Manifest, Record

LICENCE = f"{readings.LICENCE}; masks: Stirenko et al. 2018"
LAYOUT = "CXR_png/CHNCXR_0001_0.png, mask/CHNCXR_0001_0_mask.png, ClinicalReadings"
_MASK_FOLDERS = ("mask", "mask/mask", "masks")


def read(folder: Path) -> Manifest:
    """All films of the folder; ``lungs`` is a target where the film's lungs are outlined.

    Raises:
        DatasetError: the folder does not have the layout.
    """
    films = tuple(readings.named_films(folder, "CHNCXR", "shenzhen", LAYOUT))
    return Manifest("shenzhen", tuple(_record(folder, film) for film in films))


def _record(folder: Path, film: readings.NamedFilm) -> Record:
    places = [folder / place / f"{film.id}_mask.png" for place in _MASK_FOLDERS]
    masks = [path for path in places if path.is_file()]
    return Record(
        id=film.id,
        patient_id=f"shenzhen-{film.number}",
        frontal=FilmFile(film.path),
        abnormal=film.abnormal,
        targets={"lungs": masks[0]} if masks else {},
        attributes=readings.attributes(readings.read_reading(folder, film)),
    )
