"""The command line: results on standard output, a sentence for each failure on standard error, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from suite.cli import main
from suite.datasets.registry import KINDS
from suite.report.schema import validate
from suite.stages.weights import shipped_cards
from suite.version import __version__
from tests import fake_stages, made_datasets
from tests.made_films import chest_pixels, write_16_bit

COMMANDS = sorted(main.commands)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_16_bit(tmp_path / "films" / "front.png", chest_pixels(90, 80))


def radsuite(*arguments: str | Path) -> Result:
    """Run in this process; a traceback is a failure of the test."""
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def sentences(result: Result) -> list[str]:
    """The lines on standard error; each must be a sentence."""
    lines = result.stderr.splitlines()
    assert all(line.endswith(".") and "Traceback" not in line for line in lines), lines
    return lines


# help


def test_every_command_of_the_contract_that_exists_is_listed() -> None:
    assert {"analyze", "serve", "worker", "demo", "train", "evaluate", "models", "datasets", "doctor"} <= set(
        COMMANDS
    )
    text = radsuite("--help").stdout
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "not a medical device" in text


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help_with_an_example(name: str, option: str) -> None:
    result = radsuite(name, option)
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.stdout
    assert "Example" in result.stdout
    assert f"  radsuite {name}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name: str) -> None:
    command = main.commands[name]
    known = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    lines = [
        line.strip() for line in (command.help or "").splitlines() if line.strip().startswith("radsuite ")
    ]
    assert lines
    for line in lines:
        assert {word.partition("=")[0] for word in line.split() if word.startswith("--")} <= known, line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    """Names that need no words: those whose meaning is the same in every command."""
    plain = {"--out", "--device", "--json", "--seed", "--studies", "--data", "--set", "--weights", "--help"}
    silent = [
        parameter.opts[0]
        for parameter in main.commands[name].params
        if isinstance(parameter, click.Option) and not parameter.help and parameter.opts[0] not in plain
    ]
    assert silent == []


def test_the_version_is_the_packages() -> None:
    assert radsuite("--version").stdout.strip() == f"radsuite, version {__version__}"


def test_an_unknown_command_or_option_exits_with_2() -> None:
    assert radsuite("analyse").exit_code == 2
    assert radsuite("models", "--colour").exit_code == 2
    assert radsuite("analyze", "film.png").exit_code == 2  # --out is missing


# analyze


def test_a_film_becomes_a_folder_and_a_line_in_the_table(house: None, film: Path, tmp_path: Path) -> None:
    result = radsuite("analyze", film, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert sentences(result) == []
    report = json.loads((tmp_path / "out" / "front" / "report.json").read_text())
    validate(report)
    assert report["study"]["views"]["frontal"]["source"] == str(film)
    assert "front" in result.stdout
    assert "accepted" in result.stdout
    assert "0.75 (0.60-0.85) abnormal" in result.stdout
    assert "Pneumothorax 0.91, right upper" in result.stdout


def test_json_on_standard_output_is_nothing_but_the_reports(house: None, film: Path, tmp_path: Path) -> None:
    second = write_16_bit(film.with_name("other.png"), chest_pixels(70, 60, 1))
    result = radsuite("analyze", film, second, "--out", tmp_path / "out", "--json")
    reports = json.loads(result.stdout)
    assert [report["study"]["id"] for report in reports] == ["front", "other"]
    for report in reports:
        assert report == json.loads((tmp_path / "out" / report["study"]["id"] / "report.json").read_text())


def bad_files(folder: Path) -> list[Path]:
    """Inputs that cannot be read, each for another reason."""
    folder.mkdir(parents=True)
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    whole = write_16_bit(folder / "cut.png", chest_pixels(90, 80)).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    write_16_bit(folder / "small.png", chest_pixels(20, 20))
    (folder / "paper.pdf").write_bytes(b"%PDF-1.4\n")
    (folder / "nothing").mkdir()
    return [*sorted(path for path in folder.iterdir()), folder / "not there.png"]


def test_each_bad_input_has_one_sentence_and_the_others_are_read(
    house: None, film: Path, tmp_path: Path
) -> None:
    bad = bad_files(tmp_path / "bad")
    arguments: list[Path] = [*bad[:3], film, *bad[3:]]
    result = radsuite("analyze", *arguments, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 2
    lines = sentences(result)
    assert len(lines) == len(bad) == 7
    for path in bad:
        assert len([line for line in lines if str(path) in line]) == 1, path
    assert [report["study"]["id"] for report in json.loads(result.stdout)] == ["front"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["front"]


def test_only_bad_inputs_give_an_empty_list(house: None, tmp_path: Path) -> None:
    result = radsuite("analyze", *bad_files(tmp_path / "bad"), "--out", tmp_path / "out", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == []
    assert not (tmp_path / "out").exists()


def test_a_film_whose_pixels_are_damaged_has_one_sentence_too(
    house: None, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes the look at its head and is refused when decoded."""
    from suite.errors import UnreadableFileError
    from suite.intake import StudyFiles

    def refuse(_self: Any) -> Any:
        raise UnreadableFileError(f"{film}: its pixels are damaged; export it again.")

    monkeypatch.setattr(StudyFiles, "_load_frontal", refuse)
    result = radsuite("analyze", film, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert sentences(result) == [f"{film}: its pixels are damaged; export it again."]


def test_a_pair_by_hand(house: None, film: Path, tmp_path: Path) -> None:
    side = write_16_bit(film.with_name("side.png"), chest_pixels(60, 90, 1))
    result = radsuite("analyze", film, "--lateral", side, "--out", tmp_path / "out", "--json")
    (report,) = json.loads(result.stdout)
    assert report["study"]["views"]["lateral"]["projection"] == "LATERAL"
    result = radsuite(
        "analyze", film, film.parent, "--lateral", tmp_path / "none.png", "--out", tmp_path / "out"
    )
    assert result.exit_code == 2
    assert len(sentences(result)) == 1


def test_a_refused_film_is_reported_and_an_override_reads_it(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    stages = [fake_stages.gate("It shows [a hand]; give a chest."), *fake_stages.whole_house()[1:]]
    fake_stages.install(monkeypatch, stages)
    result = radsuite("analyze", film, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "refused: It shows [a hand]; give a chest." in result.stdout
    forced = radsuite("analyze", film, "--out", tmp_path / "out", "--override-gate")
    assert "overridden: It shows [a hand]; give a chest." in forced.stdout
    assert json.loads((tmp_path / "out" / "front" / "report.json").read_text())["findings"]


def test_an_unknown_check_is_told_once_and_before_a_network_is_loaded(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    gate = fake_stages.gate("It is mirrored.")
    gate.checks = ("chest", "check_0")  # type: ignore[attr-defined]
    fake_stages.install(monkeypatch, [gate, *fake_stages.whole_house()[1:]])
    monkeypatch.setattr("suite.analysis.Analyzer", lambda *_a, **_k: pytest.fail("networks are loaded"))
    write_16_bit(film.with_name("second.png"), chest_pixels(90, 80, 1))
    result = radsuite("analyze", film.parent, "--out", tmp_path / "out", "--override-check", "nose")
    assert result.exit_code == 2
    assert sentences(result) == [
        "check 'nose' is none of the gate's; override one of chest, check_0, frontal_present."
    ]
    assert not (tmp_path / "out").exists()


def test_an_unknown_check_is_told_beside_the_override_of_all(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    gate = fake_stages.gate("It is mirrored.")
    gate.checks = ("chest", "check_0")  # type: ignore[attr-defined]
    fake_stages.install(monkeypatch, [gate, *fake_stages.whole_house()[1:]])
    arguments = ("analyze", film, "--out", tmp_path / "out", "--override-gate", "--override-check")
    result = radsuite(*arguments, "nose")
    assert result.exit_code == 2
    assert sentences(result)[0].startswith("check 'nose' is none of the gate's")
    assert radsuite(*arguments, "chest").exit_code == 0  # check_0 fails, and goes with the whole


@pytest.mark.parametrize("stages", ["nose", "lungs,nose", " nose , lungs"])
def test_an_unknown_stage_is_bad_input(house: None, film: Path, tmp_path: Path, stages: str) -> None:
    result = radsuite("analyze", film, "--out", tmp_path / "out", "--stages", stages)
    assert result.exit_code == 2
    assert sentences(result) == [
        "stage 'nose' is not installed; use one of bone, diagnosis, gate, lungs, triage."
    ]
    assert result.stdout == ""


def test_chosen_stages_alone_run(house: None, film: Path, tmp_path: Path) -> None:
    result = radsuite("analyze", film, "--out", tmp_path / "out", "--stages", "lungs, triage", "--json")
    (report,) = json.loads(result.stdout)
    assert [stage["name"] for stage in report["provenance"]["stages"]] == ["gate", "lungs", "triage"]


def test_a_stage_that_fails_exits_with_1_and_the_other_films_are_read(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    def make(study: Any) -> dict[str, Any]:
        if study["frontal"].value.shape == (90, 80):
            raise RuntimeError("it broke")
        return {"x": 1}

    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.fake("tissues", "frontal", "x", make)])
    other = write_16_bit(film.with_name("other.png"), chest_pixels(70, 60, 1))
    missing = film.with_name("missing.png")
    result = radsuite("analyze", film, other, missing, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert any("stage tissues failed on study front" in line for line in sentences(result))
    assert [report["study"]["id"] for report in json.loads(result.stdout)] == ["other"]


def test_stages_that_are_left_out_are_named(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    fake_stages.install(monkeypatch, fake_stages.whole_house()[:4], unloadable=["diagnosis"])
    result = radsuite("analyze", film, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert sentences(result)[0].startswith("left out: plug-in diagnosis")


def test_an_output_folder_that_cannot_be_is_one_sentence(house: None, film: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = radsuite("analyze", film, "--out", tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert len(sentences(result)) == 1


def test_no_gpu_is_bad_input(
    house: None, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = radsuite("analyze", film, "--out", tmp_path / "out", "--device", "cuda")
    assert result.exit_code == 2
    assert sentences(result) == ["device cuda is not available here; use --device cpu."]


# training


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heart", "--data", "jsrt={jsrt}"), "recipe 'heart' is not installed; use one of bone, diagnosis"),
        (("lungs", "--data", "jsrt={jsrt}", "--set", "epoch=3"), "recipe key 'epoch' is unknown; use one of"),
        (
            ("lungs", "--data", "jsrt={jsrt}", "--set", "epochs=none"),
            "recipe key 'epochs' has the value 'none'",
        ),
        (("lungs", "--data", "jsrt={jsrt}", "--set", "epochs"), "'epochs' is not of the form key=value"),
        (("lungs", "--data", "{jsrt}"), "is not of the form NAME=DIR"),
        (("lungs", "--data", "jsrt={jsrt}/none"), "no such folder"),
        (("lungs", "--data", "jsrt={jsrt}", "--data", "jsrt=x"), "--data jsrt is given twice"),
        (("lungs", "--data", "siim={jsrt}"), "recipe lungs cannot learn from 'siim'"),
        (("lungs",), "recipe lungs needs data"),
    ],
)
def test_training_that_cannot_start_is_bad_input_in_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt")
    given = [each.format(jsrt=folder) for each in arguments]
    result = radsuite("train", *given, "--out", tmp_path / "run")
    assert result.exit_code == 2
    (line,) = sentences(result)
    assert words in line
    assert not (tmp_path / "run").exists()


def test_an_interrupted_training_says_how_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("suite.training.command.train", interrupted)
    result = radsuite("train", "lungs", "--data", f"jsrt={tmp_path}", "--out", tmp_path)
    assert result.exit_code == 1
    assert "interrupted; repeat the command with --resume" in result.stderr


def test_train_and_evaluate_print_the_same_table(tmp_path: Path) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt", count=12)
    small = (
        "size=64",
        "width=0.0625",
        "epochs=1",
        "films_per_epoch=8",
        "batch_size=2",
        "precision=32-true",
        "learn_from=jsrt",
    )
    settings = [word for each in small for word in ("--set", each)]
    out = tmp_path / "run"
    data = ("--data", f"jsrt={folder}")
    trained = radsuite("train", "lungs", *data, *settings, "--out", out, "--device", "cpu")
    assert trained.exit_code == 0
    table = (out / "table.md").read_text()
    assert table in trained.stdout
    assert f"Weights: {out / 'lungs.safetensors'}" in trained.stdout
    measured = radsuite(
        "evaluate", "lungs", "--weights", out / "lungs.safetensors", *data, "--out", tmp_path / "m"
    )
    assert measured.exit_code == 0
    assert table in measured.stdout
    again = radsuite(
        "evaluate",
        "lungs",
        "--weights",
        out / "lungs.safetensors",
        *data,
        "--out",
        tmp_path / "m",
        "--renew-card",
    )
    assert (again.exit_code, again.stderr.count("holds figures alone")) == (2, 1)
    (out / "lungs.safetensors").write_bytes(b"x" + (out / "lungs.safetensors").read_bytes()[1:])
    altered = radsuite(
        "evaluate", "lungs", "--weights", out / "lungs.safetensors", *data, "--out", tmp_path / "m"
    )
    assert altered.exit_code == 1
    assert "does not have the sha256 its model card states" in altered.stderr


# lists


def test_models_lists_every_shipped_card() -> None:
    cards = shipped_cards()
    table = radsuite("models").stdout
    assert len(cards) >= 1
    for card in cards:
        assert card.name in table
        assert card.sha256[:12] in table
        assert f"{card.content['parameters']:,}" in table
    assert json.loads(radsuite("models", "--json").stdout) == [dict(card.content) for card in cards]


def test_datasets_lists_every_known_set() -> None:
    table = radsuite("datasets").stdout
    assert all(kind.name in table for kind in KINDS)
    listed = json.loads(radsuite("datasets", "--json").stdout)
    assert [each["name"] for each in listed] == [kind.name for kind in KINDS]
    assert all(each["licence"] and each["layout"] and each["title"] for each in listed)


def test_doctor_names_what_is_missing_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from suite.commands import doctor
    from suite.errors import WeightsError

    monkeypatch.setattr(doctor, "shipped_cards", lambda: ())
    monkeypatch.setattr(doctor, "installed", lambda _group: {"lungs": None})
    for outcome, code in ((fake_stages.lungs(), 0), (None, 1)):

        def load(_name: str, outcome: Any = outcome) -> Any:
            if outcome is None:
                raise WeightsError("the weights [of the lungs] are missing; install the package again.")
            return outcome

        monkeypatch.setattr("suite.stages.plugins.load_stage", load)
        result = radsuite("doctor", "--data", tmp_path / "data")
        assert result.exit_code == code
        found = {each["name"]: each for each in json.loads(radsuite("doctor", "--json").stdout)}
        assert found["Stage lungs"]["well"] is (code == 0)
        assert ("the weights [of the lungs] are missing" in result.stdout) is (code == 1)
        assert found["CUDA"]["required"] is False
        assert found["torch"]["well"] is True


# as a program


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "suite.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_starts_without_torch() -> None:
    code = (
        "import sys; from suite.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as end:\n"
        "    print(end.code, 'torch' in sys.modules, 'cv2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False False"


def test_the_program_says_one_sentence_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    done = program("analyze", tmp_path / "text.png", "--out", tmp_path / "out", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == []
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "text.png") in line
    assert line.endswith(".")


def test_the_program_reads_a_film_with_the_shipped_lungs(film: Path, tmp_path: Path) -> None:
    """The whole way with real weights: clean standard error, valid JSON, a mask on the film's grid."""
    if {"gate", "lungs"} - {card.name for card in shipped_cards()}:
        pytest.skip("the weights of the gate or the lungs are not installed")
    arguments = ("--stages", "lungs", "--override-gate", "--device", "cpu", "--json")
    done = program("analyze", film, "--out", tmp_path / "out", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (report,) = json.loads(done.stdout)
    assert [stage["name"] for stage in report["provenance"]["stages"]] == ["gate", "lungs"]
    assert (tmp_path / "out" / "front" / "lung_mask.png").is_file()


@pytest.mark.usefixtures("house")
def test_dicom_objects_of_a_picture_are_declined_in_a_sentence_and_the_reading_stays(
    tmp_path: Path, film: Path
) -> None:
    result = radsuite("analyze", film, "--out", tmp_path / "out", "--dicom")
    assert result.exit_code == 0
    assert "came as a picture" in result.stderr
    assert (tmp_path / "out" / "front" / "report.json").is_file()
    assert not (tmp_path / "out" / "front" / "dicom").exists()
