"""Lovász hinge (Berman 2018): the convex surrogate of the Jaccard index, segmentation-models-pytorch's."""

from __future__ import annotations

from torch import Tensor


def lovasz_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The Lovász extension of ``1 - Jaccard`` at the hinge errors, averaged over films and planes.

    The error of a pixel is ``max(0, 1 - z (2 y - 1))`` with its logit z. Where every error is 0 or 1 this is
    the Jaccard distance of truth and prediction; it is 0 once every pixel is right by a margin of 1, and the
    largest error where nothing is to be found. Sorting makes it slower than the sums of the other losses.

    Shape:
        - **logits**, **target** - (B, M, H, W); target in {0, 1}
    """
    # it brings timm's whole catalogue of networks: a second that only its user pays
    from segmentation_models_pytorch.losses import BINARY_MODE, LovaszLoss

    # the library knows single precision only
    logits, target = logits.float(), target.float()
    # (B, M, H, W) -> (B M, H, W): the library takes a batch of single masks
    loss: Tensor = LovaszLoss(BINARY_MODE, per_image=True)(logits.flatten(0, 1), target.flatten(0, 1))
    return loss
