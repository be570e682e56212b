import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cxr_edge_models
from cxr_edge_convert.card import model_card
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_train.recipe import parse_recipe, read_recipe
from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))


def test_default_comes_first_and_unknown_names_do_not_exist() -> None:
    assert cxr_edge_models.names()[0] == cxr_edge_models.DEFAULT
    with pytest.raises(KeyError):
        cxr_edge_models.path("huge")


def test_model_is_int8_and_at_most_3_megabytes(bundle: Bundle) -> None:
    assert len(bundle.model) <= 3_000_000
    assert bundle.manifest.model.quantization == "int8"
    assert bundle.manifest.input.shape == (1, 224, 224, 1)


def test_validation_auc_is_at_least_0_98_on_patients_never_seen(bundle: Bundle) -> None:
    auc = bundle.manifest.metrics["validation"]["auc"]
    assert auc.value >= 0.98
    assert auc.n >= 800


def test_figures_of_card_and_test_log_are_those_of_the_manifest(bundle: Bundle) -> None:
    log = (ROOT / "docs" / "results" / "test-log.jsonl").read_text().splitlines()
    sha256 = hashlib.sha256(bundle.model).hexdigest()
    [reading] = [entry for line in log if (entry := json.loads(line))["model_sha256"] == sha256]
    assert reading["threshold"] == bundle.manifest.threshold.value
    card = (bundle.path / "MODEL_CARD.md").read_text()
    for name, figure in bundle.manifest.metrics["test"].items():
        assert reading["metrics"][name]["value"] == figure.value
        assert f"| {figure.value:.3f} | {figure.low:.3f}–{figure.high:.3f} |" in card
    parity = json.loads((ROOT / "docs" / "results" / "originals-parity.json").read_text())
    assert parity["model_sha256"] == sha256
    assert f"**{parity['same_decision']}**" in card
    assert "CC BY 4.0" in card
    assert "Research use only. Not a medical device." in card


def test_card_is_what_the_generator_writes_and_the_sections(bundle: Bundle) -> None:
    publish = load_script("models/publish.py")
    sha256 = hashlib.sha256(bundle.model).hexdigest()
    reading = publish.only_reading(ROOT / "docs" / "results" / "test-log.jsonl", sha256)
    parity = json.loads((ROOT / "docs" / "results" / "originals-parity.json").read_text())
    card = model_card(bundle.manifest) + publish.card_sections(reading, parity)
    assert (bundle.path / "MODEL_CARD.md").read_text() == card


def test_readme_states_these_figures_and_a_real_answer(bundle: Bundle) -> None:
    readme = (ROOT / "README.md").read_text()
    for split in ("validation", "test"):
        for name in ("auc", "sensitivity", "specificity"):
            figure = bundle.manifest.metrics[split][name]
            assert f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" in readme
    sample = ROOT / "data" / "samples" / "phantom_opacity_lobar.jpeg"
    shown = next(line for line in readme.splitlines() if line.endswith(sample.name))
    label, probability, threshold, gate, _ = shown.split()
    prediction = Classifier(bundle).classify(sample)
    assert (label, gate) == (prediction.label, prediction.gate.verdict)
    # INT8 kernels of other processors and engines move a probability by some hundredths.
    assert float(probability) == pytest.approx(prediction.probability, abs=0.06)
    assert float(threshold) == pytest.approx(prediction.threshold, abs=0.0005)


def test_recipe_in_the_bundle_is_the_committed_one(bundle: Bundle) -> None:
    committed = read_recipe(ROOT / "models" / "recipes" / "mobilenetv2.toml")
    assert "[calibration]" not in bundle.manifest.training.recipe  # it had the default then
    assert parse_recipe(bundle.manifest.training.recipe) == committed


def test_float_model_is_the_one_that_was_quantized(bundle: Bundle) -> None:
    import keras

    from cxr_edge_convert.tflite import to_float32
    from cxr_edge_runtime.engines.litert import LiteRtEngine
    from cxr_edge_runtime.manifest import OUTPUTS, InputEntry

    model = keras.models.load_model(ROOT / "models" / "float" / "mobilenetv2.keras", compile=False)
    entry = InputEntry((1, 224, 224, 1), "float32", 1.0, 0)
    engine = LiteRtEngine(to_float32(model), entry, OUTPUTS)
    quantized = Classifier(bundle)
    for sample in sorted((ROOT / "data" / "samples").glob("*.jpeg")):
        pixels = np.asarray(Image.open(sample).convert("L").resize((224, 224)))
        logit = float(engine.run(pixels[np.newaxis, ..., np.newaxis])["logit"][0, 0])
        assert quantized.classify(pixels).logit == pytest.approx(logit, abs=0.4)


def test_originals_get_the_decision_of_their_copies(bundle: Bundle, shared: Path) -> None:
    classifier = Classifier(bundle)
    data = shared / "data"
    originals = sorted((data / "originals").glob("*/*"))
    assert len(originals) == 220
    same = sum(
        classifier.classify(original).label
        == classifier.classify(
            data / "chest_xray" / "train" / original.parent.name / original.name
        ).label
        for original in originals
    )
    assert same >= 213


def test_input_and_rescaling_hold_every_grey(bundle: Bundle) -> None:
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=bundle.model).get_tensor_details()
    activations = {
        tensor["name"]: tensor["quantization"]
        for tensor in details
        if tensor["dtype"] is np.int8 and tuple(tensor["shape"][1:3]) == (224, 224)
    }
    image, mul, add, concat = activations.values()
    assert image == (1.0, -128)
    for (scale, zero_point), (low, high) in ((mul, (0, 2)), (add, (-1, 1)), (concat, (-1, 1))):
        assert (-128 - zero_point) * scale <= low + 1e-6
        assert (127 - zero_point) * scale >= high - 1e-6
