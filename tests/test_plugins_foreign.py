"""A package of somebody else: its stage and recipe are found, listed and run; a broken one stops nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suite.analysis import Analyzer
from suite.cli import main
from suite.errors import GraphError, StageError
from suite.stages import plugins
from suite.stages.contract import Artifact, check_outputs
from suite.study import Study
from tests import fake_stages
from tests.made_films import chest, chest_pixels, write_16_bit

STAGE = """
import numpy as np
from suite.stages.artifacts import Measured
from suite.stages.contract import Artifact

class Brightness:
    name, weights_sha256 = "brightness", None
    needs, uses = frozenset({"frontal"}), frozenset()
    makes = frozenset({"brightness", "bright_mask"})

    def __init__(self, device):
        self.device = device

    def run(self, studies):
        films = [study["frontal"].value.pixels for study in studies]
        return [
            {
                "brightness": Artifact(Measured({"mean_grey": float(film.mean())})),
                "bright_mask": Artifact((film > 0.5).astype(np.uint8)),
            }
            for film in films
        ]

class Unbuildable(Brightness):
    name, makes = "unbuildable", frozenset({"nothing"})

    def __init__(self, device):
        raise RuntimeError("libfoo.so.3 is not there")

class Shapeless:
    name = "shapeless"
"""
BROKEN = {
    "ghost": "foreign.absent:Ghost",
    "leaving": "foreign.leaving:Stage",
    "shapeless": "foreign.stage:Shapeless",
    "unbuildable": "foreign.stage:Unbuildable",
    "alias": "foreign.stage:Brightness",
}

Install = Callable[..., None]


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with the given stages and recipes where the interpreter looks for packages."""
    site = tmp_path / "site"
    package, metadata = site / "foreign", site / "foreign-1.0.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stage.py").write_text(STAGE)
    (package / "leaving.py").write_text("raise SystemExit(3)\n")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")

    def install(stages: dict[str, str], recipes: dict[str, str]) -> None:
        groups = {"suite.stages": stages, "suite.recipes": recipes}
        lines = [
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in groups.items()
        ]
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(site))
        plugins.installed.cache_clear()

    yield install
    monkeypatch.undo()
    plugins.installed.cache_clear()


def test_it_is_found_and_run_beside_broken_ones(foreign: Install, tmp_path: Path) -> None:
    foreign({"brightness": "foreign.stage:Brightness", **BROKEN}, {})
    film = write_16_bit(tmp_path / "film.png", chest_pixels(96, 80))
    result = CliRunner().invoke(
        main,
        ["analyze", str(film), "--out", str(tmp_path / "out"), "--stages", "brightness", "--override-gate"],
    )
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out/film/report.json").read_text())
    assert 0.0 < report["measurements"]["mean_grey"] < 1.0
    assert report["images"]["bright_mask"] == "bright_mask.png"
    assert [run["name"] for run in report["provenance"]["stages"]] == ["gate", "brightness"]


def test_each_broken_one_is_one_sentence_and_the_others_are_built(
    foreign: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign({"brightness": "foreign.stage:Brightness", **BROKEN}, {})
    names = ["brightness", *BROKEN]
    monkeypatch.setattr("suite.stages.selection.installed", lambda _group: dict.fromkeys(names))
    analyzer = Analyzer(device="cpu")
    assert analyzer.stage_names == ("brightness",)
    said = "\n".join(analyzer.faults)
    assert len(analyzer.faults) == len(BROKEN)
    assert "plug-in ghost (foreign.absent:Ghost) does not load: No module named" in said
    assert "plug-in leaving (foreign.leaving:Stage) does not load: SystemExit: 3" in said
    assert "plug-in shapeless (foreign.stage:Shapeless) is no stage: its class does not say its needs" in said
    assert "stage unbuildable cannot be built (RuntimeError: libfoo.so.3 is not there)" in said
    assert "plug-in alias (foreign.stage:Brightness) is installed under another name than its own" in said


def test_the_doctor_names_it_and_goes_on(foreign: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(BROKEN, {})
    monkeypatch.setattr("suite.commands.doctor.installed", lambda _group: dict.fromkeys(BROKEN))
    monkeypatch.setattr("suite.commands.doctor.shipped_cards", lambda: ())
    result = CliRunner().invoke(main, ["doctor", "--json"])
    found = {each["name"]: each for each in json.loads(result.stdout)}
    assert not any(found[f"Stage {name}"]["well"] for name in BROKEN)
    assert "libfoo.so.3" in found["Stage unbuildable"]["detail"]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("foreign.stage:Shapeless", "is no recipe: it is no suite.training.task.Task"),
        ("foreign.leaving:Task", "does not load: SystemExit: 3"),
    ],
)
def test_a_recipe_that_is_none_is_one_sentence(foreign: Install, point: str, words: str) -> None:
    foreign({}, {"odd": point})
    with pytest.raises(GraphError, match=words):
        plugins.load_recipe("odd")


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (None, "returned no list of results but a NoneType"),
        ([None], "returned a NoneType where artifacts by name are due"),
        ([{"heart_mask": np.zeros((4, 4), np.uint8)}], "made heart_mask as a bare ndarray"),
    ],
)
def test_results_of_another_kind_are_found_out(outputs: object, words: str) -> None:
    stage = fake_stages.fake("heart", "frontal", "heart_mask", lambda _study: {})("cpu")
    with pytest.raises(StageError, match=words):
        check_outputs(stage, [{}], outputs)  # type: ignore[arg-type]


def test_a_mask_of_another_size_than_its_film_is_no_picture_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = fake_stages.fake(
        "heart", "frontal", "heart_mask", lambda _study: {"heart_mask": Artifact(np.zeros((4, 5), np.uint8))}
    )
    fake_stages.install(monkeypatch, [small])
    with pytest.raises(StageError, match="the mask heart_mask has 4 x 5 pixels and its film 120 x 100"):
        Analyzer(device="cpu").run(Study("s1", chest(120, 100)))
