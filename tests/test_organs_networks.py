"""InvertedNet in both published forms, its losses, and what is made of its planes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segmentation.organs.loss import organ_loss, pixel_dice_loss
from segmentation.organs.network import FORMS, GaussianDropout, NetworkName, OrganNetwork
from segmentation.organs.outlines import Outputs, exclusive_classes, organ_planes, probabilities
from suite.datasets.outlines import ORGANS
from suite.grid import Grid

PUBLISHED = {
    ("report", 4): (973_062, 973_320),
    ("novikov", 3): (3_140_771, 3_140_771),
}
"""Parameters that learn, and with the running statistics, as the summaries of the two publications state."""

UNET = 31_377_988
"""Novikov's U-Net with four outputs, without the batch normalisation it has here."""

NAMES: tuple[NetworkName, ...] = ("report", "novikov", "unet")


def counted(network: nn.Module) -> tuple[int, int]:
    learned = sum(parameter.numel() for parameter in network.parameters())
    running = sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)
    return learned, learned + running


def built(name: NetworkName, outputs: int = 5, width: float = 0.0625) -> OrganNetwork:
    torch.manual_seed(0)
    return OrganNetwork(name, outputs, width)


@pytest.mark.parametrize(("published", "count"), PUBLISHED.items())
def test_both_published_forms_have_their_numbers(
    published: tuple[NetworkName, int], count: tuple[int, int]
) -> None:
    with torch.device("meta"):
        assert counted(OrganNetwork(*published)) == count


def test_the_unet_is_novikovs_with_a_scale_instead_of_a_bias() -> None:
    with torch.device("meta"):
        network = OrganNetwork("unet", 4)
    normalised = sum(layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    # a bias a map became a scale and a shift a map
    assert counted(network)[0] == UNET + normalised


def test_subsampling_is_delayed_as_the_report_prints_it() -> None:
    network = built("report").eval()
    sides: list[int] = []
    network.pool.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    after: list[int] = []
    for block in network.down:
        block.register_forward_hook(lambda _module, _inputs, output: after.append(output.shape[-1]))
    network(torch.rand(1, 1, 128, 128))
    assert sides == [127, 63, 31]
    assert after == [128, 64, 32, 16]


def test_maps_halve_with_depth_and_the_first_level_has_most() -> None:
    assert FORMS["report"].widths == (128, 64, 32, 16)
    assert FORMS["novikov"].widths == (256, 128, 64, 32, 16)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (64, 32), (48, 80)])
def test_logits_lie_on_the_inputs_grid(name: NetworkName, rows: int, columns: int) -> None:
    assert built(name).eval()(torch.rand(2, 1, rows, columns)).shape == (2, 5, rows, columns)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: NetworkName) -> None:
    network = built(name)
    network(torch.rand(2, 1, 32, 32)).square().mean().backward()
    assert [key for key, value in network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_film_does_not_depend_on_its_batch(name: NetworkName) -> None:
    network, films = built(name).eval(), torch.rand(3, 1, 32, 32)
    alone = torch.cat([network(film[None]) for film in films])
    assert torch.allclose(network(films), alone, atol=1e-5)


def test_gaussian_dropout_keeps_the_mean_and_has_the_stated_spread() -> None:
    torch.manual_seed(3)
    noise = GaussianDropout(0.1).train()
    seen = noise(torch.full((400, 500), 2.0))
    # variance of the factor: rate / (1 - rate) = 1/9; 200,000 draws
    assert float(seen.mean()) == pytest.approx(2.0, abs=0.01)
    assert float(seen.std()) == pytest.approx(2.0 / 3.0, abs=0.01)
    still = torch.rand(4, 4)
    assert torch.equal(noise.eval()(still), still)


def test_each_form_has_its_own_regularisation() -> None:
    kinds = (nn.Dropout, GaussianDropout, nn.BatchNorm2d)
    found = {
        name: [sum(isinstance(layer, kind) for layer in built(name).modules()) for kind in kinds]
        for name in NAMES
    }
    # seven blocks in the report; nine levels of two convolutions in the others
    assert found == {"report": [7, 0, 2], "novikov": [0, 18, 0], "unet": [0, 0, 18]}


# from planes to classes and back


def plane(*places: tuple[str, slice, slice]) -> Tensor:
    planes = torch.zeros(1, 5, 8, 8)
    for organ, rows, columns in places:
        planes[0, ORGANS.index(organ), rows, columns] = 1.0
    return planes


OVERLAPPING = plane(
    ("right_lung", slice(0, 8), slice(0, 4)),
    ("heart", slice(4, 8), slice(2, 6)),
    ("right_clavicle", slice(0, 5), slice(3, 4)),
)


def test_clavicle_over_heart_over_lung() -> None:
    classes = exclusive_classes(OVERLAPPING)[0]
    number = {organ: 1 + index for index, organ in enumerate(ORGANS)}
    assert int(classes[0, 0]) == number["right_lung"]
    assert int(classes[6, 2]) == number["heart"]
    assert int(classes[4, 3]) == number["right_clavicle"]  # all three lie here
    assert int(classes[0, 7]) == 0


def test_probabilities_of_both_forms() -> None:
    logits = torch.zeros(1, 6, 2, 2)
    assert torch.allclose(probabilities(logits, "exclusive"), torch.full((1, 5, 2, 2), 1 / 6))
    assert torch.allclose(probabilities(logits[:, :5], "multilabel"), torch.full((1, 5, 2, 2), 0.5))


def test_multi_label_planes_keep_what_lies_over_each_other() -> None:
    shares = OVERLAPPING[0].numpy() * 0.8 + 0.1
    found = organ_planes(shares, Grid.of((8, 8)), "multilabel")
    np.testing.assert_array_equal(found, OVERLAPPING[0].numpy())


def test_exclusive_planes_never_overlap_and_leave_the_background_its_own() -> None:
    shares = np.zeros((5, 6, 6), np.float32)
    shares[0, :, :3], shares[2, :, 2:4] = 0.6, 0.3
    shares[2, :, 3] = 0.45  # less than the background's 0.55
    found = organ_planes(shares, Grid.of((6, 6)), "exclusive")
    assert found.sum(axis=0).max() == 1
    assert found[0, :, :3].all()
    assert not found[2].any()


def test_a_pixel_that_both_sides_claim_goes_to_the_more_probable_one() -> None:
    shares = np.zeros((5, 6, 10), np.float32)
    shares[0, :, :6], shares[1, :, 4:] = 0.7, 0.9
    shares[3, 1:3, :6], shares[4, 1:3, 5:] = 0.9, 0.6
    found = organ_planes(shares, Grid.of((6, 10)), "multilabel")
    assert found[0, :, :4].all()
    assert not found[0, :, 4:].any()
    assert found[3, 1:3, :6].all()
    assert not found[4, :, :6].any()
    # a clavicle may lie over a lung, whatever their probabilities
    assert (found[0] & found[3]).any()


def test_islands_are_left_out_and_holes_filled() -> None:
    shares = np.zeros((5, 20, 20), np.float32)
    shares[2, 4:14, 4:14] = 0.9
    shares[2, 8, 8] = 0.0
    shares[2, 17:19, 17:19] = 0.9
    heart = organ_planes(shares, Grid.of((20, 20)), "multilabel")[2]
    assert int(heart.sum()) == 100


@pytest.mark.parametrize(("outputs", "organ"), [("exclusive", "heart"), ("multilabel", "left_lung")])
def test_an_organ_in_the_hole_of_one_it_excludes_stays_there(outputs: Outputs, organ: str) -> None:
    shares = np.zeros((5, 20, 20), np.float32)
    shares[0, 2:18, 2:18] = 0.9
    shares[0, 8:12, 8:12] = 0.0
    shares[ORGANS.index(organ), 8:12, 8:12] = 0.9
    found = organ_planes(shares, Grid.of((20, 20)), outputs)
    assert int(found[ORGANS.index(organ)].sum()) == 16
    assert int(found[0].sum()) == 16 * 16 - 16


def test_planes_come_back_on_the_films_own_grid() -> None:
    grid = Grid.of((90, 60)).square().resize(32)
    shares = np.zeros((5, 32, 32), np.float32)
    shares[2, 8:24, 12:20] = 1.0
    heart = organ_planes(shares, grid, "multilabel")[2]
    assert heart.shape == (90, 60)
    rows, columns = np.nonzero(heart)
    # 90 / 32 pixels a cell, 15 columns of padding on either side
    assert (rows.min(), rows.max() + 1) == pytest.approx((8 * 90 / 32, 24 * 90 / 32), abs=2)
    assert (columns.min(), columns.max() + 1) == pytest.approx((12 * 90 / 32 - 15, 20 * 90 / 32 - 15), abs=2)


# losses


def test_pixel_dice_at_its_limits() -> None:
    classes = torch.tensor([[[0, 1], [2, 3]]])
    sure = nn.functional.one_hot(classes, 4).movedim(-1, 1).float() * 100
    assert float(pixel_dice_loss(sure, classes)) == pytest.approx(0.0, abs=1e-6)
    # a wrong class for certain: nothing in common, 1 - s / (1 + 1 + s)
    assert float(pixel_dice_loss(sure, (classes + 1) % 4)) == pytest.approx(1 - 1 / 3)
    # undecided between four: p = 1/4, sum of squares 1/4
    undecided = torch.zeros(1, 4, 2, 2)
    assert float(pixel_dice_loss(undecided, classes)) == pytest.approx(1 - (2 / 4 + 1) / (1 + 1 / 4 + 1))


def test_the_losses_of_an_undecided_network_by_hand() -> None:
    exclusive = organ_loss(torch.zeros(1, 6, 8, 8), OVERLAPPING, "exclusive")
    assert float(exclusive) == pytest.approx(math.log(6) + 1 - (2 / 6 + 1) / (1 + 1 / 6 + 1), rel=1e-5)
    multilabel = organ_loss(torch.zeros(1, 5, 8, 8), OVERLAPPING, "multilabel")
    areas = (32, 0, 16, 5, 0)
    dice = np.mean([1 - (area + 1) / (32 + area + 1) for area in areas])
    assert float(multilabel) == pytest.approx(math.log(2) + dice, rel=1e-5)


@pytest.mark.parametrize(("outputs", "planes"), [("exclusive", 6), ("multilabel", 5)])
def test_a_step_down_the_gradient_lowers_the_loss(outputs: str, planes: int) -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, planes, 8, 8, requires_grad=True)
    loss = organ_loss(logits, OVERLAPPING, outputs)  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(loss, logits)
    lower = organ_loss((logits - slope).detach(), OVERLAPPING, outputs)  # type: ignore[arg-type]
    assert float(lower) < float(loss.detach())
    assert bool(slope.isfinite().all())
