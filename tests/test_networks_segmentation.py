"""The lung network and what is made of its probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segmentation.losses.dice import dice_loss
from segmentation.lungs.network import VGG16_STAGES, VGG16UNet, load_imagenet_encoder
from segmentation.postprocessing import (
    FURTHEST_APART,
    distance_between,
    largest_piece,
    lungs_from_probabilities,
)
from segmentation.scores import dice
from suite.errors import WeightsError

VGG16_BN_ENCODER = 14_714_688 + 4_224 * 2 - 1_152
"""torchvision's VGG16 features (Simonyan 2015, table 1 D) have 14,714,688 weights; batch normalisation adds a
scale and a shift to each of the 4,224 channels, and one grey plane instead of three takes 2 x 3 x 3 x 64."""


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def published() -> VGG16UNet:
    with torch.device("meta"):
        return VGG16UNet()


def test_the_encoder_is_vgg16s_thirteen_convolutions(published: VGG16UNet) -> None:
    convolutions = [module for module in published.stages.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [
        *(64, 64),
        *(128, 128),
        *(256, 256, 256),
        *(512, 512, 512),
        *(512, 512, 512),
    ]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert [channels for stage in VGG16_STAGES for channels in stage] == [
        c.out_channels for c in convolutions
    ]
    assert parameters(published.stages) == VGG16_BN_ENCODER


def test_width_scales_every_channel_count() -> None:
    narrow = VGG16UNet(width=0.0625)
    first = next(module for module in narrow.modules() if isinstance(module, nn.Conv2d))
    assert first.out_channels == 4
    assert narrow.decoder[-1].convolutions[0].out_channels == 4  # type: ignore[index,union-attr]


@pytest.mark.parametrize(("batch", "rows", "columns"), [(1, 16, 16), (3, 48, 64), (5, 80, 32)])
def test_logits_lie_on_the_inputs_grid(batch: int, rows: int, columns: int) -> None:
    network = VGG16UNet(planes=3, width=0.0625).eval()
    assert network(torch.rand(batch, 1, rows, columns)).shape == (batch, 3, rows, columns)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = VGG16UNet(width=0.0625)
    network(torch.rand(2, 1, 64, 64)).square().mean().backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_a_film_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(1)
    network, films = VGG16UNet(width=0.0625).eval(), torch.rand(3, 1, 32, 32)
    together = network(films)
    alone = torch.cat([network(film[None]) for film in films])
    assert torch.allclose(together, alone, atol=1e-5)


def vgg16_bn_file(path: Path, network: VGG16UNet, colours: int) -> dict[str, Tensor]:
    """The network's own encoder, named and shaped as timm's file names it."""
    state: dict[str, Tensor] = {}
    offset = 0
    for stage in network.stages:
        layers = dict(stage.named_children())
        for key, value in stage.state_dict().items():
            number, rest = key.split(".", 1)
            state[f"features.{int(number) + offset}.{rest}"] = torch.rand_like(value.float()).to(value.dtype)
        offset += len(layers)
    first = state["features.0.weight"]
    state["features.0.weight"] = torch.rand(first.shape[0], colours, 3, 3)
    save_file(state, path)
    return state


@pytest.mark.parametrize("colours", [1, 3])
def test_an_imagenet_encoder_sees_grey_as_three_equal_colours(tmp_path: Path, colours: int) -> None:
    network = VGG16UNet(width=0.0625)
    state = vgg16_bn_file(tmp_path / "vgg.safetensors", network, colours)
    load_imagenet_encoder(network, tmp_path / "vgg.safetensors")
    film = torch.rand(1, 1, 8, 8)
    colour = torch.nn.functional.conv2d(film.expand(1, colours, 8, 8), state["features.0.weight"], padding=1)
    grey = torch.nn.functional.conv2d(film, network.stages[0][0].weight, padding=1)  # type: ignore[index]
    assert torch.allclose(grey, colour, atol=1e-5)
    last = network.stages[4][-2]  # type: ignore[index]
    assert torch.equal(last.weight, state["features.41.weight"])  # vgg16_bn's last normalisation


def test_an_encoder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    vgg16_bn_file(tmp_path / "narrow.safetensors", VGG16UNet(width=0.0625), 3)
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("narrow", "text", "other", "none"):
        with pytest.raises(WeightsError, match="does not hold a vgg16_bn encoder of this width") as caught:
            load_imagenet_encoder(VGG16UNet(width=0.125), tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)


def test_dice_loss_at_its_limits() -> None:
    target = torch.zeros(2, 1, 10, 10)
    target[:, :, :5] = 1.0
    certain = (target * 2 - 1) * 50.0
    assert float(dice_loss(certain, target)) == pytest.approx(0.0, abs=1e-6)
    # all wrong: nothing overlaps, 1 - s / (50 + 50 + s)
    assert float(dice_loss(-certain, target)) == pytest.approx(1 - 1 / 101)
    # nothing there and nothing found: the smoothing makes it 0
    assert float(dice_loss(torch.full_like(target, -50.0), torch.zeros_like(target))) == pytest.approx(
        0.0, abs=1e-6
    )
    # undecided everywhere: p = 1/2, overlap 25, total 50 + 50
    assert float(dice_loss(torch.zeros_like(target), target)) == pytest.approx(1 - 51 / 101)


def test_dice_loss_counts_every_film_and_plane_alike() -> None:
    target = torch.zeros(1, 2, 20, 20)
    target[0, 0, :10] = 1.0
    target[0, 1, 3, 3] = 1.0
    right_only = torch.stack((target[0, 0] * 100 - 50, torch.full((20, 20), -50.0)))[None]
    assert float(dice_loss(right_only, target)) == pytest.approx((0 + 1 - 1 / 2) / 2, abs=1e-6)


def test_dice_by_hand_and_the_empty_rule() -> None:
    first, second = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    assert dice(first, second) == 1.0
    first[0, :3] = 255
    assert dice(first, second) == dice(second, first) == 0.0
    second[0, 1:4] = 7
    assert dice(first, second) == pytest.approx(2 * 2 / 6)
    assert dice(second, second) == 1.0


def blob(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    picture = np.zeros(shape, np.float32)
    for top, bottom, left, right in boxes:
        picture[top:bottom, left:right] = 0.9
    return picture


def test_the_largest_piece_is_kept_with_its_holes_filled() -> None:
    mask = (blob((20, 20), (2, 12, 2, 12), (15, 18, 15, 18)) > 0).astype(np.uint8)
    mask[5:7, 5:7] = 0  # a hole
    mask[2:4, 2:4] = 0  # a bay at the edge
    kept = largest_piece(mask)
    assert kept[5:7, 5:7].all()
    assert not kept[15:18, 15:18].any()
    assert not kept[2:4, 2:4].any()
    assert int(kept.sum()) == 100 - 4


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    mask = np.eye(6, dtype=np.uint8)
    np.testing.assert_array_equal(largest_piece(mask), mask)


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((5, 5), np.uint8)
    assert not largest_piece(empty).any()
    assert not lungs_from_probabilities(empty.astype(np.float32), empty.astype(np.float32)).any()


def test_each_side_keeps_its_own_number_and_largest_piece() -> None:
    shape = (30, 40)
    right = blob(shape, (5, 25, 2, 14), (27, 29, 30, 33))
    left = blob(shape, (5, 25, 26, 38), (0, 2, 0, 3))
    mask = lungs_from_probabilities(right, left)
    assert set(np.unique(mask)) == {0, 128, 255}
    assert (mask[5:25, 2:14] == 128).all()
    assert (mask[5:25, 26:38] == 255).all()
    assert int((mask > 0).sum()) == 2 * 20 * 12


def test_the_air_beside_the_patient_is_no_lung_where_a_piece_in_the_chest_is_one() -> None:
    """The left lung is smaller than what was taken for it beside the arm, and the other way round."""
    right, air, left = (5, 25, 20, 40), (10, 60, 110, 140), (5, 25, 50, 70)
    mask = lungs_from_probabilities(blob((64, 150), right), blob((64, 150), left, air))
    assert (mask[5:25, 50:70] == 255).all()
    assert int((mask == 255).sum()) == 20 * 20
    mirrored = lungs_from_probabilities(blob((64, 150), left, air)[:, ::-1], blob((64, 150), right)[:, ::-1])
    assert int((mirrored == 128).sum()) == 20 * 20
    assert not mirrored[:, :40].any()


@pytest.mark.parametrize("left", [(5, 25, 50, 70), (40, 60, 50, 70)])
def test_the_largest_pieces_stay_where_none_lie_as_lungs_do(left: tuple[int, int, int, int]) -> None:
    """A speck, and a piece beside no part of the other lung, are none that could be the lung instead."""
    right, air = (5, 25, 20, 40), (10, 60, 110, 140)
    small = (left[0], left[0] + 4, left[2], left[2] + 5) if left[0] == 5 else left
    mask = lungs_from_probabilities(blob((64, 150), right), blob((64, 150), small, air))
    assert int((mask == 255).sum()) == 50 * 30


def test_the_distance_between_lungs_by_hand() -> None:
    right, left = blob((40, 40), (0, 20, 2, 14)) > 0, blob((40, 40), (10, 30, 20, 30)) > 0
    left[18, 17] = True  # where they come closest: columns 14 to 16 lie between, of 28
    pair = right.astype(np.uint8), left.astype(np.uint8)
    assert distance_between(*pair) == pytest.approx(3 / 28)
    assert distance_between(*(np.repeat(np.repeat(each, 40, 0), 40, 1) for each in pair)) == pytest.approx(
        3 / 28, abs=0.01
    )
    assert distance_between(pair[0], np.roll(pair[1], 10, axis=0)) == np.inf
    assert distance_between(pair[1], pair[0]) < 0 < FURTHEST_APART


def test_a_pixel_both_claim_goes_to_the_more_probable_side() -> None:
    right, left = blob((10, 20), (0, 10, 0, 12)), blob((10, 20), (0, 10, 8, 20))
    left[:, 8:10] = 0.7
    right[:, 10:12] = 0.6
    mask = lungs_from_probabilities(right, left)
    assert (mask[:, :10] == 128).all()
    assert (mask[:, 10:] == 255).all()


def test_the_threshold_is_exclusive() -> None:
    half = np.full((4, 4), 0.5, np.float32)
    assert not lungs_from_probabilities(half, np.zeros_like(half)).any()
    assert (lungs_from_probabilities(half + 0.01, np.zeros_like(half)) == 128).all()
