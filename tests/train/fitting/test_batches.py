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


def test_every_image_comes_once_in_an_epoch() -> None:
    whole = TrainingBatches(PIXELS, LABELS, Augmentation(), side=32, batch_size=22, seed=0)
    assert sorted(whole._order) == list(range(22))
