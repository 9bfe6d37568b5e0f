"""Cross-entropy and Dice on visible and whole lungs, where films know the visible part only, or no sides."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from segmentation.losses.dice import dice_loss
from segmentation.losses.precision import widened


def lung_loss(logits: Tensor, planes: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy + Dice of known planes; of a whole lung that is not known, what the visible one says.

    Every pixel of a visible field belongs to the whole lung of its side and not to that of the other: there a
    film that was outlined by SCR's rule teaches whole lungs too. A film of which no plane is known has one
    outline of both lungs, in each of its planes: it is compared with what right and left together claim, and
    says nothing of the sides.

    Shape:
        - **logits**, **planes** - (B, M, H, W), the first M of ``segmentation.lungs.network.PLANES``
        - **known** - (B, M), 1 where the plane's outline is known
    """
    wide, truth = widened(logits, planes)
    seen = truth[:, :2].amax(dim=1, keepdim=True)  # (B, 1, H, W)
    sided = known.amax(dim=1) > 0  # (B,)
    weight = torch.maximum(known[:, :, None, None].to(wide), seen * sided[:, None, None, None].to(wide))
    chosen = known > 0
    if not bool(sided.all()):
        both, first = together(wide), torch.arange(wide.shape[1] // 2, device=wide.device) == 0
        everywhere = first[None, :, None, None].to(wide)  # of whole lungs the visible fields alone are known
        of_both = torch.maximum(everywhere, seen) * (~sided)[:, None, None, None].to(wide)
        wide, truth = torch.cat((wide, both), 1), torch.cat((truth, seen.expand_as(both)), 1)
        weight = torch.cat((weight.expand(-1, chosen.shape[1], *wide.shape[2:]), of_both), 1)
        chosen = torch.cat((chosen, ~sided[:, None] & first), 1)
    each = binary_cross_entropy_with_logits(wide, truth, weight, reduction="none")
    entropy = each.sum() / weight.expand_as(each).sum().clamp_min(1.0)
    return entropy + dice_loss(wide[chosen][:, None], truth[chosen][:, None])


def together(logits: Tensor) -> Tensor:
    """Logits (B, M, H, W) of right and left planes in turn as those of either lung (B, M / 2, H, W).

    The probability is ``1 - (1 - p_right) (1 - p_left)``. Its odds are ``(1 + e^r) (1 + e^l) - 1``, which the
    logarithm of a sum of exponentials has without a difference of numbers that are nearly the same.
    """
    right, left = logits[:, ::2], logits[:, 1::2]
    return torch.stack((right, left, right + left)).logsumexp(0)
