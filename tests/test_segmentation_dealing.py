"""Which films an epoch shows, and the measuring of many at a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segmentation.dealing import Dealt
from segmentation.films import BATCH, answers, over_films, plane_dice
from segmentation.scores import dice
from suite.datasets.manifest import Record
from suite.training.bank import FULL_SCALE, Bank


def epochs(dealt: Dealt, count: int) -> list[list[int]]:
    found = []
    for epoch in range(count):
        dealt.deal(epoch)
        found.append([int(dealt[row]["index"]) for row in range(len(dealt))])
    return found


def flat(shown: list[list[int]]) -> list[int]:
    return [row for epoch in shown for row in epoch]


def test_groups_have_their_shares_however_many_films_they_have() -> None:
    dealt = Dealt([[0, 1], range(2, 102)], (0.25, 0.75), 40)
    for shown in epochs(dealt, 3):
        assert len(shown) == 40
        assert sum(row < 2 for row in shown) == 10


def test_within_a_group_every_film_comes_as_often_as_any_other() -> None:
    shown = flat(epochs(Dealt([range(7), range(7, 9)], (1.0, 1.0), 12), 14))  # 6 of either an epoch
    counts = Counter(shown)
    assert {counts[row] for row in range(7)} == {12}
    assert {counts[row] for row in range(7, 9)} == {42}


def test_a_large_group_shows_all_its_films_before_one_comes_again() -> None:
    shown = epochs(Dealt([range(50)], (1.0,), 10), 5)
    assert sorted(flat(shown)) == list(range(50))


def test_without_a_length_every_film_comes_once() -> None:
    (shown,) = epochs(Dealt([range(5)], (1.0,)), 1)
    assert sorted(shown) == list(range(5))
    assert shown != list(range(5))


def test_a_deal_is_the_same_whenever_it_is_made() -> None:
    first = epochs(Dealt([range(20)], (1.0,), 8, seed=3), 4)
    dealt = Dealt([range(20)], (1.0,), 8, seed=3)
    dealt.deal(3)
    assert [int(dealt[row]["index"]) for row in range(8)] == first[3]
    assert epochs(Dealt([range(20)], (1.0,), 8, seed=4), 1) != first[:1]


@pytest.mark.parametrize(("groups", "count"), [([[], [4, 5]], 4), ([[4, 5], []], 4), ([[], []], 0)])
def test_a_group_without_films_leaves_its_share_to_the_others(groups: list[list[int]], count: int) -> None:
    dealt = Dealt(groups, (0.5, 0.5), 4)
    assert len(dealt) == count
    assert set(flat(epochs(dealt, 1))) == ({4, 5} if count else set())


def test_films_are_measured_in_their_order() -> None:
    records = [Record(str(place), str(place), Path("x.png")) for place in range(30)]
    assert over_films(lambda record: record.id, records) == [str(place) for place in range(30)]


def test_a_failure_while_measuring_is_told() -> None:
    def fails(record: Record) -> None:
        raise ValueError(record.id)

    with pytest.raises(ValueError, match="7"):
        over_films(fails, [Record("7", "7", Path("x.png"))])


class Doubling(nn.Module):
    """Logits that are twice the film."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, film: Tensor) -> Tensor:
        return self.factor * film


def test_a_network_answers_every_film_of_a_bank_in_order() -> None:
    film = torch.arange(BATCH + 3, dtype=torch.int16).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    told = [(batch["film"], logits) for batch, logits in answers(Doubling(), Bank({"film": film}))]
    assert [len(logits) for _, logits in told] == [BATCH, 3]
    every = torch.cat([logits for _, logits in told])[:, 0, 0, 0]
    assert torch.allclose(every, 2 * torch.arange(BATCH + 3) / FULL_SCALE)


def test_dice_of_planes_is_that_of_masks() -> None:
    torch.manual_seed(0)
    predicted, truth = torch.rand(3, 2, 9, 9) > 0.4, torch.rand(3, 2, 9, 9) > 0.6
    predicted[0, 0] = truth[0, 0] = False
    found = plane_dice(predicted, truth)
    for film in range(3):
        for plane in range(2):
            masks = (each[film, plane].byte().numpy() for each in (predicted, truth))
            assert float(found[film, plane]) == pytest.approx(dice(*masks))
    assert float(found[0, 0]) == 1.0
