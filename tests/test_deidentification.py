"""De-identification: nothing of the patient is left, what belongs together stays together."""

from __future__ import annotations

import copy
import csv
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from suite.cli import main
from suite.dicom.deidentification.datasets import Cleaning
from suite.dicom.deidentification.files import Result, deidentify_file
from suite.dicom.deidentification.pixels import clean_margins
from suite.dicom.deidentification.profile import Action, table
from suite.dicom.deidentification.pseudonyms import Pseudonyms, shifted
from suite.errors import InputError, UnsupportedPixelsError
from tests.dicom_zoo import ZOO, make_dataset, save, scattered
from tests.made_films import chest_pixels

SECRET = "a secret of some length"
REAL_FILMS = Path(__file__).parents[2] / "shared" / "data" / "dicom"
FILM = scattered(0, 4095, 64, 64)


# PS3.15 table E.1-1, basic profile, typed from the standard: what each attribute must come to.
def _words(text: str) -> list[str]:
    return text.split()


GONE = _words(
    """
    AcquisitionComments AdditionalPatientHistory AdmissionID AdmittingDiagnosesDescription Allergies
    BranchOfService CassetteID CountryOfResidence CurrentPatientLocation
    DerivationDescription DischargeDiagnosisDescription EthnicGroup FrameComments
    IdentifyingComments ImageComments InstitutionAddress InstitutionalDepartmentName
    IssuerOfPatientID MedicalAlerts MedicalRecordLocator MilitaryRank Occupation OtherPatientIDs
    OtherPatientIDsSequence OtherPatientNames PatientAddress PatientAge PatientBirthName
    PatientComments PatientInstitutionResidence PatientMotherBirthName PatientReligiousPreference
    PatientSize PatientTelephoneNumbers PatientWeight PerformedProcedureStepDescription
    PerformedProcedureStepID PerformedStationAETitle PhysiciansOfRecord PlateID
    ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers RegionOfResidence
    RequestAttributesSequence RequestedProcedureComments RequestingPhysician RequestingService
    ResponsibleOrganization ResponsiblePerson ScheduledProcedureStepDescription SeriesDescription
    SmokingStatus SpecialNeeds StudyComments StudyDescription TimezoneOffsetFromUTC VisitComments
    """
)
EMPTIED = _words(
    """
    AccessionNumber PatientBirthDate PatientSex ReferringPhysicianName StudyID
    """
)
CHANGED = _words(
    """
    ClinicalTrialSponsorName DetectorID DeviceSerialNumber InstitutionName OperatorsName ProtocolName
    StationName ContrastBolusAgent
    """
)
NEW_UIDS = _words(
    """
    FrameOfReferenceUID SOPInstanceUID SeriesInstanceUID StudyInstanceUID IrradiationEventUID
    SynchronizationFrameOfReferenceUID
    """
)
SHIFTED = _words(
    """
    AcquisitionDate ContentDate SeriesDate StudyDate AcquisitionDateTime
    """
)

_VALUES = {"DA": "20200229", "DT": "20200229101500", "TM": "101500", "AS": "062Y", "UI": "1.2.3.4.5"}
_TEXTS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
SENTINEL = "ZQSENTINEL"


def _pseudonyms() -> Pseudonyms:
    return Pseudonyms(SECRET)


def _cleaned(dataset: Dataset, *keep: str) -> Dataset:
    Cleaning.of(dataset, _pseudonyms(), keep).clean(dataset)
    return dataset


def _with_everything(dataset: Dataset) -> Dataset:
    """Every attribute of the profile, each with a value of its form that names somebody."""
    for tag in table():
        if tag[0] in (0x0000, 0x0002) or not dictionary_has_tag(tag):
            continue
        kind = dictionary_VR(tag)
        if kind in _TEXTS:
            dataset.add_new(tag, kind, SENTINEL)
        elif kind in _VALUES:
            dataset.add_new(tag, kind, _VALUES[kind])
        elif kind in ("OB", "OW", "UN"):
            dataset.add_new(tag, kind, SENTINEL.encode())
        elif kind == "SQ":
            item = Dataset()
            item.PatientName = SENTINEL
            item.TextValue = SENTINEL
            dataset.add_new(tag, "SQ", Sequence([item]))
    return dataset


def _file(folder: Path, name: str = "film.dcm", **attributes: Any) -> Path:
    return save(make_dataset(FILM, **attributes), folder / name)


@pytest.mark.parametrize("keyword", [*GONE, *EMPTIED, *CHANGED, *NEW_UIDS, *SHIFTED])
def test_the_table_names_every_attribute_of_the_profile(keyword: str) -> None:
    tag = Tag(tag_for_keyword(keyword) or 0)

    assert (tag.group, tag.element) in table()


def test_each_attribute_comes_to_what_the_profile_says() -> None:
    dataset = _cleaned(_with_everything(make_dataset(FILM)))

    assert [keyword for keyword in GONE if dataset.get(keyword) not in (None, "", [])] == []
    assert [keyword for keyword in EMPTIED if dataset.get(keyword) not in (None, "")] == []
    assert [keyword for keyword in CHANGED if SENTINEL in str(dataset.get(keyword))] == []
    assert [keyword for keyword in NEW_UIDS if not str(dataset.get(keyword)).startswith("2.25.")] == []
    assert [keyword for keyword in SHIFTED if str(dataset.get(keyword)).startswith("2020022")] == []


def test_nothing_of_a_file_that_names_the_patient_everywhere_is_left(tmp_path: Path) -> None:
    dataset = _with_everything(make_dataset(FILM))
    dataset.preamble = SENTINEL.encode().ljust(128, b"\0")
    inner, middle = Dataset(), Dataset()
    inner.PatientName, inner.StudyDescription = SENTINEL, SENTINEL
    middle.ReferencedStudySequence = Sequence([inner])
    dataset.SourceImageSequence = Sequence([middle])
    dataset.add_new(0x60000010, "US", 2)
    dataset.add_new(0x60003000, "OW", SENTINEL.encode())
    dataset.add_new(0x60024000, "LT", SENTINEL)
    dataset.add_new(0x50003000, "OW", SENTINEL.encode())
    dataset.private_block(0x0011, "MAKER", create=True).add_new(0x01, "LO", SENTINEL)
    result = deidentify_file(save(dataset, tmp_path / "film.dcm"), tmp_path / "out", _pseudonyms())
    content = result.path.read_bytes()
    cleaned = pydicom.dcmread(result.path)

    assert SENTINEL.encode() not in content
    assert b"MAKER" not in content
    assert cleaned.SourceImageSequence[0].keys()  # the reference stays, without the name in it
    assert not [tag for tag in sorted(cleaned.keys()) if tag.is_private or tag.group >> 8 in (0x50, 0x60)]
    np.testing.assert_array_equal(cleaned.pixel_array, FILM)


def test_a_name_inside_an_attribute_that_is_kept_takes_it_along(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        PatientName="Featherstone^Ann",
        DigitalImageFormatAcquired="CHEST of featherstone, standing",
        FilterType="FEATHERSTONES",
        SoftwareVersions=["1.2", "Featherstone's"],
    )
    cleaned = pydicom.dcmread(deidentify_file(path, tmp_path / "out", _pseudonyms()).path)

    assert "DigitalImageFormatAcquired" not in cleaned
    assert "SoftwareVersions" not in cleaned
    assert cleaned.FilterType == "FEATHERSTONES"  # another word


def test_free_text_that_the_profile_does_not_name_is_removed() -> None:
    dataset = make_dataset(FILM, FilterMaterial="ALUMINUM", KVP="120")
    dataset.add_new(tag_for_keyword("PixelSpacingCalibrationDescription") or 0, "LO", "by ruler")
    dataset.add_new(tag_for_keyword("ExposuresOnPlate") or 0, "US", 7)
    dataset.StrainAdditionalInformation = "4711"
    cleaned = _cleaned(dataset)

    assert "StrainAdditionalInformation" not in cleaned
    assert (cleaned.KVP, cleaned.ExposuresOnPlate, cleaned.FilterMaterial) == (120, 7, "ALUMINUM")


def test_what_belongs_together_stays_together(tmp_path: Path) -> None:
    study, frontal, lateral = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    reference.ReferencedSOPInstanceUID = frontal
    common = {"StudyInstanceUID": study, "PatientID": "12345678"}
    first = _file(tmp_path, "a.dcm", SOPInstanceUID=frontal, StudyDate="20200228", **common)
    second = _file(
        tmp_path,
        "b.dcm",
        SOPInstanceUID=lateral,
        StudyDate="20200301",
        ReferencedImageSequence=Sequence([reference]),
        **common,
    )
    films = [
        pydicom.dcmread(deidentify_file(path, tmp_path / "out", _pseudonyms()).path)
        for path in (first, second)
    ]

    assert films[0].StudyInstanceUID == films[1].StudyInstanceUID != study
    assert films[0].PatientID == films[1].PatientID
    (referred,) = films[1].ReferencedImageSequence
    assert referred.ReferencedSOPInstanceUID == films[0].SOPInstanceUID
    assert referred.ReferencedSOPClassUID == reference.ReferencedSOPClassUID
    days = [date.fromisoformat(str(film.StudyDate)) for film in films]
    assert days[1] - days[0] == timedelta(days=2)  # 2020 was a leap year
    assert date(2020, 2, 28) - timedelta(days=1826) < days[0] < date(2020, 2, 28)


def test_the_same_secret_gives_the_same_file_and_another_secret_another(tmp_path: Path) -> None:
    path = _file(tmp_path, StudyDate="20200228", PatientID="12345678")
    once = deidentify_file(path, tmp_path / "1", _pseudonyms()).path.read_bytes()
    again = deidentify_file(path, tmp_path / "2", _pseudonyms()).path.read_bytes()
    other = deidentify_file(path, tmp_path / "3", Pseudonyms(SECRET + "!"))

    assert once == again
    assert other.path.read_bytes() != once


def test_two_patients_get_different_names_and_shifts() -> None:
    films = [
        _cleaned(make_dataset(FILM, PatientID=f"patient-{number}", StudyDate="20200228"))
        for number in range(9)
    ]

    assert len({film.PatientID for film in films}) == 9
    assert len({film.StudyDate for film in films}) > 5


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("20200301", -1, "20200229"),
        ("2020.03.01", -1, "20200229"),
        ("20200301235959.123456+0100", -365, "20190302235959.123456+0100"),
        ("2020", -1, ""),
        ("yesterday", -1, ""),
        ("00010101", -400, ""),
    ],
)
def test_dates_move_by_whole_days_and_what_is_no_date_is_emptied(
    value: str, days: int, expected: str
) -> None:
    assert shifted(value, timedelta(days=days)) == expected


@pytest.mark.parametrize(
    ("option", "kept", "code"),
    [
        ("characteristics", ("PatientAge", "PatientSex"), "113108"),
        ("device", ("StationName",), "113109"),
        ("institution", ("InstitutionName",), "113112"),
        ("uids", ("StudyInstanceUID", "SOPInstanceUID"), "113110"),
        ("dates", ("StudyDate",), "113106"),
    ],
)
def test_an_option_keeps_its_attributes_and_says_so(option: str, kept: tuple[str, ...], code: str) -> None:
    attributes = {"StationName": "ROOM1", "InstitutionName": "St Nowhere", "StudyDate": "20200228"}
    before = make_dataset(FILM, **attributes)
    plain = copy.deepcopy(before)
    after = _cleaned(
        make_dataset(FILM, **{key.keyword: key.value for key in before if key.keyword != "PixelData"}), option
    )
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]

    assert [after[keyword].value for keyword in kept] == [before[keyword].value for keyword in kept]
    assert all(_cleaned(plain).get(keyword) != before[keyword].value for keyword in kept)
    assert codes[0] == "113100"
    assert code in codes
    assert after.PatientIdentityRemoved == "YES"


def _lettered(value: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A chest with border and soft lead marker, letters in border and corner; and the same without."""
    film = np.rint(300 + 3200 * chest_pixels(600, 500)).astype(np.uint16)
    film[:40] = 0
    marker = np.zeros(film.shape, np.uint8)
    cv2.putText(marker, "L", (420, 150), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 200, 8)
    film = (film + 3 * cv2.GaussianBlur(marker, (0, 0), 2).astype(int)).astype(np.uint16)
    clean = film.copy()
    for words, place in (("DOE^JANE 1950", (10, 25)), ("ID 12345678", (20, 580))):
        letters = np.zeros(film.shape, np.uint8)
        cv2.putText(letters, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1, cv2.LINE_8)
        film[letters > 0] = value
    return film, clean


@pytest.mark.parametrize("value", [4095, 0], ids=["white", "black"])
def test_letters_in_the_margins_vanish_and_the_patient_does_not(value: int) -> None:
    film, clean = _lettered(value)
    letters = film != clean
    blanked = clean_margins(film)

    assert blanked.anything
    visible = np.abs(film.astype(int) - clean) > 600
    assert not (visible & letters).any()
    np.testing.assert_array_equal(film[60:540], clean[60:540])  # lungs, and the lead marker


def test_a_film_without_letters_stays_as_it_is() -> None:
    film = np.rint(300 + 3200 * chest_pixels(600, 500)).astype(np.uint16)
    before = film.copy()

    assert not clean_margins(film).anything
    np.testing.assert_array_equal(film, before)


def test_cleaned_pixels_are_told_in_the_file_and_in_the_record(tmp_path: Path) -> None:
    film, clean = _lettered(4095)
    path = save(make_dataset(film, BurnedInAnnotation="YES"), tmp_path / "film.dcm")
    result = deidentify_file(path, tmp_path / "out", _pseudonyms(), clean_pixels=True)
    cleaned = pydicom.dcmread(result.path)

    assert result.record["(7FE0,0010)", "PixelData"] is Action.BLANK
    assert "113101" in [item.CodeValue for item in cleaned.DeidentificationMethodCodeSequence]
    assert cleaned.BurnedInAnnotation == "NO"
    np.testing.assert_array_equal(cleaned.pixel_array[60:540], clean[60:540])


def test_a_film_said_to_carry_text_is_pointed_out(tmp_path: Path) -> None:
    path = _file(tmp_path, BurnedInAnnotation="YES")

    (warning,) = deidentify_file(path, tmp_path / "out", _pseudonyms()).warnings
    assert "burned into its pixels" in warning


def test_margins_of_colour_pictures_are_refused_rather_than_left(tmp_path: Path) -> None:
    stored = np.zeros((40, 40, 3), np.uint8)
    path = save(make_dataset(stored, bits=8, PhotometricInterpretation="RGB"), tmp_path / "film.dcm")

    with pytest.raises(UnsupportedPixelsError, match="leave out --clean-pixels"):
        deidentify_file(path, tmp_path / "out", _pseudonyms(), clean_pixels=True)


def _assert_nobody_left(source: Path, result: Result) -> None:
    original, content = pydicom.dcmread(source), result.path.read_bytes()
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "OperatorsName"):
        for word in str(original.get(keyword, "") or "").replace("^", " ").split():
            assert len(word) < 4 or word.encode() not in content, keyword
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uid = str(original.get(keyword, "") or "")
        assert not uid or uid.encode() not in content, keyword


@pytest.mark.filterwarnings("ignore::UserWarning")  # the zoo breaks the standard on purpose
@pytest.mark.parametrize("clean_pixels", [False, True], ids=["headers", "pixels"])
def test_nobody_is_left_in_the_zoo(clean_pixels: bool, tmp_path: Path) -> None:
    for animal in ZOO:
        path = save(animal.dataset(), tmp_path / f"{animal.name}.dcm")
        result = deidentify_file(path, tmp_path / "out", _pseudonyms(), clean_pixels=clean_pixels)
        _assert_nobody_left(path, result)


@pytest.mark.skipif(not REAL_FILMS.is_dir(), reason="the real DICOM films are not here")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nobody_is_left_in_real_films_and_they_are_no_less_valid(tmp_path: Path) -> None:
    paths = sorted(REAL_FILMS.glob("*.dcm"))
    for path in paths:
        result = deidentify_file(path, tmp_path / "out", _pseudonyms())
        _assert_nobody_left(path, result)
        if shutil.which("dciodvfy"):
            assert _errors(result.path) <= _errors(path), path.name
    assert len(paths) >= 6


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


def test_the_command_writes_files_and_a_table_without_values(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    _file(tmp_path / "in", "a.dcm", PatientName="Featherstone^Ann", StudyDescription="Featherstone follow-up")
    (tmp_path / "in" / "notes.txt").write_text("no film")
    (tmp_path / "secret").write_text(SECRET + "\n")
    arguments = ["deidentify", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--table"]
    result = CliRunner().invoke(main, [*arguments, "--secret-file", str(tmp_path / "secret")])
    rows = list(csv.DictReader((tmp_path / "out" / "deidentification.csv").read_text().splitlines()))

    assert result.exit_code == 0, result.output
    assert "1 of 1 files, 1 patients" in result.output
    actions = {row["attribute"]: row["action"] for row in rows}
    assert actions["PatientName"] == "emptied" or actions["PatientName"] == "pseudonym"
    assert actions["StudyDescription"] == "removed"
    assert actions["ViewPosition"] == "kept"
    assert "featherstone" not in (tmp_path / "out" / "deidentification.csv").read_text().lower()


def test_an_earlier_output_inside_the_input_is_not_taken_again(tmp_path: Path) -> None:
    """Or a second run would make a patient of each pseudonym."""
    films, out = tmp_path / "films", tmp_path / "films" / "shared"
    films.mkdir()
    _file(films, "a.dcm")
    (tmp_path / "secret").write_text(SECRET)
    arguments = ["deidentify", str(films), "--out", str(out), "--secret-file", str(tmp_path / "secret")]
    first = CliRunner().invoke(main, arguments)
    written = sorted(out.rglob("*.dcm"))
    second = CliRunner().invoke(main, arguments)

    assert first.exit_code == second.exit_code == 0, second.output
    assert "passed over" not in first.output
    assert "1 of 1 files, 1 patients" in second.output
    assert f"passed over, because --out is inside an input: 1 files in {out}" in second.stderr
    assert sorted(out.rglob("*.dcm")) == written
    # named, it is taken
    third = CliRunner().invoke(main, ["deidentify", str(written[0]), *arguments[2:]])
    assert "1 of 1 files" in third.output


@pytest.mark.parametrize("out", ["films", "films/../films", "link"])
def test_the_folder_of_the_films_is_no_place_for_the_new_files(out: str, tmp_path: Path) -> None:
    film = _file(tmp_path, "a.dcm")
    (tmp_path / "films").mkdir()
    film.rename(tmp_path / "films" / "a.dcm")
    (tmp_path / "link").symlink_to(tmp_path / "films", target_is_directory=True)
    result = CliRunner().invoke(
        main, ["deidentify", str(tmp_path / "films"), "--out", str(tmp_path / out), "--table"]
    )

    assert result.exit_code == 2
    assert "is the folder of the films themselves; give another folder." in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["a.dcm"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--keep", "hair"], "unknown"),
        (["--secret-file", "short"], "needs at least 16"),
        (["--secret-file", "nowhere"], "cannot be read"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    options: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RADSUITE_DEIDENTIFY_SECRET", raising=False)
    Path("short").write_text("short")
    film = _file(tmp_path)
    result = CliRunner().invoke(main, ["deidentify", str(film), "--out", "out", *options])

    assert result.exit_code == 2
    assert complaint in result.output
    assert not list(tmp_path.glob("out/**/*.dcm"))


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.dcm").write_bytes(b"no film at all" * 30)

    with pytest.raises(InputError):
        deidentify_file(tmp_path / "film.dcm", tmp_path / "out", _pseudonyms())
