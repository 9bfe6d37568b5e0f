"""How well bone is taken away, measured inside the lungs and always beside doing nothing."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from suite.study import FloatImage, Mask

PEAK = 1.0
"""PSNR's peak, fixed: MCA-Net's own figures use each image's range and are not comparable."""


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
        "psnr": 10.0 * np.log10(PEAK**2 / max(float((error**2).mean()), 1e-12)),
        "ssim": float(similarity[inside].mean()),
        "mae": float(np.abs(error).mean()),
        "bsr": 1.0 - float((np.clip(error, 0.0, None) ** 2).sum()) / energy,
        "bsr_two_sided": 1.0 - float((error**2).sum()) / energy,
    }
