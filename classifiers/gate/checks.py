"""Checks that need no network: grey levels, matrix, and what the headers say; each a function of one film."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from suite.patient_age import age_in_years
from suite.stages.artifacts import Check
from suite.study import FloatImage, Projection, Radiograph

LEAST_SIDE = 128
"""Pixels: what the gate itself looks at; a rib is narrower than two pixels of a smaller film."""

LEAST_CONTRAST = 0.05
"""Between the 1st and 99th percentile, in shares of the grey scale; shared real films have 0.24 to 1."""

LEAST_GREYS = 32
"""Distinct greys between those percentiles; shared real films have 63 or more."""

MOST_WHITE = 0.5
"""Share of pixels at the white end; shared real chest films have at most 0.06."""

MOST_EMPTY = 0.8
"""Share of pixels at the black end; the emptiest of the shared real films, a small child, has 0.66."""

LEAST_GREY_AREA = 0.2
"""Share of pixels that are neither black nor white; shared real films have 0.33 or more."""

YOUNGEST = 16
"""Years."""

_END = 0.02
_SAMPLES = 65_536

CHEST_MODALITIES = frozenset({"CR", "DX", "DR", "RG", "RF", "OT", "SC", ""})
_CHEST_WORDS = ("CHEST", "THORA", "LUNG", "RIB", "HEART", "STERNUM", "CLAVICLE", "TSPINE", "MEDIASTINUM")
_OTHER_WORDS = (
    "ABDOM", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CSPINE", "CERVICAL", "COCCYX", "COLON", "DENT", "ELBOW",
    "EXTREMITY", "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW",
    "KIDNEY", "KNEE", "KUB", "LEG", "LSPINE", "LUMBAR", "MANDIBLE", "NECK", "ORBIT", "PATELLA", "PELVIS",
    "SACRUM", "SHOULDER", "SINUS", "SKULL", "SSPINE", "TEETH", "THIGH", "THUMB", "TIBIA", "TOE",
    "ULNA", "WRIST",
)  # fmt: skip
"""Beginnings or parts of the terms for Body Part Examined (DICOM PS3.16, annex L)."""


def _sampled(film: Radiograph) -> FloatImage:
    stride = max(1, int(np.sqrt(film.pixels.size / _SAMPLES)))
    return film.pixels[::stride, ::stride]


def check_matrix(film: Radiograph) -> Check:
    """Enough rows and columns."""
    rows, columns = film.shape
    side = min(rows, columns)
    message = f"The film has {columns} x {rows} pixels."
    if side < LEAST_SIDE:
        message += f" That is too coarse to read; give one with at least {LEAST_SIDE} pixels a side."
    return Check("matrix", side >= LEAST_SIDE, float(side), message)


def check_contrast(film: Radiograph) -> Check:
    """Under-ranged films: the picture uses a sliver of the grey scale."""
    low, high = np.percentile(_sampled(film), (1, 99))
    value = float(high - low)
    if value >= LEAST_CONTRAST:
        return Check("contrast", True, value, f"The film uses {value:.0%} of the grey scale.")
    message = (
        f"The film uses only {value:.1%} of the grey scale and shows next to no contrast; "
        "export it with its window, or at its full bit depth."
    )
    return Check("contrast", False, value, message)


def check_greys(film: Radiograph) -> Check:
    """Films stored in so few greys that shadows become steps."""
    sample = _sampled(film)
    low, high = np.percentile(sample, (1, 99))
    count = len(np.unique(np.rint(sample[(sample >= low) & (sample <= high)] * 65535)))
    if count >= LEAST_GREYS:
        return Check("greys", True, float(count), f"The film holds {count} or more shades of grey.")
    message = (
        f"The film holds only {count} shades of grey; export it with at least 8 bits over its whole range."
    )
    return Check("greys", False, float(count), message)


def check_white(film: Radiograph) -> Check:
    """Films clipped at the white end."""
    share = float((_sampled(film) > 1.0 - _END).mean())
    if share <= MOST_WHITE:
        return Check("white", True, share, f"{share:.0%} of the film is plain white.")
    message = (
        f"{share:.0%} of the film is plain white, so what lies there is lost; "
        "export it with a wider window, or crop away a white border."
    )
    return Check("white", False, share, message)


def check_empty(film: Radiograph) -> Check:
    """Films that are mostly empty field, or clipped at the black end."""
    share = float((_sampled(film) < _END).mean())
    if share <= MOST_EMPTY:
        return Check("empty", True, share, f"{share:.0%} of the film is plain black.")
    message = (
        f"{share:.0%} of the film is plain black: an empty field, or burnt out; "
        "crop it to the chest, or export it with a wider window."
    )
    return Check("empty", False, share, message)


def check_grey_area(film: Radiograph) -> Check:
    """Films that are black and white with little between."""
    sample = _sampled(film)
    share = float(((sample >= _END) & (sample <= 1.0 - _END)).mean())
    if share >= LEAST_GREY_AREA:
        return Check("grey_area", True, share, f"{share:.0%} of the film is neither black nor white.")
    message = (
        f"Only {share:.0%} of the film is neither plain black nor plain white; "
        "the window is far too narrow: export the film again with a wider one."
    )
    return Check("grey_area", False, share, message)


def check_modality(film: Radiograph) -> Check:
    """What the headers call the machine."""
    modality = film.headers.get("modality", "").strip().upper()
    if modality in CHEST_MODALITIES:
        said = f"The headers say {modality}." if modality else "No header tells the modality."
        return Check("modality", True, modality or None, said)
    message = f"The headers say modality {modality}, which is no plain radiograph; give the CR or DX film."
    return Check("modality", False, modality, message)


def check_body_part(film: Radiograph) -> Check:
    """What the headers say was examined."""
    part = film.headers.get("body_part_examined", "").strip()
    word = re.sub(r"[^A-Z]", "", part.upper())
    if not word:
        return Check("body_part", True, None, "No header tells the body part.")
    chest = any(name in word for name in _CHEST_WORDS)
    if chest or not any(name in word for name in _OTHER_WORDS):
        return Check("body_part", True, part, f"The headers name the body part {part}.")
    message = (
        f"The headers say that this film shows {part}, not the chest; "
        "give the chest film, or override this check if the header is wrong."
    )
    return Check("body_part", False, part, message)


def check_projection(film: Radiograph) -> Check:
    """A lateral by its headers, given as the frontal film."""
    if film.projection is Projection.LATERAL:
        message = (
            "The headers call this a lateral; give it as the lateral (--lateral), beside its frontal film."
        )
        return Check("projection", False, film.projection.value, message)
    return Check("projection", True, film.projection.value, f"The headers' view is {film.projection.value}.")


def check_header_sides(film: Radiograph) -> Check:
    """Patient Orientation that says the film is stored back to front, upside down or on its side."""
    orientation = film.headers.get("patient_orientation", "").strip().upper()
    row, _, column = orientation.partition("\\")
    fault = None
    if column[:1] == "H":
        fault = "is stored upside down; rotate it by 180 degrees"
    elif row[:1] in ("F", "H"):
        fault = "is stored lying on its side; rotate it upright"
    elif row[:1] == "R":
        fault = "has the patient's right on the picture's right; mirror it left to right"
    if fault is None:
        said = (
            f"The headers' orientation is {orientation}."
            if orientation
            else "No header tells the orientation."
        )
        return Check("header_orientation", True, orientation or None, said)
    message = (
        f"The headers say ({orientation}) that the film {fault}, or override this check if they are wrong."
    )
    return Check("header_orientation", False, orientation, message)


def check_age(film: Radiograph) -> Check:
    """Children: no network here has learned from them."""
    years = age_in_years(film.headers.get("patient_age", ""))
    if years is None:
        return Check(
            "age", True, None, "No header tells the patient's age; the networks have learned from adults."
        )
    if years >= YOUNGEST:
        return Check("age", True, years, f"The patient is {years:.0f} years old.")
    message = (
        f"The patient is {_spoken(years)} old and the networks have learned from adults; "
        "read this film without them, or override this check knowing that."
    )
    return Check("age", False, years, message)


def _spoken(years: float) -> str:
    if years >= 2:
        return f"{int(years)} years"
    return f"{int(years * 12 + 0.5)} months" if years >= 1 / 6 else f"{int(years * 365.25 + 0.5)} days"


PLAIN_CHECKS: dict[str, Callable[[Radiograph], Check]] = {
    "matrix": check_matrix,
    "contrast": check_contrast,
    "greys": check_greys,
    "white": check_white,
    "empty": check_empty,
    "grey_area": check_grey_area,
    "modality": check_modality,
    "body_part": check_body_part,
    "projection": check_projection,
    "header_orientation": check_header_sides,
    "age": check_age,
}
"""By the names that their results bear."""
