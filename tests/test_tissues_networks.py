"""XNet, SegNet-Basic and U-Net: the published tables, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segmentation.tissues.layers import ConvBlock, centred, counted_as_keras
from segmentation.tissues.network import CLASSES, FILTERS, NetworkName, XNet, tissue_network
from segmentation.tissues.segnet import SegNetBasic
from segmentation.tissues.unet import UNet
from suite.errors import RecipeError

XNET_LAYERS = (
    *((640, 256), (73_856, 512), (295_168, 1_024), (1_180_160, 2_048), (2_359_808, 2_048)),
    *((1_179_904, 1_024), (589_952, 512), (295_040, 512), (295_168, 1_024), (1_180_160, 2_048)),
    *((2_359_808, 2_048), (1_179_904, 1_024), (589_952, 512), (147_520, 256)),
)
"""Weights of convolution and of batch normalisation, running statistics included, as Keras' summary of the
released model lists them."""

XNET_SIZES = (200, 100, 50, 25, 25, 50, 100, 100, 50, 25, 25, 50, 100, 200)
"""Side of each convolution's output for a film of 200 x 200."""

SMALL = {"xnet": (2, 3, 4, 5), "segnet": (2, 3, 4, 5), "unet": (2, 3, 4, 5, 6)}


def on_paper(network: NetworkName, kernel: int = 3) -> nn.Module:
    with torch.device("meta"):
        return tissue_network(network, kernel=kernel)


def blocks(network: nn.Module) -> list[ConvBlock]:
    return [module for module in network.modules() if isinstance(module, ConvBlock)]


@pytest.mark.parametrize(
    ("network", "kernel", "count"),
    [("xnet", 3, 11_742_275), ("xnet", 5, 32_583_747), ("segnet", 3, 5_466_243)],
)
def test_the_published_networks_have_the_published_number_of_parameters(
    network: NetworkName, kernel: int, count: int
) -> None:
    assert counted_as_keras(on_paper(network, kernel)) == count


def test_of_xnets_parameters_all_but_the_running_statistics_are_trained() -> None:
    assert sum(parameter.numel() for parameter in on_paper("xnet").parameters()) == 11_734_851


def test_every_layer_of_xnet_has_the_weights_of_the_released_one() -> None:
    network = on_paper("xnet")
    assert (
        tuple((counted_as_keras(block[0]), counted_as_keras(block[1])) for block in blocks(network))
        == XNET_LAYERS
    )
    assert counted_as_keras(network.head) == 387  # type: ignore[arg-type]


def test_the_u_net_is_ronnebergers() -> None:
    """Two 3 x 3 convolutions a level, 64 to 1024 channels, 2 x 2 transposed convolutions, by hand."""
    levels = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in levels)
    up = sum(4 * b * a + a + 9 * 2 * a * a + a + 9 * a * a + a for a, b in levels[:0:-1])
    with torch.device("meta"):
        assert counted_as_keras(UNet(normalised=False)) == down + up + 3 * 64 + 3 == 31_030_723
        convolutions = sum(parameter.numel() for parameter in UNet().parameters() if parameter.ndim == 4)
    assert convolutions < down + up


def test_xnet_halves_and_doubles_where_the_paper_does() -> None:
    sizes: list[int] = []
    network = XNet(filters=SMALL["xnet"]).eval()
    for block in blocks(network):
        block.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
    network(torch.rand(1, 1, 200, 200))
    assert tuple(sizes) == XNET_SIZES


def doubled(x: Tensor) -> Tensor:
    """Each pixel four times."""
    return x.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


def test_xnet_puts_the_encoders_activation_of_the_same_size_before_the_decoders() -> None:
    torch.manual_seed(0)
    network = XNet(filters=SMALL["xnet"]).eval()
    taken: dict[str, Tensor] = {}
    given: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            taken[name], given[name] = inputs[0], output

        module.register_forward_hook(hook)

    for name, module in network.named_children():
        watch(name, module)
    network(torch.rand(1, 1, 64, 48))
    joined = {
        "conv7": doubled(torch.cat((given["conv3"], given["conv6"]), dim=1)),
        "conv8": torch.cat((given["conv2"], given["conv7"]), dim=1),
        "conv13": doubled(torch.cat((given["conv9"], given["conv12"]), dim=1)),
        "conv14": doubled(torch.cat((given["conv8"], given["conv13"]), dim=1)),
        "head": torch.cat((given["conv1"], given["conv14"]), dim=1),
    }
    for name, expected in joined.items():
        assert torch.equal(taken[name], expected), name
    plain = {"conv5": "conv4", "conv11": "conv10"}
    for name, before in plain.items():
        assert torch.equal(taken[name], given[before]), name
    for name, before in {"conv6": "conv5", "conv12": "conv11"}.items():
        assert torch.equal(taken[name], doubled(given[before])), name
    for name, before in {"conv2": "conv1", "conv3": "conv2", "conv4": "conv3", "conv9": "conv8"}.items():
        assert torch.equal(taken[name], torch.nn.functional.max_pool2d(given[before], 2)), name


def test_segnet_basic_has_no_skips_and_eight_convolutions() -> None:
    network = SegNetBasic(filters=SMALL["segnet"])
    channels = [(block[0].in_channels, block[0].out_channels) for block in blocks(network)]
    assert channels == [(1, 2), (2, 3), (3, 4), (4, 5), (5, 5), (5, 4), (4, 3), (3, 2)]


@pytest.mark.parametrize("network", FILTERS)
def test_logits_lie_on_the_films_grid(network: NetworkName) -> None:
    model = tissue_network(network, SMALL[network]).eval()
    for rows, columns in ((64, 64), (40, 88)):
        assert model(torch.rand(2, 1, rows, columns)).shape == (2, len(CLASSES), rows, columns)


@pytest.mark.parametrize("network", FILTERS)
def test_every_parameter_learns(network: NetworkName) -> None:
    torch.manual_seed(0)
    model = tissue_network(network, [8 * count for count in SMALL[network]])
    model(torch.rand(2, 1, 64, 64)).square().mean().backward()
    # a bias before batch normalisation changes nothing: its mean is taken away
    still = [name for name, value in model.named_parameters() if value.grad is None]
    assert still == []
    flat = [name for name, value in model.named_parameters() if value.ndim == 4 and not value.grad.any()]  # type: ignore[union-attr]
    assert flat == []


@pytest.mark.parametrize("network", FILTERS)
def test_a_film_does_not_depend_on_its_batch(network: NetworkName) -> None:
    torch.manual_seed(1)
    model, films = tissue_network(network, SMALL[network]).eval(), torch.rand(3, 1, 32, 32)
    alone = torch.cat([model(film[None]) for film in films])
    assert torch.allclose(model(films), alone, atol=1e-5)


def test_a_film_is_centred_and_fills_the_range_from_minus_one_to_one() -> None:
    film = torch.rand(2, 1, 20, 30) * 0.3 + 0.5
    prepared = centred(film)
    assert prepared.mean(dim=(-2, -1)).abs().max() < 1e-6
    assert torch.allclose(prepared.abs().amax(dim=(-2, -1)), torch.ones(2, 1))
    assert torch.allclose(centred(0.2 + 0.5 * film), prepared, atol=1e-5)
    assert centred(torch.full((1, 1, 8, 8), 0.7)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("network", "filters", "kernel", "words"),
    [
        ("xnet", (4, 8, 16), 3, "filters [4, 8, 16] are not 4 positive numbers"),
        ("unet", (4, 8, 16, 32), 3, "are not 5 positive numbers; give one for each level"),
        ("segnet", (4, 8, 0, 32), 3, "filters [4, 8, 0, 32]"),
        ("xnet", (4, 8, 16, 32), 4, "kernel 4 is not odd and positive; use 3 or 5"),
    ],
)
def test_filters_and_kernels_that_cannot_be_are_refused(
    network: NetworkName, filters: tuple[int, ...], kernel: int, words: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        tissue_network(network, filters, kernel)
    assert words in str(caught.value)
