from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge_convert.artifacts import builder as artifact_builder
from cxr_edge_convert.artifacts import gate_fitting
from cxr_edge_convert.artifacts.builder import ArtifactBuilder
from cxr_edge_convert.bundling.output_folder import write_all
from cxr_edge_convert.conversion import Variant, make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import wanted_schemes
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import GATE_FILE, REFERENCE_FILE, SELFTEST_FILE
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import run_selftest
from cxr_edge_runtime.errors import ConversionError, InvalidRequest

LOOSE = Limits(1.0, 1.0, 1.0, 0.0)


@pytest.fixture(scope="module")
def not_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    random = np.random.default_rng(0)
    for number in range(16):
        kind = folder / ("noise" if number % 2 else "snow")
        kind.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (80, 80), dtype=np.uint8)).save(
            kind / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="module")
def settings(not_films: Path) -> ConversionSettings:
    schemes = wanted_schemes(formats=["tflite", "onnx"], quantizations=["int8"], target="x86")
    return ConversionSettings(tuple(schemes), LOOSE, not_films=not_films)


@pytest.fixture(scope="module")
def variants(tiny_source: Source, settings: ConversionSettings) -> list[Variant]:
    return make_variants(tiny_source, settings)


def test_every_bundle_has_a_gate_and_golden_inputs_that_its_engine_reproduces(
    tiny_source: Source, settings: ConversionSettings, variants: list[Variant], tmp_path: Path
) -> None:
    write_all(tmp_path / "out", tiny_source, settings, variants)
    for variant in variants:
        bundle = Bundle.load(tmp_path / "out" / variant.scheme.name)
        assert {GATE_FILE, REFERENCE_FILE, SELFTEST_FILE} <= set(bundle.manifest.files)
        classifier = Classifier(bundle)
        _, outcomes = run_selftest(classifier)
        assert all(outcome.passed and outcome.shift < 1e-5 for outcome in outcomes)
        verdicts = [
            classifier.classify(tiny_source.images.root / path).gate.verdict
            for path in tiny_source.validation.table["path"][:50]
        ]
        assert verdicts.count("accepted") >= 45
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Input gate" in page
    assert "out-of-distribution images that were given" in page


def test_where_films_lie_is_learned_once_and_the_limits_are_each_variants_own(
    variants: list[Variant],
) -> None:
    gates = [variant.artifacts.gate for variant in variants if variant.artifacts]
    assert len(gates) == 4
    assert len({gate.to_bytes() for gate in gates if gate}) == 1
    assert len({gate.limits for gate in gates if gate}) > 1


def test_report_counts_every_thing_that_is_no_film(
    variants: list[Variant], not_films: Path
) -> None:
    for variant in variants:
        assert variant.artifacts is not None
        gate, found = variant.artifacts.gate, variant.artifacts.gate_counts
        assert gate is not None
        assert found is not None
        assert 0 < gate.limits.suspicious <= gate.limits.rejected
        counted = sum(sum(counts.values()) for counts in found.non_films.values())
        assert counted == len(list(not_films.rglob("*.png")))


def test_same_source_and_seed_give_the_same_files(
    tiny_source: Source, settings: ConversionSettings, variants: list[Variant]
) -> None:
    again = make_variants(tiny_source, replace(settings, schemes=settings.schemes[:2]))
    for variant, first in zip(again, variants):
        assert variant.artifacts is not None
        assert first.artifacts is not None
        assert variant.artifacts.files == first.artifacts.files


def test_model_without_embedding_gets_golden_inputs_alone(tiny_source: Source) -> None:
    class External(Source):
        outputs = ("logit",)  # type: ignore[assignment]

    external = External(**{name: getattr(tiny_source, name) for name in tiny_source.__slots__})
    builder = ArtifactBuilder.of(external, not_films=None, seed=0)
    assert builder is not None
    assert builder.gate is None


def test_without_training_films_of_both_labels_there_are_no_artifacts(tiny_source: Source) -> None:
    normals = tiny_source.train[tiny_source.train["label"] == "NORMAL"]
    for train in (normals, normals.head(0)):
        assert ArtifactBuilder.of(replace(tiny_source, train=train), not_films=None, seed=0) is None


def test_folder_of_no_use_is_refused_before_anything_is_learned(
    tiny_source: Source, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match="no readable image"):
        ArtifactBuilder.of(tiny_source, not_films=tmp_path, seed=0)


def test_limits_come_from_films_that_the_gate_has_not_learned_from(
    tiny_source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmented = []

    def noted(films: np.ndarray, *, seed: int) -> np.ndarray:
        augmented.append({film.tobytes() for film in films})
        return films

    monkeypatch.setattr(artifact_builder, "augmented_films", noted)
    monkeypatch.setattr(artifact_builder, "FILMS", 50)
    ArtifactBuilder.of(tiny_source, not_films=None, seed=0)
    learned, others = augmented
    assert len(learned) == len(others) == 50
    assert not learned & others


def test_variant_that_rejects_every_film_of_a_label_is_refused(tiny_source: Source) -> None:
    builder = ArtifactBuilder.of(tiny_source, not_films=None, seed=0)
    assert builder is not None
    rejected = (tiny_source.validation.table["label"] == "NORMAL").to_numpy()
    engine: Any = None  # it is not asked
    with pytest.raises(ConversionError, match=r"rejects all \d+ validation films labelled NORMAL"):
        builder._reference(engine, np.zeros(len(rejected)), None, rejected)


@pytest.mark.parametrize("rejected_quantile", [0.97, 0.0])
def test_reference_holds_what_the_bundle_answers_on_validation_by_label(
    tiny_source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rejected_quantile: float,
) -> None:
    schemes = wanted_schemes(formats=["tflite"], quantizations=["int8"], target="x86")
    settings = ConversionSettings(tuple(schemes), LOOSE)
    # With the lower one the gate rejects half of all films.
    monkeypatch.setattr(gate_fitting, "_REJECTED", rejected_quantile)
    if not rejected_quantile:
        monkeypatch.setattr(gate_fitting, "_SUSPICIOUS", 0.5)
    variants = make_variants(tiny_source, settings)
    write_all(tmp_path / "out", tiny_source, settings, variants)
    bundle = Bundle.load(tmp_path / "out" / "int8")
    classifier, found = Classifier(bundle), VerifiedPredictions.of_bundle(bundle)
    answers = [
        classifier.classify(tiny_source.images.root / path, force=True)
        for path in tiny_source.validation.table["path"]
    ]
    for label, part in (("NORMAL", found.negative), ("PNEUMONIA", found.positive)):
        of_label = [
            answer
            for answer, true in zip(answers, tiny_source.validation.table["label"])
            if true == label
        ]
        kept = [answer for answer in of_label if answer.gate.verdict != "rejected"]
        assert part.films == len(of_label)
        assert part.rejected == len(of_label) - len(kept)
        np.testing.assert_allclose(
            part.probabilities, sorted(float(answer.probability or 0) for answer in kept), atol=1e-6
        )
        np.testing.assert_allclose(
            part.distances, sorted(float(answer.gate.distance or 0) for answer in kept), rtol=1e-3
        )
    assert (found.negative.rejected + found.positive.rejected > 20) == (not rejected_quantile)


def test_artifacts_are_those_of_an_operating_point_fitted_anew(tiny_source: Source) -> None:
    frozen = replace(tiny_source.validation.operating_point, temperature=5.0)
    source = replace(
        tiny_source, validation=replace(tiny_source.validation, operating_point=frozen)
    )
    schemes = wanted_schemes(formats=["tflite"], quantizations=[], target="x86")
    settings = ConversionSettings(tuple(schemes), LOOSE, refit_sensitivity=0.9)
    [variant] = make_variants(source, settings)
    assert variant.refit is not None
    assert variant.artifacts is not None
    found = variant.artifacts.reference
    kept = np.array([*found.negative.probabilities, *found.positive.probabilities])
    expected = variant.refit.operating_point.probabilities(variant.logits)
    assert len(kept) > 150
    assert np.abs(kept[:, np.newaxis] - expected).min(axis=1).max() < 1e-6
