"""The whole pipeline through the command line: clean, split, train, convert, evaluate, classify."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

from changed_runs import write_dataset
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.counting import counted
from cxr_edge_train import architectures
from synthetic import draw_dataset
from tiny_model import TINY


def test_split_prints_the_counts_and_writes_the_same_bytes_again(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    outcome = cxr_edge("split", trained.metadata, "-o", tmp_path / "s.csv", "--seed", 0)
    assert outcome.code == 0
    assert "validation  PNEUMONIA     100" in outcome.out
    assert (tmp_path / "s.csv").read_bytes() == trained.splits.read_bytes()


def test_split_says_how_many_training_images_it_leaves_out(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    tested, first = (table.index[table["split"] == split][0] for split in ("test", "train"))
    patient = table.loc[first, "patient"]
    images = ((table["patient"] == patient) & (table["split"] == "train")).sum()
    table.loc[tested, "patient"] = patient
    table.to_csv(tmp_path / "m.csv", index=False)
    shutil.copy(trained.metadata.with_suffix(".report.json"), tmp_path / "m.report.json")
    outcome = cxr_edge("split", tmp_path / "m.csv", "-o", tmp_path / "s.csv")
    assert outcome.code == 0
    assert outcome.err == (
        f"warning: {counted(images, 'training image')} left out, because test has images of the "
        "same patient\n"
    )
    assert f"left out {counted(images, 'image')}: {tmp_path / 's.left_out.csv'}\n" in outcome.out
    listed = pd.read_csv(tmp_path / "s.left_out.csv")
    assert set(listed["reason"]) == {f"patient {patient} has test images too"}


def test_split_by_an_unknown_column_is_one_line(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    outcome = cxr_edge("split", trained.metadata, "-o", tmp_path / "s.csv", "--group-by", "site")
    assert outcome.code == 2
    assert "no column 'site' to group by; it has path, split, label, kind, pat" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("command", ["evaluate", "train", "compare", "import"])
def test_renamed_test_image_is_refused_by_name(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path, command: str
) -> None:
    splits = tmp_path / "s.csv"
    lines = trained.splits.read_text().splitlines()
    renamed = [line.replace(",test", ",validation") for line in lines]
    splits.write_text("\n".join(renamed) + "\n")
    before = {
        "evaluate": ["evaluate", golden_bundle, trained.metadata],
        "import": ["import", trained.run / "model.keras", "--metadata", trained.metadata],
    }.get(command, [command, trained.metadata])
    after = [] if command == "evaluate" else ["-o", tmp_path / "out"]
    outcome = cxr_edge(*before, "--splits", splits, *after)
    assert outcome.code == 1
    first = next(line for line in lines if line.endswith(",test")).split(",")[0]
    assert f"{first} is test in the metadata and validation here (40 images in all" in outcome.err
    assert outcome.err.removeprefix("loading TensorFlow\n").count("\n") == 1
    assert outcome.out == ""
    assert not (tmp_path / "out").exists()


def test_train_on_a_bare_folder_needs_metadata_first(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("train", tmp_path / "clean_metadata.csv")
    assert outcome.code == 1
    assert "no such file; make it with cxr-edge clean" in outcome.err
    assert outcome.err.count("\n") == 2
    assert outcome.err.startswith("loading TensorFlow\n")


def test_train_on_a_folder_without_a_lung_locator_is_one_line(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    outcome = cxr_edge(
        "train", trained.metadata, "--splits", trained.splits, "--locator", tmp_path,
        "-o", tmp_path / "run",
    )  # fmt: skip
    assert outcome.code == 1
    assert "no lung locator here (locator.json is missing)" in outcome.err
    assert outcome.err.removeprefix("loading TensorFlow\n").count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_metadata_without_a_column_is_one_line(cxr_edge: Any, trained: Any, tmp_path: Path) -> None:
    broken = tmp_path / "m.csv"
    broken.write_text(trained.metadata.read_text().replace("patient", "who", 1))
    outcome = cxr_edge("split", broken, "-o", tmp_path / "s.csv")
    assert outcome.code == 1
    assert "has no column patient" in outcome.err
    assert not (tmp_path / "s.csv").exists()


def test_unknown_architecture_is_wrong_usage(cxr_edge: Any, trained: Any, tmp_path: Path) -> None:
    outcome = cxr_edge(
        "train", trained.metadata, "--splits", trained.splits, "--architecture", "resnet",
        "-o", tmp_path / "run",
    )  # fmt: skip
    assert outcome.code == 2
    assert "unknown architecture 'resnet'; choose one of pure_cnn, mob" in outcome.err
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def tensorboard_values(folder: Path) -> dict[tuple[str, str], list[float]]:
    """What TensorBoard would show, by split and name."""
    found: dict[tuple[str, str], list[float]] = {}
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag.startswith("epoch_"):
                    scalar = float(tf.make_ndarray(value.tensor))
                    found.setdefault((file.parent.name, value.tag), []).append(scalar)
    return found


def test_clean_split_train_convert_evaluate_classify_with_own_class_names(
    cxr_edge: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[model]\nimage_size = 32\n[fit]\nbatch_size = 50\nepochs = 2\n")
    metadata, splits, run = tmp_path / "own.csv", tmp_path / "splits.csv", tmp_path / "run"
    outcome = cxr_edge(
        "clean", trained.root / "data", "-o", metadata, "--positive", "Entzündung",
        "--map", "NORMAL=No finding,PNEUMONIA=Entzündung",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "train  Entzündung " in outcome.out
    outcome = cxr_edge("split", metadata, "-o", splits)
    assert "validation  Entzündung     100" in outcome.out
    outcome = cxr_edge(
        "train", metadata, "--splits", splits, "--architecture", "tiny",
        "--weights", "none", "--recipe", recipe, "-o", run, "--tensorboard",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))
    assert "validation auc" in outcome.out
    assert NOTICE in outcome.out
    first, second, *lines, warning = outcome.err.splitlines()
    # What separates all validation images has no temperature.
    assert warning.startswith("warning: the temperature is at its limit")
    assert (first, second) == ("loading TensorFlow", f"run: {run}, on cpu:0, float32")
    assert lines[:2] == ["reading images"] * 2
    assert [line.partition("  ")[0] for line in lines[2:]] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert re.match(
        r"best validation accuracy \d+\.\d\d%, epoch [12]; epoch [12] is kept", outcome.out
    )
    values = tensorboard_values(run / "tensorboard")
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    for name in ("loss", "accuracy", "auc", "sensitivity", "specificity"):
        written = [float(row[f"val_{name}"]) for row in rows]
        assert values["validation", f"epoch_{name}"] == pytest.approx(written, rel=1e-6)

    bundles = tmp_path / "bundles"
    outcome = cxr_edge(
        "convert", run, "--int8", "-o", bundles,
        "--max-recall-drop", 1, "--max-specificity-drop", 1,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert [line.split()[0] for line in outcome.out.splitlines()[1:3]] == ["float32", "int8"]
    assert NOTICE in outcome.out

    outcome = cxr_edge(
        "evaluate",
        bundles / "int8",
        metadata,
        "--splits",
        splits,
        "--json",
    )
    assert json.loads(outcome.out)["split"] == "validation"
    assert json.loads(outcome.out)["labels"] == ["No finding", "Entzündung"]
    manifest = json.loads((bundles / "int8" / "bundle.json").read_text())
    assert (json.loads(outcome.out)["run"], json.loads(outcome.out)["n"]) == (None, 200)
    # The engine on files, as a user has them, gives what verification found on cached pixels.
    found, stated = json.loads(outcome.out)["metrics"], manifest["metrics"]["validation"]
    # In the manifest these are cross-fitted on the logits of the float model.
    for name in ("brier", "expected_calibration_error"):
        assert found.pop(name)["value"] == pytest.approx(stated.pop(name)["value"], abs=0.02)
    assert found == stated

    outcome = cxr_edge(
        "evaluate", bundles / "int8", metadata, "--splits", splits, "-o", tmp_path / "e"
    )
    assert "validation correct, No finding" in outcome.out
    assert (manifest["labels"], manifest["task"]) == (
        ["No finding", "Entzündung"],
        "Entzündung on chest X-rays",
    )
    for label, words in (("NORMAL", "No finding"), ("PNEUMONIA", "Entzündung")):
        image = next((trained.root / "data" / "test" / label).iterdir())
        outcome = cxr_edge("classify", image, "--bundle", bundles / "int8", "--force")
        assert outcome.code == 0
        assert words in outcome.out
    new = tmp_path / "here"
    outcome = cxr_edge("calibrate", bundles / "int8", metadata, "-o", new, "--site", "here")
    assert outcome.code == 0, outcome.err
    assert "warning: 40 test films left out" in outcome.err
    assert "log_loss" in outcome.out
    site = json.loads((new / "bundle.json").read_text())
    digest = (bundles / "int8" / "bundle.json.sha256").read_text().split()[0]
    assert (site["site"]["name"], site["site"]["derived_from"]) == ("here", digest)
    assert site["name"] == f"{manifest['name']}-here"
    assert site["metrics"].keys() == {"local"}
    assert cxr_edge("selftest", new).code == 0
    assert "here" in cxr_edge("info", new).out
    assert cxr_edge("pack", new, "-o", tmp_path / "here.cxr.zip").code == 0

    # Nothing that a person reads still has the names of another data set.
    pages = [
        path for path in tmp_path.rglob("*") if path.suffix in (".html", ".md", ".json", ".csv")
    ]
    assert len(pages) > 8
    for path in pages:
        # Without pictures, in which looking for the names of folders takes minutes.
        text = re.sub(r"base64,[\w+/=]+", "", path.read_text())
        text = re.sub(r"[^\s,\"]*/(NORMAL|PNEUMONIA)/[^\s,\"]*", "", text)
        assert not re.search("[Pp]neumonia|PNEUMONIA|NORMAL", text), path
    outcome = cxr_edge("evaluate", bundles / "int8", trained.metadata, "--splits", trained.splits)
    assert outcome.code == 1
    assert (
        "its labels are NORMAL and PNEUMONIA, the model's No finding and Entzündung; clean again "
        "with map NORMAL=No finding,PNEUMONIA=Entzündung and positive Entzündung"
    ) in outcome.err


def test_tensorboard_that_is_not_installed_is_named(
    cxr_edge: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    outcome = cxr_edge(
        "train", trained.metadata, "--splits", trained.splits, "--weights", "none",
        "-o", tmp_path / "run", "--tensorboard",
    )  # fmt: skip
    assert outcome.code == 1
    assert "run: pip install '.[tensorboard]'" in outcome.err
    assert not (tmp_path / "run").exists()


def test_too_few_positives_are_refused_with_exit_4(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    table = pd.read_csv(run / "dataset.csv", keep_default_na=False)
    positives = table[(table["split"] == "validation") & (table["label"] == "PNEUMONIA")]
    write_dataset(run, table.drop(positives.index[0]))
    outcome = cxr_edge("convert", run, "-o", tmp_path / "out")
    assert outcome.code == 4
    assert "recall cannot be checked on 99 positive validation images" in outcome.err
    assert "warning: only float32 was made; add --int8" in outcome.err
    assert "REJECTED" in outcome.out
    assert (tmp_path / "out" / "rejected" / "float32" / "bundle.json").exists()
    assert not (tmp_path / "out" / "float32").exists()


def test_test_labels_are_read_only_with_a_log(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    arguments = [
        "evaluate", golden_bundle, trained.metadata, "--splits", trained.splits,
        "--split", "test",
    ]  # fmt: skip
    outcome = cxr_edge(*arguments)
    assert outcome.code == 2
    assert "--split test needs --log FILE" in outcome.err
    log = tmp_path / "log.jsonl"
    for readings in (1, 2):
        outcome = cxr_edge(*arguments, "--log", log)
        assert outcome.code == 0
        assert "test auc" in outcome.out
        assert len(log.read_text().splitlines()) == readings
    entry = json.loads(log.read_text().splitlines()[0])
    assert entry["metrics"]["auc"]["n"] == 40
    assert {"date", "bundle_sha256", "model_sha256", "test_digest"} <= set(entry)


def test_run_and_bundle_are_evaluated_into_the_same_files(
    cxr_edge: Any, trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    shutil.copy(trained.metadata, tmp_path / "m.csv")  # not beside the images
    arguments = [tmp_path / "m.csv", "--splits", trained.splits, "--root", trained.root]
    found = {}
    for name, subject in (("run", trained.run), ("bundle", golden_bundle)):
        output = tmp_path / name
        outcome = cxr_edge("evaluate", subject, *arguments, "-o", output)
        assert outcome.code == 0, outcome.err
        content = json.loads((output / "evaluation.json").read_text())
        assert f"validation correct {content['correct']} of {content['n']}\n" in outcome.out
        for kind, shown in (("normal", "NORMAL"), ("bacteria", "bacteria")):
            share = content["by_kind"][kind]["value"]
            assert f"validation correct, {shown} {share:.3f} [" in outcome.out
        assert len((output / "predictions.csv").read_text().splitlines()) == content["n"] + 1
        found[name] = {path.relative_to(output).as_posix() for path in output.rglob("*.*")}
    assert found["run"] - found["bundle"] == {"figures/learning_curves.png"}
    assert found["bundle"] == {
        "evaluation.json", "evaluation.html", "predictions.csv", "figures/roc.png",
        "figures/precision_recall.png", "figures/subgroups.png",
        "figures/reliability.png", "figures/confusion.png", "figures/worst_errors.png",
    }  # fmt: skip
    # The run's own validation figures, and its predictions, come out again.
    run = json.loads((trained.run / "run.json").read_text())
    again = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert again["metrics"]["sensitivity"] == run["metrics"]["validation"]["sensitivity"]
    assert again["metrics"]["auc"]["value"] == run["metrics"]["validation"]["auc"]["value"]


def test_test_labels_of_a_run_are_read_only_with_a_log(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    arguments = [
        "evaluate", trained.run, trained.metadata, "--splits", trained.splits,
        "--split", "test",
    ]  # fmt: skip
    assert cxr_edge(*arguments).code == 2
    outcome = cxr_edge(*arguments, "--log", tmp_path / "log", "--json")
    assert outcome.code == 0, outcome.err
    entry = json.loads((tmp_path / "log").read_text())
    assert (entry["run"], entry["bundle"], entry["split"]) == ("run", None, "test")
    said = json.loads(outcome.out)
    # The log is published; what groups a site's films is not for it.
    assert said.pop("subgroups")
    assert {key: entry.get(key) for key in said} == said


def test_folder_that_is_neither_run_nor_bundle_is_named(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    outcome = cxr_edge("evaluate", tmp_path, trained.metadata, "--splits", trained.splits)
    assert outcome.code == 1
    assert "neither a finished run (run.json) nor a bundle (bundle.json)" in outcome.err


def test_evaluation_is_not_written_over_a_file(
    cxr_edge: Any, trained: Any, golden_bundle: Path
) -> None:
    outcome = cxr_edge(
        "evaluate", golden_bundle, trained.metadata, "--splits", trained.splits,
        "-o", trained.splits,
    )  # fmt: skip
    assert outcome.code == 2
    assert "is a file, not a folder; choose another output" in outcome.err


@pytest.mark.slow
def test_images_elsewhere_are_found_with_root(
    cxr_edge: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[model]\nimage_size = 32\n[fit]\nbatch_size = 50\nepochs = 2\n")
    shutil.copy(trained.metadata, tmp_path / "m.csv")
    run = tmp_path / "run"
    outcome = cxr_edge(
        "train", tmp_path / "m.csv", "--splits", trained.splits, "--architecture", "tiny",
        "--weights", "none", "--recipe", recipe, "--root", trained.root, "-o", run,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    arguments = ["convert", run, "--max-recall-drop", 1, "--max-specificity-drop", 1]
    shutil.rmtree(tmp_path / "cache")
    moved = json.loads((run / "run.json").read_text()) | {"root": str(tmp_path / "gone")}
    (run / "run.json").write_text(json.dumps(moved))
    assert cxr_edge(*arguments, "-o", tmp_path / "a").code == 1
    outcome = cxr_edge(*arguments, "-o", tmp_path / "b", "--root", trained.root)
    assert outcome.code == 0, outcome.err


def test_image_changed_after_cleaning_is_not_measured(cxr_edge: Any, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "data", patients=12, test_patients=2)
    metadata, splits = tmp_path / "m.csv", tmp_path / "s.csv"
    cxr_edge("clean", tmp_path / "data", "-o", metadata)
    cxr_edge("split", metadata, "-o", splits)
    arguments = ["mobilenetv2-int8", metadata, "--splits", splits, "--split", "test"]
    outcome = cxr_edge("evaluate", *arguments, "--log", tmp_path / "log")
    assert outcome.code == 0
    assert "warning: this model was trained on other images or splits" in outcome.err
    changed = next((tmp_path / "data" / "test" / "NORMAL").iterdir())
    changed.write_bytes(next((tmp_path / "data" / "test" / "PNEUMONIA").iterdir()).read_bytes())
    outcome = cxr_edge("evaluate", *arguments, "--log", tmp_path / "log2")
    assert outcome.code == 1
    assert f"{changed}: changed since it was cleaned" in outcome.err
    assert not (tmp_path / "log2").exists()


def test_split_of_a_tiny_set_says_what_is_missing(cxr_edge: Any, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "data", patients=3)
    cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv")
    outcome = cxr_edge("split", tmp_path / "m.csv", "-o", tmp_path / "s.csv")
    assert outcome.code == 1
    assert "3 patients" in outcome.err


def test_outputs_that_would_replace_inputs_are_refused(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    metadata = Path(shutil.copy(trained.metadata, tmp_path / "m.csv"))
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    outcome = cxr_edge("split", metadata, "-o", metadata)
    assert (outcome.code, "is not a splits file of cxr-edge split" in outcome.err) == (2, True)
    outcome = cxr_edge("evaluate", run, metadata, "--splits", trained.splits, "-o", run)
    assert (outcome.code, "is not an evaluation, since it contains" in outcome.err) == (2, True)
    outcome = cxr_edge("compare", metadata, "--splits", trained.splits, "-o", run)
    assert (outcome.code, "is not a comparison, since it contains" in outcome.err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_evaluating_an_unfinished_run_says_how_to_finish_it(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    (tmp_path / "unfinished.json").write_text("{}")
    outcome = cxr_edge("evaluate", tmp_path, trained.metadata, "--splits", trained.splits)
    assert outcome.code == 1
    assert "is not finished; resume the training that started it" in outcome.err
