"""The commands by which a bundle is measured on the films of a site and fitted to them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train import architectures
from tiny_model import TINY


def test_clean_takes_a_table_and_says_what_a_pair_must_look_like(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    films = sorted((trained.root / "data" / "train").rglob("*.png"))[::100]
    lines = [f"{film.relative_to(trained.root / 'data')},{film.parent.name}" for film in films]
    (tmp_path / "l.csv").write_text("\n".join(["Image,Finding", *lines]))
    arguments = ["clean", trained.root / "data", "--labels", tmp_path / "l.csv", "-o"]
    arguments += [tmp_path / "m.csv", "--columns", "path=Image,label=Finding"]
    outcome = cxr_edge(*arguments, "--map", "PNEUMONIA=TB, NORMAL=CLEAR", "--positive", "TB")
    assert outcome.code == 0, outcome.err
    assert "train  TB " in outcome.out
    assert "films without a label" in outcome.err
    for pair in ("PNEUMONIA", "=TB", "PNEUMONIA=", "A=B,A=C"):
        outcome = cxr_edge(*arguments, "--map", pair)
        assert outcome.code == 2
        assert outcome.err.startswith("cxr-edge: --map ")
        assert outcome.err.count("\n") == 1


def test_evaluate_all_prints_each_subgroup(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    table["sex"] = ["F", "M"] * (len(table) // 2)
    table.to_csv(tmp_path / "m.csv", index=False)
    arguments = ["evaluate", golden_bundle, tmp_path / "m.csv", "--split", "all"]
    outcome = cxr_edge(*arguments, "--root", trained.root)
    assert outcome.code == 0, outcome.err
    assert "sex F: sensitivity " in outcome.out
    assert re.search(r"sex \w+ has the lowest specificity: ", outcome.out)
    assert "warning: 40 test films left out" in outcome.err


def turned(trained: Any, file: Path, *, of_each: int) -> Path:
    """Metadata with the labels exchanged, as the kept bundle ranks the films."""
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    other = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}
    table = table.assign(label=table["label"].map(other))
    table[(table["split"] == "test") | (table.groupby("label").cumcount() < of_each)].to_csv(
        file, index=False
    )
    return file


def test_calibrate_prints_both_tables_and_what_it_wrote(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    films = turned(trained, tmp_path / "m.csv", of_each=60)
    arguments = ["calibrate", golden_bundle, films, "--root", trained.root, "-o", tmp_path / "new"]
    outcome = cxr_edge(*arguments)
    assert outcome.code == 0, outcome.err
    assert "warning: 40 test films left out" in outcome.err
    head, *rows = outcome.out.splitlines()
    assert head.split() == ["before", "after,", "on", "films", "held", "out", "of", "the", "fit"]
    assert [row.split()[0] for row in rows[:7]] == [
        "auc", "sensitivity", "specificity", "log_loss", "brier", "expected_calibration_error",
        "mean_probability",
    ]  # fmt: skip
    assert NOTICE in outcome.out
    outcome = cxr_edge("info", tmp_path / "new")
    assert 'site       "local": fitted to 60 films of NORMAL and 60 films of PN' in outcome.out
    again = cxr_edge(*arguments)
    assert again.code == 2
    assert again.err.count("\n") == 1


def test_calibrate_with_too_few_films_is_one_line(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    films = turned(trained, tmp_path / "m.csv", of_each=30)
    arguments = ["calibrate", golden_bundle, films, "--root", trained.root, "-o"]
    outcome = cxr_edge(*arguments, tmp_path / "new")
    assert outcome.code == 1
    assert "has 30 films labelled NORMAL to fit to, at least 50 are needed (20 more)" in outcome.err
    outcome = cxr_edge(*arguments, tmp_path / "new", "--min-films", 30, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["after"]["log_loss"]["n"] == 60
    assert "fitted to 30 films of NORMAL" in cxr_edge("info", tmp_path / "new").out


def test_compare_bundles_prints_a_line_for_each(
    cxr_edge: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    shutil.copytree(Path(__file__).parents[3] / "data" / "samples", films)
    outcome = cxr_edge("compare-bundles", "tiny", golden_bundle, films, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\ntiny") == 2
    assert NOTICE in outcome.out
    assert (tmp_path / "out" / "comparison.html").exists()
    outcome = cxr_edge("compare-bundles", "tiny", "tiny", films, "--json")
    assert json.loads(outcome.out)["to_positive"] == 0


def test_folds_are_trained_and_suspects_listed(
    cxr_edge: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[model]\nimage_size = 32\n[fit]\nbatch_size = 50\nepochs = 1\n")
    arguments = [
        "train", trained.metadata, "--splits", trained.splits, "--architecture", "tiny",
        "--weights", "none", "--recipe", recipe, "--folds", 2,
    ]  # fmt: skip
    outcome = cxr_edge(*arguments)
    assert outcome.code == 2
    assert "--folds makes several runs; name a folder for them with -o" in outcome.err
    outcome = cxr_edge(*arguments, "-o", tmp_path / "folds")
    assert outcome.code == 0, outcome.err
    assert "auc over 2 folds: " in outcome.out
    outcome = cxr_edge("evaluate", tmp_path / "folds", "--suspects", "-o", tmp_path / "suspects")
    assert outcome.code == 0, outcome.err
    head, *rows = outcome.out.splitlines()
    assert head.split() == ["probability", "label", "film"]
    assert len(rows) == 51  # and the notice
    assert (tmp_path / "suspects" / "suspects.html").exists()
    outcome = cxr_edge("evaluate", tmp_path / "folds", trained.metadata, "--suspects")
    assert outcome.code == 2
    outcome = cxr_edge("evaluate", trained.run)
    assert outcome.code == 2
    assert "name the clean_metadata.csv" in outcome.err


def test_label_with_a_comma_can_be_renamed(cxr_edge: Any, trained: Any, tmp_path: Path) -> None:
    films = sorted((trained.root / "data" / "train").rglob("*.png"))[::100]
    lines = [
        f'{film.relative_to(trained.root / "data")},"{film.parent.name}, by report"'
        for film in films
    ]
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *lines]))
    outcome = cxr_edge(
        "clean", trained.root / "data", "--labels", tmp_path / "l.csv", "-o", tmp_path / "m.csv",
        "--map", "PNEUMONIA, by report=PNEUMONIA,NORMAL, by report=NORMAL",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "train  PNEUMONIA " in outcome.out
