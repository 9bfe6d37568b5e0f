"""Grey from colour: films saved as RGB become luminance, tinted films too, photographs are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from suite.errors import NotARadiographError

REC_601 = np.array([0.299, 0.587, 0.114])
"""Luminance weights of red, green and blue (ITU-R BT.601), those of JPEG."""

COLOURED = 0.08
"""Spread between a pixel's channels, as a share of white, above which it is seen as coloured."""

MARKS_SHARE = 0.02
"""Share of coloured pixels that passes as lettering or arrows drawn on a film."""

TINT_SCATTER = 0.06
"""How far colours may scatter from one hue, relative to their brightness, in a tinted film."""

_SAMPLE = 500


def to_luminance(rgb: npt.NDArray[Any], source: str) -> tuple[npt.NDArray[Any], str, str | None]:
    """Grey values of a colour picture that shows a film.

    Args:
        rgb: ``uint8`` or ``uint16`` (H, W, 3).
        source: for the error message.

    Returns:
        The grey picture (H, W) of the same type, what was done, and a warning or ``None``. Equal channels are
        returned unchanged, bit by bit.

    Raises:
        NotARadiographError: the picture has more than one hue, as a photograph has.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return (
            np.ascontiguousarray(red),
            "The three equal colour channels were read as one grey channel.",
            None,
        )
    warning = _judge_colours(_sample(rgb), source)
    grey = np.zeros(rgb.shape[:2], dtype=np.float32)
    for channel, weight in zip((red, green, blue), REC_601, strict=True):
        grey += channel * np.float32(weight)
    return np.rint(grey).astype(rgb.dtype), "Colour was reduced to luminance (BT.601).", warning


def _judge_colours(colours: npt.NDArray[np.float64], source: str) -> str | None:
    """A warning about the colours (n, 3) in [0, 1] of a film, or an error where they are no film's."""
    share = float((np.ptp(colours, axis=1) > COLOURED).mean())
    if share <= MARKS_SHARE:
        return "The film carries coloured marks; they were turned grey with it." if share > 0 else None
    if _has_one_hue(colours):
        return "The film is tinted (one hue throughout); its luminance was read."
    raise NotARadiographError(
        f"{source}: this is a colour picture ({share:.0%} of its pixels are coloured), not a radiograph; "
        "give the film itself as DICOM, or as a grey PNG, JPEG or TIFF."
    )


def _has_one_hue(colours: npt.NDArray[np.float64]) -> bool:
    """Whether all colours lie near one line along which no channel darkens as another brightens."""
    centred = colours - colours.mean(axis=0)
    strengths, axes = np.linalg.eigh(centred.T @ centred)
    if strengths[2] <= 0:
        return True
    axis = axes[:, 2] * np.sign(axes[:, 2].sum())
    scatter = float(np.sqrt(max(strengths[0] + strengths[1], 0.0) / strengths[2]))
    return scatter < TINT_SCATTER and float(axis.min()) > -TINT_SCATTER


def _sample(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """About ``_SAMPLE`` squared pixels spread over the picture, (n, 3) in [0, 1]."""
    rows, columns = (max(side // _SAMPLE, 1) for side in rgb.shape[:2])
    picked = rgb[::rows, ::columns].reshape(-1, 3)
    return picked.astype(np.float64) / float(np.iinfo(rgb.dtype).max)
