"""What is written on films: the lead letter that lay on the cassette and the lettering of the display."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from suite.phantom.patient import Technique

Image = npt.NDArray[np.float32]

LEAD_PASSES = 0.006
"""Share of the beam behind a lead letter of about 1 mm."""

_LETTER_MM = 15.0
_LETTERING_MM = 9.0


def letter(technique: Technique, size: int) -> Image | None:
    """Where lead covers the film, (size, size) 0 to 1; ``None`` without a marker.

    The letter names the patient's side it lies on; it may lie askew, and beside it may hang initials.
    """
    t = technique
    if not t.marker:
        return None
    px = max(round(_LETTER_MM * size / t.field_mm), 5)
    stamp = _text(t.marker, px)
    if t.marker_turn:
        stamp = stamp.rotate(t.marker_turn, Picture.Resampling.BILINEAR, expand=True)
    return _placed(stamp, t.marker_place, size)


def lettering(technique: Technique, size: int) -> Image | None:
    """Where the display writes its annotation, (size, size) 0 to 1; ``None`` without any."""
    t = technique
    if not t.lettering:
        return None
    return _placed(
        _text(t.lettering, max(round(_LETTERING_MM * size / t.field_mm), 5)), t.lettering_place, size
    )


def shaded(signal: Image, cover: Image | None) -> Image:
    """A linear signal behind the lead letter."""
    if cover is None:
        return signal
    return np.asarray(signal * (np.float32(1.0) - np.float32(1.0 - LEAD_PASSES) * cover), dtype=np.float32)


def written(film: Image, text: Image | None) -> Image:
    """A display film with its annotation in white."""
    if text is None:
        return film
    return np.asarray(film + text * (np.float32(1.0) - film), dtype=np.float32)


def _text(words: str, px: int) -> Picture.Image:
    font = ImageFont.load_default(size=px)
    left, top, right, bottom = font.getbbox(words)
    stamp = Picture.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(stamp).text((1 - left, 1 - top), words, fill=255, font=font)
    return stamp


def _placed(stamp: Picture.Image, place: tuple[float, float], size: int) -> Image:
    whole = Picture.new("L", (size, size))
    column = min(max(round(place[0] * size - stamp.width / 2), 0), max(size - stamp.width, 0))
    row = min(max(round(place[1] * size - stamp.height / 2), 0), max(size - stamp.height, 0))
    whole.paste(stamp, (column, row))
    return np.asarray(whole, dtype=np.float32) / np.float32(255.0)
