"""How well bone is taken away, always beside doing nothing, and what else was taken with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from suite.study import FloatImage, Mask

PEAK = 1.0
"""PSNR's peak, fixed: MCA-Net's own figures use each image's range and are not comparable."""

_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

EDGE_SHARE = 0.1
"""The steepest tenth of the true layer's pixels inside the lungs counts as bone edge."""

LEAST_CONTRAST = 0.01
"""Lesions fainter than this in the true soft-tissue image are not measured."""

BEHIND_BONE = 0.5
"""Lesions of which bones cover at least this share are behind bone."""


def psnr(error: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB of errors of any shape, peak 1."""
    mean_square = float(np.square(error, dtype=np.float64).mean()) if error.size else float("nan")
    return float(10.0 * np.log10(PEAK**2 / max(mean_square, 1e-12)))


def suppression_scores(
    film: FloatImage, truth: FloatImage, predicted: FloatImage, region: Mask
) -> dict[str, float]:
    """PSNR (dB), SSIM, mean absolute error and BSR of a soft-tissue image against the true one.

    Args:
        film, truth, predicted: (H, W) in [0, 1]: the film, its true and its predicted bone-suppressed image.
        region: (H, W); only pixels above zero count; ``whole_`` figures count all.

    BSR (bone suppression ratio) follows GL-LCM's published code: with ``bone = film - truth`` where positive,
    it is ``1 - sum(max(truth - predicted, 0)^2) / sum(bone^2)``. It is one-sided: what is left of the bones
    does not lower it, only what was taken too much; ``bsr_two_sided`` counts both.
    """
    inside = region > 0
    everywhere = truth - predicted
    error = everywhere[inside].astype(np.float64)
    bone = np.clip(film - truth, 0.0, None)[inside].astype(np.float64)
    similarity = ssim_map(truth, predicted)
    energy = max(float((bone**2).sum()), 1e-12)
    return {
        "psnr": psnr(error),
        "ssim": float(similarity[inside].mean()),
        "mae": float(np.abs(error).mean()),
        "bsr": 1.0 - float((np.clip(error, 0.0, None) ** 2).sum()) / energy,
        "bsr_two_sided": 1.0 - float((error**2).sum()) / energy,
        "whole_psnr": psnr(everywhere),
        "whole_ssim": float(similarity.mean()),
        "whole_mae": float(np.abs(everywhere).mean()),
        "ms_ssim": ms_ssim(truth, predicted),
    }


Plane = NDArray[Any]
Blur = Callable[[Plane], Plane]


def ssim_map(first: FloatImage, second: FloatImage) -> Plane:
    """SSIM (Wang et al. 2004) around each pixel (H, W), range 1: squares of 7 x 7, sample covariances.

    The figures of scikit-image's ``structural_similarity``, sixty times quicker.
    """

    def blur(plane: Plane) -> Plane:
        return cv2.blur(plane, (7, 7), borderType=cv2.BORDER_REFLECT)

    luminance, structure = _similarity(first, second, blur, 49 / 48)
    return luminance * structure


def _similarity(
    first: FloatImage, second: FloatImage, blur: Blur, correction: float = 1.0
) -> tuple[Plane, Plane]:
    """SSIM's two factors (H, W): luminance, and contrast with structure."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = blur(a), blur(b)
    spread = correction * (blur(a * a) + blur(b * b) - mean_a**2 - mean_b**2)
    shared = correction * (blur(a * b) - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return luminance, (2 * shared + _C2) / (spread + _C2)


def ms_ssim(truth: FloatImage, predicted: FloatImage) -> float:
    """Multi-scale SSIM (Wang et al. 2003) of two images (H, W), range 1; NaN below 176 pixels a side."""
    if min(truth.shape) < 176:
        return float("nan")
    product = 1.0
    for level, weight in enumerate(_MS_WEIGHTS):
        if level:
            truth, predicted = _halved(truth), _halved(predicted)
        luminance, structure = _similarity(
            truth, predicted, lambda plane: cv2.GaussianBlur(plane, (11, 11), 1.5)
        )
        last = level == len(_MS_WEIGHTS) - 1
        product *= max(float((luminance * structure if last else structure).mean()), 0.0) ** weight
    return product


def _halved(image: FloatImage) -> FloatImage:
    rows, columns = image.shape
    return np.asarray(cv2.blur(image, (2, 2), anchor=(0, 0))[: rows // 2 * 2 : 2, : columns // 2 * 2 : 2])


def edge_residual(bone: FloatImage, predicted: FloatImage, region: Mask) -> float:
    """Gradient of what is left of the bones, at their edges, as a share of the bones' own.

    0: no ghost of an edge; 1: as much as in the film itself.

    Args:
        bone, predicted: true and predicted layer (H, W).
        region: (H, W); edges outside do not count.
    """
    own = _gradient(bone)
    inside = region > 0
    if not inside.any():
        return float("nan")
    edges = inside & (own >= np.quantile(own[inside], 1.0 - EDGE_SHARE))
    return float(_gradient(bone - predicted)[edges].mean() / max(float(own[edges].mean()), 1e-9))


def _gradient(image: FloatImage) -> FloatImage:
    across, down = (cv2.Sobel(image, cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down))


def contrast(image: FloatImage, place: Mask) -> float:
    """How much brighter an image (H, W) is in ``place`` than in the ring of its own width around it."""
    inside = (place > 0).astype(np.uint8)
    width = max(1, round(0.5 * float(np.sqrt(inside.sum() / np.pi))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    gap = cv2.dilate(inside, np.ones((3, 3), np.uint8))
    ring = (cv2.dilate(gap, kernel) > 0) & (gap == 0)
    if not inside.any() or not ring.any():
        return float("nan")
    return float(image[inside > 0].mean() - image[ring].mean())


def lesion_scores(
    film: FloatImage, bone: FloatImage, predicted: FloatImage, lesion: Mask, bony: Mask | None = None
) -> dict[str, float]:
    """Contrast of a lesion (H, W) in the predicted soft-tissue image as a share of the true one's.

    Args:
        film, bone, predicted: film, its true and its predicted layer, all (H, W) in film units.
        bony: above zero where bones cover the film (H, W); lesions behind them are told apart with it.

    Returns:
        ``lesion_contrast``: 1 where nothing was taken from it; ``film_lesion_contrast``: the film's own. Both
        again as ``..._behind_bone`` for a lesion of which bones cover ``BEHIND_BONE`` or more. NaN where the
        true contrast is below ``LEAST_CONTRAST``.
    """
    true = contrast(film - bone, lesion)
    divisor = true if true >= LEAST_CONTRAST else float("nan")
    scores = {
        "lesion_contrast": contrast(film - predicted, lesion) / divisor,
        "film_lesion_contrast": contrast(film, lesion) / divisor,
    }
    inside = lesion > 0
    if bony is not None and inside.any() and (bony[inside] > 0).mean() >= BEHIND_BONE:
        scores |= {f"{name}_behind_bone": value for name, value in scores.items()}
    return scores


def border_error(truth: FloatImage, predicted: FloatImage, band: Mask, width: float) -> float:
    """Root mean square error (H, W) in a band, of what varies over more than a pixel and less than ``width``.

    The grain of either image does not count, nor does a tone that a whole region has too much of.
    """
    inside = band > 0
    if not inside.any():
        return float("nan")
    error = np.asarray(predicted - truth, np.float32)
    passed = cv2.GaussianBlur(error, (0, 0), 1.0) - cv2.GaussianBlur(error, (0, 0), max(width, 2.0))
    return float(np.sqrt(np.square(passed[inside], dtype=np.float64).mean()))
