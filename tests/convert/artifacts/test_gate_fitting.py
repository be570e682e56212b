import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.artifacts import gate_fitting
from cxr_edge_convert.artifacts.gate_fitting import (
    GateCounts,
    augmented_films,
    film_gate,
    with_limits,
)
from cxr_edge_convert.artifacts.out_of_distribution import OutOfDistributionImages
from cxr_edge_convert.sources import Source
from cxr_edge_convert.verification import engine_outputs
from cxr_edge_runtime.bundle.manifest import GATE_FILE, MAX_BYTES
from cxr_edge_runtime.engines import Outputs
from cxr_edge_runtime.gate import Gate, transformed
from cxr_edge_runtime.locator import NO_LUNGS


class _KerasEngine:
    name, kernels = "keras", "none"

    def __init__(self, source: Source) -> None:
        self._model = source.model

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        outputs = self._model.predict_on_batch({"image": image.astype(np.float32)})
        return {name: np.asarray(value) for name, value in outputs.items()}


@pytest.fixture(scope="module")
def films(tiny_source: Source) -> NDArray[np.uint8]:
    return tiny_source.images.pixels(tiny_source.train.head(200).reset_index(drop=True))


def test_distance_of_training_films_is_that_of_their_own_spread(
    tiny_source: Source, films: NDArray[np.uint8]
) -> None:
    augmented = augmented_films(films, seed=0)
    gate = film_gate(tiny_source.model, films, augmented)
    learned = np.concatenate([films, augmented])
    embeddings = engine_outputs(_KerasEngine(tiny_source), learned)["embedding"]
    values = transformed(embeddings).astype(np.float64)
    centred = values - values.mean(axis=0)
    # With as many axes as matter, the distance is Mahalanobis' by the whole covariance.
    squared = gate.distance(embeddings).astype(np.float64) ** 2
    covariance = np.cov(centred.T) + 1e-12 * np.eye(centred.shape[1])
    exact = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    assert np.median(np.abs(squared / exact - 1)) < 0.2
    assert len(gate.to_bytes()) <= MAX_BYTES[GATE_FILE]
    assert gate.to_bytes() == film_gate(tiny_source.model, films, augmented).to_bytes()


def test_limits_are_ordered_and_the_counts_are_of_all_images(
    tiny_source: Source, films: NDArray[np.uint8]
) -> None:
    engine = _KerasEngine(tiny_source)
    validation = tiny_source.validation_pixels
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (12, *films.shape[1:]), dtype=np.uint8)
    things = OutOfDistributionImages(
        noise,
        [()] * 11 + [("colour image",)],
        ["noise"] * 6 + ["snow"] * 6,
    )
    embeddings = engine_outputs(engine, validation)["embedding"]
    gate, figures = with_limits(
        film_gate(tiny_source.model, films, augmented_films(films[:40], seed=0)),
        engine,
        validation=(validation, embeddings),
        augmented=augmented_films(films[:40], seed=1),
        out_of_distribution=things,
    )
    assert 0 < gate.limits.suspicious <= gate.limits.rejected < np.inf
    assert sum(figures.validation.values()) == len(validation)
    beyond = int((gate.distance(embeddings) > gate.limits.suspicious).sum())
    assert beyond <= np.ceil(0.01 * len(validation))
    # Films that look inverted are called so, however near they lie.
    assert figures.validation.get("accepted", 0) <= len(validation) - beyond
    assert sum(figures.augmented.values()) == 40
    assert figures.augmented.get("rejected", 0) <= np.ceil(0.03 * 40)
    assert {name: sum(c.values()) for name, c in figures.non_films.items()} == {
        "noise": 6,
        "snow": 6,
    }
    assert figures.non_films["snow"]["rejected"] >= 1  # the one in colour


def test_where_a_lung_locator_finds_lungs_the_distance_rejects_nothing(
    tiny_source: Source, films: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So low that the changed films set the other limit.
    monkeypatch.setattr(gate_fitting, "_SUSPICIOUS", 0.1)
    engine = _KerasEngine(tiny_source)
    validation = tiny_source.validation_pixels
    embeddings = engine_outputs(engine, validation)["embedding"]
    augmented = augmented_films(films, seed=1)
    learned = film_gate(tiny_source.model, films[:40], augmented_films(films[:40], seed=0))
    counts = {}
    for located, remarks in ((False, None), (True, [((), ())] * len(validation))):
        _, counts[located] = with_limits(
            learned,
            engine,
            validation=(validation, embeddings),
            augmented=augmented,
            out_of_distribution=OutOfDistributionImages(
                films[:2], [(), (NO_LUNGS,)], ["with lungs", "without"]
            ),
            remarks=remarks,
        )
    # Of the films that set this limit 3% lie beyond it.
    beyond = 0.03 * len(augmented)
    assert counts[False].augmented["rejected"] >= beyond > 1
    assert counts[True].augmented.get("rejected", 0) <= counts[False].augmented["rejected"] - beyond
    assert counts[True].non_films["with lungs"].get("rejected", 0) == 0
    assert counts[True].non_films["without"] == {"rejected": 1}


def test_rounding_rejects_no_film_where_the_network_gives_the_same_for_all(
    tiny_source: Source, films: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    distance = Gate.distance

    def rounded_otherwise_for_one(
        gate: Gate, embeddings: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        found = distance(gate, embeddings)
        return np.nextafter(found, np.float32(np.inf)) if len(found) == 1 else found

    class Collapsed(_KerasEngine):
        def run(self, image: NDArray[np.uint8]) -> Outputs:
            outputs = super().run(image)
            return {**outputs, "embedding": np.ones_like(outputs["embedding"])}

    monkeypatch.setattr(Gate, "distance", rounded_otherwise_for_one)
    engine = Collapsed(tiny_source)
    _, figures = with_limits(
        film_gate(tiny_source.model, films, augmented_films(films[:40], seed=0)),
        engine,
        validation=(films, engine_outputs(engine, films)["embedding"]),
        augmented=augmented_films(films[:40], seed=1),
        out_of_distribution=OutOfDistributionImages(films[:1], [()], ["film"]),
    )
    assert figures.validation.get("rejected", 0) < len(films) / 2


def test_changed_films_are_the_same_for_a_seed(films: NDArray[np.uint8]) -> None:
    first, again, other = (augmented_films(films[:5], seed=seed) for seed in (0, 0, 1))
    assert first.shape == films[:5].shape
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, films[:5])


def test_gate_that_lets_through_more_than_a_twentieth_is_a_warning() -> None:
    def counts(rejected: int) -> GateCounts:
        return GateCounts({}, {}, {"a": {"rejected": rejected}, "b": {"accepted": 100 - rejected}})

    assert counts(95).warnings == ()
    [warning] = counts(94).warnings
    assert warning == (
        "the input gate lets through 6 of 100 images that are not chest X-rays, more than 5%"
    )


@pytest.mark.parametrize(("unreadable", "words"), [(1, "1 file"), (2, "2 files")])
def test_files_that_could_not_be_read_are_a_warning(unreadable: int, words: str) -> None:
    counts = GateCounts({}, {}, {"knees": {"rejected": 40}}, unreadable=unreadable)
    assert counts.warnings == (f"the input gate was measured without {words} (unreadable)",)
    assert GateCounts({}, {}, {"knees": {"rejected": 40}}).warnings == ()
