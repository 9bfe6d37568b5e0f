"""Films a bone training cannot use: left out or refused, in every part, before anything is learned."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gan import usable
from gan.evaluation import limits_of
from gan.networks import build_generator
from gan.recipe import BoneRecipe
from gan.training import BoneTask
from suite.datasets.manifest import FilmFile, Manifest, Record, SplitName
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.study import FloatImage
from suite.training.command import train
from tests import made_datasets

TINY = ("size=64", "depth=5", "base=4", "discriminator_base=4", "precision=32-true", "first_size=64",
        "coarse_share=0", "break_films=0", "epochs=1", "batch_size=2")  # fmt: skip

MOVED_ROWS = 200
"""The studies that are to have moved are the ones with so many rows."""

Numbers = dict[SplitName, list[int]]


def numbers_of(counts: dict[SplitName, int]) -> Numbers:
    """Numbers of studies that lie in each part, as many as are asked for."""
    names = [f"study{number}" for number in range(100)]
    made = [Record(name, f"dual-energy-{name}", FilmFile(Path(name))) for name in names]
    split = Manifest("dual-energy", tuple(made)).split(0)
    return {part: [names.index(each.id) for each in split[part][:count]] for part, count in counts.items()}


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Numbers]:
    """An export; of each part the first study moved, the second lies askew, the third is cut off."""

    def motion(soft: FloatImage, bone: FloatImage) -> float:
        return 0.5 if soft.shape[0] == MOVED_ROWS else 0.0

    monkeypatch.setattr(usable, "motion_of", motion)
    numbers = numbers_of({"train": 6, "validation": 4, "test": 5})
    for part in numbers.values():
        made_datasets.triple(tmp_path, part[0], shape=(MOVED_ROWS, 160))
        made_datasets.triple(tmp_path, part[1], shift=9)
        for number in part[2:]:
            made_datasets.triple(tmp_path, number)
        cut = tmp_path / f"study{part[2]}" / "soft.png"
        cut.write_bytes(cut.read_bytes()[:200])
    return tmp_path, numbers


def test_bad_studies_are_left_out_of_every_part_and_a_run_goes_on(
    studies: tuple[Path, Numbers], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, numbers = studies
    out = tmp_path.with_name("out")
    with caplog.at_level(logging.WARNING, "gan.usable"):
        card = train(
            "bone", {"dual-energy": folder}, [*TINY, "learn_from=dual-energy"], out, device="cpu"
        ).content
    assert (out / "bone.safetensors").is_file()
    sound = [f"study{number}" for number in numbers["test"][3:]]
    rows = (out / "films.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[0] for row in rows) == sorted(sound)
    assert card["metrics"]["psnr"]["n"] == len(sound)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "gan.usable"]
    assert said.startswith("left out 9 of 15 dual-energy studies: ")
    for moved, askew, cut, *rest in numbers.values():
        assert f"study{moved} (moved between its exposures, 0.5000 of at most 0.0105)" in said
        assert f"study{askew} (" in said
        assert f"study{cut} (" in said
        assert not any(f"study{number} (" in said for number in rest)


def test_a_part_without_a_sound_study_ends_the_run_before_it_starts(
    studies: tuple[Path, Numbers],
) -> None:
    folder, numbers = studies
    for name in ("standard", "soft", "bone"):
        (folder / f"study{numbers['validation'][3]}" / f"{name}.png").write_bytes(b"")
    task = BoneTask(
        BoneRecipe.from_settings([*TINY, "learn_from=dual-energy"]),
        {"dual-energy": open_dataset("dual-energy", folder)},
    )
    with pytest.raises(DatasetError, match="the validation part of dual-energy has no film; give more"):
        task.training_set()


def test_broken_films_of_all_parts_are_named_in_one_sentence_before_anything_is_learned(
    tmp_path: Path,
) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt", 40)
    split = open_dataset("jsrt", folder).with_target("bone").split(0)
    broken = {part: split[part][0] for part in ("train", "validation", "test")}  # type: ignore[index]
    for record in broken.values():
        record.targets["bone"].write_bytes(b"no picture")
    steps: list[int] = []
    with pytest.raises(DatasetError) as caught:
        train(
            "bone",
            {"jsrt": folder},
            TINY,
            tmp_path / "out",
            device="cpu",
            on_step=lambda step, total, losses: steps.append(step),
        )
    assert not steps
    said = str(caught.value)
    assert said.startswith("3 of the films cannot be learned from or measured on: ")
    assert all(record.id in said for record in broken.values())
    assert "is not a label picture" in said
    assert "\n" not in said


def test_a_broken_film_that_is_measured_on_alone_is_told_too(tmp_path: Path) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt", 40)
    record = open_dataset("jsrt", folder).with_target("bone").split(0)["test"][0]
    record.targets["bone"].write_bytes(b"no picture")
    task = BoneTask(BoneRecipe.from_settings(TINY), {"jsrt": open_dataset("jsrt", folder)})
    with pytest.raises(DatasetError, match=f"1 of the films .*: {record.id}; what is wrong with {record.id}"):
        task.training_set()


def test_a_mixture_without_jsrt_has_the_figure_that_picks_the_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "motion_of", lambda soft, bone: 0.0)
    from suite.phantom.cohort import CohortSettings, write_cohort

    write_cohort(CohortSettings(seed=2, size=96, lateral=False), 6, tmp_path / "cohort")  # each part has one
    for part in numbers_of({"train": 2, "validation": 1, "test": 1}).values():
        for number in part:
            made_datasets.triple(tmp_path / "studies", number)
    sources = {"phantom": tmp_path / "cohort", "dual-energy": tmp_path / "studies"}
    card = train(
        "bone", sources, [*TINY, "learn_from=phantom,dual-energy"], tmp_path / "out", device="cpu"
    ).content
    assert {"phantom_psnr", "dual-energy_psnr"} <= set(card["metrics"])
    assert any("Nobody outlined the lungs of dual-energy studies" in note for note in card["notes"])


def test_studies_whose_lungs_are_unknown_set_no_limit_for_the_stage(tmp_path: Path) -> None:
    """The stage measures inside the lungs; a limit from whole films would have it warn of every film."""
    recipe = BoneRecipe.from_settings([*TINY, "learn_from=dual-energy"])
    made_datasets.triple(tmp_path)
    records = open_dataset("dual-energy", tmp_path).records
    limits = limits_of(build_generator(base=4, depth=5), {"dual-energy": records}, recipe)
    assert limits.as_json() == {"most_structure": None, "most_again": None}
