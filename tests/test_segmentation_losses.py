"""Every loss of the segmentation networks at its limits, against closed forms, slopes and other libraries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from segmentation_models_pytorch.losses import JaccardLoss, TverskyLoss
from torch import Tensor

from segmentation.losses.bce import bce_loss
from segmentation.losses.combo import combo_loss
from segmentation.losses.dice import dice_loss
from segmentation.losses.focal import focal_loss
from segmentation.losses.focal_tversky import focal_tversky_loss
from segmentation.losses.jaccard import jaccard_loss
from segmentation.losses.lovasz import lovasz_loss
from segmentation.losses.soft_f1 import soft_f1_loss
from segmentation.losses.tversky import tversky_loss

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "bce": bce_loss,
    "focal": focal_loss,
    "dice": dice_loss,
    "jaccard": jaccard_loss,
    "tversky": tversky_loss,
    "focal_tversky": focal_tversky_loss,
    "lovasz": lovasz_loss,
    "combo": combo_loss,
}
REGION = {name: LOSSES[name] for name in ("dice", "jaccard", "tversky", "focal_tversky")}
each_loss = pytest.mark.parametrize("name", LOSSES)


def noise(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and targets in double precision, about a third of the pixels inside."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(*shape, generator=generator) < 0.35).double()


def halves() -> Tensor:
    """Target (2, 2, 8, 8): 32 pixels inside on every plane."""
    target = torch.zeros(2, 2, 8, 8)
    target[:, :, :4] = 1.0
    return target


@each_loss
def test_a_perfect_prediction_costs_nothing(name: str) -> None:
    target = halves()
    assert float(LOSSES[name](100 * (2 * target - 1), target)) == pytest.approx(0, abs=1e-5)


@each_loss
def test_finding_nothing_where_nothing_is_costs_nothing(name: str) -> None:
    target = torch.zeros(2, 1, 8, 8)
    assert float(LOSSES[name](torch.full_like(target, -100.0), target)) == pytest.approx(0, abs=1e-5)


# All wrong by a logit of 100: cross-entropy 100 a pixel; region losses miss 1 by the smoothing of one pixel,
# 1 / (2 a 32 + 2 b 32 + 1); the Lovász hinge is the largest error, 1 + 100, as every pixel is one.
WRONG = {
    "bce": 100.0,
    "focal": 100.0,
    "dice": 64 / 65,
    "jaccard": 128 / 129,
    "tversky": 64 / 65,
    "focal_tversky": (64 / 65) ** 0.75,
    "lovasz": 101.0,
    "combo": 3 * 100 + 64 / 65 + 4 * 100,
}


@each_loss
def test_all_wrong_costs_the_most(name: str) -> None:
    target = halves()
    assert float(LOSSES[name](-100 * (2 * target - 1), target)) == pytest.approx(WRONG[name], rel=1e-6)


# Everything claimed on a film of 64 pixels with nothing on it: 1 - 1 / (2 a 64 + 1).
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dice", 64 / 65),
        ("jaccard", 128 / 129),
        ("tversky", 38.4 / 39.4),
        ("focal_tversky", (38.4 / 39.4) ** 0.75),
    ],
)
def test_false_alarms_on_an_empty_film_are_not_free(name: str, expected: float) -> None:
    target = torch.zeros(3, 1, 8, 8)
    assert float(LOSSES[name](target + 100, target)) == pytest.approx(expected, rel=1e-6)
    library = TverskyLoss("binary", alpha=0.3, beta=0.7)
    assert float(library(target + 100, target)) == 0  # why the library's is not used


@each_loss
def test_planes_are_averaged_and_films_do_not_mix(name: str) -> None:
    logits, target = noise(3, 2, 5, 6)
    alone = [
        LOSSES[name](logits[film, plane][None, None], target[film, plane][None, None])
        for film, plane in itertools.product(range(3), range(2))
    ]
    assert float(LOSSES[name](logits, target)) == pytest.approx(
        float(torch.stack(alone).double().mean()), rel=1e-5
    )


@each_loss
def test_the_slope_is_the_numeric_one(name: str) -> None:
    logits, target = noise(2, 2, 3, 4, seed=3)
    logits.requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES[name](logits, target).double(), logits)
    step = 1e-5 if name != "lovasz" else 1e-2  # the library's is single precision, and linear in pieces
    for place in [(0, 0, 0, 0), (0, 1, 2, 3), (1, 0, 1, 2), (1, 1, 2, 0)]:
        change = torch.zeros_like(logits)
        change[place] = step
        with torch.no_grad():
            higher, lower = LOSSES[name](logits + change, target), LOSSES[name](logits - change, target)
        numeric = float(higher - lower) / (2 * step)
        assert float(slope[place]) == pytest.approx(numeric, rel=1e-3, abs=1e-5 if name != "lovasz" else 1e-4)


@each_loss
@pytest.mark.parametrize("logit", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_slopes_stay_finite_however_sure_the_network_is(name: str, logit: float) -> None:
    for target in (halves(), torch.zeros(2, 2, 8, 8), torch.ones(2, 2, 8, 8)):
        logits = torch.full_like(target, logit, requires_grad=True)
        loss = LOSSES[name](logits, target)
        loss.backward()
        assert torch.isfinite(loss)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@each_loss
def test_half_precision_is_widened_before_it_is_summed(name: str) -> None:
    logits, target = noise(1, 1, 128, 128)
    half = logits.bfloat16()
    loss = LOSSES[name](half, target.bfloat16())
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(LOSSES[name](half.double(), target)), rel=1e-5)


def test_bce_in_its_closed_form() -> None:
    logits, target = torch.tensor([[[[0.0, math.log(3)]]]]), torch.tensor([[[[1.0, 0.0]]]])
    # p = 1/2 of a pixel inside, p = 3/4 of one outside
    assert float(bce_loss(logits, target)) == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert float(bce_loss(logits, target, 5.0)) == pytest.approx((5 * math.log(2) + math.log(4)) / 2)


def test_the_slope_of_bce_is_probability_minus_truth() -> None:
    logits, target = noise(1, 2, 4, 4)
    logits.requires_grad_()
    bce_loss(logits, target).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (logits.detach().sigmoid() - target) / 32)


def test_focal_loss_in_its_closed_form() -> None:
    logits, target = torch.tensor([[[[0.0, math.log(3)]]]]), torch.tensor([[[[1.0, 0.0]]]])
    inside, outside = 0.5**2 * math.log(2), 0.75**2 * math.log(4)
    assert float(focal_loss(logits, target)) == pytest.approx((inside + outside) / 2)
    assert float(focal_loss(logits, target, alpha=0.25)) == pytest.approx(
        (0.25 * inside + 0.75 * outside) / 2
    )


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, target = noise(2, 2, 6, 6)
    assert float(focal_loss(logits, target, gamma=0.0)) == pytest.approx(float(bce_loss(logits, target)))


@pytest.mark.parametrize("smooth", [0.0, 1.0, 7.5])
def test_tversky_with_equal_prices_is_dice(smooth: float) -> None:
    logits, target = noise(2, 3, 6, 6)
    probability = logits.sigmoid()
    overlap, total = (probability * target).sum((2, 3)), (probability + target).sum((2, 3))
    expected = float((1 - (2 * overlap + smooth) / (total + smooth)).mean())
    assert float(tversky_loss(logits, target, 0.5, 0.5, smooth)) == pytest.approx(expected)
    assert float(dice_loss(logits, target, smooth)) == pytest.approx(expected)


def test_the_slope_of_dice_in_its_closed_form() -> None:
    logits, target = noise(1, 1, 4, 5)
    logits.requires_grad_()
    dice_loss(logits, target).backward()
    p = logits.detach().sigmoid()
    overlap, total = (p * target).sum(), (p + target).sum() + 1
    expected = -(2 * target * total - (2 * overlap + 1)) / total**2 * p * (1 - p)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("smooth", [0.0, 1.0, 7.5])
def test_jaccard_is_dice_over_two_minus_dice(smooth: float) -> None:
    logits, target = noise(1, 1, 6, 6)
    dice = 1 - float(dice_loss(logits, target, smooth))
    assert 1 - float(jaccard_loss(logits, target, smooth)) == pytest.approx(dice / (2 - dice))


def test_a_miss_and_a_false_alarm_have_their_own_prices() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2, :] = 1.0
    missed = torch.full_like(target, -100.0)
    missed[..., :1, :] = 100.0  # 4 of 8 found, 4 missed
    assert float(tversky_loss(missed, target, smooth=0.0)) == pytest.approx(1 - 4 / (4 + 0.7 * 4))
    alarmed = torch.full_like(target, 100.0)
    alarmed[..., 3, :] = -100.0  # 8 found, 4 false alarms
    assert float(tversky_loss(alarmed, target, smooth=0.0)) == pytest.approx(1 - 8 / (8 + 0.3 * 4))


def test_a_film_with_something_on_it_costs_what_other_libraries_say() -> None:
    logits, target = noise(1, 1, 9, 7)
    jaccard = JaccardLoss("binary")(logits, target)
    assert float(jaccard_loss(logits, target, smooth=0.0)) == pytest.approx(float(jaccard))
    tversky = TverskyLoss("binary", alpha=0.2, beta=0.9)(logits, target)
    assert float(tversky_loss(logits, target, 0.2, 0.9, smooth=0.0)) == pytest.approx(float(tversky))


def test_focal_tversky_without_focus_is_tversky() -> None:
    logits, target = noise(2, 2, 6, 6)
    assert float(focal_tversky_loss(logits, target, gamma=1.0)) == pytest.approx(
        float(tversky_loss(logits, target))
    )


def test_focal_tversky_raises_each_film_to_the_papers_power() -> None:
    logits, target = noise(2, 1, 6, 6)
    films = [float(tversky_loss(logits[i : i + 1], target[i : i + 1])) for i in range(2)]
    expected = sum(film**0.75 for film in films) / 2
    assert float(focal_tversky_loss(logits, target)) == pytest.approx(expected)


def jaccard_distance(truth: tuple[int, ...], wrong: frozenset[int]) -> float:
    """1 - Jaccard of the truth and the truth with the pixels ``wrong`` turned over, counted by hand."""
    inside = {place for place, value in enumerate(truth) if value}
    found = inside ^ wrong
    return 1 - len(inside & found) / len(inside | found) if inside | found else 0.0


@pytest.mark.parametrize("truth", [(1, 0, 1, 0), (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 0)])
def test_lovasz_of_every_hard_prediction_is_the_jaccard_distance(truth: tuple[int, ...]) -> None:
    target = torch.tensor(truth, dtype=torch.float32).reshape(1, 1, 2, 2)
    for turned in itertools.product((0, 1), repeat=4):
        # a pixel that is right has the hinge error 0 (margin 1), one that is wrong the error 1 (logit 0)
        logits = (2 * target - 1) * (1 - torch.tensor(turned).reshape(1, 1, 2, 2))
        wrong = frozenset(place for place, value in enumerate(turned) if value)
        assert float(lovasz_loss(logits, target)) == pytest.approx(jaccard_distance(truth, wrong), abs=1e-6)


def test_lovasz_between_hard_predictions_is_the_choquet_integral() -> None:
    generator = torch.Generator().manual_seed(4)
    for truth in itertools.product((0, 1), repeat=4):
        target = torch.tensor(truth, dtype=torch.float32)
        logits = 2 * torch.randn(4, generator=generator)
        errors = (1 - logits * (2 * target - 1)).clamp_min(0).tolist()
        # integral over levels of the distance of the set of pixels in error by more than the level
        levels = sorted({0.0, *errors})
        integral = sum(
            (upper - lower)
            * jaccard_distance(truth, frozenset(i for i, error in enumerate(errors) if error > lower))
            for lower, upper in itertools.pairwise(levels)
        )
        value = lovasz_loss(logits.reshape(1, 1, 2, 2), target.reshape(1, 1, 2, 2))
        assert float(value) == pytest.approx(integral, rel=1e-5)


def test_combo_is_the_weighted_sum() -> None:
    logits, target = noise(2, 1, 6, 6)
    parts = (bce_loss(logits, target), dice_loss(logits, target), focal_loss(logits, target))
    for weights in ((3, 1, 4), (1, 0, 0), (0, 2, 0), (0, 0, 0.5)):
        expected = sum(weight * float(part) for weight, part in zip(weights, parts, strict=True))
        assert float(combo_loss(logits, target, weights)) == pytest.approx(expected)


def certain(*answers: int) -> Tensor:
    return torch.tensor([100.0 if answer else -100.0 for answer in answers])


@pytest.mark.parametrize(
    ("answers", "truth", "f1"),
    [
        ((1, 0, 1, 0), (1, 0, 1, 0), 1.0),
        ((0, 1, 0, 1), (1, 0, 1, 0), 0.0),
        ((1, 1, 1, 0), (1, 0, 0, 0), 2 * 1 / (2 * 1 + 2)),  # precision 1/3, recall 1
        ((1, 0, 0, 0), (1, 1, 1, 0), 2 * 1 / (2 * 1 + 2)),  # precision 1, recall 1/3
        ((1, 1, 0, 0), (0, 0, 0, 0), 0.0),  # no positive film in the batch
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_soft_f1_of_hard_answers_is_f1(answers: tuple[int, ...], truth: tuple[int, ...], f1: float) -> None:
    loss = soft_f1_loss(certain(*answers), torch.tensor(truth, dtype=torch.float32))
    assert float(loss) == pytest.approx(1 - f1, abs=1e-6)


def test_soft_f1_is_the_harmonic_mean_of_soft_precision_and_recall() -> None:
    logits, target = noise(12, 3)
    probability = logits.sigmoid()
    hit = (probability * target).sum(0)
    precision, recall = hit / probability.sum(0), hit / target.sum(0)
    expected = 1 - (2 * precision * recall / (precision + recall)).mean()
    assert float(soft_f1_loss(logits, target)) == pytest.approx(float(expected))


def test_soft_f1_leaves_unknown_labels_out() -> None:
    logits, target = noise(10, 1)
    with_unknown = torch.cat((target, torch.full((4, 1), float("nan"), dtype=torch.float64)))
    more = torch.cat((logits, torch.full((4, 1), 3.0, dtype=torch.float64))).requires_grad_()
    loss = soft_f1_loss(more, with_unknown)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(soft_f1_loss(logits, target)))
    assert more.grad is not None
    assert torch.isfinite(more.grad).all()
    assert not more.grad[10:].any()


def test_the_slope_of_soft_f1_is_the_numeric_one() -> None:
    logits, target = noise(6, 2, seed=2)
    assert torch.autograd.gradcheck(lambda scores: soft_f1_loss(scores, target), logits.requires_grad_())
