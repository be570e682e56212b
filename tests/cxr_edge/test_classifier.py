"""``cxr_edge.Classifier``: three lines that a new user writes, and what may go wrong in them."""

import doctest
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cxr_edge.classifier
from cxr_edge import Bundle, Classifier
from cxr_edge_runtime.errors import BundleNotFound, ImageError, InvalidRequest
from synthetic import encoded

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "phantom_opacity_patchy.jpeg"


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(SAMPLE, tmp_path / "film.jpeg")
    monkeypatch.chdir(tmp_path)
    return Path("film.jpeg")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier("tiny")


def test_example_of_the_docstring_gives_what_it_says(film: Path) -> None:
    assert doctest.testmod(cxr_edge.classifier) == (0, 3)


def test_image_is_the_same_however_it_is_given(film: Path, classifier: Classifier) -> None:
    Image.open(film).resize((600, 500)).save(film)
    from_file, as_pixels = _logits(film, classifier)
    assert from_file == as_pixels
    assert len(from_file) == 1


def test_large_jpeg_file_is_nearly_the_same_as_its_pixels(
    film: Path, classifier: Classifier
) -> None:
    from_file, as_pixels = _logits(film, classifier)
    assert len(from_file) == len(as_pixels) == 1
    # The file is decoded at a reduced size; see docs/results/draft-decoding.md.
    assert from_file != as_pixels
    assert from_file.pop() == pytest.approx(as_pixels.pop(), abs=0.1)


def _logits(film: Path, classifier: Classifier) -> tuple[set[float], set[float]]:
    """Of a film given as a file, and of its pixels given from memory."""
    as_file = (film, str(film), film.read_bytes())
    in_memory = (Image.open(film), np.asarray(Image.open(film).convert("L")))
    from_file, as_pixels = (
        {classifier.classify(image).logit for image in images} for images in (as_file, in_memory)
    )
    return from_file, as_pixels


def test_array_of_the_models_own_size_may_lie_in_memory_as_it_likes(classifier: Classifier) -> None:
    spec = classifier.bundle.manifest.preprocess
    grey = np.asarray(Image.open(SAMPLE).convert("L").resize((spec.width, spec.height)))
    read_only = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.shape)
    doubled = np.repeat(np.repeat(grey, 2, axis=0), 2, axis=1)[::2, ::2]
    logits = {
        classifier.classify(array).logit for array in (grey, np.asfortranarray(grey), read_only,
                                                       doubled, grey[::-1].copy()[::-1])
    }  # fmt: skip
    assert len(logits) == 1


@pytest.mark.parametrize(
    "image",
    [
        None, 7, [1, 2], b"", b"no film", "no-film.png", np.zeros((80, 80, 3), np.uint8),
        np.zeros((80, 80)), np.zeros((8, 8), np.uint8), np.uint8(7), Image.new("F", (80, 80)),
    ],
)  # fmt: skip
def test_wrong_image_is_an_image_error(classifier: Classifier, image: object) -> None:
    with pytest.raises(ImageError):
        classifier.classify(image)


def test_errors_call_the_image_by_its_name(classifier: Classifier) -> None:
    with pytest.raises(ImageError, match=r"^film 7: "):
        classifier.classify(b"no film", name="film 7")
    with pytest.raises(ImageError, match=r"^no-film\.png: "):
        classifier.classify("no-film.png")


def test_hash_and_an_answer_against_the_gate_are_had_when_asked_for(classifier: Classifier) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), "PNG")
    rejected = classifier.classify(content)
    assert rejected.label is rejected.probability is rejected.image_sha256 is None
    forced = classifier.classify(content, force=True, hashed=True)
    assert forced.label
    assert len(forced.image_sha256 or "") == 64


def test_bundle_is_a_name_a_folder_or_loaded(classifier: Classifier) -> None:
    folder = classifier.bundle.path
    for bundle in ("tiny", folder, str(folder), Bundle.load(folder)):
        assert Classifier(bundle).bundle.digest == classifier.bundle.digest


@pytest.mark.parametrize("bundle", [3, 2.5, ["tiny"], b"tiny", {}])
def test_bundle_of_a_wrong_type_is_refused(bundle: object) -> None:
    with pytest.raises(InvalidRequest, match="a bundle must be a name, a folder or"):
        Classifier(bundle)


@pytest.mark.parametrize("bundle", ["no-such-bundle", "", "x" * 5000, "nul\0"])
def test_bundle_that_is_not_there_is_refused(bundle: str) -> None:
    with pytest.raises(BundleNotFound, match=r"choose one of .*tiny"):
        Classifier(bundle)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", None, 65, 10**9])
def test_threads_that_cannot_be_are_refused(threads: object) -> None:
    with pytest.raises(InvalidRequest, match="threads must be a whole number from 1 to 64"):
        Classifier("tiny", threads=threads)


def test_flag_that_is_a_text_is_not_taken_for_true() -> None:
    classifier = Classifier("tiny")
    grey = np.zeros((80, 80), np.uint8)
    with pytest.raises(InvalidRequest, match="force must be True or False, not 'no'"):
        classifier.classify(grey, force="no")
    with pytest.raises(InvalidRequest, match="hashed must be True or False, not 1"):
        classifier.classify(grey, hashed=1)


def test_two_predictions_can_be_compared_and_kept_in_a_set() -> None:
    classifier = Classifier("tiny")
    grey = np.zeros((80, 80), np.uint8)
    first, second = (classifier.classify(grey) for _ in range(2))
    assert first != second
    assert len({first, second}) == 2


def test_bundle_does_not_print_its_model() -> None:
    assert len(repr(Classifier("tiny").bundle)) < 20_000


@pytest.mark.parametrize("engine", ["nope", "", 3])
def test_engine_that_is_not_known_is_refused(engine: object) -> None:
    with pytest.raises(InvalidRequest, match=r"unknown engine .*choose one of ai-edge-litert"):
        Classifier("tiny", engine=engine)
