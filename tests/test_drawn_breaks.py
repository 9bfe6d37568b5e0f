"""Breaks drawn into bone layers: where they are, what they do, and that film and layer stay consistent."""

import math

import pytest
import torch
from torch import Tensor

from gan.drawn_breaks import ALONG_MM, FIELD_MM, BreakShape, DrawnBreaks, LocalFrame, directions, find_places
from gan.drawn_breaks import moved as move
from gan.drawn_tissue import DrawnTissue
from gan.losses import change_error
from gan.variation import Geometry, Variation

SIDE = 256
SPACING = FIELD_MM / SIDE
BAR = slice(120, 128)


def bar(down: bool = False) -> Tensor:
    """A bone across the film, or down it: (1, 1, SIDE, SIDE)."""
    layer = torch.zeros(1, 1, SIDE, SIDE)
    layer[:, :, BAR] = 0.2
    return layer.transpose(2, 3) if down else layer


def lungs() -> Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 40:216, 20:110] = 1.0
    return mask


def one(value: float) -> Tensor:
    return torch.full((1, 1, 1, 1), value)


def shaped(step: float = 0.0, gap: float = 0.0, depth: float = 0.0, healing: float = 0.0) -> BreakShape:
    """A break in the middle of the bar, at right angles to it."""
    middle, across = torch.tensor([[SIDE / 2, 123.5]]), torch.tensor([math.pi / 2])
    frame = LocalFrame.of(bar(), middle, across, SPACING)
    return frame.shape(one(1.0), one(step), one(gap), one(depth), one(healing), one(0.0))


def centre(layer: Tensor, column: int) -> float:
    """Row on which the bone of a column lies."""
    values = layer[0, 0, :, column]
    return float((values * torch.arange(SIDE)).sum() / values.sum())


def test_the_ends_lie_a_step_apart_and_the_bone_far_away_where_it_lay() -> None:
    broken = move(bar(), shaped(step=6.0).shift)
    apart = abs(centre(broken, SIDE // 2 + 3) - centre(broken, SIDE // 2 - 3)) * SPACING
    assert apart == pytest.approx(6.0, rel=0.25)
    far = round(ALONG_MM / SPACING) + 2
    assert centre(broken, SIDE // 2 + far) == pytest.approx(centre(bar(), SIDE // 2 + far), abs=1e-3)


def test_the_ends_of_a_break_without_a_step_stay() -> None:
    assert torch.equal(shaped().shift, torch.zeros(1, 2, SIDE, SIDE))


def test_a_gap_lacks_its_share_of_the_bone_on_the_break_alone() -> None:
    factor = shaped(gap=3.0, depth=0.8).factor
    assert float(factor.min()) == pytest.approx(0.2, abs=0.02)
    assert float(factor[..., : SIDE // 2 - 6].min()) == pytest.approx(1.0)


def test_a_callus_is_brightest_at_the_break() -> None:
    callus = shaped(healing=1.0).callus[0, 0]
    assert float(callus.max()) == pytest.approx(0.6, abs=0.02)
    row, column = divmod(int(callus.argmax()), SIDE)
    assert abs(row - 123.5) <= 1
    assert abs(column - SIDE / 2) <= 1


@pytest.mark.parametrize(("down", "expected"), [(False, math.pi / 2), (True, 0.0)])
def test_a_break_runs_across_its_bone(down: bool, expected: float) -> None:
    layer = bar(down)
    angles = directions(layer)[0, 0]
    along = angles[15, 4:28] if not down else angles[4:28, 15]
    turned = torch.remainder(along - expected + math.pi / 2, math.pi) - math.pi / 2
    assert float(turned.abs().max()) < 0.05


def test_places_are_on_bone_over_the_lungs() -> None:
    torch.manual_seed(0)
    places, _ = find_places((bar() * lungs()).expand(4, 1, SIDE, SIDE), 8)
    columns, rows = places[..., 0], places[..., 1]
    assert bool(((columns >= 16) & (columns < 112)).all())
    assert bool(((rows >= 112) & (rows < 136)).all())


def test_nothing_is_broken_where_no_break_is_drawn() -> None:
    torch.manual_seed(0)
    layer, zone = DrawnBreaks(4, share=0.0)(bar(), lungs(), SIDE)
    assert torch.allclose(layer, bar(), atol=1e-6)
    assert not zone.any()


def test_a_film_without_bone_over_its_lungs_is_left_alone() -> None:
    torch.manual_seed(0)
    layer, _ = DrawnBreaks(4, share=1.0)(torch.zeros_like(bar()), lungs(), SIDE)
    assert not layer.any()


def test_bone_changes_near_its_breaks_alone() -> None:
    torch.manual_seed(0)
    layer, zone = DrawnBreaks(1, share=1.0, displaced=1.0)(bar(), lungs(), SIDE)
    changed = (layer - bar()).abs() > 1e-4
    columns = torch.nonzero(zone[0, 0].any(0)).flatten()
    reach = (ALONG_MM + 12.0) / SPACING
    beyond = torch.arange(SIDE)
    away = (beyond < columns.min() - reach) | (beyond > columns.max() + reach)
    assert bool(changed[..., ~away].any())
    assert not bool(changed[..., away].any())


def test_a_square_of_a_film_has_breaks_of_the_same_size_in_pixels() -> None:
    whole = LocalFrame.of(bar(), torch.tensor([[128.0, 123.5]]), torch.tensor([math.pi / 2]), SPACING)
    torch.manual_seed(3)
    _, zone = DrawnBreaks(1, share=1.0)(bar()[..., :128], lungs()[..., :128], SIDE)
    columns = torch.nonzero(zone[0, 0].any(0)).flatten()
    expected = int((whole.along.abs() < 11.0).any(2).sum())
    assert abs(len(columns) - expected) <= 2


def test_film_and_layer_of_a_broken_chest_have_the_same_soft_tissue() -> None:
    torch.manual_seed(0)
    still = Geometry(degrees=0.0, shift=0.0, scale=(1.0, 1.0))
    soft = 0.3 + 0.2 * torch.rand(1, 1, SIDE, SIDE)
    pair = torch.cat((soft + bar(), bar()), dim=1)
    regions = torch.cat((lungs(), torch.zeros_like(lungs())), dim=1)
    breaks = DrawnBreaks(4, share=1.0, displaced=1.0)
    vary = Variation(still, tone=0.0, strength=(1.0, 1.0), noise=0.0, breaks=breaks)
    varied, marked = vary(pair, regions)
    (broken, whole), (zone, nothing) = varied.chunk(2), marked.chunk(2)
    assert torch.allclose(broken[:, :1] - broken[:, 1:], whole[:, :1] - whole[:, 1:], atol=1e-5)
    assert float((broken[:, 1:] - whole[:, 1:]).abs().max()) > 0.05
    assert min(float((whole[:, 1:] - one).abs().max()) for one in (bar(), bar().flip(-1))) < 1e-5
    assert float(zone[:, 1].max()) == 1.0
    assert not nothing[:, 1].any()


def test_a_broken_film_differs_from_the_whole_one_by_its_break_alone_however_it_is_shown() -> None:
    torch.manual_seed(0)
    pair = torch.cat((0.4 + bar(), bar()), dim=1).repeat(4, 1, 1, 1)
    regions = torch.cat((lungs(), torch.zeros_like(lungs())), dim=1).repeat(4, 1, 1, 1)
    varied, _ = Variation(tone=1.0, breaks=DrawnBreaks(4, share=1.0, displaced=1.0))(pair, regions)
    broken, whole = varied.chunk(2)
    change = broken - whole
    within = ((varied[:, :1] > 0) & (varied[:, :1] < 1)).chunk(2)  # where noise was not cut off
    apart = (change[:, :1] - change[:, 1:])[within[0] & within[1]]
    assert float(apart.abs().max()) < 1e-5
    assert float(change[:, 1:].abs().amax((1, 2, 3)).min()) > 0.02


def test_the_error_of_a_change_counts_what_is_healed_and_what_is_passed_on() -> None:
    whole, broken = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    tissue = torch.rand(2, 1, 16, 16)
    true = torch.cat((broken, whole))
    films = true + torch.cat((tissue, tissue))
    assert float(change_error(true, true, films)) == 0.0
    assert float(change_error(true + 0.3, true, films)) == pytest.approx(0.0, abs=1e-5)
    healed = torch.cat((whole, whole))
    assert float(change_error(healed, true, films)) == pytest.approx(1.0, abs=1e-4)
    half = torch.cat((whole + 0.5 * (broken - whole), whole))
    assert float(change_error(half, true, films)) == pytest.approx(0.25, abs=1e-4)
    opaque = torch.cat((whole + tissue, whole))  # no break, and tissue that comes
    assert float(change_error(healed, healed, opaque)) == 0.0
    assert float(change_error(opaque, healed, opaque)) == pytest.approx(1.0)
    assert float(change_error(opaque, healed, healed)) == 0.0  # no film changed
    true[1] = half[1] = whole[1]
    films[1] = films[3]  # the second film did not change, and does not count
    assert float(change_error(half, true, films)) == pytest.approx(0.25, abs=1e-4)


def test_soft_tissue_comes_and_goes_without_a_change_of_the_layer() -> None:
    torch.manual_seed(0)
    pair = torch.cat((0.4 + bar(), bar()), dim=1)
    regions = torch.cat((lungs(), torch.zeros_like(lungs())), dim=1)
    still = Geometry(degrees=0.0, shift=0.0, scale=(1.0, 1.0))
    vary = Variation(still, 0.0, (1.0, 1.0), 0.0, None, DrawnTissue(6, share=1.0))
    changed, whole = vary(pair, regions)[0].chunk(2)
    assert torch.allclose(changed[:, 1:], whole[:, 1:], atol=1e-6)
    assert float((changed[:, :1] - whole[:, :1]).abs().max()) > 0.009


def test_opacities_lie_in_the_lungs_and_are_a_few_millimetres_wide() -> None:
    torch.manual_seed(1)
    round_ones = DrawnTissue(1, share=1.0, long=0.0)
    added = round_ones(lungs().repeat(16, 1, 1, 1), SIDE)[:, 0].abs()
    for film in added:
        row, column = divmod(int(film.argmax()), SIDE)
        assert 40 - 8 <= row < 216 + 8
        assert 20 - 8 <= column < 110 + 8
        area = float((film > film.max() / 2).sum()) * SPACING**2
        assert 2.0 < math.sqrt(area * 4 / math.pi) < 26.0
    assert float(added.amax((1, 2)).min()) > 0.008  # its middle may lie between two pixels
    assert float(added.amax((1, 2)).max()) <= 0.08
