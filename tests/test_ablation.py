"""The ablation: its plan, its figures against ones made by hand, and the command from films to table."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_hex

from classifiers.ablation import command
from classifiers.ablation import folder as ablation_folder
from classifiers.ablation import processes as ablation_processes
from classifiers.ablation.films import films_key
from classifiers.ablation.forest import forest_plot
from classifiers.ablation.plan import FULL, LEAVE_ONE_OUT, VARIANTS, choose
from classifiers.ablation.predictions import Scored, read_predictions
from classifiers.ablation.runs import OWN_KEYS, Outcome, Plan, Run, recorded_recipe
from classifiers.ablation.statistics import ALL, FREQUENT, summarise
from classifiers.ablation.tables import markdown, write_all
from classifiers.diagnosis.recipe import DiagnosisRecipe
from suite.cli import main
from suite.datasets import phantom
from suite.datasets.digests import data_digest
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import open_dataset
from suite.errors import InputError, StorageError
from suite.findings import CODES
from suite.phantom.cohort import CohortSettings, parse_prevalence, write_cohort
from suite.stages.weights import FORMAT as CARD_FORMAT
from suite.stages.weights import REQUIRED, in_place_of_shipped
from suite.training.delong import placements
from suite.training.patient_draws import patient_weight_blocks, patient_weights, weighted_areas
from tests import made_datasets
from tests.made_cohort import STUDIES, cohort, cohort_folder  # noqa: F401 - fixtures

COUNT = 120
FRACTURE = CODES.index("fracture")


def scored(
    strength: float, seed: int, truth_seed: int = 0, noise: float = 1.0, studies: str = "study"
) -> Scored:
    """Scores that know every finding by ``strength`` standard deviations."""
    truth = (np.random.default_rng(truth_seed).random((COUNT, len(CODES))) < 0.3).astype(np.float64)
    truth[:, 0] = math.nan  # a finding the set does not know
    truth[:, 1] = 0.0
    truth[:5, 1] = 1.0  # and a rare one
    rng = np.random.default_rng(seed)
    scores = np.nan_to_num(truth) * strength + noise * rng.normal(size=truth.shape)
    hits = np.where(truth > 0, (rng.random(truth.shape) < 0.5), math.nan)
    areas = np.where(truth > 0, 0.1, math.nan)
    ages = tuple(str(20 + index % 60) for index in range(COUNT))
    attributes = {
        "source": ("phantom",) * COUNT, "view": ("PA", "AP") * (COUNT // 2),
        "age": ages, "sex": ("F", "M", "") * (COUNT // 3),
    }  # fmt: skip
    names = tuple(f"{studies} {index}" for index in range(COUNT))
    patients = tuple(f"patient {index // 2}" for index in range(COUNT))
    return Scored(names, patients, attributes, truth, scores, hits, areas)


# the plan


def record(targets: tuple[str, ...]) -> Record:
    return Record("a", "a", Path("a.png"), targets=dict.fromkeys(targets, Path("b.png")))


def test_real_films_have_no_ceiling_and_no_second_exposure() -> None:
    real = Manifest("nih", (record(()),))
    computed = Manifest("phantom", (record(("bone", "low", "high", "tissue")),))
    names = [variant.name for variant in choose((), [real], leave_one_out=False)]
    assert names == ["single", "dual", "dual+lungs", FULL, "placebo"]
    everything = [variant.name for variant in choose((), [computed], leave_one_out=True)]
    assert everything[:7] == [variant.name for variant in VARIANTS]
    assert everything[7:] == ["without x-ray", "without lung-segmented", "without lateral"]
    assert len(choose((), [real, computed], leave_one_out=False)) == 5


def test_an_unknown_configuration_is_named() -> None:
    with pytest.raises(InputError, match="configuration 'triple' is not known; use some of single, dual"):
        choose(("triple",), [], leave_one_out=False)


# figures


def test_weighted_areas_are_those_of_the_rows_drawn() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random(40) < 0.4).astype(np.float64)
    scores = np.round(rng.normal(truth, 1.0), 1)
    weights = patient_weights([f"p{index // 3}" for index in range(40)], rng, draws=20)
    for row, area in zip(weights, weighted_areas(truth, scores, weights), strict=True):
        drawn = np.repeat(np.arange(40), row.astype(int))
        assert area == pytest.approx(placements(truth[drawn], scores[drawn]).auc)


def test_patients_are_drawn_whole() -> None:
    weights = patient_weights(["a", "b", "a", "c"], np.random.default_rng(0), draws=50)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()


def test_draws_in_blocks_and_all_at_once_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds few weights at a time and what holds all of them resample the same patients."""
    patients = ["a", "b", "a", "c"]
    whole = patient_weights(patients, np.random.default_rng(0), draws=50)
    monkeypatch.setattr("suite.training.patient_draws._AT_ONCE", 12)
    blocks = list(patient_weight_blocks(patients, np.random.default_rng(0), draws=50))
    assert [len(block) for block in blocks] == [3] * 16 + [2]
    assert np.array_equal(np.concatenate(blocks), whole)


def test_a_placebo_that_changes_nothing_differs_by_nothing() -> None:
    runs = {"dual+lungs": [scored(1.0, 1), scored(1.0, 2)], "placebo": [scored(1.0, 1), scored(1.0, 2)]}
    differences = summarise(runs, draws=100).differences
    assert {(d.first, d.second) for d in differences} == {("placebo", "dual+lungs")}
    assert {d.value for d in differences} == {0.0}
    assert {d.p_holm for d in differences if d.finding in CODES} == {1.0}


def test_figures_are_means_over_seeds_and_a_true_difference_is_found() -> None:
    weak, strong = [scored(0.5, seed) for seed in (1, 2, 3)], [scored(3.0, seed) for seed in (4, 5, 6)]
    found = summarise({"dual+lungs": weak, FULL: strong}, draws=200)
    area = found.areas[FULL]["fracture"]
    by_hand = [placements(s.truth[:, FRACTURE], s.scores[:, FRACTURE]).auc for s in strong]
    assert area.figure.value == pytest.approx(np.mean(by_hand))
    assert area.seed_deviation == pytest.approx(np.std(by_hand, ddof=1))
    assert area.figure.low < area.figure.value < area.figure.high
    difference = next(d for d in found.differences if d.finding == "fracture")
    assert (difference.first, difference.second) == (FULL, "dual+lungs")
    assert difference.low > 0.1
    assert difference.p < difference.p_holm < 0.01
    mean = next(d for d in found.differences if d.finding == ALL)
    assert mean.low < mean.value < mean.high


def test_unknown_findings_have_no_figure_and_rare_ones_leave_the_second_mean() -> None:
    found = summarise({"single": [scored(1.0, 1)]}, draws=50)
    areas = found.areas["single"]
    assert math.isnan(areas[CODES[0]].figure.value)
    assert areas[CODES[1]].positives == 5
    known = [areas[code].figure.value for code in CODES[1:]]
    assert areas[ALL].figure.value == pytest.approx(np.mean(known))
    assert areas[FREQUENT].figure.value == pytest.approx(np.mean(known[1:]))
    assert (areas[ALL].figure.n, areas[FREQUENT].figure.n) == (12, 11)


def test_hit_rates_count_studies_that_show_the_finding() -> None:
    one = scored(1.0, 1)
    found = summarise({"single": [one]}, draws=10)
    shown = one.truth[:, FRACTURE] > 0
    assert found.hits["single"]["fracture"] == pytest.approx(one.hits[shown, FRACTURE].mean())
    assert found.hits["chance"]["fracture"] == pytest.approx(0.1)
    assert CODES[0] not in found.hits["single"]


def test_subgroups_are_measured_on_their_own_studies() -> None:
    one = scored(1.0, 1)
    found = summarise({"single": [one]}, ("view", "age", "sex"), draws=10)
    assert set(found.subgroups) == {
        "view: AP", "view: PA", "age: under 40", "age: 40 to 64", "age: 65 and older", "sex: F", "sex: M",
    }  # fmt: skip
    rows = np.arange(COUNT) % 2 == 1
    areas = [
        placements(one.truth[rows, i], one.scores[rows, i]).auc
        for i in range(2, len(CODES))  # of the first nothing is known, of the second two studies are positive
    ]
    count, means = found.subgroups["view: AP"]
    assert (count, means["single"].figure.n) == (60, 11)
    assert means["single"].figure.value == pytest.approx(np.mean(areas))
    assert means["single"].figure.low < np.mean(areas) < means["single"].figure.high


def test_a_group_that_can_tell_of_no_finding_has_no_area() -> None:
    one = scored(1.0, 1)
    few = replace(one, attributes={**one.attributes, "view": ("PA",) * (COUNT - 6) + ("AP",) * 6})
    found = summarise({"single": [few]}, ("view",), draws=10)
    assert math.isnan(found.subgroups["view: AP"][1]["single"].figure.value)
    assert "| view: AP | 6 | 0 | - |" in markdown(found, [])


def test_a_table_says_that_studies_of_several_sets_are_ranked_together() -> None:
    """A network that knows which set a study is of, and nothing else, has an area of more than one half."""
    one = scored(1.0, 1)
    mixed = replace(one, attributes={**one.attributes, "source": ("nih", "phantom") * (COUNT // 2)})
    assert "ranked together" not in markdown(summarise({"single": [one]}, draws=10), [])
    found = summarise({"single": [mixed]}, ("source",), draws=10)
    text = markdown(found, [])
    assert "**Studies of nih and phantom are ranked together" in text
    assert {"source: nih", "source: phantom"} == set(found.subgroups)


def test_runs_on_other_studies_do_not_go_together() -> None:
    with pytest.raises(StorageError, match="measured on other studies"):
        summarise({"single": [scored(1.0, 1)], "dual": [scored(1.0, 1, studies="film")]})


def test_the_tables_hold_the_figures(tmp_path: Path) -> None:
    found = summarise({"dual+lungs": [scored(0.5, 1)], FULL: [scored(2.0, 2)]}, ("sex",), draws=50)
    text = write_all(tmp_path, found, ["Made by hand."])
    assert text == markdown(found, ["Made by hand."])
    area = found.areas[FULL]["fracture"].figure
    assert f"{area.value:.3f} ({area.low:.3f} - {area.high:.3f})" in text
    own = found.subgroups["sex: F"][1][FULL].figure
    assert f"({own.low:.3f} - {own.high:.3f}) |\n| sex: M | 40 |" in text
    assert "**dual+lungs** (1 seed): and the lung" in text
    with (tmp_path / "table.csv").open() as stream:
        rows = {(row["network"], row["finding"]): row for row in csv.DictReader(stream)}
    assert float(rows[FULL, "fracture"]["auc"]) == pytest.approx(area.value, rel=1e-5)
    assert rows[FULL, CODES[0]]["auc"] == ""
    with (tmp_path / "comparisons.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 12 + 2
    assert (tmp_path / "forest.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((tmp_path / "metrics.json").read_text())[f"mean_auc {FULL}"]["n"] == 12


def test_no_legend_of_the_forest_plot_lies_over_an_interval() -> None:
    figure = forest_plot(
        summarise({"dual+lungs": [scored(0.5, 1)], FULL: [scored(2.0, 2)]}, ("sex",), draws=50)
    )
    figure.draw_without_rendering()
    areas, differences = figure.axes
    legends = [*figure.legends, differences.get_legend()]
    assert len(legends) == 2
    for axes in (areas, differences):
        for legend in legends:
            assert not axes.bbox.overlaps(legend.get_window_extent())
        assert not any("_" in label.get_text() for label in axes.get_yticklabels())


def test_the_forest_plot_tells_networks_apart_without_colours_and_differences_from_networks() -> None:
    every = [variant.name for variant in (*VARIANTS, *LEAVE_ONE_OUT)]
    figure = forest_plot(summarise({name: [scored(1.0, 1)] for name in every}, draws=5))
    areas, differences = figure.axes
    markers = [bars.lines[0].get_marker() for bars in areas.containers]
    assert len(set(markers)) == len(every)
    colours = [
        {to_hex(bars.lines[0].get_color()) for bars in axes.containers} for axes in (areas, differences)
    ]
    assert len(colours[0]) == len(every)
    assert not colours[0] & colours[1]


def test_a_line_of_progress_leaves_out_what_is_not_known() -> None:
    run = Run(VARIANTS[0], 0)
    assert command._line(Outcome(run, 0.625, 5, 35.0, math.nan), 1, 20) == (
        "[1/20] single, seed 0: mean AUC 0.625, 5 samples in 35 s"
    )
    assert command._line(Outcome(run, math.nan, 5, 35.0, 14.0), 2, 20).endswith(
        "no AUC, 5 samples in 35 s (14 a second while training)"
    )


def test_an_interrupted_ablation_says_how_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Ablation, "run", interrupted)
    result = CliRunner().invoke(main, ["ablate", "--data", f"phantom={tmp_path}", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "interrupted; the finished networks are kept: repeat the command with --resume" in result.stderr


def test_a_question_is_answered_only_as_far_as_it_was_shown() -> None:
    weak, strong = [scored(0.5, seed) for seed in (1, 2)], [scored(3.0, seed) for seed in (3, 4)]
    runs = {"dual": strong, "dual+lungs": weak, FULL: strong, "placebo": weak}
    text = markdown(summarise(runs, draws=100), [])
    assert "the luck of its training is in no interval" not in text
    alone = markdown(summarise({name: seeds[:1] for name, seeds in runs.items()}, draws=10), [])
    assert "the luck of its training is in no interval" in alone
    answers = text.split("## Which inputs help?")[1].split("## Differences")[0]
    assert answers.count("| better |") == 4  # mean and fracture of two comparisons
    assert answers.count("| worse |") == 2
    assert answers.count("| not shown |") == 2


def test_a_submitted_ablation_goes_on_after_it_was_interrupted() -> None:
    from suite.jobs.models import JobKind
    from suite.jobs.training import TrainingRequest

    request = TrainingRequest(data={"phantom": Path("cohort")}, settings=("size=64",), resume=True)
    words = request.command(JobKind.ABLATION, Path("out"), "cpu")[3:]
    assert words == ["ablate", "--device", "cpu", "--data", "phantom=cohort", "--set", "size=64", "--resume",
                     "--out", "out"]  # fmt: skip


# the command

SMALL = ("size=64", "epochs=1", "batch_size=4", "precision=32-true", "limit=4", "lung_source=true")


def ablate(folder: Path, out: Path, *more: str, configurations: str = "dual,placebo") -> object:
    words = ["ablate", "--data", f"phantom={folder}", "--out", str(out), "--device", "cpu", "--seeds", "1"]
    words += ["--configurations", configurations, *(word for each in SMALL for word in ("--set", each))]
    return CliRunner().invoke(main, [*words, *more], catch_exceptions=False)


@pytest.fixture(scope="module")
def finished(cohort_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    out = tmp_path_factory.mktemp("ablation") / "out"
    result = ablate(cohort_folder, out)
    assert result.exit_code == 0, result.stderr
    assert "[2/2] placebo, seed 0: mean AUC" in result.stderr
    return out


def test_films_become_a_table(finished: Path, cohort: Manifest) -> None:  # noqa: F811
    text = (finished / "table.md").read_text()
    assert "14 studies of phantom" in text
    assert "| finding | positive | dual | placebo |" in text
    test_part = cohort.split(0, (0.65, 0.15, 0.2))["test"]
    for name in ("dual", "placebo"):
        read = read_predictions(finished / "runs" / f"{name}-seed0" / "predictions.csv")
        assert read.studies == tuple(record.id for record in test_part)
        expected = np.array([record.labels for record in test_part])
        np.testing.assert_array_equal(read.truth, expected)
        assert np.isfinite(read.scores).all()
        assert set(read.attributes["source"]) == {"phantom"}
    assert not list(finished.rglob("last.safetensors"))


def test_what_is_finished_is_not_trained_again(
    finished: Path,
    cohort_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("predictions.csv")}
    monkeypatch.setattr(ablation_processes, "train_one", lambda *_: pytest.fail("a network was trained"))
    result = ablate(cohort_folder, finished, "--resume")
    assert result.exit_code == 0
    assert "| finding | positive | dual | placebo |" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("predictions.csv")} == before


def test_an_ablation_goes_on_where_its_films_lie_elsewhere(
    finished: Path,
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = Path(shutil.copytree(finished, tmp_path / "moved"))
    films = Path(shutil.copytree(cohort_folder, tmp_path / "films"))
    assert str(cohort_folder) not in (moved / "ablation.json").read_text()
    monkeypatch.setattr(ablation_processes, "train_one", lambda *_: pytest.fail("a network was trained"))
    assert ablate(films, moved, "--resume").exit_code == 0


# what makes two ablations one


def test_an_ablation_of_an_older_release_knows_no_newer_keys_and_goes_on() -> None:
    """That of the documents, as it would have been before there were keys against noise."""
    state = json.loads((Path(__file__).parents[1] / "docs" / "ablation" / "ablation.json").read_text())
    for newer in ("noise", "gce_q"):
        del state["recipe"][newer]
    recipe = recorded_recipe(state)
    assert (recipe["noise"], recipe["map_weight"]) == ("none", state["recipe"]["map_weight"])
    assert {*recipe, *OWN_KEYS} == set(DiagnosisRecipe().model_dump())


def test_two_cohorts_of_one_seed_are_not_one_ablation(
    finished: Path,
    cohort: Manifest,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Of the same ids, one has other prevalence, the other other films only."""
    for folder, size, prevalence in (("sick", 64, "edema=0.9"), ("large", 96, "fracture=0.5")):
        settings = CohortSettings(seed=5, size=size, prevalence=parse_prevalence((prevalence,)))
        write_cohort(settings, STUDIES, tmp_path / folder)
        assert [record.id for record in phantom.read(tmp_path / folder)] == [each.id for each in cohort]
        result = ablate(tmp_path / folder, finished, "--resume")
        assert result.exit_code == 2
        assert "is an ablation with other data or settings" in result.stderr


def two_records() -> Manifest:
    labels = (1.0, 0.0, *(math.nan,) * (len(CODES) - 2))
    records = (Record(name, f"patient {name}", Path(f"{name}.png"), labels=labels) for name in "ab")
    return Manifest("phantom", tuple(records))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "c"},
        {"patient_id": "c"},
        {"labels": (math.nan, *(0.0,) * (len(CODES) - 1))},
        {"labels": (0.0, 1.0, *(math.nan,) * (len(CODES) - 2))},
        {"uncertain": (*(False,) * (len(CODES) - 1), True)},
    ],
)
def test_data_are_known_by_ids_patients_labels_and_flags(change: dict[str, Any]) -> None:
    whole = two_records()
    first, second = whole.records
    other = Manifest("phantom", (first, replace(second, **change)))
    assert data_digest(other) != data_digest(whole)
    moved = Manifest("phantom", (replace(first, frontal=Path("elsewhere.png")), second))
    assert data_digest(moved) == data_digest(two_records())


def test_data_are_known_by_their_order_and_by_the_cohorts_settings() -> None:
    whole = two_records()
    turned = Manifest("phantom", whole.records[::-1])
    digests = {data_digest(whole), data_digest(turned), *(data_digest(whole, text) for text in (b"", b"{}"))}
    assert len(digests) == 4


def stand_in_card(folder: Path, sha256: str) -> Path:
    """A model card whose weights are not looked at."""
    content = dict.fromkeys(REQUIRED, "") | {"format": CARD_FORMAT, "sha256": sha256}
    folder.mkdir(exist_ok=True)
    path = folder / "bone.json"
    path.write_text(json.dumps(content))
    return path


def test_decoded_films_are_known_by_labels_and_the_cohorts_settings(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The folder stays the same; one cohort is written where another was."""
    folder = Path(shutil.copytree(cohort_folder, tmp_path / "films"))
    plan = Plan({"phantom": folder}, {"lung_source": "true"}, tmp_path, "cpu", tmp_path)
    before = films_key(plan, VARIANTS)
    assert films_key(plan, VARIANTS) == before
    settings = json.loads((folder / "cohort.json").read_text())
    (folder / "cohort.json").write_text(json.dumps({**settings, "size": 96}))
    other_size = films_key(plan, VARIANTS)
    table = folder / "manifest.csv"
    head, first, *rest = table.read_text().splitlines()
    cells = dict(zip(head.split(","), first.split(","), strict=True))
    cells["edema"] = "0" if cells["edema"] == "1" else "1"
    table.write_text("\n".join([head, ",".join(cells.values()), *rest]) + "\n")
    assert len({before, other_size, films_key(plan, VARIANTS)}) == 3


def test_films_and_ablation_are_known_by_the_weights_that_made_the_films(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    def known(weights: str = "") -> tuple[str, str]:
        values = {"bone_weights": weights} if weights else {}
        plan = Plan({"phantom": cohort_folder}, values, tmp_path, "cpu", tmp_path)
        identity = ablation_folder._identity(plan, plan.recipe(VARIANTS[0], 0))
        return films_key(plan, VARIANTS), json.dumps(identity["films_made_with"])

    shipped = known()
    first, second = stand_in_card(tmp_path / "first", "1" * 64), stand_in_card(tmp_path / "second", "2" * 64)
    for name in ("lungs", "bone"):
        with in_place_of_shipped(name, first):
            other = known()
        assert other[0] != shipped[0]
        assert other[1] != shipped[1]
    one, two = known(str(first)), known(str(second))
    assert one[0] != two[0]
    assert one[1] != two[1]
    assert known(str(stand_in_card(tmp_path / "moved", "1" * 64))) == one, "a card lies in another folder"


def test_tables_can_be_made_of_what_there_is_without_the_films(finished: Path, tmp_path: Path) -> None:
    part = Path(shutil.copytree(finished, tmp_path / "part"))
    words = ["ablate", "--out", str(part), "--tables-only"]
    whole = CliRunner().invoke(main, words, catch_exceptions=False)
    assert (finished / "table.md").read_text() in whole.stdout
    (part / "runs" / "placebo-seed0" / "predictions.csv").unlink()
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert "1 of 2 networks are trained; these figures are not final" in result.stdout
    assert "| finding | positive | dual |" in result.stdout
    (part / "runs" / "dual-seed0" / "predictions.csv").unlink()
    assert "holds no finished network yet" in CliRunner().invoke(main, words).stderr
    nowhere = CliRunner().invoke(main, ["ablate", "--out", str(tmp_path), "--tables-only"])
    assert "is no ablation; name the folder" in nowhere.stderr
    assert "Missing option '--data'" in CliRunner().invoke(main, ["ablate", "--out", str(part)]).stderr


def test_sets_that_share_films_are_refused_before_a_film_is_decoded(tmp_path: Path) -> None:
    nih = made_datasets.nih(tmp_path / "nih")
    film = open_dataset("nih", nih).records[0].frontal
    (tmp_path / "site").mkdir()
    row = [str(film), "p", "1"]
    made_datasets.write_rows(tmp_path / "site" / "films.csv", ["file", "patient_id", "edema"], [row])
    words = ["ablate", "--data", f"nih={nih}", "--data", f"site={tmp_path / 'site'}", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*words, "--device", "cpu", "--configurations", "single"])
    assert result.exit_code == 2
    assert "is a film of both nih and site, which are split each by itself" in result.stderr
    assert not (tmp_path / "ablation.json").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "is an ablation"),
        (("--resume", "--set", "dropout=0.5"), "with other data or settings"),
        (("--set", "configuration=dual"), "is what the ablation varies; use --configurations"),
        (("--set", "speed=5"), "recipe key 'speed' is unknown"),
        (("--set", "nonsense"), "is not of the form key=value"),
        (("--seeds", "0"), "trains nothing; give 1 or more"),
        (("--processes", "-1"), "is no number of processes"),
        (("--subgroups", "shoe"), "--subgroups names 'shoe'; use some of source, view, age, sex"),
        (("--data", "nose=x"), "data set 'nose' is not known"),
    ],
)
def test_bad_input_gets_one_sentence(
    finished: Path,
    cohort_folder: Path,  # noqa: F811
    more: tuple[str, ...],
    words: str,
) -> None:
    result = ablate(cohort_folder, finished, *more)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.strip().count("\n") == 0
