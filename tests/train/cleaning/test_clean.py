import csv
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.cleaning.inventory import FlowRow
from cxr_edge_train.cleaning.report import read_cleaning_report
from cxr_edge_train.cleaning.scan_index import FILE_NAME
from cxr_edge_train.dataset.metadata import (
    METADATA_COLUMNS,
    left_out_path,
    read_metadata,
    report_path,
)
from dicom_files import PATIENT, RAMP, written
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=8, test_patients=2)


def test_clean_writes_one_row_an_image_and_touches_none(data_dir: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in data_dir.rglob("*.png")}
    output = tmp_path / "clean_metadata.csv"
    result = clean(data_dir, output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len(rows) == result.kept == len(before) == 40
    assert tuple(rows[0]) == METADATA_COLUMNS
    assert METADATA_COLUMNS == (
        "path", "split", "label", "kind", "patient", "md5", "width", "height", "mode", "bytes",
        "jpeg_step",
    )  # fmt: skip
    assert {path: path.read_bytes() for path in data_dir.rglob("*.png")} == before


def test_what_was_left_out_is_listed_beside(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    shutil.copy(folder / "IM-0000-0000.png", folder / "again.png")
    output = tmp_path / "clean_metadata.csv"
    clean(data_dir, output)
    assert left_out_path(output).name == "clean_metadata.left_out.csv"
    assert list(csv.DictReader(left_out_path(output).read_text().splitlines())) == [
        {
            "path": "data/train/NORMAL/again.png",
            "reason": "duplicate of data/train/NORMAL/IM-0000-0000.png",
        }
    ]


def test_report_lies_beside_and_is_what_was_returned(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    shutil.copy(folder / "IM-0000-0000.png", folder / "again.png")
    (folder / "text.jpeg").write_text("x")
    shutil.copy(folder / "IM-0001-0000.png", data_dir / "train" / "PNEUMONIA" / "wrong.png")
    output = tmp_path / "clean_metadata.csv"
    report = clean(data_dir, output).report
    assert report_path(output).name == "clean_metadata.report.json"
    assert read_cleaning_report(report_path(output)) == report
    assert report.flow == (
        FlowRow("train", "NORMAL", 18, 17, 16, 15),
        FlowRow("train", "PNEUMONIA", 17, 17, 17, 16),
        FlowRow("test", "NORMAL", 4, 4, 4, 4),
        FlowRow("test", "PNEUMONIA", 4, 4, 4, 4),
    )
    assert report.findings["shortcuts"].verdict == "not_checked"
    assert list(json.loads(report_path(output).read_text())) == [
        "format", "flow", "near_duplicates", "leaks", "shortcuts",
    ]  # fmt: skip


def test_same_folder_gives_the_same_bytes_with_and_without_an_index(
    data_dir: Path, tmp_path: Path
) -> None:
    outputs = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for output, cache in zip(outputs, (None, tmp_path / "cache", tmp_path / "cache")):
        clean(data_dir, output, cache_dir=cache)
    assert (tmp_path / "cache" / FILE_NAME).exists()
    for beside in (lambda path: path, left_out_path, report_path):
        assert len({beside(output).read_bytes() for output in outputs}) == 1


def test_unusable_cache_folder_stops_nothing(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    result = clean(data_dir, tmp_path / "m.csv", cache_dir=tmp_path / "cache")
    assert result.kept == 40
    [warning] = result.warnings
    assert "every image is read" in warning


def test_label_without_usable_images_is_an_error(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "train" / "NORMAL").iterdir():
        path.write_text("broken")
    with pytest.raises(DatasetError, match=r"no usable NORMAL image.*left_out\.csv"):
        clean(data_dir, tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
    assert left_out_path(tmp_path / "m.csv").exists()


def test_output_that_is_a_folder_is_refused(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder; name the file"):
        clean(data_dir, tmp_path)


def test_originals_raise_the_shortcut_alarm(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(shared / "data" / "originals")
    report = clean(tmp_path / "data", tmp_path / "m.csv").report
    shortcuts = report.findings["shortcuts"]
    assert shortcuts.verdict == "alarm"
    assert shortcuts.auc.low > 0.9
    assert shortcuts.by_feature["jpeg_step"].low > 0.9
    assert report.findings["near_duplicates"] == ()


def test_re_encoded_training_film_in_test_is_a_leak(data_dir: Path, tmp_path: Path) -> None:
    film = data_dir / "train" / "NORMAL" / "IM-0003-0000.png"
    with Image.open(film) as image:
        image.save(data_dir / "test" / "NORMAL" / "IM-7777-0000.jpeg", quality=90)
    result = clean(data_dir, tmp_path / "m.csv")
    assert result.has_leak
    leaks = result.report.findings["leaks"]
    assert leaks.verdict == "leak"
    assert (
        "data/train/NORMAL/IM-0003-0000.png",
        "data/test/NORMAL/IM-7777-0000.jpeg",
    ) in leaks.near


@pytest.mark.parametrize(
    ("data", "choices", "said"),
    [
        (None, {}, "data_dir must be a path, not None"),
        (5, {}, "data_dir must be a path, not 5"),
        ("a\0b", {}, "data_dir contains a NUL character"),
        ("data", {"output": None}, "output must be a path"),
        ("data", {"output": b"m.csv"}, "output must be a path"),
        ("data", {"cache_dir": 5}, "cache_dir must be a path"),
        ("data", {"patient_pattern": 5}, "patient pattern must be text, not 5"),
        ("data", {"patient_pattern": b"(a)"}, "patient pattern must be text"),
        ("data", {"patient_pattern": "("}, r"patient pattern '\(': "),
        ("data", {"output": "."}, "is a folder; name the file"),
    ],
)
def test_wrong_argument_is_refused_before_anything_is_written(
    data: Any, choices: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_dataset(Path("data"), patients=1)
    with pytest.raises(InvalidRequest, match=said):
        clean(data, **choices)
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="absent: no such folder"):
        clean(str(tmp_path / "absent"), str(tmp_path / "m.csv"))


def test_paths_may_be_text_and_nothing_is_printed(
    data_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = clean(str(data_dir), str(tmp_path / "m.csv"), cache_dir=str(tmp_path / "cache"))
    assert result.metadata == tmp_path / "m.csv"
    assert {result.metadata, result.left_out_list, result.report_file} == set(tmp_path.glob("m.*"))
    assert (result.kept, result.left_out, result.warnings) == (40, 0, ())
    assert list(result.summaries) == ["near-duplicates", "leaks", "shortcuts"]
    assert capfd.readouterr() == ("", "")


def test_empty_pattern_is_none(data_dir: Path, tmp_path: Path) -> None:
    assert clean(data_dir, tmp_path / "m.csv", patient_pattern="").unknown_patients == 0


def test_unknown_patients_are_counted_and_warned_of(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    shutil.copy(folder / "IM-0000-0000.png", folder / "again.png")  # is left out, so not counted
    result = clean(data_dir, tmp_path / "m.csv", patient_pattern=r"person(\d+)")
    assert (result.unknown_patients, result.left_out) == (20, 1)
    [warning] = result.warnings
    assert "the patient of 20 of 40 images is unknown" in warning
    assert "--" not in warning


def flat_dicom(folder: Path) -> Path:
    """DICOM films of six people in one folder; the last is a side view."""
    folder.mkdir()
    greys = np.random.default_rng(0)
    for number in range(12):
        film = greys.integers(0, 4096, (80, 64)).astype(np.uint16)
        tags = {"PatientID": f"id-{6 - number // 2}", "PatientSex": "F", "PatientAge": "004Y"}
        view = "LL" if number == 11 else "AP"
        maker = {"Manufacturer": "Maker", "ManufacturerModelName": f"X{number % 2}"}
        name = f"{number:02}" + (".dcm" if number % 2 else ".DICOM")
        (folder / name).write_bytes(written(film, ViewPosition=view, **tags, **maker))
    return folder


def table_of(films: Path, first: str, second: str) -> str:
    """A table that gives the films of three people the first label, the others the second."""
    lines = [f"{path.name},{first if path.name < '06' else second}" for path in films.iterdir()]
    return "\n".join(["file,label", *lines])


def test_flat_folder_of_dicom_gives_no_other_text_of_its_headers(tmp_path: Path) -> None:
    films = flat_dicom(tmp_path / "films")
    (films / "labels.csv").write_text(table_of(films, "TB", "CLEAR"))
    result = clean(
        films, tmp_path / "m.csv", labels=films / "labels.csv", positive="TB", cache_dir=tmp_path
    )
    rows = read_metadata(tmp_path / "m.csv")
    assert list(rows["path"]) == [
        f"films/{number:02}.{'dcm' if number % 2 else 'DICOM'}" for number in range(11)
    ]
    assert list(rows["patient"]) == [f"dicom-{1 + number // 2}" for number in range(11)]
    first = rows.iloc[0]
    assert (first["age"], first["sex"], first["view"]) == ("4", "F", "AP")
    assert (first["device"], first["classes"], first["mode"]) == ("Maker X0", "CLEAR|TB", "L")
    assert left_out_path(tmp_path / "m.csv").read_text().splitlines()[1:] == [
        "films/11.dcm,DICOM view position is not frontal"
    ]
    assert result.unknown_patients == 0
    written_files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert len(written_files) > 1000
    for secret in (PATIENT, "id-", "ID-", "19700101"):
        assert secret.encode() not in written_files


def test_key_names_the_patients_of_dicom_alike_in_every_data_set(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret of the site")
    patients = []
    for name in ("one", "two"):
        films = flat_dicom(tmp_path / name)
        if name == "two":
            (films / "00.DICOM").unlink()
            (films / "01.dcm").unlink()
        lines = [
            f"{path.name},{'NORMAL' if path.name < '06' else 'PNEUMONIA'}"
            for path in films.iterdir()
        ]
        (films / "labels.csv").write_text("\n".join(["file,label", *lines]))
        output = tmp_path / f"{name}.csv"
        clean(films, output, labels=films / "labels.csv", patient_key=tmp_path / "key")
        patients.append(list(dict.fromkeys(read_metadata(output)["patient"])))
    assert patients[0][1:] == patients[1]
    assert len(set(patients[0])) == 6


def test_labels_give_patient_split_and_further_columns(data_dir: Path, tmp_path: Path) -> None:
    films = sorted(path.relative_to(data_dir).as_posix() for path in data_dir.rglob("*.png"))
    lines = ["file,label,patient,site"]
    lines += [
        f"{film},{'TB' if 'PNEU' in film else 'clear'},p{n // 2},0{n // 2 % 2}"
        for n, film in enumerate(films)
    ]
    lines[5] = f"{films[4]},,,"
    lines += ["gone.png,TB,p99,03"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    for _ in range(2):  # what clean wrote, it writes again
        result = clean(
            data_dir,
            tmp_path / "m.csv",
            labels=tmp_path / "labels.csv",
            map={"clear": "CLEAR"},
            positive="TB",
        )
    rows = read_metadata(tmp_path / "m.csv")
    assert (result.kept, result.left_out) == (39, 2)
    assert set(rows["label"]) == {"CLEAR", "TB"}
    assert set(rows["site"]) == {"00", "01"}
    assert set(rows.loc[rows["path"].str.contains("/test/"), "split"]) == {"test"}
    assert result.warnings[:2] == (
        f"1 film without a label in {tmp_path}/labels.csv; see {tmp_path}/m.left_out.csv",
        f"1 film of {tmp_path}/labels.csv not found below {data_dir}; see "
        f"{tmp_path}/m.left_out.csv",
    )
    assert left_out_path(tmp_path / "m.csv").read_text().splitlines()[1:] == [
        'data/gone.png,"a label is given, but there is no such file"',
        f"data/{films[4]},no label is given",
    ]
    assert [row.label for row in result.report.flow if row.split == "train"] == ["CLEAR", "TB"]
    # Without the labels the columns of the site would be lost.
    with pytest.raises(InvalidRequest, match=r"m\.csv: has a column site, which cleaning would"):
        clean(data_dir, tmp_path / "m.csv")


def test_external_adults_are_taken_with_their_table(shared: Path, tmp_path: Path) -> None:
    films = shared / "data" / "external_adult"
    result = clean(films, tmp_path / "m.csv", labels=films / "labels.csv")
    rows = read_metadata(tmp_path / "m.csv")
    assert rows["label"].value_counts().to_dict() == {"PNEUMONIA": 50, "NORMAL": 28}
    assert list(rows.columns[-3:]) == ["age", "sex", "view"]
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"label": "x"}}, "columns apply to a table of labels; give the table too"),
        ({"positive": "TB"}, "no film has the positive label TB; found NORMAL, PNEUMONIA"),
        ({"map": {"a": "b"}}, "has no label 'a'; it has NORMAL, PNEUMONIA"),
        ({"patient_key": "nokey"}, "nokey: cannot be read"),
        ({"labels": "nolabels"}, "nolabels: no such file"),
    ],
)
def test_wrong_way_to_bring_data_is_one_line(
    data_dir: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises((InvalidRequest, DatasetError), match=message):
        clean(data_dir, tmp_path / "m.csv", **arguments)
    assert not (tmp_path / "m.csv").exists()


def test_table_of_films_that_are_elsewhere_says_where_it_looked(
    data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("path,label\na.png,NORMAL\nb.png,PNEUMONIA\n")
    with pytest.raises(DatasetError, match=r"none of its 2 films is below .*the first is a\.png"):
        clean(data_dir, tmp_path / "m.csv", labels=tmp_path / "labels.csv")


def test_damaged_header_is_a_reason_and_not_the_end(tmp_path: Path) -> None:
    films = flat_dicom(tmp_path / "films")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, that it is too long
        long = written(RAMP, PatientID="x" * 5000)
    (films / "00.DICOM").write_bytes(long)
    (films / "labels.csv").write_text(table_of(films, "NORMAL", "PNEUMONIA"))
    result = clean(films, tmp_path / "m.csv", labels=films / "labels.csv")
    assert (result.kept, result.left_out) == (10, 2)
    assert left_out_path(tmp_path / "m.csv").read_text().splitlines()[1] == (
        "films/00.DICOM,unreadable: 00.DICOM: damaged DICOM file (DamagedDicom)"
    )


def test_header_names_the_patient_where_the_pattern_finds_none(tmp_path: Path) -> None:
    films = flat_dicom(tmp_path / "films")
    (films / "labels.csv").write_text(table_of(films, "NORMAL", "PNEUMONIA"))
    clean(films, tmp_path / "m.csv", labels=films / "labels.csv", patient_pattern="^(00)")
    patients = list(read_metadata(tmp_path / "m.csv")["patient"])
    assert patients[:3] == ["00", "dicom-1", "dicom-2"]


def test_where_the_table_names_patients_no_header_does(tmp_path: Path) -> None:
    films = flat_dicom(tmp_path / "films")
    head, *lines = table_of(films, "NORMAL", "PNEUMONIA").splitlines()
    lines = [f"{line},{'p1' if line < '04' else ''}" for line in lines]
    (films / "labels.csv").write_text("\n".join([f"{head},patient", *lines]))
    result = clean(films, tmp_path / "m.csv", labels=films / "labels.csv")
    assert set(read_metadata(tmp_path / "m.csv")["patient"]) == {"p1", ""}
    assert result.unknown_patients == 7


def test_dicom_needs_no_ending_and_sex_is_no_free_text(tmp_path: Path) -> None:
    films = flat_dicom(tmp_path / "films")
    for place, path in enumerate(sorted(films.iterdir())):
        path.rename(films / f"1.2.840.{place:02}")
    film = np.random.default_rng(9).integers(0, 4096, (80, 64)).astype(np.uint16)
    (films / "1.2.840.00").write_bytes(written(film, PatientSex="DOE JANE"))
    lines = [
        f"{path.name},{'NORMAL' if path.name < '1.2.840.06' else 'PNEUMONIA'}"
        for path in films.iterdir()
    ]
    (films / "labels.csv").write_text("\n".join(["file,label", *lines]))
    result = clean(films, tmp_path / "m.csv", labels=films / "labels.csv")
    assert result.kept == 11
    assert list(read_metadata(tmp_path / "m.csv")["sex"][:2]) == ["", "F"]


def test_films_of_a_test_folder_stay_test_whatever_the_table_lies_beside(
    data_dir: Path, tmp_path: Path
) -> None:
    (data_dir / "test").rename(data_dir / "Test")
    films = sorted((data_dir / "Test").rglob("*.png"))
    lines = [f"{film.relative_to(data_dir / 'Test')},{film.parent.name}" for film in films]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    with pytest.raises(DatasetError, match="4 are test; clean the folder above"):
        clean(data_dir / "Test", tmp_path / "m.csv", labels=tmp_path / "labels.csv")
