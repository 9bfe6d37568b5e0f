"""What the diagnosis network is taught by: the weighted parts of its loss on a batch of studies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from classifiers.diagnosis.batches import StudyBatch
from classifiers.diagnosis.losses import (
    map_loss,
    map_targets,
    masked_bce,
    masked_gce,
    multiclass_loss,
    smooth,
)
from classifiers.diagnosis.network import DiagnosisOutput
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.uncertain import UncertainPolicy


class Objective:
    """The parts of the loss: of the final logits, of the branches' own, and of their maps.

    Attributes:
        positive_weight: (13,), how much more a present finding counts, on the device of the batches;
            ``None``: as much as an absent one. It depends on the training part, so it is set with it.
    """

    def __init__(self, recipe: DiagnosisRecipe, policy: UncertainPolicy) -> None:
        self._recipe = recipe
        self._policy = policy
        self.positive_weight: Tensor | None = None

    def __call__(self, output: DiagnosisOutput, studies: StudyBatch) -> dict[str, Tensor]:
        """The weighted parts by name; their sum is the loss."""
        recipe = self._recipe
        known = studies.labels
        targets = smooth(self._policy.targets(known, studies.uncertain), recipe.label_smoothing)
        parts = {"main": self._label_loss(output.logits, targets)}
        if output.uncertain is not None:
            parts["main"] = self._with_third_class(output, output.uncertain, studies, targets)
        branches = [(output.frontal_logits, targets, output.frontal_maps, studies.masks)]
        if output.lateral_maps is not None and output.lateral_logits is not None:
            own = targets.masked_fill(~studies.has_lateral[:, None], math.nan)
            branches.append((output.lateral_logits, own, output.lateral_maps, studies.lateral_masks))
        if recipe.branch_weight:
            each = [self._label_loss(logits, own) for logits, own, _, _ in branches]
            parts["branch"] = recipe.branch_weight * torch.stack(each).mean()
        if recipe.map_weight:
            parts["map"] = recipe.map_weight * self._map_loss(branches, studies)
        return parts

    @property
    def _q(self) -> float:
        """Exponent of the generalised cross-entropy; 0: cross-entropy itself."""
        return self._recipe.gce_q if self._recipe.noise == "gce" else 0.0

    def _label_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of logits (B, 13) against targets (B, 13) in [0, 1] or NaN."""
        if self._q:
            return masked_gce(logits, targets, self._q, self.positive_weight)
        return masked_bce(logits, targets, self.positive_weight)

    def _with_third_class(
        self, output: DiagnosisOutput, third: Tensor, studies: StudyBatch, targets: Tensor
    ) -> Tensor:
        """The main loss where some findings have three classes."""
        three = self._policy.where("multiclass", targets)
        two = self._label_loss(output.logits, targets.masked_fill(three, math.nan))
        labels = studies.labels.masked_fill(~three, math.nan)
        return two + multiclass_loss(output.logits, third, labels, studies.uncertain & three, self._q)

    def _map_loss(self, branches: Sequence[tuple[Tensor, ...]], studies: StudyBatch) -> Tensor:
        each = []
        for view, (_, _, maps, masks) in enumerate(branches):
            with_truth = studies.has_masks if view == 0 else studies.has_masks & studies.has_lateral
            cells = map_targets(masks, (maps.shape[-2], maps.shape[-1]))
            each.append(map_loss(maps.float(), cells, studies.labels, with_truth, self._recipe.map_balance))
        return torch.stack(each).mean()
