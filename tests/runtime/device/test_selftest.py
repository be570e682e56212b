import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cxr_edge_models
from cxr_edge_convert.formats.models import float32_model
from cxr_edge_runtime import classifier as classifier_module
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.arrays import pack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, SELFTEST_FILE, GateLimits, Threshold
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import (
    MAX_MOVE,
    Answer,
    GoldenFilms,
    Outcome,
    answer_of,
    require_golden_films,
    run_selftest,
    verdict_on_golden,
)
from cxr_edge_runtime.engines import Outputs, open_engine
from cxr_edge_runtime.errors import BundleInvalid, EngineError
from cxr_edge_runtime.gate import ACCEPTED, NOT_CHECKED, REJECTED, SUSPICIOUS, Verdict
from cxr_edge_runtime.images import GreyImage
from cxr_edge_runtime.locator import NO_DETAIL
from cxr_edge_runtime.preprocess import Box
from locators import TWO_LUNGS, drawn_film, located_bundle, small_network

FLAT = np.tile(np.arange(160, dtype=np.uint8), (160, 1))


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))


class _Shifted:
    """An engine whose logits lie a little higher than those of a healthy one."""

    name, kernels = "shifted", "none"

    def __init__(self, bundle: Bundle, shift: float) -> None:
        self._engine, self._shift = open_engine(bundle), shift

    def run(self, image: np.ndarray) -> Outputs:
        outputs = self._engine.run(image)
        return outputs | {"logit": outputs["logit"] + np.float32(self._shift)}


def shifted(bundle: Bundle, shift: float) -> list[Outcome]:
    classifier = Classifier(bundle)
    classifier.engine = _Shifted(bundle, shift)
    return run_selftest(classifier)[1]


def with_golden(bundle: Bundle, golden: bytes, folder: Path) -> Bundle:
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents[SELFTEST_FILE] = golden
    write_bundle(folder, replace(bundle.manifest, files=describe_files(contents)), contents)
    return Bundle.load(folder)


def test_shipped_bundle_passes_here_and_has_films_on_each_side_of_the_threshold(
    shipped: Bundle,
) -> None:
    golden, outcomes = run_selftest(Classifier(shipped))
    assert all(outcome.passed for outcome in outcomes)
    assert "ai-edge-litert" in golden.made_with
    away = np.array([answer.probability for answer in golden.answers])
    away -= shipped.manifest.threshold.value
    assert (away > 0).sum() >= 4
    assert (away < 0).sum() >= 4
    # Above a threshold of 0.95 there is less room, and a probability moves by less.
    assert 0.02 < away[away > 0].min() < 0.2
    assert 0.06 < -away[away < 0].max() < 0.3
    assert {answer.label for answer in golden.answers} == set(shipped.manifest.labels)
    assert {"accepted", "rejected"} <= {answer.verdict for answer in golden.answers}
    assert [answer.orientation for answer in golden.answers[-3:]] == ["", "inverted", "upside down"]


def _film_of(film: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    turned = film[::-1]
    return {"turned": turned, "symmetric": film + turned, "negative": -film}[how].copy()


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Verdict(SUSPICIOUS, (NO_DETAIL,), 3.0), ACCEPTED),
        (Verdict(SUSPICIOUS, (NO_DETAIL,)), NOT_CHECKED),
        (Verdict(SUSPICIOUS, (NO_DETAIL, "unlike the training films"), 9.0), SUSPICIOUS),
        (Verdict(REJECTED, ("blank image",), 9.0), REJECTED),
    ],
)
def test_golden_films_are_blurred_and_that_alone_makes_none_suspicious(
    found: Verdict, verdict: str
) -> None:
    assert verdict_on_golden(found) == verdict


@pytest.mark.parametrize("how", ["turned", "symmetric", "negative"])
@pytest.mark.parametrize("name", ["mobilenetv2-int8", "tiny"])
def test_gate_that_knows_no_upside_down_fails(name: str, how: str) -> None:
    classifier = Classifier(Bundle.load(cxr_edge_models.path(name)))
    gate = classifier._gate
    assert gate is not None
    classifier._gate = replace(gate, film=_film_of(gate.film, how))
    assert not all(outcome.passed for outcome in run_selftest(classifier)[1])


def test_device_that_computes_something_else_fails(shipped: Bundle) -> None:
    assert not all(outcome.passed for outcome in shifted(shipped, 0.5))
    outcomes = shifted(shipped, -3.0)
    assert any(outcome.computed.label != outcome.expected.label for outcome in outcomes)
    assert all(outcome.passed for outcome in shifted(shipped, 0.05))


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": Threshold(0.5, "another", "validation")},
        {"labels": ("PNEUMONIA", "NORMAL"), "positive_label": "NORMAL"},
        {"gate": GateLimits(1.0, 2.0)},
        {"gate": GateLimits(90.0, 99.0)},
        {"bias": 2.0},
    ],
)
def test_manifest_that_was_changed_fails(changed: dict[str, Any]) -> None:
    """Files are as they were, so that no digest tells."""
    # Some of its golden films are suspicious, so that wider limits show too.
    shipped = Bundle.load(cxr_edge_models.path("tiny"))
    other = replace(shipped, manifest=replace(shipped.manifest, **changed))
    assert not all(outcome.passed for outcome in run_selftest(Classifier(other))[1])


def test_decoder_that_gives_other_greys_fails(
    shipped: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        classifier_module, "load_grey", lambda *_, **__: GreyImage(FLAT, format="", mode="L")
    )
    passed = [outcome.passed for outcome in run_selftest(Classifier(shipped))[1]]
    assert passed.count(False) >= 4


ANSWER = Answer(0.5, "NORMAL", "accepted")


def test_neither_a_large_shift_nor_another_label_or_verdict_passes() -> None:
    assert Outcome(ANSWER, replace(ANSWER, probability=0.599)).passed
    assert not Outcome(ANSWER, replace(ANSWER, probability=0.601)).passed
    assert not Outcome(ANSWER, replace(ANSWER, label="PNEUMONIA")).passed
    assert not Outcome(ANSWER, replace(ANSWER, verdict="suspicious")).passed
    assert Outcome(replace(ANSWER, verdict=""), replace(ANSWER, verdict="suspicious")).passed
    assert not Outcome(ANSWER, replace(ANSWER, orientation="inverted")).passed


BOX = Box(0.2, 0.1, 0.9, 0.8)


def test_box_must_be_the_same_but_for_rounding() -> None:
    answer = replace(ANSWER, box=BOX)
    for side in ("left", "top", "right", "bottom"):
        for move, passed in ((0.0077, True), (0.0079, False)):
            moved = replace(BOX, **{side: getattr(BOX, side) + move})
            assert Outcome(answer, replace(answer, box=moved)).passed is passed
    assert not Outcome(answer, ANSWER).passed
    assert not Outcome(ANSWER, answer).passed


@pytest.fixture(scope="module")
def located(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with a lung locator and a golden film."""
    folder, file = tmp_path_factory.mktemp("located"), io.BytesIO()
    bundle = Bundle.load(located_bundle(folder / "tiny", is_gated=False))
    Image.fromarray(drawn_film(*TWO_LUNGS)).save(file, "PNG")
    answer = answer_of(Classifier(bundle), file.getvalue())
    golden = GoldenFilms((file.getvalue(),), (answer,), "here").to_bytes()
    return with_golden(bundle, golden, folder / "with-golden")


def test_bundle_with_a_locator_passes_here(located: Bundle) -> None:
    [outcome] = run_selftest(Classifier(located))[1]
    assert outcome.expected.box is not None
    assert (outcome.passed, outcome.move) == (True, 0)


@pytest.mark.parametrize("margin", [1.0, 1.15, 1.25, 3.0])
def test_bundle_whose_margin_was_edited_fails(located: Bundle, margin: float) -> None:
    assert located.manifest.locator is not None
    entry = replace(located.manifest.locator, margin=margin)
    other = replace(located, manifest=replace(located.manifest, locator=entry))
    assert not run_selftest(Classifier(other))[1][0].passed


def test_bundle_whose_locator_is_another_network_fails(located: Bundle, tmp_path: Path) -> None:
    network = small_network()
    image, layer = network.inputs[0], keras.layers.Conv2D(1, (1, 3), padding="same", name="mask")
    shifted = keras.Model({"image": image}, {"mask": layer(network.layers[-1].input)})
    kernel, bias = network.layers[-1].get_weights()
    layer.set_weights([np.concatenate([kernel, 0 * kernel, 0 * kernel], axis=1), bias])
    model = float32_model(shifted, "tflite")
    other = located_bundle(tmp_path / "other", model, is_gated=False)
    bundle = with_golden(Bundle.load(other), located.read(SELFTEST_FILE), tmp_path / "mixed")
    [outcome] = run_selftest(Classifier(bundle))[1]
    assert not outcome.passed
    assert outcome.move > MAX_MOVE


def test_bundle_without_golden_films_says_what_to_do(golden_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"has no golden films .*convert the model again"):
        run_selftest(Classifier(Bundle.load(golden_bundle)))


def test_golden_films_are_asked_of_the_manifest_alone(shipped: Bundle, golden_bundle: Path) -> None:
    require_golden_films(shipped.manifest, name="shipped")
    with pytest.raises(BundleInvalid, match=r"^old: has no golden films \(selftest\.npz\)"):
        require_golden_films(Bundle.load(golden_bundle).manifest, name="old")


def test_film_that_cannot_be_decoded_here_is_named(shipped: Bundle, tmp_path: Path) -> None:
    golden = GoldenFilms((b"no film",), (ANSWER,), "here").to_bytes()
    with pytest.raises(EngineError, match="a golden film: not a JPEG"):
        run_selftest(Classifier(with_golden(shipped, golden, tmp_path / "other")))


def test_labels_of_others_are_refused(shipped: Bundle, tmp_path: Path) -> None:
    """They would be printed as the tool's own words."""
    answer = replace(ANSWER, label="NORMAL signed: with the private key of the hospital")
    golden = GoldenFilms((b"no film",), (answer,), "here").to_bytes()
    with pytest.raises(BundleInvalid, match="its labels are not those of the bundle"):
        run_selftest(Classifier(with_golden(shipped, golden, tmp_path / "other")))


def test_golden_films_come_back_the_same() -> None:
    golden = GoldenFilms(
        (b"one", b"another"), (ANSWER, Answer(0.75, "PNEUMONIA", "rejected")), "é 1.0"
    )
    again = GoldenFilms.from_bytes(golden.to_bytes())
    assert again == golden
    assert golden.to_bytes() == again.to_bytes()
    located = replace(golden, answers=(replace(ANSWER, box=BOX), golden.answers[1]))
    assert GoldenFilms.from_bytes(located.to_bytes()) == located


def test_golden_films_without_boxes_keep_their_bytes(shipped: Bundle) -> None:
    content = shipped.read(SELFTEST_FILE)
    assert GoldenFilms.from_bytes(content).to_bytes() == content


GOOD = {
    "films": np.zeros(5, np.uint8),
    "lengths": np.array([2, 3], np.uint32),
    "probabilities": np.array([0.25, 0.5], np.float32),
    "words": np.frombuffer(b'[["A", "B"], ["accepted", "accepted"], ["", ""], "here"]', np.uint8),
}


@pytest.mark.parametrize(
    "arrays",
    [
        {"films": np.zeros(5, np.float32)},
        {"films": np.zeros(6, np.uint8)},
        {"lengths": np.array([5], np.uint32)},
        {"films": np.zeros(0, np.uint8), "lengths": np.zeros((0, 2), np.uint32)},
        {"probabilities": np.array([0.25, 9.0], np.float32)},
        {
            "words": np.frombuffer(
                b'[["A", "B"], ["accepted", "approved"], ["", ""], "here"]', np.uint8
            )
        },
        {"lengths": np.array([0, 5], np.uint32)},
        {"lengths": np.array([[2, 3]], np.uint32)},
        {"probabilities": np.zeros(3, np.float32)},
        {"boxes": np.zeros((1, 4))},
        {"boxes": np.zeros((2, 5))},
        {"boxes": np.zeros((2, 4, 1))},
        {"boxes": np.full((2, 4), 1.5)},
        {"words": np.frombuffer(b"[[], [], [], 1]", np.uint8)},
        {
            "words": np.frombuffer(
                b'[["A", "B"], ["accepted", "accepted"], ["", "fine"], "here"]', np.uint8
            )
        },
        {"words": np.frombuffer(b"{}", np.uint8)},
        {"words": np.frombuffer(b"[" * 100_000, np.uint8)},
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(arrays: dict[str, np.ndarray]) -> None:
    GoldenFilms.from_bytes(pack_arrays(GOOD))
    with pytest.raises(
        BundleInvalid,
        match=r"selftest\.npz: not a file of golden films; convert the "
        "model",
    ):
        GoldenFilms.from_bytes(pack_arrays(GOOD | arrays))


def test_inputs_of_an_earlier_version_are_refused() -> None:
    arrays = {"inputs": np.zeros((1, 4, 4), np.uint8), "probabilities": np.zeros(1)}
    with pytest.raises(BundleInvalid, match=r"selftest\.npz"):
        GoldenFilms.from_bytes(pack_arrays(arrays))


def test_archive_beyond_the_limit_is_refused() -> None:
    arrays = {"films": np.zeros(MAX_BYTES[SELFTEST_FILE], np.uint8)}
    with pytest.raises(BundleInvalid, match="unpacks to"):
        GoldenFilms.from_bytes(pack_arrays(arrays))
