"""Files and folders to studies: pairing, names, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from suite.errors import InputError, NotARadiographError, UnreadableFileError, UnsupportedPixelsError
from suite.intake import collect, read_study, safe_id
from suite.study import Projection
from tests.dicom_zoo import DX, DX_PROCESSING, make_dataset, save, scattered

_FILM = scattered(0, 4095)


def _dicom(path: Path, study: str, view: str | None, **attributes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(make_dataset(_FILM, StudyInstanceUID=study, ViewPosition=view, **attributes), path)


def _png(path: Path, high: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scattered(0, high).astype(np.uint8)).save(path)
    return path


def test_frontal_and_lateral_of_one_study_are_paired_by_their_headers(tmp_path: Path) -> None:
    study = generate_uid()
    _dicom(tmp_path / "a" / "1.dcm", study, "LL")
    _dicom(tmp_path / "b" / "2.dcm", study, "PA")

    (files,) = collect([tmp_path]).studies
    loaded = files.load()
    assert files.id == "2"
    assert loaded.frontal is not None
    assert loaded.frontal.projection is Projection.PA
    assert loaded.lateral is not None
    assert loaded.lateral.projection is Projection.LATERAL
    assert loaded.frontal.source == str(tmp_path / "b" / "2.dcm")


def test_no_film_of_a_study_is_dropped(tmp_path: Path) -> None:
    study = generate_uid()
    for name, view in (("f1", "PA"), ("f2", "AP"), ("l1", "LL"), ("l2", "RL"), ("x", None)):
        _dicom(tmp_path / f"{name}.dcm", study, view)

    found = [(files.frontal, files.lateral) for files in collect([tmp_path]).studies]
    names = [tuple(path.stem if path else None for path in pair) for pair in found]
    assert names == [("f1", "l1"), ("f2", None), ("x", None), (None, "l2")]


def test_the_image_for_presentation_gets_the_lateral_before_the_raw_one(tmp_path: Path) -> None:
    study = generate_uid()
    _dicom(tmp_path / "1.dcm", study, "PA", SOPClassUID=DX_PROCESSING, Modality="DX")
    _dicom(tmp_path / "2.dcm", study, "PA", SOPClassUID=DX, Modality="DX")
    _dicom(tmp_path / "3.dcm", study, "LL", SOPClassUID=DX, Modality="DX")

    pairs = [(files.id, files.lateral is not None) for files in collect([tmp_path]).studies]
    assert pairs == [("2", True), ("1", False)]


def test_films_of_two_patients_are_no_pair_although_they_share_a_study_uid(tmp_path: Path) -> None:
    study = generate_uid()
    _dicom(tmp_path / "a.dcm", study, "PA", PatientID="P-1")
    _dicom(tmp_path / "b.dcm", study, "LL", PatientID="P-2")
    _dicom(tmp_path / "c.dcm", study, "LL", PatientID="")

    found = collect([tmp_path])

    pairs = [(Path(each.frontal or "-").name, Path(each.lateral or "-").name) for each in found.studies]
    assert pairs == [("a.dcm", "c.dcm"), ("-", "b.dcm")]
    assert not found.refused


def test_films_of_different_studies_stay_apart(tmp_path: Path) -> None:
    _dicom(tmp_path / "1.dcm", generate_uid(), "PA")
    _dicom(tmp_path / "2.dcm", generate_uid(), "LL")

    assert [(s.frontal is None, s.lateral is None) for s in collect([tmp_path]).studies] == [
        (False, True),
        (True, False),
    ]


def test_films_without_study_uid_are_studies_of_their_own(tmp_path: Path) -> None:
    for name in ("1.dcm", "2.dcm"):
        path = _dicom(tmp_path / name, generate_uid(), "PA")
        dataset = make_dataset(_FILM, StudyInstanceUID=None)
        save(dataset, path)

    assert len(collect([tmp_path]).studies) == 2


def test_pictures_are_studies_of_their_own_with_unique_ids_in_natural_order(tmp_path: Path) -> None:
    for name in ("p10/Film.png", "p2/film.png", "p2/film.jpg"):
        _png(tmp_path / name)

    intake = collect([tmp_path])
    assert [files.id for files in intake.studies] == ["film", "film-2", "Film-3"]
    assert [files.frontal and files.frontal.parent.name for files in intake.studies] == ["p2", "p2", "p10"]


def test_a_lateral_named_by_the_user_makes_a_pair(tmp_path: Path) -> None:
    frontal, lateral = _png(tmp_path / "f.png"), _png(tmp_path / "l.png")

    study = read_study(frontal, lateral=lateral)
    assert study.frontal is not None
    assert study.frontal.projection is Projection.FRONTAL
    assert study.lateral is not None
    assert study.lateral.projection is Projection.LATERAL


def test_the_user_is_believed_against_the_headers_of_the_lateral_with_a_warning(tmp_path: Path) -> None:
    frontal = _dicom(tmp_path / "f.dcm", generate_uid(), "PA")
    lateral = _dicom(tmp_path / "l.dcm", generate_uid(), "AP")

    study = read_study(frontal, lateral=lateral)
    assert study.lateral is not None
    assert study.lateral.projection is Projection.LATERAL
    assert any("call it AP" in warning for warning in study.lateral.warnings)


def test_a_lateral_for_several_films_is_an_error(tmp_path: Path) -> None:
    first, second, lateral = (_png(tmp_path / f"{name}.png") for name in "abc")

    with pytest.raises(InputError, match="2 readable ones were given"):
        collect([first, second], lateral=lateral)


def test_an_unreadable_lateral_is_refused_and_the_frontal_goes_on(tmp_path: Path) -> None:
    frontal = _png(tmp_path / "f.png")

    intake = collect([frontal], lateral=tmp_path / "missing.png")
    assert [files.lateral for files in intake.studies] == [None]
    assert [refusal.source for refusal in intake.refused] == [str(tmp_path / "missing.png")]


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    good = _png(tmp_path / "good.png")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")

    intake = collect([bad, good, tmp_path / "absent"])
    assert [files.id for files in intake.studies] == ["good"]
    assert [refusal.source for refusal in intake.refused] == [str(bad), str(tmp_path / "absent")]
    assert all(refusal.error.exit_code == 2 for refusal in intake.refused)


def test_a_film_whose_pixels_fail_leaves_its_partner(tmp_path: Path) -> None:
    study = generate_uid()
    _dicom(tmp_path / "f.dcm", study, "PA")
    broken = make_dataset(_FILM, StudyInstanceUID=study, ViewPosition="LL")
    broken.PixelData = broken.PixelData[:100]
    save(broken, tmp_path / "l.dcm")

    (files,) = collect([tmp_path]).studies
    loaded, refused = files.load_or_refuse()
    assert loaded is not None
    assert loaded.lateral is None
    assert [refusal.source for refusal in refused] == [str(tmp_path / "l.dcm")]
    with pytest.raises(UnreadableFileError):
        files.load()


def test_what_a_folder_holds_beside_films_is_skipped_and_listed(tmp_path: Path) -> None:
    _png(tmp_path / "film.png")
    _dicom(tmp_path / "no-suffix" / "IM0001", generate_uid(), "PA")
    for name in ("labels.csv", "notes.txt", "DICOMDIR", ".hidden.png", ".git/x.png", "broken.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing of a film")

    intake = collect([tmp_path])
    assert [files.id for files in intake.studies] == ["film", "IM0001"]
    assert [Path(name).name for name in intake.skipped] == ["labels.csv", "notes.txt"]
    assert [Path(refusal.source).name for refusal in intake.refused] == ["broken.dcm"]


def test_a_folder_that_cannot_be_opened_is_refused_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _png(tmp_path / "film.png")
    closed = tmp_path / "closed"
    closed.mkdir()
    listed, looked = Path.iterdir, Path.stat

    def iterdir(path: Path) -> Iterator[Path]:
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    def stat(path: Path, **more: bool) -> os.stat_result:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, **more)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "stat", stat)
    intake = collect([tmp_path, closed, closed / "film.png"])
    assert [files.id for files in intake.studies] == ["film"]
    sentence = f"{closed}: the folder cannot be opened (Permission denied); check its rights."
    assert [str(refusal.error) for refusal in intake.refused][:2] == [sentence] * 2
    assert len(intake.refused) == 3


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    film = _png(tmp_path / "film.png")

    assert len(collect([film, tmp_path, film]).studies) == 1


def test_the_source_is_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _png(tmp_path / "sub" / "film.png")
    monkeypatch.chdir(tmp_path)

    assert [files.frontal_source for files in collect(["./sub/film.png"]).studies] == ["./sub/film.png"]
    assert [files.frontal_source for files in collect(["sub"]).studies] == ["sub/film.png"]


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("letter.txt", b"Dear colleague", UnreadableFileError, "neither a DICOM nor"),
        ("empty.dcm", b"", UnreadableFileError, "the file is empty"),
        ("letter.pdf", b"%PDF-1.7", NotARadiographError, "PDF document"),
        ("films.zip", b"PK\x03\x04....", UnreadableFileError, "unpack it"),
        ("film.bmp", b"BM......", UnsupportedPixelsError, "format is not read"),
    ],
)
def test_a_named_file_that_is_no_film_is_refused_in_one_sentence(
    name: str, content: bytes, error: type[InputError], words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    (refusal,) = collect([path]).refused
    assert type(refusal.error) is error
    message = str(refusal.error)
    assert words in message
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert "\n" not in message


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (refusal,) = collect([tmp_path]).refused

    assert "holds no DICOM" in str(refusal.error)


def test_read_study_takes_the_folder_of_one_study_and_no_more(tmp_path: Path) -> None:
    study = generate_uid()
    _dicom(tmp_path / "1.dcm", study, "PA")
    _dicom(tmp_path / "2.dcm", study, "LL")
    assert set(read_study(tmp_path).views) == {"frontal", "lateral"}

    _png(tmp_path / "another.png")
    with pytest.raises(InputError, match="holds 2 studies"):
        read_study(tmp_path)


def test_read_study_raises_the_reason_for_a_single_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="no such file"):
        read_study(tmp_path / "nothing.dcm")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.dcm", "film"),
        ("1.2.840.113619", "1.2.840.113619"),
        ("Müller, Röntgen (2).PNG", "Muller-Rontgen-2"),
        ("../../etc/passwd", "etc-passwd"),
        ("胸部.png", "study"),
        ("-rf.png", "rf"),
        ("a" * 300 + ".png", "a" * 100),
    ],
)
def test_ids_are_safe_folder_names(name: str, expected: str) -> None:
    assert safe_id(name) == expected


def test_importing_intake_loads_no_image_library() -> None:
    code = (
        "import sys, suite.intake; "
        "heavy = {'torch', 'cv2', 'pydicom', 'PIL', 'skimage', 'scipy'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
