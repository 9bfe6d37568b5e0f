"""Training of the bone GAN: L1 first, then the discriminator, at growing scale (TTUR, moving average)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset

from gan.discriminator import GradientDiscriminator, PatchDiscriminator
from gan.drawn_breaks import DrawnBreaks
from gan.drawn_tissue import DrawnTissue
from gan.evaluation import measured_on_test, measured_on_validation
from gan.losses import BoneError, change_error, discriminator_loss, generator_loss
from gan.networks import build_generator
from gan.pairs import AS_BSE, AS_TRUE, OUTSIDE_TRUST, MixedPairs, is_fractured
from gan.parts import ELSEWHERE, WITH_LAYER, Parts
from gan.perceptual import load_lpips
from gan.pictures import draw_from_elsewhere
from gan.recipe import BoneRecipe
from gan.rivals import RIVALS, beside_rivals, rivals_of
from gan.variation import Variation, at_scale, blended
from suite.datasets.manifest import Manifest, SplitName
from suite.stages.weights import load_into, read_card
from suite.training.averaging import averaged
from suite.training.evaluation import Evaluation
from suite.training.recipe import Recipe
from suite.training.schedule import learning_rate_factor
from suite.training.task import Batch, Task

LOG_EVERY = 10
"""Steps between two readings of the losses: each makes the processor wait for the GPU."""


class BoneTask(Task):
    """Learns from ``jsrt`` (BSE-JSRT layers), ``phantom`` (true ones) and ``dual-energy`` (hardware).

    Of sets without a bone layer it draws films, for people to look at.
    """

    name = "bone"
    recipe_type: ClassVar[type[Recipe]] = BoneRecipe
    datasets = (*WITH_LAYER, *ELSEWHERE)
    initial_weights = ("start_from",)
    renewable = True  # the limits beyond which the stage warns
    monitor = ("psnr", "max")
    companion_weights = ("lpips_weights", *(f"{name}_weights" for name in RIVALS))
    without_start: ClassVar[Mapping[str, Any]] = {"start_share": 0.0}
    measuring = ("validation_films", "test_films", "held_out", "break_films", "start_share")
    recipe: BoneRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        self.parts = Parts(self.recipe, data)

    def build(self) -> None:
        recipe = self.recipe
        self.modules["model"] = build_generator(**self.architecture())
        if recipe.start_from:
            self._gone_on_from(self.modules["model"])
        if recipe.has_discriminator and recipe.network == "pix2pix":
            self.modules["discriminator"] = PatchDiscriminator(recipe.discriminator_base)
        elif recipe.has_discriminator:
            self.modules["discriminator"] = GradientDiscriminator(
                recipe.discriminator_base, recipe.gradients, recipe.attention, recipe.spectral_norm
            )
        # read now: a wrong file must not show after hours of training
        self._lpips = load_lpips(Path(recipe.lpips_weights)) if recipe.lpips_weights else None
        self._rivals = rivals_of(recipe)
        self._error = BoneError(recipe.edge_weight, recipe.square_weight)
        self._epoch, self._steps = 0, 0
        self._losses: dict[str, float] = {}

    def released(self, model: nn.Module) -> nn.Module:
        recipe = self.recipe
        if not recipe.start_share:
            return model
        start = self._gone_on_from(build_generator(**self.architecture()))
        return averaged(model, start.to(next(model.parameters()).device), recipe.start_share)

    def _gone_on_from(self, model: nn.Module) -> nn.Module:
        """``model`` with the weights that the run goes on from."""
        return load_into(model, read_card(Path(self.recipe.start_from).with_suffix(".json")))

    def architecture(self) -> dict[str, Any]:
        recipe = self.recipe
        if recipe.network == "resnet34-unet":
            return {"network": recipe.network}
        if recipe.network != "mca":
            return {"network": recipe.network, "base": recipe.base, "depth": recipe.halvings}
        return {
            "network": recipe.network,
            "base": recipe.base,
            "attention": recipe.attention,
            "side_heads": recipe.side_heads,
            "normalise": recipe.spectral_norm,
            "depth": recipe.depth,
            "norm": recipe.norm,
            "conventions": len(recipe.conventions),
        }

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Bone-subtracted and bone-suppressed images from one film",
            "intended_use": "A second look beside the film, for research; never instead of it.",
            "limits": "BSE-JSRT's layer is an algorithm's output, not dual energy, and covers the lungs "
            "only: bones outside the lungs stay. Breaks of ribs may be healed.",
            "licence": "research use only: learned from JSRT films and BSE-JSRT layers"
            if "jsrt" in self.recipe.sources
            else "that of the films it learned from",
            "sources": [
                "Zhou et al. 2018 (MCA-Net)",
                "Zhang et al. 2019 (SAGAN)",
                "Dumoulin et al. 2017 (a gain and a shift for each convention)",
                "BSE-JSRT: Juhász et al. 2010",
            ],
        }

    def learned_from(self) -> tuple[str, ...]:
        return tuple(sorted(self.recipe.sources))

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        optimizers: dict[str, Optimizer] = {
            "model": Adam(self.modules["model"].parameters(), lr=recipe.learning_rate, betas=(0.5, 0.99))
        }
        if "discriminator" in self.modules:
            optimizers["discriminator"] = Adam(
                self.modules["discriminator"].parameters(),
                lr=recipe.discriminator_learning_rate,
                betas=(0.0, 0.9),
            )
        return optimizers

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        """The generator cools from its pretraining rate to 1; the discriminator keeps its own."""
        if name == "discriminator":
            return 1.0
        pretraining = max(1, round(self.recipe.pretraining_share * total))
        if step >= pretraining:
            return 1.0
        factor = learning_rate_factor(step, pretraining, self.recipe.warmup, floor=0.0)
        return 1.0 + (self.recipe.pretraining_factor - 1.0) * factor

    def start_epoch(self, epoch: int) -> None:
        self._epoch, self._steps = epoch, 0

    def position(self) -> float:
        """How much of the run is over, 0 to 1; the scale and the discriminator depend on it."""
        steps = max(1, len(self._drawn) // self.recipe.batch_size)
        return min(1.0, (self._epoch + self._steps / steps) / self.recipe.epochs)

    def training_set(self) -> Dataset[Batch]:
        recipe = self.recipe
        self.parts.judge_studies()
        records = self.parts.train()
        self._bank = self.parts.checked_bank(records)
        conventions = [] if not records else self._bank.stored["convention"][:, 0].int().tolist()
        allowed = [row for row, record in enumerate(records) if recipe.fractured or not is_fractured(record)]
        self._drawn = MixedPairs(conventions, allowed, recipe.epoch_samples, recipe.phantom_share)
        self._variation = Variation(
            tone=recipe.tone,
            strength=(1.0 - recipe.strength, 1.0 + recipe.strength),
            breaks=DrawnBreaks(recipe.drawn_breaks) if recipe.drawn_breaks else None,
            tissue=DrawnTissue(recipe.drawn_tissue) if recipe.drawn_tissue else None,
        )
        return self._drawn

    def drawn(self, index: Tensor, device: torch.device) -> dict[str, Tensor]:
        """The batch at ``index`` as it is learned from now; with what is drawn twice: changed, then whole.

        Returns:
            ``film``, ``bone`` and ``seen`` (B, 1, s, s) on the network's levels; ``trust`` (B, 3, s, s) as
            ``BoneError`` takes it; ``convention`` (B,).
        """
        scale = self.recipe.progression.at(self.position())
        stored = self._bank.to(device).gather(index)
        pair, regions = at_scale(stored["pair"], scale.size), at_scale(stored["regions"], scale.size) / 255
        side = self.recipe.patch if scale.size == self.recipe.size else 0
        pair, regions = self._variation(pair, regions, side)
        film, bone = blended(pair, scale.blend).split(1, dim=1)
        lungs, breaks = regions.split(1, dim=1)
        convention = stored["convention"][:, 0].long()
        times = len(film) // len(convention)
        true = (convention == AS_TRUE).view(-1, 1, 1, 1).repeat(times, 1, 1, 1)
        outside = torch.where(true, self.recipe.outside_weight, OUTSIDE_TRUST)
        trust = (outside * (1.0 - lungs) + lungs) * (1.0 + self.recipe.break_weight * breaks)
        # BSE-JSRT's layer is empty outside the lungs by design: hidden, or that alone would tell
        seen = torch.where(true, 1.0, lungs)
        lent = self._lent(convention == AS_TRUE, breaks[: len(convention)]).repeat(times, 1, 1, 1)
        edges_of_breaks = torch.cat((breaks, breaks, torch.zeros_like(breaks)), dim=1)
        return {
            "film": film,
            "bone": bone,
            "trust": torch.where(lent, edges_of_breaks, trust),
            "seen": torch.where(lent, 0.0, seen),
            "convention": torch.where(lent.flatten(), AS_BSE, convention.repeat(times)),
        }

    def _lent(self, true: Tensor, breaks: Tensor) -> Tensor:
        """Which computed chests with breaks (B, 1, 1, 1) are shown in BSE-JSRT's convention this time.

        No film with a BSE-JSRT layer has a broken rib but for those that are drawn into it. A lent film is
        judged by the gradients around its breaks alone: how strong BSE-JSRT would have made the rib is not
        known, and a discriminator would learn to tell the two sets apart.
        """
        if AS_BSE not in self.recipe.conventions or not self.recipe.bse_breaks:
            return torch.zeros_like(true).view(-1, 1, 1, 1)
        drawn = torch.rand(len(true), device=true.device) < self.recipe.bse_breaks
        return (true & drawn & (breaks.flatten(1).amax(1) > 0)).view(-1, 1, 1, 1)

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        recipe = self.recipe
        adversarial = recipe.has_discriminator and self.position() >= recipe.pretraining_share
        with torch.no_grad():
            pairs = self.drawn(batch["index"], fabric.device)
        film = pairs["film"].contiguous(memory_format=torch.channels_last)
        fake = wrapped["model"](film, pairs["convention"]).float()
        l1 = self._error.to(fabric.device)(fake, pairs["bone"], pairs["trust"])
        loss = recipe.l1_weight * l1
        losses = {"l1": l1}
        if (recipe.drawn_breaks or recipe.drawn_tissue) and recipe.change_weight:
            losses["change"] = change_error(fake, pairs["bone"], film)
            loss = loss + recipe.change_weight * losses["change"]
        if adversarial:
            losses["discriminator"] = self._discriminator_step(
                fabric, wrapped, optimizers, pairs, fake.detach()
            )
            wrapped["discriminator"].requires_grad_(False)
            judged = wrapped["discriminator"](fake * pairs["seen"], film)
            losses["generator"] = generator_loss(judged, recipe.adversarial)
            loss = loss + recipe.adversarial_weight * losses["generator"]
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        if adversarial:
            wrapped["discriminator"].requires_grad_(True)
        if self._steps % LOG_EVERY == 0:
            self._losses = {name: float(value.detach()) for name, value in losses.items()}
        self._steps += 1
        return self._losses

    def _discriminator_step(
        self,
        fabric: Fabric,
        wrapped: Mapping[str, Any],
        optimizers: Mapping[str, Any],
        pairs: Mapping[str, Tensor],
        fake: Tensor,
    ) -> Tensor:
        real_logits = wrapped["discriminator"](pairs["bone"] * pairs["seen"], pairs["film"])
        fake_logits = wrapped["discriminator"](fake * pairs["seen"], pairs["film"])
        loss = discriminator_loss(real_logits, fake_logits, self.recipe.adversarial)
        optimizers["discriminator"].zero_grad()
        fabric.backward(loss)
        optimizers["discriminator"].step()
        return loss

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Scores at the film's own resolution, and those of doing nothing beside them."""
        if split != "test":
            return measured_on_validation(model, self.parts.validation(), self.recipe)
        parts = self.parts.test()
        evaluation = measured_on_test(model, parts, self.parts.limits(), self.recipe, self._lpips)
        sheets = {
            f"films_{name}.png": partial(draw_from_elsewhere, model, records, self.recipe)
            for name, records in self.parts.elsewhere.items()
        }
        evaluation = replace(evaluation, pictures={**evaluation.pictures, **sheets})
        return beside_rivals(evaluation, self._rivals, model, parts, self.recipe)
