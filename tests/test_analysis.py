"""One study in, one reading out: order, what is left out and said, what fails and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import suite
from suite.analysis import Analyzer, analyze, resolve_device
from suite.errors import GraphError, InputError, NotShippedError, StageError, SuiteError, WeightsError
from suite.stages.artifacts import GateResult
from suite.stages.graph import with_requirements
from suite.study import Projection, Study
from tests import fake_stages
from tests.dicom_zoo import make_dataset, save
from tests.made_films import chest, chest_pixels, write_16_bit


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house())


def one(**films: Any) -> Study:
    return Study("s1", chest(120, 100), **films)


def test_stages_run_in_their_order_and_say_so(house: None) -> None:
    heard: list[tuple[str, str]] = []
    analyzer = Analyzer(device="cpu")
    analyzer.run(one(), on_progress=lambda stage, state: heard.append((stage, state)))
    assert analyzer.stage_names == ("gate", "lungs", "triage", "bone", "diagnosis")
    assert heard == [(name, state) for name in analyzer.stage_names for state in ("started", "finished")]


def test_asking_for_one_stage_brings_what_it_builds_on(house: None) -> None:
    assert Analyzer(["bone"], "cpu").stage_names == ("gate", "lungs", "bone")
    reading = Analyzer(["bone"], "cpu").run(one())
    assert reading.report["findings"] is None
    assert reading.report["images"]["bone_subtracted"] == "bone_subtracted.png"


def test_a_stage_on_request_runs_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shy = fake_stages.fake(
        "tissues", "frontal", "tissue_measurements", lambda study: {"tissue_measurements": {}}
    )
    shy.on_request = True  # type: ignore[attr-defined]
    fake_stages.install(monkeypatch, [*fake_stages.whole_house(), shy])
    assert "tissues" not in Analyzer(device="cpu").stage_names
    assert Analyzer(device="cpu").unavailable == []
    assert "tissues" in Analyzer(["tissues"], "cpu").stage_names


def test_an_unknown_stage_lists_the_known_ones(house: None) -> None:
    with pytest.raises(InputError, match="stage 'nose' is not installed; use one of bone, diagnosis, gate"):
        Analyzer(["nose"], "cpu")


@pytest.mark.parametrize("stages", ["lungs", 5])
def test_stages_are_a_list_of_names(stages: object) -> None:
    with pytest.raises(InputError, match="give a list of their names"):
        Analyzer(stages)  # type: ignore[arg-type]


def test_one_analyzer_reads_many_studies_alike(house: None) -> None:
    analyzer = Analyzer(device="cpu")
    first, second = analyzer.run(one()), analyzer.run(one())
    for report in (first.report, second.report):
        for stage in report["provenance"]["stages"]:
            stage["seconds"] = 0
    assert first.report == second.report


def test_a_stage_gets_what_it_needs_and_uses_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[str]] = {}

    def watch(name: str, makes: dict[str, Any]) -> Any:
        def make(study: Any) -> dict[str, Any]:
            seen[name] = set(study)
            return makes

        return make

    stages = [
        fake_stages.fake("gate", "frontal", "gate", watch("gate", {"gate": GateResult(())}), uses="lateral"),
        fake_stages.fake("first", "frontal", "x", watch("first", {"x": 1})),
        fake_stages.fake("second", "x", "y", watch("second", {"y": 2}), uses="lateral z"),
    ]
    fake_stages.install(monkeypatch, stages)
    Analyzer(device="cpu").run(one())
    assert seen == {"gate": {"frontal"}, "first": {"frontal"}, "second": {"x"}}
    Analyzer(device="cpu").run(one(lateral=chest(90, 90, 1, projection=Projection.LATERAL)))
    assert seen == {"gate": {"frontal", "lateral"}, "first": {"frontal"}, "second": {"x", "lateral"}}


# what does not work is said


def test_a_plugin_that_does_not_load_is_reported_and_the_rest_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house()[:4], unloadable=["diagnosis"])
    analyzer = Analyzer(device="cpu")
    report = analyzer.run(one()).report
    assert report["findings"] is None
    assert report["triage"] is not None
    assert report["provenance"]["unavailable"] == analyzer.unavailable
    assert "plug-in diagnosis (x:Y) does not load" in analyzer.unavailable[0]


def test_a_stage_without_weights_takes_those_that_build_on_it_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = NotShippedError("segmentation ships no weights 'lungs'; train them.")
    stages = [
        fake_stages.gate(),
        fake_stages.unbuildable("lungs", missing, makes="lung_mask"),
        fake_stages.bone(),
        fake_stages.triage(),
        fake_stages.diagnosis(),
        fake_stages.fake("after", "findings", "letter", lambda _study: {"letter": ""}),
    ]
    fake_stages.install(monkeypatch, stages)
    analyzer = Analyzer(device="cpu")
    assert analyzer.stage_names == ("gate", "triage")
    told = "\n".join(analyzer.unavailable)
    assert "lungs: segmentation ships no weights 'lungs'" in told
    assert "bone: no stage that works here makes lung_mask." in told
    assert "diagnosis: no stage that works here makes lung_mask." in told
    assert "after: no stage that works here makes findings." in told
    assert len(analyzer.unavailable) == 4
    assert analyzer.faults == [line for line in analyzer.unavailable if not line.startswith("lungs")]
    assert analyzer.run(one()).report["provenance"]["unavailable"] == analyzer.unavailable


def test_what_was_asked_for_by_name_must_work(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = WeightsError("no weights")
    fake_stages.install(
        monkeypatch,
        [
            fake_stages.gate(),
            fake_stages.unbuildable("lungs", missing, makes="lung_mask"),
            fake_stages.bone(),
        ],
        unloadable=["triage"],
    )
    for name, kind in (("lungs", WeightsError), ("bone", WeightsError), ("triage", GraphError)):
        with pytest.raises(kind):
            Analyzer([name], "cpu")
    assert Analyzer(["gate"], "cpu").stage_names == ("gate",)


def test_of_two_makers_the_one_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    other = fake_stages.fake("lungs2", "frontal", "lung_mask", lambda _study: {})
    stages = [*fake_stages.whole_house(), other]
    fake_stages.install(monkeypatch, stages)
    with pytest.raises(GraphError, match="both make 'lung_mask'; name one of them as a stage to run"):
        Analyzer(device="cpu")
    with pytest.raises(GraphError, match="both make 'lung_mask'"):
        Analyzer(["bone"], "cpu")
    assert Analyzer(["bone", "lungs2"], "cpu").stage_names == ("gate", "lungs2", "bone")
    assert Analyzer(["triage"], "cpu").stage_names == ("gate", "triage")


def test_what_the_gate_needs_comes_too() -> None:
    gate = fake_stages.fake("gate", "frontal view", "gate", lambda _study: {})
    view = fake_stages.fake("view", "frontal", "view", lambda _study: {})
    classes: Any = {"view": view, "gate": gate, "lungs": fake_stages.lungs()}
    with pytest.raises(GraphError, match="circle"):  # the gate comes first, and needs what must wait for it
        with_requirements(["lungs"], classes)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("out of memory"),
        ValueError("bad\nshape"),
        KeyError("missing"),
        IndexError("7"),
        TypeError("NoneType"),
        OSError(5, "Input/output error"),
        MemoryError(),
        ZeroDivisionError("division by zero"),
    ],
)
def test_a_stage_that_fails_is_named_with_the_study(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.broken("tissues", error)])
    with pytest.raises(StageError, match=r"^stage tissues failed on study s1 \(") as caught:
        Analyzer(device="cpu").run(one())
    message = str(caught.value)
    assert type(error).__name__ in message
    assert "\n" not in message
    assert message.endswith("; leave it out of the stages to run.")
    assert caught.value.__cause__ is error
    assert caught.value.exit_code == 1


def test_a_stage_that_fails_on_a_gpu_may_work_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = fake_stages.broken("tissues", RuntimeError("cuDNN is too old"))
    fake_stages.install(monkeypatch, [stage])
    analyzer = Analyzer(device="cpu")
    analyzer.stages[0].device = "cuda"
    with pytest.raises(StageError, match=r"cuDNN is too old\); run it again on device cpu\.$"):
        analyzer.run(one())


def test_foreseen_failures_keep_their_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    error = SuiteError("the disk is gone.")
    fake_stages.install(monkeypatch, [fake_stages.broken("tissues", error)])
    with pytest.raises(SuiteError, match=r"^the disk is gone\.$"):
        Analyzer(device="cpu").run(one())


def test_a_stage_that_breaks_its_promise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = fake_stages.fake("heart", "frontal", "heart_mask", lambda _study: {"lung_mask": 1})
    fake_stages.install(monkeypatch, [stage])
    with pytest.raises(StageError, match=r"stage heart made \['lung_mask'\] but promised \['heart_mask'\]"):
        Analyzer(device="cpu").run(one())


def test_ctrl_c_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, [fake_stages.broken("tissues", KeyboardInterrupt())])  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        Analyzer(device="cpu").run(one())


# devices


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_device("cpu") == "cpu"
    for available, expected in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr("torch.cuda.is_available", lambda available=available: available)
        assert resolve_device("auto") == expected
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="device cuda is not available here; use --device cpu"):
        resolve_device("cuda")
    with pytest.raises(InputError, match="device 'tpu' is unknown; use auto, cpu or cuda"):
        resolve_device("tpu")


# the Python interface


def test_the_package_offers_its_interface_lazily() -> None:
    assert suite.analyze is analyze
    assert suite.Analyzer is Analyzer
    with pytest.raises(AttributeError, match="module 'suite' has no attribute 'analyse'"):
        _ = suite.analyse


def test_a_path_is_read(house: None, tmp_path: Path) -> None:
    path = write_16_bit(tmp_path / "front.png", chest_pixels(80, 70))
    reading = analyze(str(path), device="cpu")
    assert reading.report["study"]["views"]["frontal"]["source"] == str(path)
    assert reading.images["film"].shape == (80, 70)


@pytest.mark.parametrize("given_as", ["study", "path"])
def test_a_lateral_picture_comes_as_the_lateral(house: None, tmp_path: Path, given_as: str) -> None:
    front = write_16_bit(tmp_path / "front.png", chest_pixels(80, 70))
    side = write_16_bit(tmp_path / "side.png", chest_pixels(60, 90, 1))
    study: Any = one() if given_as == "study" else front
    views = analyze(study, lateral=side, device="cpu").report["study"]["views"]
    assert views["lateral"]["projection"] == "LATERAL"
    assert (views["lateral"]["rows"], views["lateral"]["columns"]) == (60, 90)
    assert views["lateral"]["source"] == str(side)


def test_a_lateral_dicom_film_beside_a_study_is_not_lost(house: None, tmp_path: Path) -> None:
    stored = np.rint(chest_pixels(60, 90, 1) * 4095).astype(np.uint16)
    path = save(make_dataset(stored, ViewPosition="LL"), tmp_path / "side.dcm")
    views = analyze(one(), lateral=path, device="cpu").report["study"]["views"]
    assert set(views) == {"frontal", "lateral"}
    assert views["lateral"]["projection"] == "LATERAL"


def test_a_file_that_is_no_film_is_refused(house: None, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"notes\.png"):
        analyze(tmp_path / "notes.png", device="cpu")
