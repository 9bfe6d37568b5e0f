"""The graph, the plug-ins, the grids: order, messages, exact ways back."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import GraphError, InputError, RecipeError, StageError
from suite.grid import Grid
from suite.stages import plugins
from suite.stages.contract import Artifact, Inputs, Outputs, check_outputs
from suite.stages.graph import ordered, with_requirements


def stage(name: str, needs: str = "", makes: str = "", uses: str = "") -> Any:
    class Made:
        weights_sha256 = None
        device = "cpu"

        def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
            return [{artifact: Artifact(name) for artifact in self.makes} for _ in studies]

    Made.name, Made.needs = name, frozenset(needs.split())
    Made.uses, Made.makes = frozenset(uses.split()), frozenset(makes.split())
    return Made


def house() -> dict[str, Any]:
    stages = [
        stage("diagnosis", "frontal lung_mask bone_subtracted", "findings", uses="lateral"),
        stage("bone", "frontal", "bone_subtracted bone_suppressed"),
        stage("lungs", "frontal", "lung_mask"),
        stage("triage", "frontal", "triage"),
        stage("gate", "frontal", "gate"),
    ]
    return {made.name: made for made in stages}


def test_the_gate_is_first_and_makers_come_before_users() -> None:
    assert ordered(house()) == ("gate", "bone", "lungs", "triage", "diagnosis")


def test_a_stage_brings_what_it_builds_on_and_nothing_else() -> None:
    assert with_requirements(["diagnosis"], house()) == ("gate", "bone", "lungs", "diagnosis")
    assert with_requirements(["lungs"], house()) == ("gate", "lungs")


def test_an_input_nobody_makes_is_named() -> None:
    with pytest.raises(
        GraphError, match="stage diagnosis needs 'bone_subtracted', which no installed stage makes"
    ):
        ordered({name: made for name, made in house().items() if name != "bone"})


def test_two_makers_are_named() -> None:
    stages = {**house(), "lungs2": stage("lungs2", "frontal", "lung_mask")}
    with pytest.raises(GraphError, match="lungs and lungs2 both make 'lung_mask'"):
        ordered(stages)


def test_a_circle_is_named() -> None:
    stages = {"a": stage("a", "y", "x"), "b": stage("b", "x", "y")}
    with pytest.raises(GraphError, match=r"in a circle \((a -> b -> a|b -> a -> b)\)"):
        ordered(stages)


def test_an_unknown_stage_lists_the_known_ones() -> None:
    with pytest.raises(GraphError, match="stage 'heart' is not available; use one of bone, diagnosis, gate"):
        with_requirements(["heart"], house())


def test_a_stage_that_breaks_its_promise_is_found_out() -> None:
    made = stage("lungs", "frontal", "lung_mask")()
    with pytest.raises(StageError, match="returned 0 results for 1 studies"):
        check_outputs(made, [{}], [])
    with pytest.raises(StageError, match="made \\['heart'\\] but promised \\['lung_mask'\\]"):
        check_outputs(made, [{}], [{"heart": Artifact(None)}])


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    points: list[EntryPoint] = []
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point for point in points if point.group == group]
    )
    plugins.installed.cache_clear()
    yield points
    plugins.installed.cache_clear()


def test_a_broken_plugin_is_listed_and_named_when_used(entry_points: list[EntryPoint]) -> None:
    entry_points.append(EntryPoint("ghost", "no_such_package:Ghost", "suite.stages"))
    assert "ghost" in plugins.installed("suite.stages")
    with pytest.raises(GraphError, match=r"plug-in ghost \(no_such_package:Ghost\) does not load"):
        plugins.load_stage("ghost")


def test_one_name_from_two_packages_is_an_error(entry_points: list[EntryPoint]) -> None:
    entry_points += [EntryPoint("x", "a:X", "suite.stages"), EntryPoint("x", "b:X", "suite.stages")]
    with pytest.raises(GraphError, match="'x' is offered by both a:X and b:X"):
        plugins.installed("suite.stages")


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(InputError, match="stage 'nose' is not installed; use one of bone, diagnosis"):
        plugins.load_stage("nose")
    with pytest.raises(RecipeError, match="recipe 'nose' is not installed; use one of bone, diagnosis"):
        plugins.load_recipe("nose")


SIDES = st.integers(33, 300)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.sampled_from([64, 128, 256]), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_point_on_a_letterboxed_grid_finds_back(
    rows: int, columns: int, size: int, y: float, x: float
) -> None:
    """A bright spot planted in the film is found at the same place after there and back."""
    grid = Grid.of((rows, columns)).square().resize(size)
    film = np.zeros((rows, columns), np.float32)
    row, column = int(y * rows), int(x * columns)
    film[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = 1.0
    small = grid.apply(film)
    assert small.shape == (size, size)
    peak = np.array(np.nonzero(small > 0.5 * small.max())).mean(axis=1)
    at_x, at_y = grid.point_to_source((peak[1] + 0.5, peak[0] + 0.5))
    tolerance = max(rows, columns) / size + 1.0
    true_rows, true_columns = (axis.mean() + 0.5 for axis in np.nonzero(film))
    assert abs(at_x - true_columns) <= tolerance
    assert abs(at_y - true_rows) <= tolerance
    back = grid.invert(small)
    assert back.shape == film.shape
    where = np.array(np.nonzero(back > 0.5 * back.max())).mean(axis=1) + 0.5
    assert np.abs(where - [true_rows, true_columns]).max() <= tolerance


def test_padding_is_undone_exactly() -> None:
    film = np.arange(35 * 50, dtype=np.float32).reshape(35, 50)
    for grid in (Grid.of(film.shape).square(), Grid.of(film.shape).to_multiple(16)):
        np.testing.assert_array_equal(grid.invert(grid.apply(film)), film)
    assert Grid.of(film.shape).to_multiple(16).shape == (48, 64)


def test_an_array_of_another_grid_is_refused() -> None:
    with pytest.raises(InputError, match="does not lie on this grid"):
        Grid.of((10, 12)).apply(np.zeros((12, 10), np.float32))
