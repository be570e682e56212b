import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge import Bundle, clean, evaluate
from cxr_edge_runtime.errors import BundleNotFound, DatasetError, InvalidRequest, RunError
from cxr_edge_train.dataset.metadata import dataset_digest, read_metadata, read_splits
from cxr_edge_train.runs import read_run


def test_bundle_is_measured_by_folder_and_as_an_object_and_nothing_is_printed(
    trained: Any, golden_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    by_folder = evaluate(str(golden_bundle), str(trained.metadata), str(trained.splits))
    loaded = evaluate(
        Bundle.load(golden_bundle),
        trained.metadata,
        trained.splits,
        output=tmp_path / "out",
    )
    assert by_folder == loaded
    assert (loaded.split, loaded.n, loaded.model.bundle) == ("validation", 200, "tiny-int8")
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == loaded.as_dict()
    assert loaded.warnings[1:] == (
        "this model was trained on other images or splits; it may have learned from some of these "
        "validation images",
    )
    assert "warnings" not in written
    assert capfd.readouterr() == ("", "")


def test_run_measured_on_its_own_images_has_no_warning(trained: Any) -> None:
    evaluation = evaluate(trained.run, trained.metadata, trained.splits)
    assert (evaluation.model.run, evaluation.warnings) == ("run", ())


def test_test_labels_are_read_with_a_log_alone(
    trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    arguments = (golden_bundle, trained.metadata, trained.splits)
    with pytest.raises(InvalidRequest, match="test needs a log"):
        evaluate(*arguments, split="test")
    log = tmp_path / "log.jsonl"
    evaluation = evaluate(*arguments, split="test", log=log)
    assert evaluation.n == 40
    evaluate(*arguments)
    [entry] = map(json.loads, log.read_text().splitlines())
    table = read_splits(trained.splits, read_metadata(trained.metadata))
    assert entry["test_digest"] == dataset_digest(table[table["split"] == "test"])


def test_log_that_keeps_nothing_is_refused_before_any_image_is_read(
    trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    film = next((trained.root / "data").rglob("*.png"))
    before = film.read_bytes()
    for log in (Path("/dev/null"), film, tmp_path):
        with pytest.raises(InvalidRequest, match=r"choose another output|name the file to write"):
            evaluate(
                golden_bundle, trained.metadata, trained.splits, split="test", log=log,
                progress=lambda _: pytest.fail("images are read"),
            )  # fmt: skip
    assert film.read_bytes() == before


def reduced(trained: Any, tmp_path: Path) -> tuple[Path, Path]:
    """Metadata and splits without the last test image."""
    files = []
    for source in (trained.metadata, trained.splits):
        lines = source.read_text().splitlines()
        last = max(number for number, line in enumerate(lines) if "/test/" in line)
        files.append(tmp_path / source.name)
        files[-1].write_text("\n".join(lines[:last] + lines[last + 1 :]) + "\n")
    return files[0], files[1]


OTHER_TEST = "the test images have changed since the run was made"


def test_run_measured_on_other_test_images_than_it_was_made_with_says_so(
    trained: Any, tmp_path: Path
) -> None:
    metadata, splits = reduced(trained, tmp_path)
    log = tmp_path / "log"
    same = evaluate(trained.run, trained.metadata, trained.splits, split="test", log=log)
    assert (same.n, same.warnings) == (40, ())
    other = evaluate(trained.run, metadata, splits, split="test", log=log, root=trained.root)
    assert (other.n, other.warnings) == (39, (OTHER_TEST,))
    fewer = evaluate(
        trained.run, trained.metadata, splits, split="test", log=log, root=trained.root
    )
    assert fewer.warnings == (
        OTHER_TEST,
        "1 test image of the metadata not measured (in no split)",
    )
    assert len(log.read_text().splitlines()) == 3
    on_validation = evaluate(trained.run, metadata, splits, root=trained.root)
    assert on_validation.warnings == ()


def test_split_without_an_image_is_named(trained: Any, tmp_path: Path) -> None:
    splits = tmp_path / "s.csv"
    table = pd.read_csv(trained.splits, keep_default_na=False)
    table[table["split"] != "validation"].to_csv(splits, index=False)
    message = f"{splits}: no image of {trained.metadata} is in the split validation; measure"
    with pytest.raises(DatasetError, match=re.escape(message)):
        evaluate(trained.run, trained.metadata, splits, root=trained.root)


def test_validation_that_may_have_been_test_says_so(trained: Any, tmp_path: Path) -> None:
    """As where metadata and splits were both written anew."""
    metadata, splits = tmp_path / "m.csv", tmp_path / "s.csv"
    table = pd.read_csv(trained.metadata, keep_default_na=False)
    chosen = pd.read_csv(trained.splits, keep_default_na=False)
    moved = set(table.loc[table["split"] == "test", "path"].head(2))
    table.loc[table["path"].isin(moved), "split"] = "train"
    chosen.loc[chosen["path"].isin(moved), "split"] = "validation"
    table.replace(r"^data/test/", "data/other/", regex=True).to_csv(metadata, index=False)
    chosen.replace(r"^data/test/", "data/other/", regex=True).to_csv(splits, index=False)
    shutil.copytree(trained.root / "data", tmp_path / "data")
    (tmp_path / "data" / "test").rename(tmp_path / "data" / "other")
    found = evaluate(trained.run, metadata, splits, root=tmp_path)
    assert any("these validation images may have been test" in text for text in found.warnings)


def test_run_of_before_the_digest_was_recorded_is_measured_on_test(
    trained: Any, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    values = json.loads((run / "run.json").read_text())
    del values["test_digest"], values["unknown_patients"]
    (run / "run.json").write_text(json.dumps(values))
    metadata, splits = reduced(trained, tmp_path)
    evaluation = evaluate(
        run, metadata, splits, split="test", log=tmp_path / "log", root=trained.root
    )
    assert evaluation.warnings == ()


def test_unknown_patients_are_warned_of(trained: Any, golden_bundle: Path, tmp_path: Path) -> None:
    metadata = tmp_path / "m.csv"
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    table.loc[table.index[:3], "patient"] = ""
    table.to_csv(metadata, index=False)
    evaluation = evaluate(golden_bundle, metadata, trained.splits, root=trained.root)
    assert evaluation.warnings[-1].startswith("the patient of 3 of 1240 images is unknown; ")


@pytest.mark.parametrize("split", ["train", "", None, 3])
def test_other_splits_are_not_measured(trained: Any, golden_bundle: Path, split: Any) -> None:
    with pytest.raises(InvalidRequest, match="split must be one of validation, test, all"):
        evaluate(golden_bundle, trained.metadata, trained.splits, split=split)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"subject": None}, InvalidRequest, "subject must be a path"),
        ({"subject": "no-such-bundle"}, BundleNotFound, "no-such-bundle"),
        ({"metadata": 1}, InvalidRequest, "metadata must be a path"),
        ({"splits": 1}, InvalidRequest, "splits must be a path"),
        ({"log": 1}, InvalidRequest, "log must be a path"),
        ({"output": 1}, InvalidRequest, "output must be a path"),
        ({"root": 1}, InvalidRequest, "root must be a path"),
        ({"root": "nowhere"}, InvalidRequest, "root nowhere: no such folder"),
        ({"progress": None}, InvalidRequest, "progress must be a function, not None"),
        ({"log": "log.jsonl"}, InvalidRequest, "a log records readings of test, but validation"),
        ({"threads": 0}, InvalidRequest, "threads must be a whole number from 1 to 64"),
        ({"threads": "2"}, InvalidRequest, "threads must be a whole number from 1 to 64"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(
    trained: Any,
    golden_bundle: Path,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    arguments = {
        "subject": golden_bundle, "metadata": trained.metadata, "splits": trained.splits,
    } | change  # fmt: skip
    with pytest.raises(error, match=message):
        evaluate(**arguments)


def test_folder_that_is_neither_run_nor_bundle_is_named(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither a finished run"):
        evaluate(tmp_path, trained.metadata, trained.splits)
    (tmp_path / "unfinished.json").touch()
    with pytest.raises(RunError, match="is not finished"):
        evaluate(tmp_path, trained.metadata, trained.splits)


def test_output_that_holds_something_else_is_left_alone(
    trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    for output in (trained.run, golden_bundle):
        with pytest.raises(InvalidRequest, match="is not an evaluation, since it contains"):
            evaluate(golden_bundle, trained.metadata, trained.splits, output=output)
    with pytest.raises(InvalidRequest, match="is a file"):
        evaluate(golden_bundle, trained.metadata, trained.splits, output=trained.splits)


def test_bundle_is_measured_without_keras(trained: Any, golden_bundle: Path) -> None:
    code = (
        "import sys, cxr_edge; "
        f"cxr_edge.evaluate({str(golden_bundle)!r}, {str(trained.metadata)!r}, "
        f"{str(trained.splits)!r}); print('keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_run_measured_on_its_own_validation_images_gives_the_metrics_it_recorded(
    trained: Any,
) -> None:
    evaluation = evaluate(trained.run, trained.metadata, trained.splits)
    recorded = read_run(trained.run).metrics["validation"]
    assert evaluation.metrics.by_name() == recorded


@pytest.mark.parametrize("name", ["evaluation.json", "figures/roc.png", "log.jsonl"])
def test_log_in_the_folder_that_is_written_anew_is_refused(
    golden_bundle: Path, trained: Any, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "out"
    with pytest.raises(InvalidRequest, match="which is overwritten"):
        evaluate(
            golden_bundle, trained.metadata, trained.splits, split="test", log=output / name,
            output=output,
        )  # fmt: skip
    assert not output.exists()


def test_all_but_test_is_measured_without_splits_and_by_subgroup(
    trained: Any, golden_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    table["site"] = ["north", "south"] * (len(table) // 2)
    table.to_csv(tmp_path / "m.csv", index=False)
    # What a splits file calls test is left out, too.
    more = pd.read_csv(trained.splits, dtype=str)
    more.loc[more.index[more["split"] == "validation"][:7], "split"] = "test"
    more.to_csv(tmp_path / "s.csv", index=False)
    found = evaluate(
        golden_bundle, tmp_path / "m.csv", tmp_path / "s.csv", split="all", root=trained.root
    )
    assert found.n == 1193
    with pytest.raises(DatasetError, match=r"nowhere\.csv: no such file"):
        evaluate(golden_bundle, tmp_path / "m.csv", tmp_path / "nowhere.csv", root=trained.root)
    with pytest.raises(DatasetError, match=r"nowhere\.csv: no such file"):
        evaluate(
            golden_bundle, tmp_path / "m.csv", tmp_path / "nowhere.csv", split="all",
            root=trained.root,
        )  # fmt: skip
    monkeypatch.chdir(tmp_path)  # where no splits.csv lies
    evaluation = evaluate(
        golden_bundle,
        tmp_path / "m.csv",
        split="all",
        root=trained.root,
        output=tmp_path / "out",
    )
    assert (evaluation.split, evaluation.n) == ("all", 1200)
    assert evaluation.warnings[1:] == (
        "40 test films left out; measure on test with a log",
        "a bundle does not list the images it was made with; if these are among them, the "
        "metrics are optimistic",
    )
    groups = {group.name: group for group in evaluation.subgroups}
    assert groups["site north"].n == groups["site south"].n == 600
    assert evaluation.as_dict()["subgroups"][-1]["value"] == "south"
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert " has the lowest sensitivity: " in page
    assert "40 test films left out" in page
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert not rows["path"].str.contains("/test/").any()
    assert set(rows["verdict"]) <= {"accepted", "suspicious", "rejected", "not_checked"}
    assert "distance" in rows


def test_labels_the_wrong_way_round_are_named(
    trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    # The kept bundle finds the drawn films' bright squares less suspect than none.
    evaluation = evaluate(golden_bundle, trained.metadata, split="all")
    assert evaluation.warnings[0] == (
        f"the AUC is {evaluation.metrics.auc}: are the labels swapped?"
    )
    text = trained.metadata.read_text()
    head, *rows = text.splitlines()
    own = "\n".join([f"{head},classes", *(f"{row},PNEUMONIA|NORMAL" for row in rows)])
    (tmp_path / "m.csv").write_text(own)
    with pytest.raises(
        DatasetError, match=r"its finding is NORMAL, the model's is PNEU.*positive P"
    ):
        evaluate(golden_bundle, tmp_path / "m.csv", split="all", root=trained.root)


def test_run_measured_on_all_says_how_many_it_was_made_with(trained: Any) -> None:
    evaluation = evaluate(trained.run, trained.metadata, split="all")
    assert "trained on or chosen by 1200 of these 1200 images" in evaluation.warnings[1]


def test_test_image_that_was_renamed_in_the_metadata_is_measured_nowhere(
    trained: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    text = trained.metadata.read_text().replace(",test,", ",train,")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(
        DatasetError,
        match=r"in a folder named test but its split is train \(40 "
        "im",
    ):
        evaluate(golden_bundle, tmp_path / "m.csv", split="all", root=trained.root)
    # Nor under other class names, beside a folder train.
    renamed = trained.metadata.read_text().replace(",test,", ",train,")
    renamed = renamed.replace("/test/NORMAL/", "/test/NEG/").replace("/test/PNEUMONIA/", "/Test/x/")
    (tmp_path / "m.csv").write_text(renamed)
    with pytest.raises(
        DatasetError,
        match=r"in a folder named test but its split is train \(40 "
        "im",
    ):
        evaluate(golden_bundle, tmp_path / "m.csv", split="all", root=trained.root)
    # Nor where the folder was cleaned as if it were a data set of its own.
    with pytest.raises(DatasetError, match="20 are test; clean the folder above"):
        clean(trained.root / "data" / "test", tmp_path / "own.csv")
