import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import cxr_edge_models
from cxr_edge_runtime import classifier as classifier_module
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import Ages, GateLimits, Interval, OneLevel
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import EngineError, InvalidRequest
from cxr_edge_runtime.gate import ACCEPTED, NOT_CHECKED, REJECTED, SUSPICIOUS, Gate
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.preprocess import preprocess
from cxr_edge_runtime.probability import at_prevalence, threshold_logit
from locators import (
    TWO_LUNGS,
    drawn_film,
    film_without_lungs,
    located_bundle,
    whole_film_bundle,
)
from synthetic import noisy_gradient

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


@pytest.fixture
def classifier(golden_bundle: Path) -> Classifier:
    return Classifier(Bundle.load(golden_bundle))


@pytest.mark.parametrize("bundle", [None, "tiny", 3, ["tiny"]])
def test_what_is_no_loaded_bundle_is_refused(bundle: object) -> None:
    with pytest.raises(InvalidRequest, match=r"load one with Bundle\.load"):
        Classifier(bundle)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 65])
def test_threads_that_cannot_be_are_refused(golden_bundle: Path, threads: object) -> None:
    with pytest.raises(InvalidRequest, match="threads must be a whole number from 1 to 64"):
        Classifier(Bundle.load(golden_bundle), threads=threads)


def test_probability_is_the_scaled_sigmoid_of_the_logit(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    prediction = classifier.classify(make_image())
    expected = 1 / (1 + math.exp(-prediction.logit / 1.5))
    assert prediction.probability == pytest.approx(expected)
    assert prediction.threshold == 0.4


def test_label_follows_the_threshold(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    image = make_image()
    probability = classifier.classify(image).probability
    manifest = classifier.bundle.manifest
    for threshold, label in (
        (probability, "PNEUMONIA"),
        (math.nextafter(probability, 1), "NORMAL"),
    ):
        moved = replace(manifest, threshold=replace(manifest.threshold, value=threshold))
        classifier.bundle = replace(classifier.bundle, manifest=moved)
        assert classifier.classify(image).label == label


def test_file_and_its_pixels_give_the_same(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    path = make_image(size=(130, 90))
    assert classifier.classify(path).logit == classifier.classify(load_grey(path).pixels).logit


def test_large_jpeg_is_reduced_only_where_the_model_looks_at_a_box(
    classifier: Classifier, tmp_path: Path
) -> None:
    located = Classifier(Bundle.load(located_bundle(tmp_path / "tiny")))
    film = np.asarray(Image.fromarray(drawn_film(*TWO_LUNGS)).resize((1600, 1600)))
    path = tmp_path / "film.jpeg"
    Image.fromarray(film).save(path, quality=95)
    for one, least_side in ((located, 256), (classifier, None)):
        pixels = load_grey(path, least_side=least_side).pixels
        assert one.classify(path).logit == one.classify(pixels).logit
        assert one.classify(path).logit == one.classify(path.read_bytes()).logit
    reduced, whole = load_grey(path, least_side=256).pixels, load_grey(path).pixels
    assert reduced.shape == (400, 400)
    assert located.classify(reduced).logit == pytest.approx(located.classify(whole).logit, abs=0.1)


def test_golden_logits_stay_within_a_few_steps(classifier: Classifier) -> None:
    # INT8 kernels differ between processors by a few steps, so equality cannot be asked for.
    inputs = [noisy_gradient((32, 32), seed)[np.newaxis, :, :, np.newaxis] for seed in (100, 101)]
    logits = [float(classifier.engine.run(image)["logit"][0, 0]) for image in inputs]
    assert logits == pytest.approx([-0.1278, -0.1267], abs=0.01)


@pytest.mark.parametrize("output", ["logit", "embedding"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_answer(
    classifier: Classifier, make_image: Callable[..., Path], output: str, value: float
) -> None:
    class Broken:
        name = "broken"

        def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
            outputs = {"logit": np.zeros((1, 1), np.float32), "embedding": np.ones((1, 4))}
            return outputs | {output: np.array([[value]], np.float32)}

    classifier.engine = Broken()
    with pytest.raises(EngineError, match=f"no finite number for the {output}"):
        classifier.classify(make_image())


def with_prevalence(classifier: Classifier, **changes: object) -> Bundle:
    """The classifier's bundle, as one that states the prevalence of its probabilities."""
    manifest = replace(classifier.bundle.manifest, bias=0.5, prevalence=0.7, **changes)
    return replace(classifier.bundle, manifest=manifest)


def test_bias_is_added_to_the_logit(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    prediction = Classifier(with_prevalence(classifier)).classify(make_image())
    expected = 1 / (1 + math.exp(-(prediction.logit + 0.5) / 1.5))
    assert prediction.probability == pytest.approx(expected)
    assert prediction.prevalence == 0.7


@pytest.mark.parametrize("prevalence", [0.0001, 0.1, 0.7, 0.9999])
def test_prevalence_moves_probability_and_threshold_and_no_decision(
    classifier: Classifier, make_image: Callable[..., Path], prevalence: float
) -> None:
    image, bundle = make_image(), with_prevalence(classifier)
    probability = Classifier(bundle).classify(image).probability
    assert probability is not None
    for value, label in ((probability, "PNEUMONIA"), (math.nextafter(probability, 1), "NORMAL")):
        threshold = replace(bundle.manifest.threshold, value=value)
        at_threshold = with_prevalence(classifier, threshold=threshold)
        moved = Classifier(at_threshold, prevalence=prevalence).classify(image)
        assert moved.label == label
        assert moved.probability is not None
        assert (moved.probability >= moved.threshold) == (label == "PNEUMONIA")
        assert moved.prevalence == prevalence
        odds = (prevalence / (1 - prevalence)) / (0.7 / 0.3) * probability / (1 - probability)
        assert moved.probability == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize("prevalence", [0, 1, "0.1", True, float("nan")])
def test_prevalence_that_cannot_be_is_refused(classifier: Classifier, prevalence: object) -> None:
    with pytest.raises(InvalidRequest, match="prevalence must be a number from"):
        Classifier(with_prevalence(classifier), prevalence=prevalence)


def test_prevalence_needs_a_bundle_that_states_its_own(classifier: Classifier) -> None:
    with pytest.raises(InvalidRequest, match="does not state the prevalence"):
        Classifier(classifier.bundle, prevalence=0.1)


def test_rejected_model_says_so_with_every_prediction(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    rejected = with_prevalence(classifier, name="tiny-int8-rejected")
    [warning, *_] = Classifier(rejected).classify(make_image()).warnings
    assert "was rejected" in warning


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.5, 0.7, "not clearly better than"), (0.501, 0.7, ""), (0.3, 0.49, "worse than")],
)
def test_model_no_better_than_chance_says_so_with_every_prediction(
    classifier: Classifier, make_image: Callable[..., Path], low: float, high: float, said: str
) -> None:
    metrics = {"local": {"auc": Interval(low, low, high, 40)}}
    doubtful = with_prevalence(classifier, metrics=metrics)
    warnings = Classifier(doubtful).classify(make_image()).warnings
    found = [warning for warning in warnings if "chance" in warning]
    auc = f"{low:.3f} [{low:.3f}, {high:.3f}]"
    assert found == ([f"on local this model was {said} chance (AUC {auc})"] if said else [])


def test_rounding_brings_no_positive_film_below_the_threshold(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, make_image: Callable[..., Path]
) -> None:
    # Of two neighbouring numbers, Bayes' rule may give the larger one the smaller result.
    threshold, probability = 0.44505873211451163, 0.4450587321145117
    stated, wanted = 0.9240867753766532, 0.99
    moved = [at_prevalence(p, stated=stated, wanted=wanted) for p in (threshold, probability)]
    assert moved[0] > moved[1]
    monkeypatch.setattr(classifier_module, "probability_of", lambda logit, manifest: probability)
    bundle = with_prevalence(
        classifier, threshold=replace(classifier.bundle.manifest.threshold, value=threshold)
    )
    bundle = replace(bundle, manifest=replace(bundle.manifest, prevalence=stated))
    prediction = Classifier(bundle, prevalence=wanted).classify(make_image())
    assert prediction.label == "PNEUMONIA"
    assert prediction.probability is not None
    assert prediction.probability >= prediction.threshold


def test_threads_that_share_a_classifier_get_the_answers_to_their_own_films(
    classifier: Classifier,
) -> None:
    films = [noisy_gradient((80, 64), seed=seed) // (1 + seed % 5) for seed in range(16)]
    alone = [classifier.classify(film, force=True).logit for film in films]
    assert len(set(alone)) > 8
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            shared = pool.map(lambda film: classifier.classify(film, force=True).logit, films)
            assert list(shared) == alone


def changed(classifier: Classifier, **changes: Any) -> Classifier:
    classifier.bundle = replace(
        classifier.bundle, manifest=replace(classifier.bundle.manifest, **changes)
    )
    return classifier


@pytest.mark.parametrize(
    ("age", "is_known"),
    [(None, True), (0.9, False), (1.0, True), (5.99, True), (6.0, False), (62.0, False)],
)
def test_film_of_another_age_than_the_models_is_suspicious(
    classifier: Classifier, age: float | None, is_known: bool
) -> None:
    film = replace(load_grey(noisy_gradient((80, 64), seed=0)), age=age)
    assert classifier.classify(film).gate.verdict == NOT_CHECKED  # of a bundle that states none
    found = changed(classifier, ages=Ages(1, 5)).classify(film).gate
    if is_known:
        assert found.verdict == NOT_CHECKED
    else:
        assert found.verdict == SUSPICIOUS
        assert found.reasons == (
            "the age in the DICOM file is outside the range the model was made with (1 to 5 years)",
        )


def test_film_is_borderline_where_one_level_of_grey_could_turn_its_label(
    classifier: Classifier,
) -> None:
    film = noisy_gradient((80, 64), seed=0)
    assert classifier.classify(film).borderline is None
    away = abs(classifier.classify(film).logit - threshold_logit(classifier.bundle.manifest))
    for factor, expected in ((0.99, False), (1.01, True)):
        one_level = OneLevel(away * factor, None, 100)
        assert changed(classifier, one_level=one_level).classify(film).borderline is expected


def test_film_is_borderline_where_one_level_of_grey_could_have_the_gate_reject_it(
    tmp_path: Path,
) -> None:
    classifier = Classifier(Bundle.load(whole_film_bundle(tmp_path / "whole")))
    film = SAMPLES / "phantom_clear_1.jpeg"
    distance = classifier.classify(film).gate.distance
    assert distance is not None
    limits = GateLimits(distance / 2, distance + 1)
    for change, expected in ((0.99, False), (1.01, True)):
        one_level = OneLevel(0.0, change, 100)
        changed(classifier, gate=limits, one_level=one_level)
        assert classifier.classify(film).borderline is expected


def test_film_is_borderline_where_one_level_of_grey_could_turn_what_is_up() -> None:
    classifier = Classifier(Bundle.load(cxr_edge_models.path("tiny")))
    film = SAMPLES / "phantom_clear_1.jpeg"
    found = classifier.classify(film).gate
    assert found.distance is not None
    limits = GateLimits(found.distance + 2, found.distance + 2)
    changed(classifier, gate=limits, one_level=OneLevel(0.0, 1.0, 100))
    for from_turning, expected in ((0.99, True), (1.01, False)):
        judged = replace(found, verdict=ACCEPTED, from_turning=from_turning)
        fixed = SimpleNamespace(judge=lambda *_, judged=judged, **__: judged)
        classifier._gate = cast("Gate", fixed)
        assert classifier.classify(film).borderline is expected


def test_image_that_stays_rejected_is_not_borderline(tmp_path: Path) -> None:
    film = load_grey(SAMPLES / "phantom_clear_1.jpeg")
    whole = Bundle.load(whole_film_bundle(tmp_path / "whole"))
    distance = Classifier(whole).classify(film).gate.distance
    assert distance is not None
    # Its logit and its distance are as near to the limits as can be.
    limits = GateLimits(distance / 2, distance * 0.999)
    strict = Bundle.load(whole_film_bundle(tmp_path / "strict", gate=limits))
    classifier = changed(Classifier(strict), one_level=OneLevel(99, 1, 100))
    assert classifier.classify(film).gate.by_distance
    assert classifier.classify(film).borderline is True
    coloured = replace(film, objections=("colour image",))
    assert classifier.classify(coloured).borderline is False
    assert classifier.classify(coloured, force=True).borderline is True


@pytest.fixture(scope="module", params=[True, False], ids=["gate", "no gate"])
def located(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    folder = tmp_path_factory.mktemp("located") / "tiny"
    return Classifier(Bundle.load(located_bundle(folder, is_gated=request.param)))


@pytest.mark.parametrize(
    ("lungs", "verdict", "expected"),
    [
        (TWO_LUNGS, NOT_CHECKED, False),
        (((80, 80, 120, 128),), SUSPICIOUS, True),  # 30 cells
        (((80, 80, 112, 120),), REJECTED, True),  # 20
        (((80, 80, 104, 104),), REJECTED, False),  # 9
    ],
)
def test_film_is_borderline_where_one_level_of_grey_could_turn_whether_it_has_lungs(
    tmp_path: Path, lungs: tuple[tuple[int, int, int, int], ...], verdict: str, expected: bool
) -> None:
    classifier = Classifier(Bundle.load(located_bundle(tmp_path / "tiny", is_gated=False)))
    changed(classifier, one_level=OneLevel(0.0, None, 100))
    found = classifier.classify(drawn_film(*lungs))
    assert (found.gate.verdict, found.borderline) == (verdict, expected)


def test_classifier_looks_at_the_lungs(located: Classifier) -> None:
    film = drawn_film(*TWO_LUNGS)
    prediction = located.classify(film, force=True)
    assert prediction.box is not None
    assert prediction.box.in_pixels(256, 256) == pytest.approx((28, 47, 228, 209), abs=1.5)
    shown = preprocess(film, located.bundle.manifest.preprocess, prediction.box)
    assert prediction.logit == float(located.engine.run(shown)["logit"][0, 0])
    assert "no lungs found" not in prediction.gate.reasons


def test_film_without_lungs_is_rejected_and_force_uses_the_whole_film(located: Classifier) -> None:
    film = film_without_lungs()
    prediction = located.classify(film)
    assert prediction.gate.verdict == REJECTED
    assert "no lungs found" in prediction.gate.reasons
    assert (prediction.label, prediction.box) == (None, None)
    forced = located.classify(film, force=True)
    shown = preprocess(film, located.bundle.manifest.preprocess)
    assert forced.logit == float(located.engine.run(shown)["logit"][0, 0])
    assert forced.label
    assert forced.gate == prediction.gate


def test_lungs_that_are_cut_off_are_suspicious(tmp_path: Path) -> None:
    classifier = Classifier(Bundle.load(located_bundle(tmp_path / "tiny", is_gated=False)))
    found = classifier.classify(drawn_film((0, 64, 112, 192), TWO_LUNGS[1])).gate
    assert found.verdict == SUSPICIOUS
    assert found.reasons == ("lungs cut off at the left edge of the film",)


def test_gate_says_that_lungs_are_cut_off(tmp_path: Path) -> None:
    # Whatever is dark: the phantom's margins.
    classifier = Classifier(Bundle.load(located_bundle(tmp_path / "tiny")))
    found = classifier.classify(SAMPLES / "phantom_clear_1.jpeg").gate
    assert found.verdict == SUSPICIOUS
    assert found.reasons == (
        "only one lung found",
        *(
            f"lungs cut off at the {side} edge of the film"
            for side in ("left", "top", "right", "bottom")
        ),
    )


def test_bundle_without_a_locator_looks_at_the_whole_film(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    assert classifier.classify(make_image()).box is None


def test_threads_that_share_a_classifier_get_the_boxes_of_their_own_films(
    located: Classifier,
) -> None:
    films = [drawn_film((16 + 8 * n, 64, 112, 192), TWO_LUNGS[1]) for n in range(8)]
    films += [film_without_lungs((100 + width, 90)) for width in range(4)]
    alone = [located.classify(film, force=True) for film in films]
    assert len({prediction.box for prediction in alone}) == 8 + 1
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            shared = pool.map(lambda film: located.classify(film, force=True), films)
            assert [(p.box, p.logit) for p in shared] == [(p.box, p.logit) for p in alone]
