"""Films the bone network cannot do right by, through the suite: a reading that says so, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from suite.analysis import Analyzer
from suite.cli import main
from suite.film import read_film
from suite.phantom import PhantomStudy, render_study
from suite.phantom.limbs.study import render_limb
from suite.reading import Reading
from suite.study import FloatImage, Study
from tests import made_datasets
from tests.made_films import write_16_bit, write_png

VIEW = "This does not look like a whole frontal chest; bone was learned from frontal chests only."
WHITE = "Parts of the chest are plain white: what was clipped there is missing from both bone images."
NEGATIVE = "This film looks turned or negative; bone was learned from upright films with bright bone only."
SUPPRESSED = "Hardly any bone was found inside the lungs: the film may be bone-suppressed already."

Read = Callable[[Path], Reading]


@pytest.fixture(scope="module")
def patient() -> PhantomStudy:
    return render_study(3, size=256)


@pytest.fixture(scope="module")
def read() -> Read:
    """The shipped gate, lungs and bone; what the gate refuses is read all the same."""
    analyzer = Analyzer(["bone"], "cpu")
    return lambda path: analyzer.run(Study(path.stem, read_film(path)), override_gate=True)


def sixteen_bit(folder: Path, name: str, pixels: FloatImage) -> Path:
    return write_16_bit(folder / f"{name}.png", pixels)


def test_an_ordinary_film_is_read_without_a_warning(
    read: Read, patient: PhantomStudy, tmp_path: Path
) -> None:
    reading = read(sixteen_bit(tmp_path, "film", patient.frontal))
    assert reading.report["warnings"] == []
    assert reading.report["measurements"]["bone_residual_again"] < 0.6


def test_its_true_soft_tissue_image_is_called_suppressed_already(
    read: Read, patient: PhantomStudy, tmp_path: Path
) -> None:
    reading = read(sixteen_bit(tmp_path, "soft", patient.soft))
    assert reading.report["warnings"] == [SUPPRESSED]
    assert {"bone_subtracted", "bone_suppressed"} <= set(reading.images)


def test_what_the_suite_itself_suppressed_is_called_suppressed_already(
    read: Read, patient: PhantomStudy, tmp_path: Path
) -> None:
    first = read(sixteen_bit(tmp_path, "film", patient.frontal))
    path = tmp_path / "again.png"
    cv2.imwrite(str(path), first.images["bone_suppressed"])
    assert read(path).report["warnings"] == [SUPPRESSED]


def test_a_lateral_is_read_and_doubted(read: Read, patient: PhantomStudy, tmp_path: Path) -> None:
    assert patient.lateral is not None
    reading = read(sixteen_bit(tmp_path, "lateral", patient.lateral))
    assert VIEW in reading.report["warnings"]
    assert SUPPRESSED not in reading.report["warnings"]
    assert "bone_suppressed" in reading.images


def test_an_extremity_is_read_and_doubted(read: Read, tmp_path: Path) -> None:
    reading = read(sixteen_bit(tmp_path, "hand", render_limb("hand", 1, 256).image))
    assert VIEW in reading.report["warnings"]
    assert SUPPRESSED not in reading.report["warnings"], "that is not what is wrong with it"
    assert "bone_suppressed" in reading.images


def test_a_negative_is_read_and_doubted(read: Read, patient: PhantomStudy, tmp_path: Path) -> None:
    reading = read(sixteen_bit(tmp_path, "negative", 1.0 - patient.frontal))
    assert NEGATIVE in reading.report["warnings"]
    assert SUPPRESSED not in reading.report["warnings"], "that is not what is wrong with it"
    assert "bone_suppressed" in reading.images


def bordered(pixels: FloatImage, level: float) -> FloatImage:
    return np.pad(pixels, ((60, 40), (30, 70)), constant_values=level)


@pytest.mark.parametrize(
    ("framed", "white"),
    [
        (lambda film: film, 4095),
        (lambda film: bordered(film, 0.0), 65535),
        (lambda film: bordered(film, 1.0), 65535),
        (lambda film: np.pad(film, ((120, 120), (0, 0))), 65535),
    ],
    ids=["twelve bits", "black collimator", "white collimator", "twice as high as wide"],
)
def test_films_as_hospitals_have_them_lose_their_bone_and_add_up(
    framed: Callable[[FloatImage], FloatImage],
    white: int,
    read: Read,
    patient: PhantomStudy,
    tmp_path: Path,
) -> None:
    """A border of black or white, 12 bits in a 16-bit file and a tall film change what is taken by little."""
    plain = read(sixteen_bit(tmp_path, "plain", patient.frontal))
    stored = np.rint(framed(patient.frontal) * white).astype(np.uint16)
    reading = read(write_png(tmp_path / "film.png", stored))
    added = reading.images["bone_suppressed"].astype(int) + reading.images["bone_subtracted"]
    np.testing.assert_array_equal(added, stored)
    shares = [one.report["measurements"]["bone_share_inside_lungs"] for one in (reading, plain)]
    assert shares[0] == pytest.approx(shares[1], rel=0.3)
    assert not {SUPPRESSED, WHITE, VIEW} & set(reading.report["warnings"])


def test_eight_bits_with_clipped_whites_are_read_and_doubted(
    read: Read, patient: PhantomStudy, tmp_path: Path
) -> None:
    path = tmp_path / "clipped.png"
    cv2.imwrite(str(path), (np.clip(1.6 * patient.frontal, 0, 1) * 255).astype(np.uint8))
    reading = read(path)
    assert WHITE in reading.report["warnings"]
    assert "bone_suppressed" in reading.images


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((128, 128), 77, np.uint8), "every pixel has the same value"),
        (np.arange(400, dtype=np.uint8).reshape(20, 20), "too few for a radiograph"),
        (np.where(np.eye(128) > 0, np.nan, 0.5).astype(np.float32), "some of its values are not numbers"),
    ],
    ids=["constant", "tiny", "nan"],
)
def test_what_is_no_picture_is_refused_in_one_sentence(pixels: np.ndarray, said: str, tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, pixels)
    words = ["analyze", str(path), "--out", str(tmp_path / "out"), "--stages", "bone", "--device", "cpu"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    sentences = [line for line in result.stderr.splitlines() if "film.tif" in line]
    assert len(sentences) == 1
    assert said in sentences[0]


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (
            np.full((made_datasets.ROWS, made_datasets.COLUMNS), 700, np.uint16),
            "every pixel has the same value",
        ),
        (np.arange(25, dtype=np.uint16).reshape(5, 5), "too few for a radiograph"),
    ],
    ids=["constant", "tiny"],
)
def test_films_with_nothing_to_see_are_not_learned_from(
    pixels: np.ndarray, said: str, tmp_path: Path
) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt", count=12)
    for film in (folder / "images").iterdir():
        write_png(film, pixels)
    settings = ("size=64", "depth=5", "base=4", "epochs=1", "precision=32-true")
    words = ["train", "bone", "--data", f"jsrt={folder}", "--out", str(tmp_path / "out"), "--device", "cpu"]
    result = CliRunner().invoke(main, [*words, *(word for one in settings for word in ("--set", one))])
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert said in lines[0]
