"""Whether heatmaps mean anything: they follow weights and film, and known ways of being wrong are caught."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import spearmanr
from torch import Tensor, nn

from classifiers.cam import BranchHead, heatmap_from
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.saliency import METHODS, check_method, saliency_maps
from suite.analysis import Analyzer
from suite.cli import main
from suite.errors import InputError
from suite.findings import CODES
from suite.grid import Grid
from suite.report.plausibility import Terrain
from suite.report.regions import LungZones, regions_of, shows_something
from suite.report.schema import validate
from suite.stages.artifacts import FindingResult, Heatmap
from suite.study import Study
from tests import fake_stages
from tests.made_films import chest, chest_pixels, write_16_bit

SIDE = 128
needs_library = pytest.mark.skipif(
    find_spec("pytorch_grad_cam") is None, reason="the optional package grad-cam is not installed"
)


class SpotNetwork(nn.Module):
    """Two branches of the diagnosis network's shape, in small: bright spots of the film light the map up.

    Written by hand, so that it is known what the map must show: head 0 is for brightness, 1 for darkness.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frontal, self.lateral = (
            nn.Sequential(nn.AvgPool2d(8), nn.Conv2d(1, 2, 1), nn.ReLU()) for _ in range(2)
        )
        self.frontal_head, self.lateral_head = BranchHead(2, 2), BranchHead(2, 2)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            for branch in (self.frontal, self.lateral):
                convolution: Any = branch[1]
                convolution.weight[:, 0, 0, 0] = torch.tensor([1.0, -1.0])
                convolution.bias[:] = torch.tensor([0.0, 1.0])
            for head in (self.frontal_head, self.lateral_head):
                head.linear.weight[:] = torch.eye(2)
                head.linear.bias.zero_()
            self.head.weight[:] = torch.eye(2).repeat(1, 2)
            self.head.bias.zero_()
        self.eval()

    def forward(self, frontal: Tensor, lateral: Tensor | None = None, present: Tensor | None = None) -> Any:
        front = self.frontal(frontal)
        side = torch.zeros_like(front) if lateral is None else self.lateral(lateral)
        logits = self.head(torch.cat((front.mean((-2, -1)), side.mean((-2, -1))), dim=1))
        return _Output(logits, self.frontal_head(front))


class _Output:
    def __init__(self, logits: Tensor, maps: Tensor) -> None:
        self.logits, self.frontal_maps = logits, maps


def spotted(row: int, column: int, side: int = SIDE) -> Tensor:
    """A grey film (1, 1, side, side) with one bright spot of 16 pixels."""
    film = torch.full((1, 1, side, side), 0.3)
    film[..., row : row + 16, column : column + 16] = 1.0
    return film


def all_maps(network: nn.Module, film: Tensor) -> np.ndarray:
    with torch.no_grad():
        return heatmap_from(network(film).frontal_maps)[0].numpy()


def closed_form(network: nn.Module, film: Tensor, head: int = 0) -> np.ndarray:
    return all_maps(network, film)[head]


def by_library(method: str, network: nn.Module, film: Tensor, head: int = 0) -> np.ndarray:
    return saliency_maps(network, method, [head], (16, 16), film)["frontal"][head]


def makers() -> Iterator[Any]:
    yield pytest.param(closed_form, id="cam")
    for method in ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "ablationcam"):

        def make(network: nn.Module, film: Tensor, head: int = 0, method: str = method) -> np.ndarray:
            return by_library(method, network, film, head)

        yield pytest.param(make, id=method, marks=needs_library)


def peak(values: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(row), int(column)


# a network of which it is known what its map must show


@pytest.mark.parametrize("make", [*makers()])
@pytest.mark.parametrize("place", [(16, 16), (16, 96), (64, 32), (96, 96)])
def test_a_map_peaks_on_the_spot_and_moves_with_it(make: Any, place: tuple[int, int]) -> None:
    """FIELD's corner peak: a map whose peak stays where it is whatever the film shows fails for one place."""
    values = make(SpotNetwork(), spotted(*place))
    row, column = peak(values)
    scale = SIDE // values.shape[0]
    assert place[0] <= row * scale < place[0] + 16
    assert place[1] <= column * scale < place[1] + 16
    assert values.max() == pytest.approx(1.0, abs=1e-5)
    assert values.min() >= 0.0


@pytest.mark.parametrize("make", [*makers()])
def test_a_map_is_not_inverted(make: Any) -> None:
    """The finding "bright" is brightest on the spot; an inverted map is brightest everywhere else."""
    values = make(SpotNetwork(), spotted(48, 48))
    inside = values[6:8, 6:8].mean()
    assert inside > 0.9
    assert np.delete(values.ravel(), [6 * 16 + 6, 6 * 16 + 7, 7 * 16 + 6, 7 * 16 + 7]).mean() < 0.1


def test_each_finding_has_its_own_map() -> None:
    bright, dark = (closed_form(SpotNetwork(), spotted(48, 48), head) for head in (0, 1))
    assert float(dark[6:8, 6:8].max()) == 0.0
    assert spearmanr(bright.ravel(), dark.ravel()).statistic < -0.5


def test_a_map_moves_by_as_much_as_the_film_is_shifted() -> None:
    values = closed_form(SpotNetwork(), spotted(32, 40))
    shifted = closed_form(SpotNetwork(), spotted(48, 64))
    np.testing.assert_allclose(np.roll(values, (2, 3), (0, 1)), shifted, atol=1e-5)


# the network that ships


@pytest.fixture(scope="module")
def network() -> DualBranchDenseNet:
    torch.manual_seed(0)
    made = DualBranchDenseNet(1)
    for head in (made.frontal_head, made.lateral_head):
        nn.init.normal_(head.linear.weight)
    return made.eval()


def film_of(seed: int) -> Tensor:
    return torch.from_numpy(chest_pixels(SIDE, SIDE, seed))[None, None]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(spearmanr(first.ravel(), second.ravel()).statistic)


def test_random_weights_destroy_the_map(network: DualBranchDenseNet) -> None:
    """Adebayo 2018: a map that survives the loss of what was learned shows the film, not the network."""
    before = all_maps(network, film_of(0))
    torch.manual_seed(1)
    other = DualBranchDenseNet(1)
    nn.init.normal_(other.frontal_head.linear.weight)
    after = all_maps(other.eval(), film_of(0))
    correlations = [abs(rank_correlation(one, two)) for one, two in zip(before, after, strict=True)]
    again = all_maps(network, film_of(0))
    assert all(rank_correlation(one, two) > 0.999 for one, two in zip(before, again, strict=True))
    assert np.median(correlations) < 0.6


def test_another_head_is_another_map(network: DualBranchDenseNet) -> None:
    maps = all_maps(network, film_of(0))
    pairs = [abs(rank_correlation(maps[i], maps[j])) for i in range(13) for j in range(i)]
    assert np.median(pairs) < 0.6


def test_shifting_the_film_shifts_the_networks_map(network: DualBranchDenseNet) -> None:
    """By one cell of the map, 16 pixels; the rim is left out, where the padding differs."""
    wide = torch.from_numpy(chest_pixels(SIDE + 64, SIDE + 64, 3))[None, None]
    first, second = wide[..., 16 : 16 + SIDE, :SIDE], wide[..., :SIDE, :SIDE]
    with torch.no_grad():
        one = network(first).frontal_maps[0].numpy()
        two = network(second).frontal_maps[0].numpy()
    moved, still = [], []
    for head in range(len(CODES)):
        moved.append(rank_correlation(one[head, 1:6, 1:7], two[head, 2:7, 1:7]))
        still.append(rank_correlation(one[head, 1:6, 1:7], two[head, 1:6, 1:7]))
    assert np.median(moved) > 0.9
    assert np.median(moved) > np.median(still) + 0.1


@pytest.mark.parametrize("film", [torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)])
def test_a_film_of_nothing_gives_a_map_of_numbers(network: DualBranchDenseNet, film: Tensor) -> None:
    with torch.no_grad():
        maps = heatmap_from(network(film).frontal_maps)
    assert bool(maps.isfinite().all())
    assert 0.0 <= float(maps.min()) <= float(maps.max()) <= 1.0


@needs_library
def test_both_views_of_the_real_network_are_explained(network: DualBranchDenseNet) -> None:
    frontal, lateral = (film_of(seed)[..., :64, :64] for seed in (0, 5))
    found = saliency_maps(network, "layercam", [7], (4, 4), frontal, lateral)
    assert {view: set(maps) for view, maps in found.items()} == {"frontal": {7}, "lateral": {7}}
    for maps in found.values():
        assert maps[7].shape == (4, 4)
        assert np.isfinite(maps[7]).all()
    assert all(parameter.grad is None for parameter in network.parameters())
    for branch in (network.frontal, network.lateral):
        assert not any(module._forward_hooks for module in branch.modules())


# methods on demand


def test_methods_are_checked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_method("CAM") == "cam"
    with pytest.raises(InputError, match=r"'smoothgrad' are not known; use cam, gradcam, gradcam\+\+"):
        check_method("smoothgrad")
    monkeypatch.setattr("classifiers.saliency.find_spec", lambda _name: None)
    with pytest.raises(InputError, match="need the package grad-cam; install it with"):
        check_method("gradcam")


@needs_library
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_the_list_is_one_of_the_library(method: str) -> None:
    values = by_library(method, SpotNetwork(), spotted(32, 64))
    assert values.shape == (16, 16)
    assert np.isfinite(values).all()


# what a report makes of a map


def reading(patch: pytest.MonkeyPatch, values: np.ndarray, code: str = "pneumothorax", **options: Any) -> Any:
    """A report of one suggested finding with a map ``values`` of the frontal film."""

    def findings(study: Any) -> tuple[FindingResult, ...]:
        shape = study["frontal"].value.shape
        grid = Grid.of(shape).square().resize(256).resize(*values.shape)
        heatmaps = {"frontal": Heatmap("frontal", values, grid)}
        return tuple(
            FindingResult(each, "suggested", 2.0, 0.9, (0.8, 0.95), 0.3, heatmaps)
            if each == code
            else FindingResult(each, "not_suggested", -3.0, 0.05, (0.01, 0.1), 0.3)
            for each in CODES
        )

    stages = fake_stages.whole_house()[:-1]
    fake_stages.install(patch, [*stages, fake_stages.diagnosis(findings)])
    report = Analyzer(device="cpu").run(Study("s", options.get("film") or chest(256, 256))).report
    validate(report)
    return report["findings"][CODES.index(code)], report


def at(row: int, column: int, cells: int = 16) -> np.ndarray:
    values = np.zeros((cells, cells), np.float32)
    values[row, column] = 1.0
    return values


@pytest.mark.parametrize("corner", [(0, 0), (0, 15), (15, 0), (15, 15)])
def test_a_peak_in_a_corner_is_flagged_and_warned_of(
    corner: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, report = reading(monkeypatch, at(*corner))
    assert [flag["kind"] for flag in finding["heatmap_flags"]] == ["corner"]
    assert finding["heatmap_flags"][0]["share"] > 0.9
    assert any("lies in a corner of the film" in line for line in report["warnings"])


def test_a_peak_in_a_lung_is_not_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ((8, 4), (8, 11), (5, 4), (11, 12)):
        finding, report = reading(monkeypatch, at(*place))
        assert finding["heatmap_flags"] == []
        assert finding["heatmap_method"] == "cam"
        assert not any("heatmap" in line for line in report["warnings"])


def test_a_peak_beside_the_patient_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = chest_pixels(256, 256)
    pixels[:, :60] = pixels[:, 200:] = 0.0
    film = replace(chest(256, 256), pixels=pixels)
    finding, _ = reading(monkeypatch, at(8, 1), film=film)
    assert [flag["kind"] for flag in finding["heatmap_flags"]] == ["outside_body"]
    finding, _ = reading(monkeypatch, at(8, 6), film=film)
    assert finding["heatmap_flags"] == []


def in_row(row: int) -> Any:
    """A map (256, 256) of one bright square around ``row``, in the middle."""
    heatmap = np.zeros((256, 256), np.uint8)
    heatmap[row - 10 : row + 10, 118:138] = 255
    return heatmap


def test_a_peak_in_the_belly_is_flagged_unless_devices_are_sought() -> None:
    """Lungs in rows 40 to 119: the chest ends at the latest a third of 80 rows below them, in row 146."""
    lungs = np.zeros((256, 256), np.uint8)
    lungs[40:120, 60:110], lungs[40:120, 150:200] = 128, 255
    film = np.full((256, 256), 0.6, np.float32)
    film[lungs > 0] = 0.2
    terrain = Terrain.of(film, lungs)
    (flag,) = terrain.flags("pleural_effusion", "frontal", in_row(190), 0.5)
    assert (flag["kind"], flag["share"]) == ("below_lungs", 1.0)
    assert flag["message"].startswith("100% of the heatmap lies far below the lungs")
    assert terrain.flags("pleural_effusion", "frontal", in_row(136), 0.5) == []
    assert terrain.flags("support_devices", "frontal", in_row(190), 0.5) == []
    assert Terrain.of(film).flags("pleural_effusion", "frontal", in_row(190), 0.5) == []


def test_a_map_in_the_belly_is_among_the_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    high = fake_stages.fake(
        "lungs", "frontal", "lung_mask", lambda study: {"lung_mask": lungs_high(study["frontal"].value.shape)}
    )
    monkeypatch.setattr(fake_stages, "lungs", lambda: high)
    _, report = reading(monkeypatch, at(11, 7), code="pleural_effusion")
    assert any("lies far below the lungs, where no finding is" in line for line in report["warnings"])


def lungs_high(shape: tuple[int, int]) -> Any:
    """Lungs in the upper half of a film."""
    mask = fake_stages.lungs_of(shape)
    return np.concatenate((mask[::2], np.zeros_like(mask[1::2])))


def lettered() -> Any:
    """A chest with an L of lead at the picture's upper right, outside the lungs."""
    pixels = chest_pixels(256, 256) * np.float32(0.8)
    pixels[34:54, 228:232] = pixels[50:54, 228:242] = 1.0
    return replace(chest(256, 256), pixels=pixels)


def test_a_peak_on_a_side_marker_is_flagged_unless_devices_are_sought(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finding, _ = reading(monkeypatch, at(2, 14), film=lettered())
    assert "marker" in [flag["kind"] for flag in finding["heatmap_flags"]]
    finding, _ = reading(monkeypatch, at(2, 14), code="support_devices", film=lettered())
    assert "marker" not in [flag["kind"] for flag in finding["heatmap_flags"]]
    finding, _ = reading(monkeypatch, at(2, 14), film=chest(256, 256))
    assert "marker" not in [flag["kind"] for flag in finding["heatmap_flags"]]


def test_a_plain_chest_has_no_marker_and_no_beam_in_its_lungs() -> None:
    for seed in range(3):
        pixels = chest_pixels(300, 240, seed)
        terrain = Terrain.of(pixels, fake_stages.lungs_of(pixels.shape))
        assert not terrain.markers.any()
        assert not terrain.outside.any()
        assert terrain.corners.mean() == pytest.approx(1 / 16, abs=0.01)


@pytest.mark.parametrize("values", [np.zeros((16, 16), np.float32), np.full((16, 16), math.nan, np.float32)])
def test_a_map_of_nothing_or_of_no_numbers_never_comes_out(
    values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, report = reading(monkeypatch, values)
    assert finding["heatmap"] is None
    assert finding["regions"] == finding["heatmap_flags"] == []
    assert not any(name.startswith("heatmap") for name in report["images"])


def test_what_shows_something() -> None:
    grid = Grid.of((16, 16))
    assert shows_something(Heatmap("frontal", at(3, 3), grid))
    assert not shows_something(Heatmap("frontal", np.full((16, 16), math.inf, np.float32), grid))


def test_a_contour_encloses_its_region_at_the_stated_level() -> None:
    """A smooth hill on a square film: the contour is where it falls to half its height."""
    y, x = np.mgrid[0:32, 0:32] + 0.5
    hill = np.exp(-(((x - 20) ** 2 + (y - 10) ** 2) / 2 / 4.0**2)).astype(np.float32)
    film = chest(320, 320)
    heatmap = Heatmap("frontal", hill, Grid.of(film.shape).resize(32))
    (region,) = regions_of(heatmap, LungZones.of(None, film.shape), None)
    assert region["level"] == 0.5
    radii = [math.hypot(px - 200, py - 100) for px, py in region["contour"]]
    assert len(radii) >= 8
    assert np.mean(radii) == pytest.approx(10 * 4.0 * math.sqrt(2 * math.log(2)), abs=3.0)
    x0, y0, x1, y1 = region["box"]
    assert all(x0 <= px <= x1 and y0 <= py <= y1 for px, py in region["contour"])


def test_an_unknown_method_on_the_command_line_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    class Diagnosis(fake_stages.diagnosis()):  # type: ignore[misc]
        def explain_by(self, method: str) -> None:
            check_method(method)

    fake_stages.install(monkeypatch, [*fake_stages.whole_house()[:-1], Diagnosis])
    film = write_16_bit(tmp_path / "film.png", chest_pixels(60, 60))
    result = CliRunner().invoke(main, ["analyze", str(film), "--out", str(tmp_path / "o"), "--heatmaps", "x"])
    assert result.exit_code == 2
    assert "heatmaps by 'x' are not known" in result.stderr
    plain, asked = Analyzer(device="cpu"), Analyzer(device="cpu", heatmaps="cam")
    assert plain.stage_keys["diagnosis"] != asked.stage_keys["diagnosis"]
    assert plain.stage_keys["bone"] == asked.stage_keys["bone"]
