import numpy as np
import pytest

from cxr_edge_train.fitting.batches import TrainingBatches
from cxr_edge_train.recipe import Augmentation
from synthetic import noisy_gradient

PIXELS = np.stack([noisy_gradient((32, 32), seed) for seed in range(22)])[..., np.newaxis]
LABELS = np.array([0, 1, 1, 1] * 5 + [0, 1])


def batches(seed: int = 0) -> TrainingBatches:
    return TrainingBatches(PIXELS, LABELS, Augmentation(), side=32, batch_size=4, seed=seed)


def test_shapes_and_types() -> None:
    images, targets, weights = batches()[0]
    assert (images["image"].shape, images["image"].dtype) == ((4, 32, 32, 1), np.float32)
    assert (targets["logit"].shape, weights["logit"].shape) == ((4, 1), (4,))


def test_weights_balance_the_classes() -> None:
    total = {0: 0.0, 1: 0.0}
    made = batches()
    whole = TrainingBatches(PIXELS, LABELS, Augmentation(), side=32, batch_size=22, seed=0)
    _, targets, weights = whole[0]
    for target, weight in zip(targets["logit"][:, 0], weights["logit"]):
        total[int(target)] += float(weight)
    assert total[0] == pytest.approx(total[1])
    assert len(made) == 5


def test_films_that_share_one_place_in_an_epoch_may_still_come_together() -> None:
    # Each is expected half the time: in a fixed order, of two neighbours always one would come.
    made = TrainingBatches(
        PIXELS,
        LABELS,
        Augmentation(),
        side=32,
        batch_size=11,
        seed=0,
        sampling_weights=np.full(22, 0.5),
    )
    both = 0
    for epoch in range(40):
        made.begin_epoch(epoch)
        both += {0, 1} <= set(made._order.tolist())
    assert 0 < both < 40


def test_any_order_of_asking_gives_the_same_batches() -> None:
    first, second = batches(), batches()
    forwards = [first[index] for index in range(len(first))]
    backwards = [second[index] for index in reversed(range(len(second)))]
    for one, other in zip(forwards, reversed(backwards)):
        np.testing.assert_array_equal(one[0]["image"], other[0]["image"])


def test_each_epoch_and_each_seed_differ() -> None:
    made = batches()
    first = made[0][0]["image"]
    made.begin_epoch(1)
    assert (made[0][0]["image"] != first).any()
    assert (batches(seed=1)[0][0]["image"] != first).any()


def test_epoch_does_not_depend_on_those_before() -> None:
    walked, jumped = batches(), batches()
    for epoch in range(1, 4):
        walked.begin_epoch(epoch)
    jumped.begin_epoch(3)
    np.testing.assert_array_equal(walked[1][0]["image"], jumped[1][0]["image"])


def drawn(expected: list[float], epochs: int) -> np.ndarray:
    made = TrainingBatches(
        PIXELS,
        LABELS,
        Augmentation(),
        side=32,
        batch_size=22,
        seed=0,
        sampling_weights=np.array(expected),
    )
    counts = []
    for epoch in range(epochs):
        made.begin_epoch(epoch)
        _, targets, _ = made[0]
        assert len(targets["logit"]) == 22
        counts.append(np.bincount(made._order, minlength=22))
    return np.stack(counts)


def test_images_come_as_often_as_they_are_to_be_drawn() -> None:
    expected = [2.5] + [0.5] * 9 + [1.25] * 12
    counts = drawn(expected, epochs=200)
    assert (counts.sum(axis=1) == 22).all()
    assert np.abs(counts - expected).max() <= 1  # never farther than the next whole number
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=0.15)


def test_an_image_that_comes_again_in_an_epoch_is_changed_otherwise() -> None:
    made = TrainingBatches(
        PIXELS,
        LABELS,
        Augmentation(),
        side=32,
        batch_size=22,
        seed=0,
        sampling_weights=np.array([22.0] + [0.0] * 21),
    )
    [images] = made[0][0].values()
    assert len({image.tobytes() for image in images}) == 22


def test_drawing_of_one_each_takes_every_image_once() -> None:
    once = TrainingBatches(
        PIXELS, LABELS, Augmentation(), side=32, batch_size=22, seed=0, sampling_weights=np.ones(22)
    )
    assert sorted(once._order) == list(range(22))
