"""Heatmaps by pytorch-grad-cam (Gildenblat), on demand: one or more backward or forward passes a finding.

The closed-form maps of ``classifiers.cam`` are what every reading has: they are free and cannot disagree with
their branch's score. These here ask the whole network instead, at the end of each view's branch, and cost 13
times a pass and more. The library is optional: it names opencv-python, which takes the place of the headless
build that the suite uses, so it is installed by itself, ``pip install --no-deps grad-cam ttach``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from suite.errors import InputError, StageError
from suite.study import FloatImage

CLOSED_FORM = "cam"
METHODS: Mapping[str, str] = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "gradcamelementwise": "GradCAMElementWise",
    "eigengradcam": "EigenGradCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
    "shapleycam": "ShapleyCAM",
}
"""Names for the command line, and the library's classes. EigenCAM shows the same for every finding."""


def check_method(method: str) -> str:
    """The method's name, once it is known and can be used here.

    Raises:
        InputError: it is not known, or the library is not installed.
    """
    name = method.strip().lower()
    if name == CLOSED_FORM:
        return name
    if name not in METHODS:
        raise InputError(f"heatmaps by {method!r} are not known; use {', '.join((CLOSED_FORM, *METHODS))}.")
    if find_spec("pytorch_grad_cam") is None:
        raise InputError(
            f"heatmaps by {name} need the package grad-cam; "
            "install it with `pip install --no-deps grad-cam ttach`, or leave the option out."
        )
    return name


class _OneView(nn.Module):
    """Logits of the network as a function of one view, the other held."""

    def __init__(self, network: nn.Module, view: str, frontal: Tensor, lateral: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.view = view
        self.held = {"frontal": frontal, "lateral": lateral}

    def forward(self, film: Tensor) -> Tensor:
        films = {name: self._beside(film, name) for name in self.held}
        if films["lateral"] is None:
            return self.network(films["frontal"]).logits
        present = torch.ones(len(film), dtype=torch.bool, device=film.device)
        return self.network(films["frontal"], films["lateral"], present).logits

    def _beside(self, film: Tensor, name: str) -> Tensor | None:
        """The view that is asked about, or the other one; methods that try out masks hand in a batch."""
        if name == self.view:
            return film
        other = self.held[name]
        return None if other is None else other.expand(len(film), -1, -1, -1)


def saliency_maps(
    network: nn.Module,
    method: str,
    heads: Sequence[int],
    cells: tuple[int, int],
    frontal: Tensor,
    lateral: Tensor | None = None,
    *,
    views: Sequence[str] = ("frontal", "lateral"),
) -> dict[str, dict[int, FloatImage]]:
    """Maps of some heads of the diagnosis network by view and head.

    Args:
        network: with the branches ``frontal`` and ``lateral``, each a sequence whose last module's output is
            asked about, giving ``logits``; in evaluation mode.
        method: one of ``METHODS``.
        heads: indices of the logits to explain.
        cells: shape (h, w) of the maps.
        frontal: (1, C, H, W).
        lateral: (1, 1, H, W), or ``None``.
        views: those to make maps of; the network reads both whatever is asked.

    Returns:
        maps (h, w) in [0, 1], their peak at 1; a map without differences is 0.

    Raises:
        InputError: as for ``check_method``.
        StageError: a map holds a number that is not finite.
    """
    name = check_method(method)
    library = import_module("pytorch_grad_cam")
    target_of = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    found: dict[str, dict[int, FloatImage]] = {}
    for view, film in (("frontal", frontal), ("lateral", lateral)):
        if film is None or view not in views:
            continue
        layer = list(network.get_submodule(view).children())[-1]
        model = _OneView(network, view, frontal, lateral)
        with torch.enable_grad(), getattr(library, METHODS[name])(model, [layer]) as cam:
            by_head = {head: cam(film, targets=[target_of(head)])[0] for head in heads}
        network.zero_grad(set_to_none=True)
        found[view] = {head: _scaled(values, cells, name) for head, values in by_head.items()}
    return found


def _scaled(values: FloatImage, shape: tuple[int, int], method: str) -> FloatImage:
    small = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_AREA)
    if not np.isfinite(small).all():
        raise StageError(f"heatmaps by {method} hold a number that is not finite; use another method.")
    peak = float(small.max())
    return np.asarray(small / peak if peak > 1e-6 else np.zeros_like(small), np.float32)
