"""Files are written with pydicom, so that every rule of the standard has a film of its own."""

import io
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from crafted_dicom import AGE, element, film
from cxr_edge_runtime.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import dicom, dicom_elements, dicom_film, load_grey
from dicom_files import RAMP, jpeg, written
from synthetic import noisy_gradient


def table(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_window_maps_its_ends_to_black_and_white() -> None:
    film = load_grey(written(WindowCenter=2048, WindowWidth=1024))
    assert film.format == "DICOM"
    expected = np.clip((RAMP - (2048 - 0.5)) / 1023 + 0.5, 0, 1)
    np.testing.assert_allclose(film.pixels, expected * 255, atol=0.51)
    assert film.warnings == film.objections == ()


def test_first_of_several_windows_is_taken() -> None:
    one = load_grey(written(WindowCenter=1000, WindowWidth=500)).pixels
    several = load_grey(written(WindowCenter=[1000, 3000], WindowWidth=[500, 900])).pixels
    np.testing.assert_array_equal(several, one)


def test_sigmoid_window() -> None:
    film = load_grey(written(WindowCenter=2048, WindowWidth=1024, VOILUTFunction="SIGMOID"))
    expected = 255 / (1 + np.exp(-4 * (RAMP - 2048.0) / 1024))
    np.testing.assert_allclose(film.pixels, expected, atol=0.51)


def test_window_counts_in_rescaled_values() -> None:
    signed = (RAMP.astype(np.int16) - 1024).astype(np.int16)
    content = written(
        signed, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=500, WindowWidth=801,
        BitsStored=16,
    )  # fmt: skip
    rescaled = signed * 2.0 - 100
    expected = np.clip((rescaled - 499.5) / 800 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(load_grey(content).pixels, expected, atol=0.51)


def test_voi_table_goes_before_a_window() -> None:
    entries = (np.linspace(0, 1, 4096) ** 2 * 1023).round().astype(int).tolist()
    content = written(VOILUTSequence=[table(entries, 0, 10)], WindowCenter=10, WindowWidth=20)
    expected = np.array(entries)[RAMP] / 1023 * 255
    np.testing.assert_allclose(load_grey(content).pixels, expected, atol=0.51)


def test_modality_table_comes_before_the_window() -> None:
    reversed_ = list(range(4095, -1, -1))
    lut = table(reversed_, 0, 16)
    lut.ModalityLUTType = "US"
    content = written(ModalityLUTSequence=[lut], WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_allclose(load_grey(content).pixels, (4095 - RAMP) / 4095 * 255, atol=0.51)


def test_monochrome1_is_inverted_last() -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 1024}
    plain = load_grey(written(**window)).pixels
    inverted = load_grey(written(PhotometricInterpretation="MONOCHROME1", **window)).pixels
    np.testing.assert_array_equal(inverted, 255 - plain)


def test_without_a_window_greys_are_stretched_and_the_user_is_told() -> None:
    samples = np.clip(RAMP, 1000, 3000)
    samples[0, 0] = 0  # padding does not count
    film = load_grey(written(samples, PixelPaddingValue=0))
    np.testing.assert_allclose(
        film.pixels.ravel()[1:], (samples.ravel()[1:] - 1000.0) / 2000 * 255, atol=0.51
    )
    assert film.warnings == (
        "no window in the DICOM file: greys were stretched from lowest to highest",
    )


def test_film_of_nothing_but_padding_is_black_and_the_user_is_told() -> None:
    film = load_grey(written(np.full((80, 64), 7, np.uint16), PixelPaddingValue=7))
    assert not film.pixels.any()
    assert len(film.warnings) == 1


def test_8_bits_without_a_window_are_taken_as_they_are() -> None:
    grey = noisy_gradient((80, 70), seed=0) // 2
    film = load_grey(written(grey))
    np.testing.assert_array_equal(film.pixels, grey)
    assert film.warnings == ()


def test_only_8_bits_that_are_greys_are_taken_as_they_are() -> None:
    ten_bits = RAMP // 4  # of all 1024 values
    assert dicom.decode_dicom(written(ten_bits, BitsStored=10), name="film").warnings
    grey = noisy_gradient((80, 70), seed=0) // 2
    below_black = written(grey, RescaleSlope=1, RescaleIntercept=-10)
    assert dicom.decode_dicom(below_black, name="film").warnings
    assert not dicom.decode_dicom(written(grey), name="film").warnings


def test_file_of_too_many_elements_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_elements, "_MAX_READS", 20)
    with pytest.raises(UnsupportedImage, match="film: a DICOM file with too many elements"):
        dicom.decode_dicom(written(), name="film")


def test_film_of_one_grey_is_no_error() -> None:
    assert not load_grey(written(np.full((80, 64), 7, np.uint16))).pixels.any()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit])
def test_other_transfer_syntaxes(syntax: str) -> None:
    grey = noisy_gradient((80, 64), seed=0)
    if syntax == JPEGBaseline8Bit:
        content = written(grey, syntax=syntax, PixelData=encapsulate([jpeg(grey)]))
    else:
        content = written(grey, syntax=ImplicitVRLittleEndian)
        if syntax == RLELossless:
            dataset = pydicom.dcmread(io.BytesIO(content))
            dataset.compress(RLELossless)
            file = io.BytesIO()
            dataset.save_as(file)
            content = file.getvalue()
    np.testing.assert_allclose(load_grey(content).pixels.astype(int), grey, atol=4)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "DICOM modality is CT, not a radiograph"),
        ({"Modality": "DOE JOHN"}, "DICOM modality is not a radiograph"),
        ({"BodyPartExamined": "KNEE"}, "DICOM body part is not the chest"),
        ({"ViewPosition": "LL"}, "DICOM view position is not frontal"),
        ({"PatientOrientation": ["R", "F"]}, "orientation it is mirrored, rotated or lateral"),
        ({"PatientOrientation": ["R", "H"]}, "orientation it is mirrored, rotated or lateral"),
        ({"PatientOrientation": ["F", "R"]}, "orientation it is mirrored, rotated or lateral"),
        ({"PatientOrientation": ["P", "F"]}, "orientation it is mirrored, rotated or lateral"),
        ({"PatientOrientation": ["LA", "F"], "ViewPosition": "PA"}, None),
        ({"PatientOrientation": ["L", "FP"]}, None),
        ({"PatientOrientation": ""}, None),
        ({"PatientOrientation": "R"}, None),
        ({"PatientOrientation": ["JANE", "DOE"]}, None),
        ({"Modality": "CR", "BodyPartExamined": "THORAX", "ViewPosition": "AP"}, None),
        ({"Modality": "DX", "ViewPosition": "PA"}, None),
        ({"Modality": "RG"}, None),
        ({"Modality": None, "BodyPartExamined": "", "ViewPosition": None}, None),
    ],
)
def test_what_the_file_says_against_a_chest_film(tags: dict[str, Any], message: str | None) -> None:
    objections = load_grey(written(**tags)).objections
    assert len(objections) == (message is not None)
    assert message is None or message in objections[0]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"NumberOfFrames": 2, "Rows": 40}, "several frames"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "in colour"),
        ({"PhotometricInterpretation": None}, "does not say whether 0 is black or white"),
        ({"BitsAllocated": 32}, "of neither 8 nor 16 bits"),
    ],
)
def test_what_is_no_single_grey_frame_is_refused(tags: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedImage, match=message):
        load_grey(written(**tags))


def test_file_without_an_image_is_refused() -> None:
    dataset = pydicom.dcmread(io.BytesIO(written()))
    del dataset.PixelData
    file = io.BytesIO()
    dataset.save_as(file)
    with pytest.raises(UnsupportedImage, match="without an image"):
        load_grey(file.getvalue())


def test_size_is_checked_before_decoding() -> None:
    content = written(Rows=60_000, Columns=60_000, PixelData=b"\0\0")
    with pytest.raises(ImageTooLarge, match="60000x60000 pixels"):
        load_grey(content)


def test_damage_that_only_the_tags_tell_is_named() -> None:
    with pytest.raises(UnreadableImage, match="grey, but with several channels"):
        load_grey(written(SamplesPerPixel=3))
    grey = noisy_gradient((80, 64), seed=0)
    frame = encapsulate([jpeg(grey[:40])])
    with pytest.raises(UnreadableImage, match="damaged DICOM file"):
        load_grey(written(grey, syntax=JPEGBaseline8Bit, PixelData=frame))


def test_film_that_does_not_fit_into_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(dicom_film, "to_greys", refused)
    with pytest.raises(ImageTooLarge, match="film: not enough memory on this device to decode it"):
        load_grey(written(), name="film")


def test_deflated_file_is_refused_unopened() -> None:
    content = written(syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnsupportedImage, match="deflated"):
        load_grey(content)


def test_missing_pydicom_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    with pytest.raises(UnsupportedImage, match=r"pip install .\.\[dicom\]"):
        load_grey(written())


@given(st.data())
def test_damaged_file_is_an_error_without_patient_data(data: st.DataObject) -> None:
    content = bytearray(written(WindowCenter=2048, WindowWidth=1024))
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers: of the pixels any value is a value.
        content[data.draw(st.integers(132, 700))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(200, len(content)))]
    try:
        film = load_grey(bytes(content), name="film")
    except ImageError as error:
        assert "DOE" not in str(error)
        assert "4711" not in str(error)
        assert str(error).startswith("film: ")
        assert "\n" not in str(error)
    else:
        assert film.pixels.dtype == np.uint8


@pytest.mark.parametrize("name", ["nih_dx_mono2_implicitLE", "rsna_mono2_jpegbaseline"])
def test_real_films(shared: Path, name: str) -> None:
    film = load_grey((shared / "data" / "dicom" / f"{name}.dcm").read_bytes())
    assert film.pixels.shape == (1024, 1024)
    assert film.pixels.std() > 40
    assert film.objections == ()


def test_ct_scout_says_that_it_is_none(shared: Path) -> None:
    content = (shared / "data" / "dicom" / "notcxr_CT_scout_chest_jpeglossless.dcm").read_bytes()
    assert load_grey(content).objections == ("DICOM modality is CT, not a radiograph",)


def test_8_bits_are_rescaled_before_they_are_taken_as_they_are() -> None:
    samples = np.tile(np.arange(80, dtype=np.uint8), (80, 1))
    negative = {"RescaleSlope": "-1", "RescaleIntercept": "255"}
    film = load_grey(written(samples, **negative))
    np.testing.assert_array_equal(film.pixels, 255 - samples)
    assert film.warnings == ()


def test_8_bits_rescaled_out_of_range_are_stretched_and_the_user_is_told() -> None:
    samples = np.tile(np.arange(80, dtype=np.uint8), (80, 1))
    film = load_grey(written(samples, RescaleSlope="10", RescaleIntercept="-400"))
    assert (film.pixels.min(), film.pixels.max()) == (0, 255)
    assert "no window" in film.warnings[0]


@pytest.mark.parametrize(
    ("elements", "age"),
    [
        ({"PatientAge": "062Y", "PatientBirthDate": ""}, 62),
        ({"PatientAge": "018M", "PatientBirthDate": ""}, 1.5),
        ({"PatientAge": "026W", "PatientBirthDate": ""}, 0.5),
        ({"PatientAge": "052W", "PatientBirthDate": ""}, 1),
        ({"PatientAge": "365D", "PatientBirthDate": ""}, 1),
        # The day of birth itself, and the day before.
        ({"PatientBirthDate": "20140615", "StudyDate": "20150615"}, 1),
        ({"PatientBirthDate": "20090102", "StudyDate": "20150101"}, 5),
        ({"PatientBirthDate": "20000101", "ContentDate": "20060101"}, 6),
        (
            {
                "PatientBirthDate": "20000101",
                "AcquisitionDateTime": "20060101120000.0",
                "StudyDate": "",
            },
            6,
        ),
        # What is exact decides, where both are of the same child.
        ({"PatientAge": "005Y", "PatientBirthDate": "20000101", "StudyDate": "20060601"}, 6),
        ({"PatientAge": "004Y", "PatientBirthDate": "20020101", "StudyDate": "20060601"}, 4),
        ({"PatientAge": "004Y", "PatientBirthDate": "19000101", "StudyDate": "20060101"}, math.nan),
        ({"PatientAge": "050Y", "PatientBirthDate": "19440101", "StudyDate": ""}, 50),
        # A birth from which no age follows.
        ({"PatientBirthDate": "20060101", "StudyDate": "20000101"}, math.nan),
        ({"PatientBirthDate": "19440101", "StudyDate": ""}, math.nan),
        ({"PatientBirthDate": "1944", "StudyDate": "20060101"}, math.nan),
        ({"PatientBirthDate": "1944-01-01", "StudyDate": "20060101"}, math.nan),
        ({"PatientBirthDate": "19440101", "StudyDate": "unknown"}, math.nan),
        ({"PatientAge": "", "PatientBirthDate": ""}, None),
        ({"PatientBirthDate": ""}, None),
    ],
)
def test_age_is_that_of_the_patient_in_years(elements: dict[str, str], age: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of a date that is none
        content = written(**elements)
    found = load_grey(content).age
    assert found == (None if age is None else pytest.approx(age, abs=0.01, nan_ok=True))


@pytest.mark.parametrize(
    ("stated", "age"),
    [("62", 62), ("062 Y", 62), ("0062Y", 62), ("62 Years", 62), ("062Y\\005Y", math.nan),
     ("old", math.nan), ("-5Y", math.nan)],
)  # fmt: skip
def test_age_that_is_written_otherwise_is_read_or_told(stated: str, age: float) -> None:
    content = film(noisy_gradient((80, 64), seed=0), raw={AGE: element(AGE, stated)})
    assert load_grey(content).age == pytest.approx(age, nan_ok=True)
