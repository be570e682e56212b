import numpy as np

from cxr_edge_train.locator.batches import ViewBatches
from locators import lung_film

FILMS, MASKS = (np.stack(pixels) for pixels in zip(*map(lung_film, range(10))))


def batches(seed: int = 0) -> ViewBatches:
    return ViewBatches(FILMS, MASKS, batch_size=4, seed=seed)


def test_shapes_and_types() -> None:
    made = batches()
    images, outlines = made[0]
    assert (images["image"].shape, images["image"].dtype) == ((4, 128, 128, 1), np.float32)
    assert (outlines["mask"].shape, outlines["mask"].dtype) == ((4, 32, 32, 1), np.float32)
    assert len(made) == 2


def test_views_depend_on_seed_and_epoch_alone() -> None:
    def second_epoch(seed: int, *before: int) -> np.ndarray:
        made = batches(seed)
        for index in before:  # what was seen before is of no matter
            made[index]
        made.begin_epoch(1)
        return made[0][0]["image"]

    assert np.array_equal(second_epoch(0), second_epoch(0, 1, 0))
    assert not np.array_equal(second_epoch(0), second_epoch(1))
    assert not np.array_equal(second_epoch(0), batches(0)[0][0]["image"])
