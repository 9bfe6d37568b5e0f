"""Triage and diagnosis networks: sizes, maps that are the logits, missing laterals, unknown labels."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers.cam import BranchHead, heatmap_from
from classifiers.densenet import BRANCH_CHANNELS, branch, trunk
from classifiers.diagnosis.channels import BONE_GAIN, frontal_channels
from classifiers.diagnosis.losses import masked_bce
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.parameters import decay_groups
from classifiers.triage.network import TriageNetwork
from suite.errors import WeightsError
from suite.findings import CODES
from tests.made_films import chest_pixels

SIDE = 64
Network = TypeVar("Network", bound=nn.Module)


@pytest.fixture(scope="module")
def triage() -> TriageNetwork:
    torch.manual_seed(0)
    return unlike_new(TriageNetwork()).eval()


@pytest.fixture(scope="module")
def diagnosis() -> DualBranchDenseNet:
    torch.manual_seed(1)
    return unlike_new(DualBranchDenseNet()).eval()


def unlike_new(network: Network) -> Network:
    """Statistics and shifts as after some training, so that nothing hides behind zeros and ones."""
    generator = torch.Generator().manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data = 0.1 * torch.randn(module.bias.shape, generator=generator)
            module.running_mean = 0.1 * torch.randn(module.bias.shape, generator=generator)
            module.running_var = 0.8 + 0.4 * torch.rand(module.bias.shape, generator=generator)
    return network


def test_triage_is_densenet_121_with_one_grey_plane_and_one_output(triage: TriageNetwork) -> None:
    """torchvision's densenet121 has 7,978,856; minus two colour planes (2 x 64 x 49) and 999 outputs."""
    assert sum(value.numel() for value in triage.parameters()) == 6_948_609
    assert 7_978_856 - 2 * 64 * 49 - 999 * 1025 == 6_948_609


@pytest.mark.parametrize(("batch", "rows", "columns"), [(1, 64, 64), (3, 64, 96), (5, 96, 64)])
def test_triage_gives_one_logit_a_film(triage: TriageNetwork, batch: int, rows: int, columns: int) -> None:
    with torch.no_grad():
        assert triage(torch.rand(batch, 1, rows, columns)).shape == (batch,)


def test_the_halves_have_the_documented_shapes() -> None:
    with torch.no_grad():
        maps = branch(2).eval()(torch.rand(1, 2, 64, 96))
        assert maps.shape == (1, 256, 4, 6)
        assert trunk().eval()(maps).shape == (1, 1024, 2, 3)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_diagnosis_gives_logits_and_maps(channels: int, batch: int) -> None:
    network = DualBranchDenseNet(channels).eval()
    with torch.no_grad():
        output = network(
            torch.rand(batch, channels, 64, 64),
            torch.rand(batch, 1, 64, 64),
            torch.ones(batch, dtype=torch.bool),
        )
    assert output.logits.shape == (batch, 13)
    assert output.frontal_maps.shape == (batch, 13, 4, 4)
    assert output.lateral_maps is not None
    assert output.lateral_maps.shape == (batch, 13, 4, 4)


def test_a_map_averages_to_its_branchs_logit() -> None:
    torch.manual_seed(2)
    head, features = BranchHead(8, 5).eval(), torch.randn(2, 8, 6, 7)
    unlike_new(head)
    pooled = torch.relu(head.norm(features)).mean((-2, -1))
    assert torch.allclose(head(features).mean((-2, -1)), head.linear(pooled), atol=1e-6)


def test_a_heatmap_is_the_evidence_above_the_films_average_with_its_peak_at_one() -> None:
    maps = torch.tensor([[[-3.0, 0.0], [1.0, 6.0]], [[-1.0, -2.0], [-3.0, 2.0]], [[5.0, 5.0], [5.0, 5.0]]])
    expected = [[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]
    assert heatmap_from(maps).tolist() == expected
    bright = maps[0] + 100.0  # how common a finding is must not show
    assert torch.allclose(heatmap_from(bright), heatmap_from(maps[0]))


def pair(batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(batch, 3, SIDE, SIDE, generator=generator), torch.rand(
        batch, 1, SIDE, SIDE, generator=generator
    )


def test_a_lateral_film_matters(diagnosis: DualBranchDenseNet) -> None:
    frontal, lateral = pair(1)
    with torch.no_grad():
        without = diagnosis(frontal)
        present = diagnosis(frontal, lateral, torch.tensor([True]))
    assert without.lateral_maps is None
    assert not torch.allclose(without.logits, present.logits, atol=1e-4)
    assert torch.equal(without.frontal_maps, present.frontal_maps)


def test_no_lateral_and_a_batch_without_any_are_the_same(diagnosis: DualBranchDenseNet) -> None:
    frontal, lateral = pair(2)
    with torch.no_grad():
        expected = diagnosis(frontal).logits
        assert torch.equal(diagnosis(frontal, lateral, torch.tensor([False, False])).logits, expected)


def test_rows_of_a_mixed_batch_are_read_as_if_alone(diagnosis: DualBranchDenseNet) -> None:
    frontal, lateral = pair(3)
    present = torch.tensor([True, False, True])
    with torch.no_grad():
        mixed = diagnosis(frontal, lateral, present)
        for row in range(3):
            one = slice(row, row + 1)
            alone = diagnosis(frontal[one], lateral[one], present[one])
            assert torch.allclose(mixed.logits[one], alone.logits, atol=1e-4)
            if present[row]:
                assert torch.allclose(mixed.lateral_maps[one], alone.lateral_maps, atol=1e-4)
    assert not mixed.lateral_maps[1].any()


@pytest.mark.parametrize("garbage", ["huge", "another film", "not a number"])
def test_what_stands_in_place_of_a_missing_lateral_has_no_influence(
    diagnosis: DualBranchDenseNet, garbage: str
) -> None:
    frontal, lateral = pair(3)
    present = torch.tensor([True, False, True])
    poisoned = lateral.clone()
    poisoned[1] = {
        "huge": lateral[1] + 1e6,
        "another film": lateral[0],
        "not a number": lateral[1] * math.nan,
    }[garbage]
    with torch.no_grad():
        first, second = diagnosis(frontal, lateral, present), diagnosis(frontal, poisoned, present)
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.lateral_maps, second.lateral_maps)


def test_it_has_none_while_training_either() -> None:
    """Batch statistics are those of the films that are there, and no gradient comes from the others."""
    frontal, lateral = pair(3)
    present = torch.tensor([True, False, True])
    outcomes = []
    for poison in (0.0, 1e4):
        torch.manual_seed(4)
        network = DualBranchDenseNet(dropout=0.0).train()
        films = lateral.clone()
        films[1] += poison
        films.requires_grad_(True)
        network(frontal, films, present).logits.sum().backward()
        assert films.grad is not None
        assert not films.grad[1].any()
        outcomes.append((films.grad, network.lateral.state_dict()["norm0.running_mean"].clone()))
    assert all(torch.equal(first, second) for first, second in zip(*outcomes, strict=True))


def test_order_in_the_batch_does_not_matter(diagnosis: DualBranchDenseNet) -> None:
    frontal, lateral = pair(3)
    present, order = torch.tensor([True, False, True]), torch.tensor([2, 0, 1])
    with torch.no_grad():
        expected = diagnosis(frontal, lateral, present).logits[order]
        assert torch.allclose(
            diagnosis(frontal[order], lateral[order], present[order]).logits, expected, atol=1e-4
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_starting_from_triage_gives_triages_trunk(triage: TriageNetwork, channels: int) -> None:
    network = DualBranchDenseNet(channels, dropout=0.0).eval()
    state = {name: value for name, value in triage.state_dict().items() if "num_batches" not in name}
    network.start_from_triage(state)
    film = torch.rand(2, channels, SIDE, SIDE)
    seen: list[Tensor] = []
    hook = network.trunk.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        network(film)
        expected = triage.trunk(triage.branch((film[:, :1] - 0.5) / 0.25))
    hook.remove()
    if channels == 1:
        assert torch.equal(seen[0], expected)
    assert torch.allclose(seen[0], expected, atol=1e-4)
    for name, value in triage.trunk.state_dict().items():
        assert torch.equal(network.trunk.state_dict()[name], value) or "num_batches" in name
    first = "conv0.weight"
    assert torch.equal(network.lateral.state_dict()[first], triage.branch.state_dict()[first])


def test_channels_beyond_the_x_ray_start_without_a_say_but_can_learn(triage: TriageNetwork) -> None:
    network = DualBranchDenseNet(3, dropout=0.0)
    network.start_from_triage(triage.state_dict())
    network.train()(torch.rand(2, 3, SIDE, SIDE)).logits.square().sum().backward()
    weight = network.frontal.get_parameter("conv0.weight")
    assert not weight[:, 1:].any()
    assert weight.grad is not None
    assert weight.grad[:, 1:].any()


def test_every_parameter_learns() -> None:
    torch.manual_seed(5)
    network = DualBranchDenseNet(3).train()
    frontal, lateral = pair(3)
    output = network(frontal, lateral, torch.tensor([True, True, False]))
    loss = (
        output.logits.square().sum() + output.frontal_maps.square().sum() + output.lateral_maps.square().sum()
    )
    loss.backward()
    assert [
        name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()
    ] == []


def test_an_absent_lateral_teaches_its_embedding() -> None:
    network = DualBranchDenseNet(1).train()
    network(torch.rand(2, 1, SIDE, SIDE)).logits.square().sum().backward()
    assert network.absent.grad is not None
    assert network.absent.grad.any()
    assert network.absent.shape == (BRANCH_CHANNELS, 1, 1)


# labels


def test_the_loss_is_that_of_the_known_labels() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0], [3.0, 0.5, 0.0]])
    labels = torch.tensor([[1.0, math.nan, 0.0], [math.nan, math.nan, math.nan]])
    expected = (math.log(2.0) + math.log1p(math.exp(-1.0))) / 2
    assert float(masked_bce(logits, labels)) == pytest.approx(expected)


def test_unknown_labels_have_no_gradient_at_all() -> None:
    torch.manual_seed(6)
    logits = torch.randn(4, len(CODES), requires_grad=True)
    labels = torch.randint(0, 2, (4, len(CODES))).float()
    unknown = torch.rand(4, len(CODES)) < 0.5
    labels[unknown] = math.nan
    masked_bce(logits, labels).backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert not logits.grad[unknown].any()
    assert logits.grad[~unknown].all()


def test_a_batch_that_knows_nothing_is_no_loss() -> None:
    logits = torch.randn(2, 13, requires_grad=True)
    loss = masked_bce(logits, torch.full((2, 13), math.nan))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_vectors_do_not_decay(triage: TriageNetwork) -> None:
    decayed, free = decay_groups(triage, 0.05)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    assert {value.ndim for value in free["params"]} == {1}
    assert min(value.ndim for value in decayed["params"]) == 2
    assert len(decayed["params"]) + len(free["params"]) == len(list(triage.parameters()))


# channels


def test_the_channels_are_film_lungs_and_bones() -> None:
    film = chest_pixels(80, 60)
    mask = np.zeros((80, 60), np.uint8)
    mask[20:60, 8:28], mask[20:60, 32:52] = 128, 255
    bone = np.full((80, 60), 0.05, np.float32)
    planes, framed = frontal_channels(film, mask, bone, 80)
    assert planes.shape == (3, 80, 80)
    assert planes.dtype == np.float32
    assert (planes.min(), planes.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(planes[0], framed.pixels)
    inside = framed.grid.apply((mask > 0).astype(np.float32)) > 0
    np.testing.assert_array_equal(planes[1][inside], planes[0][inside])
    assert not planes[1][~inside].any()
    assert planes[2][40, 40] == pytest.approx(0.05 * BONE_GAIN / framed.levels.width, rel=1e-4)
    assert not planes[:, :, :9].any()  # the letterbox


def test_a_dark_film_has_the_same_bone_channel_as_a_bright_one() -> None:
    """Levels stretch the film, so the bones stretch with it."""
    film, bone = chest_pixels(64, 64), np.full((64, 64), 0.06, np.float32)
    mask = np.zeros((64, 64), np.uint8)
    bright = frontal_channels(film, mask, bone, 64)[0]
    dark = frontal_channels(film * np.float32(0.4), mask, bone * np.float32(0.4), 64)[0]
    np.testing.assert_allclose(dark, bright, atol=1e-5)


def test_weights_that_read_what_one_film_does_not_give_are_refused() -> None:
    film, mask = chest_pixels(64, 64), np.zeros((64, 64), np.uint8)
    planes = frontal_channels(film, mask, film, 64, ("x-ray", "x-ray"))[0]
    np.testing.assert_array_equal(planes[0], planes[1])
    with pytest.raises(WeightsError, match="read a true-bone channel, which one film does not give"):
        frontal_channels(film, mask, film, 64, ("x-ray", "true-bone"))
