import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from cxr_edge_train.dataset.metadata import dataset_digest, read_metadata, read_splits
from cxr_edge_train.dataset.pixels import read_unchanged
from scripts import load_script
from synthetic import noisy_gradient

LABELS_CSV = """path,label,patient,age
NORMAL/a.png,NORMAL,7,50
NORMAL/b.png,NORMAL,7,50
PNEUMONIA/c.png,PNEUMONIA,,61
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("data/kermany/external_films.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    for seed, name in enumerate(("NORMAL/a.png", "NORMAL/b.png", "PNEUMONIA/c.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy_gradient((96, 80), seed)).save(folder / name)
    (folder / "labels.csv").write_text(LABELS_CSV)
    return folder


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["external_films.py", *map(str, arguments)])
    script.main()


def test_evaluate_finds_all_films_as_test_without_being_told_where(
    script: ModuleType,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "made" / "here"
    run(script, monkeypatch, folder, "-o", output)
    rows = read_splits(output / "splits.csv", read_metadata(output / "clean_metadata.csv"))
    assert list(rows["split"]) == ["test"] * 3
    assert list(rows["kind"]) == ["normal", "normal", "unknown"]
    assert list(rows["patient"]) == ["7", "7", ""]
    assert list(rows["width"]) == [96] * 3
    for path, md5 in zip(rows["path"], rows["md5"]):
        assert read_unchanged(output / path, md5).shape == (80, 96)
    assert capsys.readouterr().out == f"2 NORMAL, 1 PNEUMONIA; digest {dataset_digest(rows)}\n"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("path,label\nNORMAL/a.png,NORMAL\n", "has no column patient"),
        (LABELS_CSV.replace(",PNEUMONIA,", ",OPACITY,"), "unknown label 'OPACITY'"),
        (LABELS_CSV.replace("c.png", "d.png"), "d.png: cannot be used"),
        (LABELS_CSV.replace("b.png", "a.png"), "lists NORMAL/a.png twice"),
        (LABELS_CSV.replace("b.png", "../NORMAL/a.png"), "is the same image as NORMAL/a.png"),
    ],
)
def test_bad_lists_of_films_are_refused_in_one_line(
    script: ModuleType,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    labels: str,
    message: str,
) -> None:
    (folder / "labels.csv").write_text(labels)
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, folder, "-o", tmp_path / "made")
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_folder_without_labels_is_refused(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, tmp_path, "-o", tmp_path / "made")
    assert "labels.csv: no such file; make it with the columns path, label, patient" in (
        capsys.readouterr().err
    )
