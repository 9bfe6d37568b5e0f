"""The bone GAN: sizes from the papers, attention, normalisation, losses, pairs and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.attention import SelfAttention
from gan.baselines import PlainUNet
from gan.discriminator import GradientDiscriminator, PatchDiscriminator, SobelPlanes
from gan.generator import MultiScaleGenerator
from gan.losses import BoneError, discriminator_loss, generator_loss
from gan.pairs import haze, jsrt_pair
from gan.recipe import BoneRecipe
from gan.scores import suppression_scores
from gan.suppression import LARGEST_BONE, bone_layer, near_lungs
from gan.training import BoneTask
from gan.variation import other_tone
from suite.datasets.registry import open_dataset
from tests import made_datasets
from tests.made_films import chest_pixels


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def still(module: nn.Module) -> list[str]:
    """Parameters that got no gradient."""
    return [name for name, value in module.named_parameters() if value.grad is None or not value.grad.any()]


# sizes


def test_the_generator_has_the_published_parameters() -> None:
    assert parameters(MultiScaleGenerator(64, attention=False, normalise=False)) == 23_134_176


def test_the_discriminator_has_the_published_parameters() -> None:
    assert parameters(GradientDiscriminator(64, attention=False, normalise=False)) == 2_760_129


def test_pix2pix_has_its_published_parameters() -> None:
    """Counted from Isola et al.'s own listing with three channels in and out, as their facades have."""
    assert parameters(PlainUNet(64, channels=3)) == 54_413_955
    assert parameters(PatchDiscriminator(64, channels=3)) == 2_768_705


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"attention": False},
        {"side_heads": False},
        {"normalise": False},
        {"norm": "group"},
        {"norm": "batch", "depth": 5},
        {"conventions": 2},
    ],
)
def test_a_layer_lies_on_its_films_grid(switches: dict[str, Any]) -> None:
    network = MultiScaleGenerator(4, **switches).eval()
    with torch.no_grad():
        layer = network(torch.rand(3, 1, 256, 384))
    assert layer.shape == (3, 1, 256, 384)
    assert float(layer.abs().max()) <= 1.0


def test_an_untrained_generator_adds_hardly_any_bone() -> None:
    """Bone is a few hundredths of the range; a start far above it costs a thousand steps."""
    torch.manual_seed(0)
    with torch.no_grad():
        layer = MultiScaleGenerator(base=8)(torch.rand(1, 1, 256, 256))
    assert 0.0 < float(layer.abs().max()) < 0.05


@pytest.mark.parametrize("normalise", [True, False])
def test_the_mean_judgement_of_a_film_depends_on_the_film(normalise: bool) -> None:
    """The hinge loss is linear near 0: were all films' mean logits the same, it would have no slope."""
    torch.manual_seed(0)
    network = GradientDiscriminator(8, normalise=normalise).eval()
    bone, film = torch.rand(2, 4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = network(bone, film)
    assert float(logits.mean((1, 2, 3)).std()) > 0.01 * float(logits.std())


@pytest.mark.parametrize(("gradients", "attention"), [(True, True), (False, False)])
def test_the_discriminator_judges_patches(gradients: bool, attention: bool) -> None:
    network = GradientDiscriminator(8, gradients, attention)
    logits = network(torch.rand(3, 1, 128, 96), torch.rand(3, 1, 128, 96))
    # three halvings, then a 4 x 4 convolution with padding 1
    assert logits.shape == (3, 1, 128 // 8 - 1, 96 // 8 - 1)


def test_a_patch_is_46_pixels_wide() -> None:
    """Without normalisation over the map, one logit depends on 46 x 46 pixels of each image."""
    network = GradientDiscriminator(4, gradients=False, attention=False, normalise=False)
    for index, layer in enumerate(network.layers):
        if isinstance(layer, nn.InstanceNorm2d):
            network.layers[index] = nn.Identity()
    bone = torch.rand(1, 1, 128, 128, requires_grad=True)
    network(bone, torch.rand(1, 1, 128, 128))[0, 0, 7, 7].backward()
    assert bone.grad is not None
    rows = bone.grad[0, 0].any(dim=1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 46


def test_every_parameter_of_both_networks_learns() -> None:
    torch.manual_seed(0)
    generator, discriminator = MultiScaleGenerator(8), GradientDiscriminator(8)
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, SelfAttention):
            nn.init.ones_(module.gate)
    film = torch.rand(2, 1, 256, 256)
    discriminator(generator(film), film).square().mean().backward()
    assert still(generator) == []
    # a bias in front of an instance normalisation is taken away again by it
    assert [name for name in still(discriminator) if not name.endswith("bias")] == []


# attention and normalisation


def test_attention_starts_as_the_identity_with_a_gate_that_learns() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(16), torch.randn(2, 16, 8, 6)
    y = attention(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert attention.gate.grad is not None
    assert float(attention.gate.grad) != 0.0


def test_attention_is_the_softmax_average_of_the_values() -> None:
    torch.manual_seed(1)
    attention, x = SelfAttention(16).eval(), torch.randn(1, 16, 4, 4)
    with torch.no_grad():
        attention.gate.fill_(0.5)
        query = attention.query(x).flatten(2)[0]
        key = nn.functional.max_pool2d(attention.key(x), 2).flatten(2)[0]
        value = nn.functional.max_pool2d(attention.value(x), 2).flatten(2)[0]
        weights = torch.stack([torch.softmax(query[:, place] @ key, dim=0) for place in range(16)])
        averaged = (value @ weights.T).reshape(1, 8, 4, 4)
        expected = x + 0.5 * attention.out(averaged)
        assert torch.allclose(attention(x), expected, atol=1e-5)


def largest_singular_value(weight: Tensor, transposed: bool) -> float:
    matrix = weight.transpose(0, 1).flatten(1) if transposed else weight.flatten(1)
    return float(torch.linalg.svdvals(matrix.detach().double())[0])


def test_spectral_normalisation_brings_the_largest_singular_value_to_one() -> None:
    torch.manual_seed(2)
    generator, discriminator = MultiScaleGenerator(4), GradientDiscriminator(8)
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and hasattr(module, "parametrizations"):
            module.parametrizations.weight.original.data.mul_(7.0)  # type: ignore[union-attr,operator]
    film = torch.rand(1, 1, 256, 256)
    with torch.no_grad():
        for _ in range(25):
            generator(film)
            discriminator(film, film)
    values = [
        largest_singular_value(module.weight, isinstance(module, nn.ConvTranspose2d))
        for module in (*generator.eval().modules(), *discriminator.eval().modules())
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and hasattr(module, "parametrizations")
    ]
    # 7 down, 7 x 2 up, 4 of attention; 5 and 4 of attention
    assert len(values) == 7 + 14 + 4 + 5 + 4
    assert min(values) > 0.95
    assert max(values) < 1.1


def test_only_convolutions_to_one_channel_stay_free() -> None:
    generator = MultiScaleGenerator(4)
    free = [
        module.out_channels
        for module in generator.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not hasattr(module, "parametrizations")
    ]
    assert set(free) == {1}


# gradients and losses


def test_sobel_planes_of_a_ramp_are_its_slopes() -> None:
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    ramp = (3.0 * x + 5.0 * y)[None, None]
    horizontal, vertical, same = SobelPlanes()(ramp)[0]
    # [1 2 1] / 4 across, [-1 0 1] along: twice the slope per pixel
    assert torch.allclose(horizontal[1:-1, 1:-1], torch.tensor(6.0))
    assert torch.allclose(vertical[1:-1, 1:-1], torch.tensor(10.0))
    assert torch.equal(same, ramp[0, 0])


def test_the_sobel_planes_are_no_weights() -> None:
    assert dict(SobelPlanes().state_dict()) == {}


def test_the_hinge_loss_is_zero_beyond_its_margin_and_two_at_indecision() -> None:
    high, low = torch.full((2, 1, 3, 3), 1.5), torch.full((2, 1, 3, 3), -1.5)
    assert float(discriminator_loss(high, low, "hinge")) == 0.0
    assert float(discriminator_loss(0 * high, 0 * low, "hinge")) == 2.0
    assert float(discriminator_loss(low, high, "hinge")) == pytest.approx(5.0)
    assert float(generator_loss(low, "hinge")) == 1.5


def test_the_least_squares_loss_is_zero_at_its_targets() -> None:
    ones, zeros = torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    assert float(discriminator_loss(ones, zeros, "least_squares")) == 0.0
    assert float(discriminator_loss(zeros, ones, "least_squares")) == 1.0
    assert float(generator_loss(ones, "least_squares")) == 0.0
    assert float(generator_loss(zeros, "least_squares")) == 1.0


def test_the_bone_loss_by_hand() -> None:
    """A constant error of 0.3: no edge inside, and at the rim the Sobel planes of the step to nothing."""
    target, trust = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    wrong = torch.full_like(target, 0.3)
    assert float(BoneError(edge_weight=0.0)(wrong, target, trust)) == pytest.approx(0.3)
    assert float(BoneError()(target, target, trust)) == 0.0
    # 2 x 8 rim pixels a direction with 0.3 (3/4 of it in the 4 corners), of 64
    rim = 2 * (12 * 0.3 + 4 * 0.75 * 0.3) / 64
    assert float(BoneError(edge_weight=2.0)(wrong, target, trust)) == pytest.approx(0.3 + 2.0 * rim)


def test_where_nothing_is_believed_nothing_is_learned() -> None:
    torch.manual_seed(3)
    predicted = torch.rand(1, 1, 20, 20, requires_grad=True)
    trust = torch.zeros(1, 1, 20, 20)
    trust[..., :8] = 1.0
    BoneError()(predicted, torch.rand(1, 1, 20, 20), trust).backward()
    assert predicted.grad is not None
    assert predicted.grad[..., :8].any()
    # a Sobel kernel reaches one pixel over the border
    assert not predicted.grad[..., 9:].any()


def test_each_film_counts_the_same_however_much_of_it_is_trusted() -> None:
    target, trust = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    trust[0, :, :2, :2] = 1.0
    trust[1] = 1.0
    wrong = torch.full_like(target, 0.3)
    wrong[1] = 0.1
    # 0.3 over 4 pixels and 0.1 over 64
    assert float(BoneError(edge_weight=0.0)(wrong, target, trust)) == pytest.approx(0.2)


def test_the_root_of_each_films_mean_square_joins_on_request() -> None:
    """Two films, wrong by 0.3 on half of what is trusted, and by 0.1 everywhere."""
    target, trust = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    trust[0, :, :4] = 1.0
    trust[1] = 1.0
    wrong = torch.full_like(target, 0.1)
    wrong[0, :, :2], wrong[0, :, 2:] = 0.3, 0.0
    root = (0.5 * 0.3**2) ** 0.5
    error = float(BoneError(edge_weight=0.0, square_weight=2.0)(wrong, target, trust))
    assert error == pytest.approx(0.5 * (0.15 + 2.0 * root) + 0.5 * (0.1 + 2.0 * 0.1), rel=1e-4)


def test_a_film_without_an_error_has_a_slope_that_ends() -> None:
    layer = torch.zeros(1, 1, 8, 8, requires_grad=True)
    BoneError(square_weight=1.0)(layer, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).backward()
    assert layer.grad is not None
    assert torch.isfinite(layer.grad).all()


def test_no_trust_at_all_is_no_loss() -> None:
    film = torch.rand(1, 1, 8, 8)
    assert float(BoneError()(film, 1 - film, torch.zeros_like(film))) == 0.0


# pairs


def test_a_jsrt_pair_is_on_the_films_scale(tmp_path: Path) -> None:
    record = open_dataset("jsrt", made_datasets.jsrt(tmp_path)).records[0]
    pair = jsrt_pair(record)
    assert (
        pair.film.shape == pair.bone.shape == pair.lungs.shape == (made_datasets.ROWS, made_datasets.COLUMNS)
    )
    assert pair.bone[21, 20] == pytest.approx(0.1, abs=2 / 4095)
    assert pair.bone[40, 20] == 0.0
    # the film's 12 bits: white is 4095
    expected = chest_pixels(made_datasets.ROWS, made_datasets.COLUMNS, 0)
    assert float(np.abs(pair.film - expected).max()) < 1e-3
    assert set(np.unique(pair.lungs)) == {0, 1}


@pytest.mark.parametrize("gamma", [0.4, 1.0, 1.4])
def test_another_display_changes_film_and_soft_tissue_alike(gamma: float) -> None:
    """A film of 0.6 with 0.2 of bone: the soft tissue of 0.4 goes through the same curve."""
    film, bone = torch.full((1, 2, 2), 0.6), torch.full((1, 2, 2), 0.2)
    shown, layer = other_tone(film, bone, gamma, slope=0.9, offset=0.05)
    assert torch.allclose(shown, torch.full_like(film, 0.9 * 0.6**gamma + 0.05), atol=1e-6)
    assert torch.allclose(shown - layer, torch.full_like(film, 0.9 * 0.4**gamma + 0.05), atol=1e-6)


def test_the_haze_of_a_layer_is_what_lies_between_the_bones() -> None:
    """A smooth haze with bars of 0.1 on it: the bars stay, the haze goes."""
    rows, columns = np.mgrid[:256, :256].astype(np.float32) / 256
    smooth = 0.05 + 0.03 * rows - 0.02 * columns
    bony = np.zeros((256, 256), bool)
    bony[16::32] = bony[17::32] = bony[18::32] = bony[19::32] = True
    found = haze(smooth + 0.1 * bony, bony)
    inner = (slice(32, -32), slice(32, -32))
    assert float(np.abs(found - smooth)[inner].max()) < 0.004


def test_a_layer_all_over_the_film_has_no_haze_to_take_away() -> None:
    layer = np.full((64, 64), 0.1, np.float32)
    assert np.isfinite(haze(layer, np.ones((64, 64), bool))).all()


def test_the_generators_rate_cools_to_its_ttur_value() -> None:
    task = BoneTask(
        BoneRecipe.from_settings(["pretraining_factor=8", "pretraining_share=0.5", "warmup=0"]), {}
    )
    factors = [task.learning_rate_factor("model", step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(8.0)
    assert factors[49] == pytest.approx(1.0)
    assert factors[50:] == [1.0] * 50
    assert {task.learning_rate_factor("discriminator", step, 100) for step in range(100)} == {1.0}


# scores


def scored(predicted: str) -> dict[str, float]:
    film = chest_pixels(64, 64)
    truth = np.clip(film - 0.1 * (np.arange(64) % 8 < 3).astype(np.float32), 0.0, 1.0)
    choices = {"film": film, "truth": truth, "black": np.zeros_like(film)}
    region = np.zeros((64, 64), np.uint8)
    region[8:56, 8:56] = 1
    return suppression_scores(film, truth, choices[predicted], region)


def test_doing_nothing_and_doing_it_perfectly() -> None:
    nothing, perfect = scored("film"), scored("truth")
    assert nothing["bsr_two_sided"] == pytest.approx(0.0, abs=1e-6)
    assert perfect["bsr_two_sided"] == perfect["bsr"] == pytest.approx(1.0)
    assert nothing["bsr"] == pytest.approx(1.0)  # one-sided: bones left behind do not lower it
    # 3 of 8 columns are off by 0.1
    assert nothing["mae"] == pytest.approx(0.1 * 3 / 8, abs=1e-3)
    assert nothing["psnr"] == pytest.approx(-10 * np.log10(0.01 * 3 / 8), abs=0.05)
    assert perfect["mae"] == 0.0
    assert perfect["ssim"] == pytest.approx(1.0)
    assert perfect["psnr"] > 100 > nothing["psnr"]


def test_taking_too_much_lowers_the_one_sided_score() -> None:
    assert scored("black")["bsr"] < 0.0
    assert scored("black")["bsr"] == pytest.approx(scored("black")["bsr_two_sided"])


def test_only_the_region_counts() -> None:
    film = chest_pixels(64, 64)
    region = np.zeros((64, 64), np.uint8)
    region[20:40, 20:40] = 255
    elsewhere = film.copy()
    elsewhere[:8] = 0.0
    score = suppression_scores(film, film, elsewhere, region)
    assert score["mae"] == 0.0
    assert score["psnr"] == pytest.approx(120.0)


# use


class Constant(nn.Module):
    """Predicts the same everywhere, on the network's levels."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, convention: Tensor | None = None) -> Tensor:
        return torch.full_like(x, self.value)


@pytest.mark.parametrize("shape", [(301, 211), (40, 50), (64, 500)])
def test_a_layer_lies_between_nothing_and_the_film(shape: tuple[int, int]) -> None:
    film, everywhere = chest_pixels(*shape), np.full(shape, 128, np.uint8)
    for value in (-1.0, 0.2, 1.0):
        layer, framed = bone_layer(Constant(value), film, 256, torch.device("cpu"), everywhere)
        assert layer.shape == film.shape
        assert layer.dtype == np.float32
        assert (layer >= 0).all()
        assert (layer <= film).all()
        middle = layer[shape[0] // 2, shape[1] // 2]
        # in film units a share of the levels' width, and never more than bone can be
        expected = max(0.0, min(value, LARGEST_BONE)) * framed.levels.width
        assert middle == pytest.approx(min(expected, film[shape[0] // 2, shape[1] // 2]), rel=1e-3)


def test_a_layer_fades_out_around_the_lungs() -> None:
    lungs = np.zeros((512, 384), np.uint8)
    lungs[150:350, 60:160], lungs[150:350, 220:320] = 128, 255
    near = near_lungs(lungs)
    assert near.shape == lungs.shape
    assert (near.min(), near.max()) == (0.0, pytest.approx(1.0, abs=1e-3))
    assert near[lungs > 0].min() > 0.95
    # 7 of 256 pixels and the blur's tail: 28 pixels of 512
    assert not near[:115].any()
    assert not near[:, 360:].any()
    assert not near_lungs(np.zeros((100, 80), np.uint8)).any()
