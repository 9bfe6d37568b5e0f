"""Augmentation of the One-Case paper (table 4.1), with its left-right flip, and Cutout.

The flip is right here and nowhere else in the suite: neither network tells the sides apart, the stage does
that from the lungs.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from suite.training.augment import FilmNoise, LocalContrast

Appearance = Literal["paper", "wide"]


class Lighting(v2.Transform):
    """fastai's brightness and contrast: in logits, where a film stays inside (0, 1).

    Args:
        brightness: the grey that 0.5 becomes, drawn from this range.
        contrast: factor on the logit, drawn log-uniformly from this range.
        p: probability of each of the two.
    """

    _transformed_types = (tv_tensors.Image,)

    def __init__(
        self,
        brightness: tuple[float, float] = (0.4, 0.6),
        contrast: tuple[float, float] = (0.8, 1.25),
        p: float = 0.75,
    ) -> None:
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        brighter, steeper = (torch.rand(2) < self.p).tolist()
        grey, slope = torch.rand(2).tolist()
        low, high = self.brightness
        flat, steep = (math.log(bound) for bound in self.contrast)
        return {
            "shift": _logit(low + (high - low) * grey) if brighter else 0.0,
            "slope": math.exp(flat + (steep - flat) * slope) if steeper else 1.0,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        changed = torch.sigmoid(torch.logit(inpt, eps=1e-3) * params["slope"] + params["shift"])
        return tv_tensors.wrap(changed, like=inpt)


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def training_transform(appearance: Appearance = "wide", *, cutout: bool = False) -> v2.Compose:
    """The paper's transforms; ``wide`` adds what differs between machines, ``cutout`` black patches.

    fastai's symmetric warp is a perspective change of up to 0.2 of the side; zoom is 1 to 1.1.
    """
    bilinear = v2.InterpolationMode.BILINEAR
    steps: list[v2.Transform] = [
        v2.RandomHorizontalFlip(0.5),
        v2.RandomApply([v2.RandomPerspective(0.2, p=1.0, interpolation=bilinear)], p=0.75),
        v2.RandomApply([v2.RandomAffine(10, scale=(1.0, 1.1), interpolation=bilinear)], p=0.75),
        Lighting(),
    ]
    if appearance == "wide":
        steps += [LocalContrast(), FilmNoise()]
    if cutout:
        patch = v2.RandomErasing(p=0.5, scale=(0.005, 0.03), ratio=(0.5, 2.0), value=0)
        steps += [patch] * 4
    return v2.Compose(steps)
