import io
import os
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

import cxr_edge_models
from cxr_edge.dicom_out.answer import dicom_answer
from cxr_edge.dicom_out.capture import captions
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import UnsupportedImage
from dicom_files import PATIENT, written

SAMPLES = Path(__file__).parents[3] / "data" / "samples"
STUDY = {"StudyInstanceUID": "1.2.5", "SeriesInstanceUID": "1.2.4", "StudyTime": "101500"}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(Bundle.load(cxr_edge_models.path("tiny")))


def film(**tags: Any) -> bytes:
    """A drawing of a chest as DICOM."""
    drawing = next(path for path in sorted(SAMPLES.glob("*.jpeg")) if "opacity" in path.name)
    greys = np.asarray(Image.open(drawing).convert("L"))
    return written(greys, **STUDY, **tags)


def answer_to(
    content: bytes, classifier: Classifier
) -> tuple[Prediction, Dataset, Dataset, dict[str, bytes]]:
    prediction = classifier.classify(content)
    files = dicom_answer(content, prediction, classifier.bundle, name="film.dcm")
    capture, report = (pydicom.dcmread(io.BytesIO(file)) for file in files.values())
    assert list(files) == [capture.SOPInstanceUID, report.SOPInstanceUID]
    return prediction, capture, report, files


def texts(report: Dataset) -> list[str]:
    """All words and numbers of a report."""
    found = []
    for element in report.iterall():
        if element.keyword in ("TextValue", "NumericValue", "CodeMeaning", "CodeValue"):
            found.append(str(element.value))
    return found


def test_both_lie_in_the_study_of_the_film_in_series_of_their_own(classifier: Classifier) -> None:
    _, capture, report, _ = answer_to(film(), classifier)
    for made in (capture, report):
        assert made.StudyInstanceUID == "1.2.5"
        assert made.PatientName == PATIENT
        assert (made.StudyDate, made.StudyTime) == ("19740101", "101500")
        assert "research use only" in made.SeriesDescription
    series = {capture.SeriesInstanceUID, report.SeriesInstanceUID, "1.2.4"}
    assert len(series) == 3
    assert len({capture.SOPInstanceUID, report.SOPInstanceUID, "1.2.3"}) == 3


def test_picture_shows_film_and_map_and_can_be_rendered(
    classifier: Classifier, tmp_path: Path
) -> None:
    prediction, capture, _, _ = answer_to(film(), classifier)
    assert prediction.activation_map is not None
    Image.fromarray(capture.pixel_array).save(tmp_path / "capture.png")
    picture = Image.open(tmp_path / "capture.png")
    assert picture.mode == "RGB"
    width, height = picture.size
    assert (capture.Columns, capture.Rows) == (width, height)
    left, right = (
        np.asarray(picture.crop((side, 0, side + width // 2, height // 2)), dtype=int)
        for side in (0, width // 2)
    )
    assert (left[..., 0] != left[..., 2]).mean() < 0.05  # but for the box, grey
    assert (right[..., 0] != right[..., 2]).mean() > 0.05


def test_report_names_who_answered_with_what_and_how_sure(classifier: Classifier) -> None:
    prediction, _, report, _ = answer_to(film(), classifier)
    said = texts(report)
    manifest = classifier.bundle.manifest
    assert f"cxr-edge {manifest.name}" in said
    assert manifest.version in said
    assert f"bundle digest {classifier.bundle.digest}" in said
    assert "Research use only. Not a medical device." in said
    assert f"{prediction.probability:.4f}" in {f"{float(t):.4f}" for t in said if _is_number(t)}
    assert prediction.label in said
    assert prediction.gate.verdict in said
    [reference] = report.CurrentRequestedProcedureEvidenceSequence
    [series] = reference.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_same_film_gets_the_same_bytes_and_another_other_uids(classifier: Classifier) -> None:
    *_, first = answer_to(film(), classifier)
    *_, again = answer_to(film(), classifier)
    *_, other = answer_to(film(SOPInstanceUID="1.2.9"), classifier)
    assert first == again
    assert not first.keys() & other.keys()


def test_rejected_film_gets_its_verdict_and_no_label(classifier: Classifier) -> None:
    prediction, capture, report, _ = answer_to(film(Modality="CT"), classifier)
    assert prediction.label is None
    assert "rejected" in texts(report)
    assert not {"NORMAL", "PNEUMONIA"} & set(texts(report))
    assert capture.pixel_array.size


def test_old_dates_and_missing_ones_are_answered(classifier: Classifier) -> None:
    _, capture, report, _ = answer_to(film(StudyDate="", PatientBirthDate=""), classifier)
    assert capture.StudyDate == ""
    assert report.ContentDate  # at the time of the clock


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            (SAMPLES / "phantom_clear_1.jpeg").read_bytes(),
            "is not a DICOM file, so there is no study",
        ),
        (written(), "its DICOM header has no StudyInstanceUID, so there is no study"),
    ],
    ids=["jpeg", "no study"],
)
def test_what_has_no_study_is_refused(classifier: Classifier, content: bytes, message: str) -> None:
    prediction = classifier.classify(content, force=True)
    with pytest.raises(UnsupportedImage, match=f"^a film: {message}"):
        dicom_answer(content, prediction, classifier.bundle, name="a film")


@pytest.mark.parametrize("modality", ["DX", "CT"])
def test_independent_tool_finds_no_error(
    classifier: Classifier, tmp_path: Path, modality: str
) -> None:
    if shutil.which("dciodvfy") is None:
        assert "ALL_NEEDED" not in os.environ, "dicom3tools is not installed"
        pytest.skip("dicom3tools is not installed")
    *_, files = answer_to(film(Modality=modality), classifier)
    for uid, file in files.items():
        (tmp_path / uid).write_bytes(file)
        checked = subprocess.run(
            ["dciodvfy", tmp_path / uid], capture_output=True, text=True, check=False
        )
        assert "Error" not in checked.stdout + checked.stderr


def test_real_films_are_answered(shared: Path, classifier: Classifier) -> None:
    for path in sorted((shared / "data" / "dicom").glob("*.dcm")):
        _, capture, report, _ = answer_to(path.read_bytes(), classifier)
        source = pydicom.dcmread(path, stop_before_pixels=True)
        assert capture.StudyInstanceUID == report.StudyInstanceUID == source.StudyInstanceUID


@pytest.mark.parametrize(
    "tags",
    [
        {"SOPClassUID": "1.2.3.4.5"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou"},
        {"SpecificCharacterSet": "ISO IR 100"},
        {"PatientSex": "m"},
        {"PatientSex": "unknown"},
        {"PatientBirthDate": "00000000"},
        {"StudyDate": "20231345"},
        {"StudyTime": "240000"},
        {"PatientID": ["1", "2"]},
        {"ReferringPhysicianName": ["A^B", "C^D"]},
    ],
    ids=lambda tags: next(iter(tags)),
)
def test_header_that_breaks_the_standard_is_answered_or_refused_in_a_line(
    classifier: Classifier, tags: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is written here
        dataset = pydicom.dcmread(io.BytesIO(film()))
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        file = io.BytesIO()
        dataset.save_as(file)
    content = file.getvalue()
    if "SOPClassUID" in tags:
        with pytest.raises(UnsupportedImage, match="no DICOM answer can be made for its header"):
            answer_to(content, classifier)
        return
    _, capture, report, _ = answer_to(content, classifier)
    for made in (capture, report):
        assert made.StudyInstanceUID == "1.2.5"
        assert made.PatientSex in ("M", "F", "O", "")
        if "StudyDate" in tags:
            assert made.StudyDate == ""


def test_name_in_another_script_is_repeated_in_unicode(classifier: Classifier) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset = pydicom.dcmread(io.BytesIO(film()))
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = name
    file = io.BytesIO()
    dataset.save_as(file)
    _, capture, report, _ = answer_to(file.getvalue(), classifier)
    assert str(capture.PatientName) == str(report.PatientName) == name


def test_other_film_of_one_uid_and_other_answer_have_other_uids(classifier: Classifier) -> None:
    first, second = film(), film(PatientID="another")
    names = {*answer_to(first, classifier)[3], *answer_to(second, classifier)[3]}
    rare = Classifier(classifier.bundle, prevalence=0.05)
    names |= {*answer_to(first, rare)[3]}
    assert len(names) == 6


def test_film_that_says_it_is_mirrored_gets_a_capture_that_says_so(classifier: Classifier) -> None:
    _, capture, _, _ = answer_to(film(PatientOrientation=["R", "F"]), classifier)
    assert list(capture.PatientOrientation) == ["R", "F"]


def test_words_show_which_of_two_close_numbers_is_larger(classifier: Classifier) -> None:
    prediction = replace(
        classifier.classify(film(), force=True), probability=0.8949, threshold=0.89502,
        label="NORMAL",
    )  # fmt: skip
    [answer, _] = captions(prediction, classifier.bundle)
    assert "0.8949, threshold 0.8950" in answer
