"""From a run with a lung locator to bundles that carry it, and to their answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_convert.artifacts.builder import ArtifactBuilder
from cxr_edge_convert.artifacts.drawings import drawings
from cxr_edge_convert.bundling import output_folder
from cxr_edge_convert.bundling.output_folder import write_all
from cxr_edge_convert.conversion import Variant, _engine, make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source, run_source
from cxr_edge_convert.variants import wanted_schemes
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_runtime.device.selftest import run_selftest
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.predictions import predict
from cxr_edge_train.progress import no_progress
from cxr_edge_train.runs import read_predictions
from locators import film_without_lungs

LOOSE = Limits(1.0, 1.0, 1.0, 0.0)


@pytest.fixture(scope="module")
def source(trained_on_lungs: Any, tmp_path_factory: pytest.TempPathFactory) -> Source:
    road = trained_on_lungs
    return run_source(road.run, root=None, cache_dir=road.cache, progress=no_progress)


@pytest.fixture(scope="module")
def variants(source: Source) -> list[Variant]:
    schemes = wanted_schemes(formats=["tflite", "onnx"], quantizations=[], target="x86")
    return make_variants(source, ConversionSettings(tuple(schemes), LOOSE))


@pytest.fixture(scope="module")
def conversion(
    source: Source, variants: list[Variant], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("conversion") / "out"
    settings = ConversionSettings(tuple(variant.scheme for variant in variants), LOOSE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            output_folder,
            "measure",
            lambda folder, threads: [Timing(n, 10.0, 3.0, 1.0, 2.0, 2.5, 50.0) for n in threads],
        )
        write_all(output, source, settings, variants)
    return output


@pytest.fixture(scope="module", params=["float32", "onnx-float32"])
def bundle(request: pytest.FixtureRequest, conversion: Path) -> Bundle:
    return Bundle.load(conversion / request.param)


def test_bundle_carries_the_locator_in_the_format_of_its_model(
    bundle: Bundle, locator: Any
) -> None:
    manifest = bundle.manifest
    assert manifest.locator is not None
    assert manifest.locator.file == f"locator.{manifest.model.format}"
    assert (manifest.locator.version, manifest.locator.margin) == (1, 1.2)
    assert manifest.preprocess.version == 2
    assert bundle.read(manifest.locator.file) == locator.model(manifest.model.format)
    assert sum(name.startswith("locator.") for name in manifest.files) == 1


def test_classifier_sees_of_each_film_what_the_training_saw(
    bundle: Bundle, source: Source, trained_on_lungs: Any
) -> None:
    classifier, seen = Classifier(bundle), []
    run = classifier.engine.run

    class Watched:
        name = classifier.engine.name

        def run(self, image: Any) -> Any:
            seen.append(image)
            return run(image)

    classifier.engine = Watched()
    rows = source.validation.table.iloc[::7]
    recorded = read_predictions(trained_on_lungs.run, rows)
    boxes = []
    for number, (place, path) in enumerate(rows["path"].items()):
        seen.clear()
        answer = classifier.classify(source.images.root / path, force=True)
        np.testing.assert_array_equal(seen[0][0], source.validation_pixels[place])
        assert answer.logit == pytest.approx(recorded[number], abs=1e-3)
        boxes.append(answer.box)
    assert len({box for box in boxes if box}) > len(boxes) / 2


def test_film_without_lungs_is_rejected_and_forced_on_the_whole(bundle: Bundle) -> None:
    classifier, film = Classifier(bundle), film_without_lungs()
    answer = classifier.classify(film)
    assert (answer.gate.verdict, answer.label) == ("rejected", None)
    assert "no lungs found" in answer.gate.reasons
    forced = classifier.classify(film, force=True)
    assert forced.label is not None
    assert forced.box is None
    whole = Preprocessor(PreprocessSpec(32, 32))(film).model_input
    assert forced.logit == classifier.engine.run(whole)["logit"][0, 0]


def test_golden_films_are_answered_on_both_sides_of_the_threshold(bundle: Bundle) -> None:
    classifier = Classifier(bundle)
    golden, outcomes = run_selftest(classifier)
    assert all(outcome.passed and outcome.shift < 1e-5 for outcome in outcomes)
    assert {answer.label for answer in golden.answers} == {"NORMAL", "PNEUMONIA"}
    answers = [classifier.classify(film) for film in golden.films]
    assert sum(answer.box is not None for answer in answers) >= len(answers) / 2
    with_verdict = [pair for pair in zip(answers, golden.answers) if pair[1].verdict]
    assert [found.gate.verdict for found, _ in with_verdict] == [
        answer.verdict for _, answer in with_verdict
    ]


def test_golden_films_show_whole_films_in_a_frame(source: Source, bundle: Bundle) -> None:
    golden, _ = run_selftest(Classifier(bundle))
    # 1.5 times the 224 pixels that films are averaged at, whatever the size of the model's input,
    # and the frame.
    assert {load_grey(film).pixels.shape for film in golden.films} == {(386, 430)}


def test_reference_knows_the_films_that_are_refused_for_want_of_lungs(
    source: Source, bundle: Bundle
) -> None:
    classifier, found = Classifier(bundle), VerifiedPredictions.of_bundle(bundle)
    table = source.validation.table
    verdicts = pd.Series(
        [classifier.classify(source.images.root / path).gate.verdict for path in table["path"]]
    )
    for label, part in (("NORMAL", found.negative), ("PNEUMONIA", found.positive)):
        of_label = verdicts[(table["label"] == label).to_numpy()]
        assert part.rejected == (of_label == "rejected").sum()


def test_card_and_report_name_the_locator(conversion: Path, bundle: Bundle, locator: Any) -> None:
    manifest = bundle.manifest
    assert manifest.locator is not None
    name = manifest.locator.file
    card = bundle.read("MODEL_CARD.md").decode()
    assert f"`{name}`, {manifest.files[name].bytes:,} bytes, finds the lungs" in card
    assert "box, enlarged 1.2 times in width and height" in card
    assert "The lung locator finds no lungs in 0 of " in card
    report = (conversion / "report.md").read_text()
    sizes = {format: len(locator.model(format)) for format in ("tflite", "onnx")}
    assert (
        f"a lung locator of {sizes['onnx']:,} bytes (onnx) and {sizes['tflite']:,} bytes (tflite)"
    ) in report


def test_non_films_without_lungs_are_counted(source: Source, variants: list[Variant]) -> None:
    drawn = drawings(source.images.prepare)
    assert 0 < drawn.without_lungs < len(drawn.inputs)
    for variant in variants:
        assert variant.artifacts is not None
        assert variant.artifacts.gate_counts is not None
        counts = variant.artifacts.without_lungs
        assert counts is not None
        assert (counts.non_films, counts.non_film_images) == (
            drawn.without_lungs,
            len(drawn.inputs),
        )
        assert counts.validation_films == len(source.validation.table)
        by_kind = variant.artifacts.gate_counts.non_films.values()
        assert sum(kind.get("rejected", 0) for kind in by_kind) >= drawn.without_lungs


def test_bundle_is_evaluated_on_the_lungs(bundle: Bundle, source: Source) -> None:
    rows = source.validation.table.head(20)
    found, _ = predict(BundleSubject(bundle), rows, root=source.images.root)
    np.testing.assert_allclose(found["logit"], source.validation.logits[:20], atol=1e-3)


def test_films_are_read_whole_for_changes_of_their_greys(source: Source) -> None:
    rows = source.validation.table.head(2)
    for film, path in zip(source.images.films(rows), rows["path"], strict=True):
        with Image.open(source.images.root / path) as image:
            np.testing.assert_array_equal(film, np.asarray(image))


def test_without_a_gate_films_without_lungs_are_refused_all_the_same(
    source: Source, variants: list[Variant]
) -> None:
    builder = ArtifactBuilder.of(source, not_films=None, seed=0)
    assert builder is not None
    assert builder.remarks is not None
    labels = source.validation.table["label"]
    refused = [(("no lungs found",), ()), *builder.remarks[1:]]
    [variant, _] = variants
    made = replace(builder, gate=None, remarks=refused).build(
        _engine(source, variant.scheme, variant.model),
        variant.logits,
        None,
        source.validation.operating_point,
        source.preprocessor("tflite"),
    )
    assert made.without_lungs is not None
    assert made.without_lungs.validation == 1
    rejected = (made.reference.negative.rejected, made.reference.positive.rejected)
    assert rejected == ((1, 0) if labels.iloc[0] == "NORMAL" else (0, 1))
    # The black frame of golden films is lung to the stub: they are cut off, with or without a gate.
    assert {answer.verdict for answer in made.golden.answers} == {"suspicious"}
