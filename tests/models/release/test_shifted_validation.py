import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import load_script

# Three of four normal films and one of four with pneumonia are of domain A. A model that relies on
# the domain calls every B pneumonia: weighted, it is right on half of each label.
FILMS = [
    ("NORMAL", "A", 0.1),
    ("NORMAL", "A", 0.1),
    ("NORMAL", "A", 0.1),
    ("NORMAL", "B", 0.8),
    ("PNEUMONIA", "A", 0.3),
    ("PNEUMONIA", "B", 0.9),
    ("PNEUMONIA", "B", 0.9),
    ("PNEUMONIA", "B", 0.9),
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("models/release/shifted_validation.py")


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    rows = ["path,label,kind,patient,logit,probability,decision"]
    domains = ["file,look,by"]
    for number, (label, domain, probability) in enumerate(FILMS):
        decision = "PNEUMONIA" if probability >= 0.5 else "NORMAL"
        rows.append(f"train/{number}.png,{label},unknown,p{number},0,{probability},{decision}")
        domains.append(f"{number}.png,{domain},eye")
    (tmp_path / "predictions.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "domains.csv").write_text("\n".join(domains) + "\n")
    (tmp_path / "evaluation.json").write_text('{"model_sha256": "abc", "threshold": 0.5, "n": 8}')
    return tmp_path


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, evaluation: Path) -> dict[str, Any]:
    figures = evaluation / "figures.json"
    arguments = [evaluation, evaluation / "domains.csv", "--json", figures]
    monkeypatch.setattr(sys, "argv", ["shifted_validation.py", *map(str, arguments)])
    monkeypatch.setattr(script, "DRAWS", 200)
    script.main()
    found: dict[str, Any] = json.loads(figures.read_text())
    return found


def test_figures_are_those_computed_by_hand(
    script: ModuleType, evaluation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(script, monkeypatch, evaluation)
    # Each domain is half of each label, so of the four pairs of domains, each a quarter, pneumonia
    # of domain A below normal of domain B is the one ranked wrong.
    assert found["auc"]["value"] == pytest.approx(0.75)
    # The rare film weighs as much as the three others together; it is the one called wrong.
    assert found["sensitivity"]["value"] == pytest.approx(0.5)
    assert found["specificity"]["value"] == pytest.approx(0.5)
    # Of a label's films one weighs 2, three weigh 2/3: (2 + 2)² / (4 + 3 * 4/9) = 3.
    assert [found[name]["n"] for name in ("auc", "sensitivity", "specificity")] == [8, 3, 3]
    assert found["auc_within_look"] == {"A": 1.0, "B": 1.0}
    assert found["films_by_look"] == {"NORMAL": {"A": 3, "B": 1}, "PNEUMONIA": {"A": 1, "B": 3}}
    shares = [found["by_look"]["A"][name] for name in ("sensitivity", "specificity")]
    assert [(share["value"], share["n"]) for share in shares] == [(0.0, 1), (1.0, 3)]
    assert (found["films"], found["model_sha256"], found["threshold"]) == (8, "abc", 0.5)


def test_intervals_hold_the_figure_and_repeat(
    script: ModuleType, evaluation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(script, monkeypatch, evaluation)
    for name in ("auc", "sensitivity", "specificity"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert run(script, monkeypatch, evaluation) == found


def test_films_of_a_patient_count_once_and_a_share_of_all_has_a_width(
    script: ModuleType, evaluation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = evaluation / "predictions.csv"
    for number in range(4):
        replace(predictions, f",p{number},", ",anna,")
    found = run(script, monkeypatch, evaluation)
    assert found["specificity"]["n"] == 1
    assert found["sensitivity"]["n"] == 3
    replace(predictions, "0.8,PNEUMONIA", "0.2,NORMAL")
    found = run(script, monkeypatch, evaluation)
    assert found["specificity"]["value"] == found["specificity"]["high"] == pytest.approx(1.0)
    assert found["specificity"]["low"] < 0.5


def test_domain_with_one_label_alone_has_no_auc(
    script: ModuleType, evaluation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(evaluation / "domains.csv", "3.png,B", "3.png,A")
    found = run(script, monkeypatch, evaluation)
    assert found["auc_within_look"]["B"] is None
    assert found["films_by_look"]["NORMAL"] == {"A": 4, "B": 0}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("domains.csv", "3.png,B", "33.png,B", "train/3.png: "),
        ("domains.csv", "3.png,B", "3.png,", "train/3.png: "),
        ("domains.csv", "3.png,B", "2.png,B", "lists 2.png twice"),
        ("domains.csv", "look", "device", "has no column look"),
        ("predictions.csv", "PNEUMONIA,unknown", "NORMAL,unknown", "has no PNEUMONIA films"),
        ("predictions.csv", "NORMAL,unknown", "HEALTHY,unknown", "unknown label 'HEALTHY'"),
        ("evaluation.json", "threshold", "limit", "evaluation.json: cannot be read"),
    ],
)
def test_bad_files_are_refused_in_one_line(
    script: ModuleType,
    evaluation: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    old: str,
    new: str,
    message: str,
) -> None:
    replace(evaluation / file, old, new)
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, evaluation)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


def test_folder_that_is_no_evaluation_is_refused(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, tmp_path)
    assert "evaluation.json: cannot be read" in capsys.readouterr().err
