import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.arrays import pack_arrays
from cxr_edge_runtime.bundle.manifest import GateLimits
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.gate import (
    ACCEPTED,
    INVERTED,
    REJECTED,
    SIDE,
    SUSPICIOUS,
    UPSIDE_DOWN,
    Gate,
    Verdict,
    objections,
    thumbnails,
    transformed,
    without_captions,
    without_flat_margins,
)
from cxr_edge_runtime.images import GreyImage
from cxr_edge_runtime.locator import NO_LUNGS

CHANNELS = 12
FILM = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, np.newaxis], (1, 64))
MODEL_INPUT = FILM[np.newaxis, :, :, np.newaxis]


def gate(seed: int = 0, axes: int = 3) -> Gate:
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(CHANNELS, CHANNELS)))[0][:axes]
    film = thumbnails(MODEL_INPUT)[0]
    return Gate(
        mean=transformed(random.uniform(0.5, 1, (1, CHANNELS)))[0].astype(np.float32),
        # To 16 bits and back, as they are stored.
        axes=basis.astype(np.float16).astype(np.float32),
        variances=np.array([0.5, 0.2, 0.1][:axes], np.float32),
        residual=0.01,
        film=(film / np.linalg.norm(film)).astype(np.float32),
        limits=GateLimits(2.0, 4.0),
    )


def at_distance(wanted: float) -> NDArray[np.float32]:
    """An embedding that lies so far from those of training films."""
    known, away = gate(), np.random.default_rng(1).normal(size=CHANNELS) * 0.05
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        embedding = np.maximum(known.mean + middle * away, 0)[np.newaxis] ** 2
        low, high = (middle, high) if known.distance(embedding)[0] < wanted else (low, middle)
    assert known.distance(embedding)[0] == pytest.approx(wanted, abs=0.01)
    return embedding.astype(np.float32)


def judged(
    distance: float,
    *,
    model_input: NDArray[np.uint8] = MODEL_INPUT,
    words: tuple[str, ...] = (),
) -> tuple[str, tuple[str, ...]]:
    found = gate().judge(words, (), model_input, at_distance(distance), _not_asked)
    return found.verdict, found.reasons


@given(st.integers(0, 1000), st.integers(1, 3))
def test_distance_is_mahalanobis_with_the_whole_covariance(seed: int, axes: int) -> None:
    known = gate(seed, axes)
    # Axes must be orthonormal for the formula; 16 bits leave them nearly so.
    known = replace(known, axes=np.linalg.qr(known.axes.T)[0].T.astype(np.float32))
    random = np.random.default_rng(seed)
    embedding = random.uniform(0, 3, (5, CHANNELS)).astype(np.float32)
    outside = np.eye(CHANNELS) - known.axes.T @ known.axes
    covariance = known.axes.T @ np.diag(known.variances) @ known.axes + known.residual * outside
    centred = transformed(embedding) - known.mean
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred))
    assert known.distance(embedding) == pytest.approx(expected, rel=1e-3)


@given(st.floats(0.1, 100))
def test_strength_of_an_embedding_does_not_matter(factor: float) -> None:
    embedding = np.random.default_rng(0).uniform(0, 1, (3, CHANNELS)).astype(np.float32)
    scaled = (embedding * factor).astype(np.float32)
    assert transformed(scaled) == pytest.approx(transformed(embedding), abs=1e-5)


def test_embedding_of_nothing_is_no_error() -> None:
    assert np.isfinite(gate().distance(np.zeros((1, CHANNELS), np.float32))).all()


def test_the_three_verdicts() -> None:
    assert judged(1.0) == (ACCEPTED, ())
    verdict, [reason] = judged(3.0)
    assert verdict == SUSPICIOUS
    assert reason == "unlike the training films (distance 3.0; 99th percentile 2.0)"
    verdict, [reason] = judged(5.0)
    assert verdict == REJECTED
    assert reason == "does not look like a frontal chest X-ray (distance 5.0; limit 4.0)"


def test_distance_rejects_no_image_in_which_a_locator_found_lungs() -> None:
    def judged_with_lungs(distance: float, words: tuple[str, ...] = ()) -> tuple[str, str]:
        found = gate().judge(
            words, (), MODEL_INPUT, at_distance(distance), _not_asked, has_lungs=True
        )
        assert not found.by_distance
        return found.verdict, found.reasons[0]

    verdict, reason = judged_with_lungs(5.0)
    assert verdict == SUSPICIOUS
    assert reason == "unlike the training films (distance 5.0; 99th percentile 2.0)"
    assert judged_with_lungs(5.0, ("colour image",)) == (REJECTED, "colour image")


def test_distance_at_a_limit_is_within_it() -> None:
    embedding = at_distance(3.0)
    exact = float(gate().distance(embedding)[0])

    def verdict(limits: GateLimits) -> str:
        return (
            replace(gate(), limits=limits).judge((), (), MODEL_INPUT, embedding, _not_asked).verdict
        )

    assert verdict(GateLimits(exact, exact)) == ACCEPTED
    assert verdict(GateLimits(exact / 2, exact)) == SUSPICIOUS
    assert verdict(GateLimits(exact / 2, np.nextafter(exact, 0))) == REJECTED


def _not_asked(_: NDArray[np.uint8]) -> NDArray[np.float32]:
    raise AssertionError("only what may be another picture of a film is computed a second time")


def test_what_the_file_shows_rejects_whatever_the_distance() -> None:
    assert judged(1.0, words=("colour image",)) == (REJECTED, ("colour image",))


def test_doubts_make_a_film_suspicious_and_stand_beside_others() -> None:
    def found(distance: float) -> Verdict:
        embedding = at_distance(distance)
        return gate().judge((), ("of another age",), MODEL_INPUT, embedding, _not_asked)

    assert found(1.0) == Verdict(SUSPICIOUS, ("of another age",), pytest.approx(1.0, abs=0.01))
    assert [reason[:8] for reason in found(3.0).reasons] == ["of anoth", "unlike t"]
    assert [reason[:8] for reason in found(5.0).reasons] == ["does not"]


def test_blank_image_is_named() -> None:
    blank = np.full_like(MODEL_INPUT, 128)
    assert judged(1.0, model_input=blank) == (REJECTED, ("blank image",))


def test_film_that_was_exported_too_dark_is_not_blank() -> None:
    # 12 bits as 16: a sixteenth of a film's deviation.
    dark = (MODEL_INPUT / 64 + 100).astype(np.uint8)
    assert 1.0 < thumbnails(dark)[0].std() < 1.3
    assert judged(1.0, model_input=dark) == (ACCEPTED, ())
    assert judged(1.0, model_input=dark // 2)[1] == ("blank image",)


# A mean film that turned is nearly the same, as of lungs: dark in the middle, brighter below.
def leaning(slope: float) -> NDArray[np.uint8]:
    """An input that resembles such a mean film better upright; if below 0, turned."""
    rows = 100 + 100 * np.abs(np.linspace(-1, 1, 64)) + slope * np.linspace(-1, 1, 64)
    return np.tile(rows.astype(np.uint8)[:, np.newaxis], (1, 64))[np.newaxis, :, :, np.newaxis]


def lung_gate() -> Gate:
    """A gate whose mean film is nearly the same when it is turned."""
    film = thumbnails(leaning(20))[0]
    return replace(gate(), film=(film / np.linalg.norm(film)).astype(np.float32))


def judged_leaning(slope: float, *, distance: float, turned: float) -> tuple[str, tuple[str, ...]]:
    model_input = leaning(slope)

    def embed(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        np.testing.assert_array_equal(image[0], np.rot90(model_input[0], 2))
        return at_distance(turned)

    found = lung_gate().judge((), (), model_input, at_distance(distance), embed)
    return found.verdict, found.reasons


TURNED = (REJECTED, (UPSIDE_DOWN,))
PERHAPS = (SUSPICIOUS, ("may be upside down",))


@pytest.mark.parametrize(
    ("slope", "distance", "turned", "expected"),
    [
        (20, 1.0, 0.5, (ACCEPTED, ())),  # upright for certain: the distance is not asked
        (-20, 1.0, 3.0, TURNED),  # turned for certain, even so
        (-20, 5.0, 3.0, TURNED),
        (-2, 1.0, 0.5, TURNED),  # hardly, and the distance says the same
        (-2, 1.0, 1.5, PERHAPS),
        (2, 1.0, 0.5, PERHAPS),
        (2, 0.5, 1.0, (ACCEPTED, ())),
    ],
)
def test_film_that_is_upside_down_is_named(
    slope: float, distance: float, turned: float, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert judged_leaning(slope, distance=distance, turned=turned) == expected


@pytest.mark.parametrize("named", [UPSIDE_DOWN, INVERTED])
def test_what_a_lung_locator_named_is_not_asked_again(named: str) -> None:
    turned = leaning(-2)
    found = gate().judge((NO_LUNGS, named), (), turned, at_distance(1.0), _not_asked)
    assert (found.verdict, found.reasons) == (REJECTED, (NO_LUNGS, named))
    # So no distance can make another answer of it.
    assert found.from_turning == math.inf


@pytest.mark.parametrize("model_input", [leaning(-20), 255 - leaning(20)])
def test_no_one_is_told_to_turn_or_invert_what_has_lungs_as_it_is(
    model_input: NDArray[np.uint8],
) -> None:
    # Turned or as a negative it would have no lungs, and the advice be to turn it back.
    def judged_with(*, has_lungs: bool) -> tuple[str, tuple[str, ...]]:
        found = lung_gate().judge(
            (), (), model_input, at_distance(1.0), lambda _: at_distance(3.0), has_lungs=has_lungs
        )
        return found.verdict, found.reasons

    assert judged_with(has_lungs=False)[1] in ((UPSIDE_DOWN,), (INVERTED,))
    unlike = (REJECTED, ("does not look like a frontal chest X-ray",))
    assert judged_with(has_lungs=True) == unlike


def test_what_is_no_film_when_it_is_turned_is_not_upside_down_for_certain() -> None:
    # Margins take a turned film so far away; it is not answered without a word.
    for slope in (-20, -2):
        assert judged_leaning(slope, distance=1.0, turned=4.5) == PERHAPS
        verdict, [reason] = judged_leaning(slope, distance=4.5, turned=4.5)
        assert verdict == REJECTED
        assert reason.startswith("does not look like a frontal chest X-ray")
    assert judged_leaning(2, distance=1.0, turned=4.5) == (ACCEPTED, ())


def captioned(*, below: bool) -> NDArray[np.uint8]:
    """The mean film, as high as the black strip with lines of text that is above or below it."""
    # Something is in every row and column, as in a film.
    film = leaning(20)[0, :, :, 0] + 10 * np.resize([-1, 1], (64, 64))
    strip = np.zeros((64, 64), dtype=np.uint8)
    strip[4:60:3, 4:30:2] = 255
    parts = (film, strip) if below else (strip, film)
    return np.concatenate(parts).astype(np.uint8)[np.newaxis, :, :, np.newaxis]


@pytest.mark.parametrize("below", [True, False])
def test_caption_makes_no_film_upside_down_for_certain(below: bool) -> None:
    upright = captioned(below=below)
    for turned in (0.5, 4.5):
        found = lung_gate().judge(
            (), (), upright, at_distance(1.0), lambda _, turned=turned: at_distance(turned)
        )
        assert found.verdict != REJECTED
        upside_down = np.ascontiguousarray(upright[:, ::-1, ::-1])
        found = lung_gate().judge(
            (), (), upside_down, at_distance(1.0), lambda _, turned=turned: at_distance(turned)
        )
        assert found.verdict != ACCEPTED


def test_text_is_cut_off_with_the_margin_it_is_in() -> None:
    assert without_captions(captioned(below=True)[0]).shape == (64, 64, 1)


@pytest.mark.parametrize(
    ("slope", "distance", "turned", "away"),
    [
        (20, 1.0, 0.5, math.inf),  # upright for certain
        (-20, 1.0, 3.0, 1.0),  # turned for certain: the limit, 4.0, alone matters
        (-20, 1.0, 4.5, 0.5),
        (2, 1.0, 2.0, 0.5),  # which of the two is nearer: both may change
        (2, 3.5, 3.8, 0.15),
    ],
)
def test_verdict_says_how_far_the_distances_are_from_turning_it(
    slope: float, distance: float, turned: float, away: float
) -> None:
    found = lung_gate().judge(
        (), (), leaning(slope), at_distance(distance), lambda _: at_distance(turned)
    )
    assert found.from_turning == pytest.approx(away, abs=0.01)


def within(grey: int, *, above: int = 0, around: int = 0, noise: int = 0) -> NDArray[np.uint8]:
    """The mean film in a picture with margins of this grey."""
    # Something is in every row, as in a film.
    film = leaning(20)[0, :, :, 0] + 10 * np.resize([-1, 1], 64)
    picture = np.pad(film, ((above + around, around), (around, around)), constant_values=grey)
    changed = picture + np.random.default_rng(0).integers(-noise, noise + 1, picture.shape)
    return np.clip(changed, 0, 255).astype(np.uint8)[np.newaxis, :, :, np.newaxis]


@pytest.mark.parametrize("grey", [0, 90, 200, 255])
@pytest.mark.parametrize("margins", [{"above": 16}, {"around": 8}, {"around": 8, "noise": 4}])
def test_margins_make_no_film_a_negative_or_upside_down(grey: int, margins: dict[str, int]) -> None:
    upright = within(grey, **margins)
    found = lung_gate().judge((), (), upright, at_distance(1.0), _not_asked)
    expected = ("bright margins: crop the image to the film",) if grey > 127 else ()
    assert found.reasons == expected
    turned = np.ascontiguousarray(upright[:, ::-1, ::-1])
    found = lung_gate().judge((), (), turned, at_distance(1.0), lambda _: at_distance(0.5))
    assert (found.verdict, found.reasons) == TURNED
    negative = lung_gate().judge(
        (), (), 255 - upright, at_distance(1.0), lambda _: at_distance(0.5)
    )
    assert negative.reasons[0].startswith("inverted")


def test_picture_of_one_grey_has_no_film_inside() -> None:
    for grey in (0, 128, 255):
        whole = np.full_like(MODEL_INPUT, grey)
        found, bright = without_flat_margins(whole)
        np.testing.assert_array_equal(found, whole[0])
        assert bright == 0
        np.testing.assert_array_equal(without_captions(whole[0]), whole[0])


def test_only_the_distance_makes_a_rejection_one_of_distance() -> None:
    def by_distance(*objections: str, distance: float = 5.0) -> bool:
        embedding = at_distance(distance)
        return gate().judge(objections, (), MODEL_INPUT, embedding, _not_asked).by_distance

    assert by_distance()
    assert not by_distance("colour image")
    assert not by_distance(distance=3.0)


@pytest.mark.parametrize(
    ("turned", "negative", "expected"),
    [
        (5.0, 1.0, "inverted: bones are dark and air is bright; invert the grey values"),
        # A film that is merely suspicious once it is inverted is a film.
        (5.0, 3.0, "inverted: bones are dark and air is bright; invert the grey values"),
        (3.0, 1.0, "inverted: bones are dark and air is bright; invert the grey values"),
        (1.0, 3.0, "upside down: rotate it by 180°"),
        (5.0, 5.0, "does not look like a frontal chest X-ray"),
    ],
)
def test_what_is_unlike_a_film_is_named_by_what_makes_it_one(
    turned: float, negative: float, expected: str
) -> None:
    image = 255 - leaning(20)
    asked = []

    def embed(other: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(other)
        return at_distance(turned if len(asked) == 1 else negative)

    found = lung_gate().judge((), (), image, at_distance(1.0), embed)
    assert (found.verdict, found.reasons) == (REJECTED, (expected,))
    np.testing.assert_array_equal(asked[0][0], np.rot90(image[0], 2))
    np.testing.assert_array_equal(asked[1], 255 - image)


def test_sides_and_objections_of_the_file() -> None:
    film = GreyImage(FILM, "PNG", "L")
    assert objections(film) == ()
    long = GreyImage(np.zeros((70, 300), np.uint8), "PNG", "RGB", objections=("colour image",))
    assert objections(long) == (
        "colour image",
        "unusual aspect ratio (300x70)",
    )


@pytest.mark.parametrize("turned", [False, True])
def test_side_may_be_three_times_the_other_and_no_longer(turned: bool) -> None:
    def found(width: int) -> tuple[str, ...]:
        pixels = np.zeros((100, width), np.uint8)
        return objections(GreyImage(pixels.T if turned else pixels, "PNG", "L"))

    assert found(300) == ()
    assert found(301) == ((f"unusual aspect ratio ({'100x301' if turned else '301x100'})"),)


def test_thumbnails_are_means_of_all_pixels_of_a_cell() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    means = pixels.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3)).ravel()
    small = thumbnails(pixels[np.newaxis, :, :, np.newaxis])[0]
    np.testing.assert_allclose(small, means - means.mean(), atol=1)


def test_thumbnails_are_means_without_the_mean() -> None:
    small = thumbnails(np.concatenate([MODEL_INPUT, MODEL_INPUT // 2]))
    assert small.shape == (2, SIDE * SIDE)
    assert small.mean(axis=1) == pytest.approx([0, 0], abs=1e-4)
    assert small[0].reshape(SIDE, SIDE)[:, 0] == pytest.approx(
        FILM.astype(float)[:, 0].reshape(SIDE, 2).mean(axis=1) - 127.5, abs=1.5
    )


def test_gate_comes_back_the_same_and_small() -> None:
    known = gate()
    content = known.to_bytes()
    again = Gate.from_bytes(content, known.limits)
    assert again.to_bytes() == content
    embedding = np.random.default_rng(0).uniform(0, 3, (5, CHANNELS)).astype(np.float32)
    assert np.array_equal(again.distance(embedding), known.distance(embedding))
    # The largest of our networks has 1,920 channels.
    large = replace(
        known, axes=np.zeros((32, 1920), np.float32), mean=np.zeros(1920, np.float32),
        variances=np.ones(32, np.float32),
    )  # fmt: skip
    assert len(large.to_bytes()) < 200_000


@pytest.mark.parametrize(
    "changed",
    [
        {"axes": np.zeros((3, CHANNELS + 1), np.float16)},
        {"axes": np.zeros(CHANNELS, np.float16)},
        {"variances": np.ones(2, np.float32)},
        {"variances": np.array([1, 0, 1], np.float32)},
        {"residual": np.array(0, np.float32)},
        {"residual": np.array([1], np.float32)},
        {"film": np.zeros(10, np.float32)},
        {"mean": np.full(CHANNELS, np.nan, np.float32)},
        # Finite numbers of which the distance would be none, and none is beyond a limit.
        {"mean": np.full(CHANNELS, 3e38, np.float32)},
        {"axes": np.full((3, CHANNELS), 60_000, np.float16)},
        {"variances": np.full(3, 1e-45, np.float32)},
        {"variances": np.full(3, 1e300)},
        {"residual": np.array(1e-45, np.float32)},
        {"film": np.full(SIDE * SIDE, 1e38, np.float32)},
        {"film": np.full(SIDE * SIDE, 1e300)},
    ],
)
def test_arrays_that_are_no_gate_are_refused_in_one_line(changed: dict[str, np.ndarray]) -> None:
    known = gate()
    good = {
        "mean": known.mean,
        "axes": known.axes,
        "variances": known.variances,
        "residual": np.array(known.residual, np.float32),
        "film": known.film,
    }
    Gate.from_bytes(pack_arrays(good), known.limits)
    with pytest.raises(BundleInvalid, match=r"gate\.npz: ") as caught:
        Gate.from_bytes(pack_arrays(good | changed), known.limits)
    assert "\n" not in str(caught.value)


def test_gate_of_another_model_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="made for a model with 12 features"):
        gate().distance(np.ones((1, CHANNELS + 1), np.float32))
