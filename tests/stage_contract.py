"""What every stage must do, as one class: a stage's test names the stage and says what it needs and makes.

Example::

    class TestLungs(StageContract):
        name, needs, makes = "lungs", {"frontal"}, {"lung_mask"}

        @pytest.fixture(scope="class")
        @classmethod
        def stage(cls) -> Any:
            return LungsStage("cpu")
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Set
from typing import Any, ClassVar

import numpy as np
import pytest

from suite.grid import Grid
from suite.stages.artifacts import Check, GateResult
from suite.stages.contract import Artifact, Inputs, Outputs, Stage, check_outputs
from suite.stages.plugins import load_stage
from suite.study import Projection, Radiograph
from tests.made_films import artifact, chest, framed_by_constant_border

FILMS: dict[str, Radiograph] = {
    "tall": chest(301, 211, 1),
    "wide": chest(127, 222, 2),
    "tiny": chest(40, 50, 3),
    "smallest": chest(32, 32, 4),
    "strip": chest(32, 400, 5),
    "in a black border": framed_by_constant_border(180, 150, 40),
    "mostly border": framed_by_constant_border(200, 200, 90),
    "two greys": Radiograph(
        np.kron(np.eye(4), np.ones((20, 15))).astype(np.float32), Projection.PA, "two greys.png"
    ),
}


class Watched(Mapping[str, Artifact]):
    """A study's artifacts that remember which of them were asked for."""

    def __init__(self, artifacts: Inputs) -> None:
        self.artifacts = artifacts
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Artifact:
        self.asked.add(name)
        return self.artifacts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.artifacts)

    def __len__(self) -> int:
        return len(self.artifacts)


def study_of(film: Radiograph, names: Set[str]) -> dict[str, Artifact]:
    """The artifacts ``names`` of one film, made without a network: half discs as lungs, stripes as bones."""
    rows, columns = film.shape
    y, x = np.mgrid[0:rows, 0:columns]
    oval = ((y / rows - 0.5) / 0.4) ** 2 + ((x / columns - 0.5) / 0.4) ** 2 < 1
    mask = np.where(oval, np.where(x < columns / 2, 128, 255), 0).astype(np.uint8)
    bone = (0.2 * film.pixels * (y % 16 < 5)).astype(np.float32)
    grid = Grid.of(film.shape)
    lateral = chest(90, 70, 8, projection=Projection.LATERAL)
    every = {
        "frontal": artifact(film),
        "lateral": artifact(lateral),
        "lung_mask": Artifact(mask, grid),
        "bone_subtracted": Artifact(bone, grid),
        "bone_suppressed": Artifact(film.pixels - bone, grid),
        "gate": Artifact(GateResult((Check("view", True, 0.01, "It looks like a frontal view."),))),
    }
    return {name: every[name] for name in sorted(names)}


def numbers_in(value: Any) -> list[np.ndarray[Any, Any]]:
    """Every array and number in an artifact's value, in a fixed order; text as its bytes."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, bool | int | float | np.number):
        return [np.asarray(value)]
    if isinstance(value, str):
        return [np.frombuffer(value.encode(), np.uint8)]
    if isinstance(value, Mapping):
        return [number for key in sorted(value) for number in numbers_in(value[key])]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers_in(each)]
    if dataclasses.is_dataclass(value):
        return [
            number for field in dataclasses.fields(value) for number in numbers_in(getattr(value, field.name))
        ]
    return []


def assert_same(first: Outputs, second: Outputs, tolerance: float = 0.0) -> None:
    """Fail unless two results hold the same numbers, words and shapes."""
    assert first.keys() == second.keys()
    for name in first:
        numbers, others = numbers_in(first[name]), numbers_in(second[name])
        assert len(numbers) == len(others) > 0, name
        for number, other in zip(numbers, others, strict=True):
            assert number.shape == other.shape, name
            assert number.dtype == other.dtype, name
            np.testing.assert_allclose(number, other, rtol=tolerance, atol=tolerance, err_msg=name)


class StageContract:
    """Inherit, declare, and give a fixture ``stage``; the rest is here."""

    name: ClassVar[str]
    needs: ClassVar[Set[str]]
    uses: ClassVar[Set[str]] = frozenset()
    makes: ClassVar[Set[str]]

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> Any:
        raise NotImplementedError("a stage's test gives its stage")

    def inputs(self, film: Radiograph) -> dict[str, Artifact]:
        """A study with everything the stage needs and uses."""
        return study_of(film, self.needs | self.uses)

    def run(self, stage: Stage, *films: str, only: Set[str] | None = None) -> list[Outputs]:
        studies = [self.inputs(FILMS[film]) for film in films]
        if only is not None:
            studies = [{name: study[name] for name in study if name in only} for study in studies]
        outputs = stage.run(studies)
        check_outputs(stage, studies, outputs)
        return outputs

    def test_it_is_what_it_is_declared_to_be(self, stage: Any) -> None:
        assert isinstance(stage, Stage)
        assert stage.name == self.name
        assert (set(stage.needs), set(stage.uses), set(stage.makes)) == (self.needs, self.uses, self.makes)
        assert not stage.needs & stage.makes

    def test_it_is_installed_under_its_name(self, stage: Any) -> None:
        assert load_stage(self.name) is type(stage)

    def test_its_sha256_is_that_of_the_weights_file_and_the_card(self, stage: Any, card: Any) -> None:
        assert stage.weights_sha256 == card.sha256
        assert hashlib.sha256(card.weights_path.read_bytes()).hexdigest() == card.sha256

    def test_it_says_where_it_runs(self, stage: Any) -> None:
        assert stage.device == "cpu"

    def test_no_studies_give_no_results(self, stage: Any) -> None:
        assert stage.run([]) == []

    @pytest.mark.parametrize("film", FILMS)
    def test_any_film_gives_what_was_promised(self, stage: Any, film: str) -> None:
        for result in self.run(stage, film):
            for each in result.values():
                assert isinstance(each, Artifact)
                assert all(bool(np.isfinite(number).all()) for number in numbers_in(each.value))
                assert all(isinstance(line, str) and line for line in (*each.history, *each.warnings))

    @pytest.mark.parametrize("film", ["tall", "wide", "tiny"])
    def test_pictures_lie_on_the_grid_of_their_film(self, stage: Any, film: str) -> None:
        for each in self.run(stage, film)[0].values():
            if isinstance(each.value, np.ndarray):
                assert each.grid is not None
                assert each.grid.invert(each.value).shape == each.grid.source_shape == FILMS[film].shape

    def test_a_batch_is_read_as_its_studies_alone(self, stage: Any) -> None:
        films = ("tall", "tiny", "wide")
        together = self.run(stage, *films)
        assert len(together) == 3
        for film, result in zip(films, together, strict=True):
            assert_same(result, self.run(stage, film)[0], tolerance=1e-4)

    def test_it_says_the_same_twice(self, stage: Any) -> None:
        assert_same(self.run(stage, "tall")[0], self.run(stage, "tall")[0])

    def test_different_films_are_told_apart(self, stage: Any) -> None:
        first, second = self.run(stage, "tall"), self.run(stage, "in a black border")
        with pytest.raises(AssertionError):
            assert_same(first[0], second[0])

    def test_it_does_not_change_its_inputs(self, stage: Any) -> None:
        study = self.inputs(FILMS["tall"])
        before = copy.deepcopy({name: numbers_in(each.value) for name, each in study.items()})
        stage.run([study])
        for name, each in study.items():
            for number, kept in zip(numbers_in(each.value), before[name], strict=True):
                np.testing.assert_array_equal(number, kept, err_msg=name)

    def test_it_asks_for_nothing_it_did_not_declare(self, stage: Any) -> None:
        every = study_of(
            FILMS["tall"], {"frontal", "lateral", "lung_mask", "bone_subtracted", "bone_suppressed"}
        )
        watched = Watched(every)
        stage.run([watched])
        assert watched.asked <= self.needs | self.uses
        assert self.needs <= watched.asked

    def test_it_runs_on_its_needs_alone(self, stage: Any) -> None:
        assert len(self.run(stage, "tall", only=self.needs)) == 1

    def test_it_says_how_it_framed_the_film(self, stage: Any) -> None:
        lines = [line for each in self.run(stage, "tall")[0].values() for line in each.history]
        assert any("resized to" in line for line in lines)
        assert any("levels" in line for line in lines)

    def test_results_do_not_share_memory_with_the_film(self, stage: Any) -> None:
        study = self.inputs(FILMS["tall"])
        film = study["frontal"].value.pixels
        for each in stage.run([study])[0].values():
            assert not any(np.shares_memory(number, film) for number in numbers_in(each.value))
