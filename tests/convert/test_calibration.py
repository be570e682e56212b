import doctest
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cxr_edge_models
from cxr_edge_convert.bundling.sealing import METADATA_KEY
from cxr_edge_convert.calibration import calibrate
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import run_selftest
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.metadata import read_metadata


def turned(table: pd.DataFrame) -> pd.DataFrame:
    """With the labels exchanged: the kept bundle finds bright squares less suspect than none."""
    other = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}
    return table.assign(label=table["label"].map(other))


@pytest.fixture(scope="module")
def films(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Metadata of 60 films of each label, and of 40 films of test."""
    table = turned(pd.read_csv(trained.metadata, keep_default_na=False, dtype=str))
    kept = table[table["split"] == "train"].groupby("label").head(60)
    file = tmp_path_factory.mktemp("site") / "m.csv"
    pd.concat([kept, table[table["split"] == "test"]]).to_csv(file, index=False)
    return file


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    """Of an earlier version of the format, without gate and golden films."""
    return Bundle.load(golden_bundle)


def test_new_bundle_says_what_it_was_made_from_and_answers_with_its_own_point(
    films: Path, bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    result = calibrate(bundle, films, tmp_path / "new", site="north", root=trained.root)
    new = result.bundle
    site = new.manifest.site
    assert site is not None
    assert (site.name, site.derived_from) == ("north", bundle.digest)
    assert (site.negatives, site.positives) == (60, 60)
    # The logits of this network are all near 0.
    [warning] = site.warnings
    assert warning.startswith("the temperature is at its limit")
    assert new.manifest.name == "tiny-int8-north"
    assert new.digest != bundle.digest
    assert new.model == bundle.model
    assert result.warnings == (
        "40 test films left out; measure on test with a log",
        "a bundle does not list the images it was made with; if these are among them, the metrics "
        "are optimistic",
        warning,
    )
    assert new.manifest.threshold.rule == "highest specificity with sensitivity at least 0.95"
    # The mean probability of the films that it was fitted on is the share of positives.
    classifier, table = Classifier(new), read_metadata(films)
    found = [
        classifier.classify(trained.root / path, force=True).probability
        for path in table.loc[table["split"] != "test", "path"]
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=1e-3)
    assert result.after["mean_probability"].value == pytest.approx(0.5, abs=0.02)
    assert result.after["log_loss"].value <= result.before["log_loss"].value
    assert result.after["auc"] == result.before["auc"]
    assert (
        "Calibrated for the site north on 60 films labelled "
        "NORMAL" in new.read("MODEL_CARD.md").decode()
    )


def test_example_of_the_docstring_gives_what_it_says(
    films: Path, golden_bundle: Path, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(films, tmp_path / "clean_metadata.csv")
    (tmp_path / "data").symlink_to(trained.root / "data")
    shutil.copytree(golden_bundle, tmp_path / "bundles" / "tiny-int8")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(calibrate, "calibrate"):
        runner.run(example)
    assert (runner.failures, runner.tries) == (0, 4)


def test_bundle_that_is_calibrated_twice_names_the_one_before(
    films: Path, bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    first = calibrate(bundle, films, tmp_path / "a", root=trained.root).bundle
    second = calibrate(first, films, tmp_path / "b", root=trained.root).bundle
    assert second.manifest.site is not None
    assert second.manifest.site.derived_from == first.digest
    assert second.manifest.threshold == first.manifest.threshold


def test_few_films_are_refused_with_the_number_missing_and_stated_where_allowed(
    films: Path, bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    table = pd.read_csv(films, keep_default_na=False, dtype=str)
    drop = table.index[(table["label"] == "NORMAL") & (table["split"] == "train")][:25]
    table.drop(drop).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(
        DatasetError, match=r"35 films labelled NORMAL to fit to, at least 50 are needed \(15 more"
    ):
        calibrate(bundle, tmp_path / "m.csv", tmp_path / "new", root=trained.root)
    assert not (tmp_path / "new").exists()
    result = calibrate(
        bundle, tmp_path / "m.csv", tmp_path / "new", root=trained.root, min_films=35
    )
    words = (
        "fitted to 35 films labelled NORMAL and 60 labelled PNEUMONIA; at least 50 of each "
        "are recommended"
    )
    assert result.warnings[-1] == words
    assert f"**Warning:** {words}." in (tmp_path / "new" / "MODEL_CARD.md").read_text()
    # A new prevalence does not make few films many.
    samples = Path(__file__).parents[2] / "data" / "samples"
    moved = calibrate(result.bundle, samples, tmp_path / "moved", prevalence=0.1, site="moved")
    assert moved.bundle.manifest.site is not None
    assert moved.bundle.manifest.site.warnings[-1] == words


def test_films_that_the_splits_call_test_are_left_out(
    films: Path, bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    table = pd.read_csv(films, keep_default_na=False, dtype=str)
    chosen = table[table["split"] == "train"].groupby("label").head(5).assign(split="test")
    chosen[["path", "md5", "split"]].to_csv(tmp_path / "s.csv", index=False)
    result = calibrate(
        bundle, films, tmp_path / "new", splits=tmp_path / "s.csv", root=trained.root
    )
    assert result.warnings[0] == "50 test films left out; measure on test with a log"
    site = result.bundle.manifest.site
    assert site is not None
    assert (site.negatives, site.positives) == (55, 55)


def test_labels_the_wrong_way_round_and_films_of_one_patient_are_refused(
    films: Path, bundle: Bundle, trained: Any, tmp_path: Path
) -> None:
    table = pd.read_csv(films, keep_default_na=False, dtype=str)
    turned(table).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(DatasetError, match="the labels seem to be swapped for this bundle"):
        calibrate(bundle, tmp_path / "m.csv", tmp_path / "new", root=trained.root)
    one = table.assign(patient=table["patient"].where(table["label"] == "NORMAL", "p1"))
    one.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(DatasetError, match="each label needs films of at least two patients"):
        calibrate(bundle, tmp_path / "m.csv", tmp_path / "new", root=trained.root)
    assert not (tmp_path / "new").exists()


def test_stated_prevalence_moves_probabilities_and_no_decision(tmp_path: Path) -> None:
    shipped = Bundle.load(cxr_edge_models.path("tiny"))
    folder = tmp_path / "films"
    shutil.copytree(Path(__file__).parents[2] / "data" / "samples", folder)
    (folder / "broken.png").write_text("no film")
    result = calibrate(shipped, folder, tmp_path / "new", prevalence=0.1)
    assert (result.before, result.after) == ({}, {})
    assert result.warnings == (
        "1 film left out (unreadable)",
        "fewer than 50 films, so the limits of the gate are unchanged",
    )
    manifest = result.bundle.manifest
    assert manifest.prevalence == 0.1
    # Of so few films no limit is set.
    assert (manifest.gate, manifest.site and manifest.site.films) == (shipped.manifest.gate, 0)
    old, new = Classifier(shipped, prevalence=0.1), Classifier(result.bundle)
    for film in sorted(folder.glob("*.jpeg")):
        one, other = old.classify(film, force=True), new.classify(film, force=True)
        assert one.label == other.label
        assert one.probability == pytest.approx(other.probability, abs=1e-9)
    _, outcomes = run_selftest(new)
    # Where no decision changes, every golden film stays.
    assert len(outcomes) == len(run_selftest(Classifier(shipped))[1])
    assert all(outcome.passed for outcome in outcomes)
    moved = VerifiedPredictions.of_bundle(result.bundle)
    assert moved.positive.probabilities.mean() < 0.8
    assert result.bundle.manifest.metrics["validation"].keys() == {
        "auc", "sensitivity", "specificity",
    }  # fmt: skip


def test_gates_limit_is_that_of_the_sites_films(shared: Path, tmp_path: Path) -> None:
    shipped = Bundle.load(cxr_edge_models.path("tiny"))
    folder = shared / "data" / "external_adult" / "PNEUMONIA"
    result = calibrate(shipped, folder, tmp_path / "new", prevalence=0.5)
    classifier = Classifier(result.bundle)
    verdicts = [classifier.classify(path).gate for path in sorted(folder.glob("*.png"))]
    limits = result.bundle.manifest.gate
    assert limits is not None
    assert shipped.manifest.gate is not None
    distances = np.array([found.distance for found in verdicts])
    assert limits.suspicious == pytest.approx(np.quantile(distances, 0.99))
    assert limits.rejected == max(limits.suspicious, shipped.manifest.gate.rejected)
    assert result.beyond_after == (distances > limits.suspicious).sum() == 1
    assert result.beyond_before is not None
    assert result.beyond_before > 1
    assert all(outcome.passed for outcome in run_selftest(classifier)[1])


def test_external_adults_are_calibrated_better_on_films_held_out(
    shared: Path, tmp_path: Path
) -> None:
    from cxr_edge_train.cleaning.clean import clean

    adults = shared / "data" / "external_adult"
    clean(adults, tmp_path / "m.csv", labels=adults / "labels.csv")
    shipped = Bundle.load(cxr_edge_models.path("mobilenetv2-int8"))
    result = calibrate(shipped, tmp_path / "m.csv", tmp_path / "new", min_films=20)
    assert result.after["log_loss"].value < result.before["log_loss"].value
    assert result.after["mean_probability"].value == pytest.approx(50 / 78, abs=0.08)
    assert all(outcome.passed for outcome in run_selftest(Classifier(result.bundle))[1])


def test_onnx_model_states_the_new_point_to_others(
    films: Path, trained: Any, tmp_path: Path
) -> None:
    import onnx

    shipped = Bundle.load(cxr_edge_models.path("mobilenetv2-onnx-int8"))
    folder = Path(__file__).parents[2] / "data" / "samples"
    new = calibrate(shipped, folder, tmp_path / "new", prevalence=0.2).bundle
    [entry] = onnx.load_from_string(new.model).metadata_props
    stated = json.loads(entry.value)
    assert entry.key == METADATA_KEY
    assert stated["threshold"]["value"] == new.manifest.threshold.value
    assert stated["site"]["derived_from"] == shipped.digest
    assert replace(new.manifest, files={}).to_json() == entry.value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prevalence": 0.3}, "the prevalence of labelled films follows from their labels"),
        ({"min_films": 9}, "min_films must be"),
        ({"min_sensitivity": 0}, "min_sensitivity must be"),
        ({"site": ""}, "site ..: use letters"),
        ({"site": "-x"}, "site .-x.: use letters"),
        ({"site": "rejected"}, "names of rejected or loosely verified bundles end like this"),
        ({"site": "two words"}, "site .two words.: use letters"),
        ({"films": "folder"}, "is a folder, so labels are unknown; state the share of pos"),
        ({"films": "nowhere"}, "nowhere: no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    films: Path,
    bundle: Bundle,
    trained: Any,
    tmp_path: Path,
    arguments: dict[str, Any],
    message: str,
) -> None:
    (tmp_path / "folder").mkdir()
    given = {"films": films, **arguments}
    if isinstance(given["films"], str):
        given["films"] = tmp_path / given["films"]
    with pytest.raises((InvalidRequest, DatasetError), match=message):
        calibrate(bundle, given.pop("films"), tmp_path / "new", root=trained.root, **given)
    assert not (tmp_path / "new").exists()
