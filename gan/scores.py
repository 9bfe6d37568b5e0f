"""How well bone is taken away, always beside doing nothing, and what else was taken with it."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from suite.study import FloatImage, Mask

PEAK = 1.0
"""PSNR's peak, fixed: MCA-Net's own figures use each image's range and are not comparable."""

EDGE_SHARE = 0.1
"""The steepest tenth of the true layer's pixels inside the lungs counts as bone edge."""

LEAST_CONTRAST = 0.01
"""Lesions fainter than this in the true soft-tissue image are not measured."""


def psnr(error: FloatImage) -> float:
    """Peak signal-to-noise ratio in dB of errors of any shape, peak 1."""
    mean_square = float(np.square(error, dtype=np.float64).mean()) if error.size else float("nan")
    return float(10.0 * np.log10(PEAK**2 / max(mean_square, 1e-12)))


def suppression_scores(
    film: FloatImage, truth: FloatImage, predicted: FloatImage, region: Mask
) -> dict[str, float]:
    """PSNR (dB), SSIM, mean absolute error and BSR of a soft-tissue image against the true one.

    Args:
        film, truth, predicted: (H, W) in [0, 1]: the film, its true and its predicted bone-suppressed image.
        region: (H, W); only pixels above zero count.

    BSR (bone suppression ratio) follows GL-LCM's published code: with ``bone = film - truth`` where positive,
    it is ``1 - sum(max(truth - predicted, 0)^2) / sum(bone^2)``. It is one-sided: what is left of the bones
    does not lower it, only what was taken too much; ``bsr_two_sided`` counts both.
    """
    inside = region > 0
    error = (truth - predicted)[inside].astype(np.float64)
    bone = np.clip(film - truth, 0.0, None)[inside].astype(np.float64)
    _, similarity = structural_similarity(truth, predicted, data_range=PEAK, full=True)
    energy = max(float((bone**2).sum()), 1e-12)
    return {
        "psnr": psnr(error),
        "ssim": float(similarity[inside].mean()),
        "mae": float(np.abs(error).mean()),
        "bsr": 1.0 - float((np.clip(error, 0.0, None) ** 2).sum()) / energy,
        "bsr_two_sided": 1.0 - float((error**2).sum()) / energy,
    }


def ms_ssim(truth: FloatImage, predicted: FloatImage) -> float:
    """Multi-scale SSIM (Wang et al. 2003) of two images (H, W) in [0, 1]; NaN below 176 pixels a side."""
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    if min(truth.shape) < 176:
        return float("nan")
    images = [torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None] for image in (predicted, truth)]
    return float(multiscale_structural_similarity_index_measure(*images, data_range=PEAK))


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


def lesion_scores(film: FloatImage, bone: FloatImage, predicted: FloatImage, lesion: Mask) -> dict[str, float]:
    """Contrast of a lesion (H, W) in the predicted soft-tissue image as a share of the true one's.

    ``lesion_contrast`` is 1 where nothing was taken from it; ``film_lesion_contrast`` is the film's own.
    NaN where the true contrast is below ``LEAST_CONTRAST``.
    """
    true = contrast(film - bone, lesion)
    if not true >= LEAST_CONTRAST:
        return {"lesion_contrast": float("nan"), "film_lesion_contrast": float("nan")}
    return {
        "lesion_contrast": contrast(film - predicted, lesion) / true,
        "film_lesion_contrast": contrast(film, lesion) / true,
    }


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
