"""Binary cross-entropy per pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from segmentation.losses.precision import widened


def bce_loss(logits: Tensor, target: Tensor, positive_weight: float = 1.0) -> Tensor:
    """``-(w y log p + (1 - y) log(1 - p))``, averaged over pixels: PyTorch's, stable for any logit.

    Args:
        logits, target: (B, M, H, W); target in {0, 1}.
        positive_weight: w, the price of a missed pixel; above 1 where little is inside.
    """
    logits, target = widened(logits, target)
    return binary_cross_entropy_with_logits(logits, target, pos_weight=logits.new_tensor(positive_weight))
