"""Dual-energy subtraction as hardware does it, on a computed chest's two exposures: the competitor.

The pair is subtracted on its logarithmic scale, where bone cancels in ``H - w L`` with the ratio of its
attenuation in the two beams. The result is brought to the standard film's density where no bone is, and
displayed as the standard film was, so that it can be compared with the true soft-tissue image.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from gan.pairs import BonePair, fitted
from gan.scores import border_error, edge_residual, lesion_scores, psnr, suppression_scores
from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.phantom import display
from suite.phantom.encoding import WHITE, exposure_signal, read_png
from suite.phantom.study import subtract_exposures
from suite.study import FloatImage, Mask

SHADOW = 0.3
"""Density above which a pixel lies in the body."""

BORDER_MM = 6.0
"""Half the width of the band along the heart's border."""

LEAST_FREE = 200
"""Pixels that no bone covers, from which a tone curve can be told."""


def subtracted(record: Record) -> tuple[FloatImage, FloatImage]:
    """Soft-tissue and bone image (H, W) of a computed chest's two exposures, on the logarithmic scale.

    Raises:
        DatasetError: an exposure cannot be read.
    """
    low, high = (exposure_signal(read_png(record.targets[name])) for name in ("low", "high"))
    images = subtract_exposures(low, high)
    return images["soft"], images["bone"]


def hardware_soft(record: Record) -> FloatImage:
    """The soft-tissue image (H, W) in [0, 1] that subtraction of the two exposures gives.

    Raises:
        DatasetError: an exposure or ``truth.json`` cannot be read.
    """
    technique: dict[str, Any] = phantom.read_truth(record)["patient"]["technique"]
    standard = display.log_film(exposure_signal(read_png(record.targets["raw"])))
    free = (read_png(record.targets["bone_mask"]) == 0) & (standard > SHADOW)
    density = fitted(subtracted(record)[0], standard, free)
    how = display.choose(standard, technique["vendor"], technique["gamma"], technique["level"])
    return how.apply(density)


def heart_border(record: Record, lungs: Mask) -> Mask:
    """A band (H, W) along the heart's border with the lungs, 0 or 1."""
    heart = (read_png(record.targets["heart"]) > 0).astype(np.uint8)
    width = max(1, round(BORDER_MM / float(record.attributes.get("spacing_mm", 0.7))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    band = (cv2.dilate(heart, kernel) > 0) & (cv2.erode(heart, kernel) == 0)
    return (band & (cv2.dilate((lungs > 0).astype(np.uint8), kernel) > 0)).astype(np.uint8)


def hardware_scores(record: Record, pair: BonePair, layer: FloatImage) -> dict[str, float]:
    """What subtraction makes of a computed chest, and the heart's border in the network's image beside it.

    Along the border only what varies over less than the band's width counts: moved borders do, tones do not.

    Raises:
        DatasetError: an exposure or ``truth.json`` cannot be read.
    """
    band = heart_border(record, pair.lungs)
    soft = hardware_soft(record)
    true_soft = read_png(record.targets["soft"]).astype(np.float32) / np.float32(WHITE)
    width = BORDER_MM / float(record.attributes.get("spacing_mm", 0.7))
    return {
        "heart_border_error": border_error(pair.film - pair.bone, pair.film - layer, band, width),
        "hardware_heart_border_error": border_error(true_soft, soft, band, width),
        "identity_heart_border_error": border_error(pair.film - pair.bone, pair.film, band, width),
        **{f"hardware_{name}": value for name, value in _suppression(record, pair, soft).items()},
    }


def _suppression(record: Record, pair: BonePair, soft: FloatImage) -> dict[str, float]:
    """The network's own figures of a soft-tissue image (H, W) that two exposures gave.

    They are taken inside the lungs, so it is there that the image gets the film's scale, from what no bone
    covers: a tone that the whole lung has too much of would outweigh every rib.
    """
    free = (pair.lungs > 0) & (read_png(record.targets["bone_mask"]) == 0)
    if free.sum() >= LEAST_FREE:
        soft = fitted(soft, pair.film, free)
    truth = pair.without_bone
    scores = suppression_scores(pair.film, truth, soft, pair.lungs)
    taken = pair.film - soft
    found = {
        "psnr": scores["psnr"],
        "ssim": scores["ssim"],
        "psnr_gain": scores["psnr"] - psnr((truth - pair.film)[pair.lungs > 0]),
        "edge_residual": edge_residual(pair.bone, taken, pair.lungs),
    }
    if "finding_lung_lesion" in record.targets:
        lesion = phantom.finding_mask(record, "lung_lesion")
        found["lesion_contrast"] = lesion_scores(pair.film, pair.bone, taken, lesion)["lesion_contrast"]
    return found
