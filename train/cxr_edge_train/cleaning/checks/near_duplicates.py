"""The same picture in other bytes: candidates by difference hash, confirmed by correlation.

Chest X-rays look so alike that hashes alone are useless: of the 15 million pairs of the development
set's 5,497 different films 260,000 are within 4 bits by the usual 64-bit hash. So the hash, here of
256 bits, only spares the comparing of every pair, and correlation of thumbnails decides.

Measured on every 20th film of that set against copies of it, thumbnails 32x32:

=========================  =================  ==========================
copy                       bits, 99% / most   correlation, least
=========================  =================  ==========================
JPEG quality 50, 30        10 / 12            0.9993
brightness, contrast 10%    5 / 6             0.9997
gamma 0.85, 1.2             7 / 9             0.9967
half or double the size    12 / 16            0.9987
shifted by 1 of 224 px     19 / 22            0.9966
shifted by 2 of 224 px     32 / 36            0.9878
different films            –                  0.981 at most, within 48 bits
=========================  =================  ==========================

A crop or a shift by 3 pixels or more is found in part only, and a mirrored or turned film is not.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.cleaning.checks.check import Check, CheckContext, Summary
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.pair_listing import PairListing
from cxr_edge_train.cleaning.reading import THUMBNAIL_SIDE
from cxr_edge_train.dataset.near_duplicates import NEAR_DUPLICATES, NearDuplicate
from cxr_edge_train.progress import ProgressFactory, no_progress

# Both limits lie in the gaps of the table above.
MAX_BITS = 32
MIN_CORRELATION = 0.985
# Beyond so many, films of test against the others first, a pair is listed only where it changes
# what a split does. A folder with more has a cause of its own, such as frames of a video, that ten
# thousand examples show.
MAX_PAIRS = 10_000

# Grid of the hash: 16 rows of 17 cells give 16 x 16 differences between neighbours.
_ROWS, _CELLS = 16, 17
_BITS = _ROWS * (_CELLS - 1)
# Images compared with as many at once: 16 MB of products.
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class _Pair:
    first: int
    second: int
    correlation: float


def find_near_duplicates(
    inventory: Inventory,
    *,
    progress: ProgressFactory = no_progress,
) -> tuple[NearDuplicate, ...]:
    """Find near-duplicates by comparing every image with every other.

    Args:
        inventory: all files, after
            :func:`cxr_edge_train.cleaning.checks.duplicates.leave_out_duplicates`; one of each
            group of identical files is compared.
        progress: makes the progress bar over blocks of images.

    Returns:
        The pairs, ordered by path. Of more than :data:`MAX_PAIRS` those are left out that change
        nothing in :func:`cxr_edge_train.dataset.splits.assign_splits`.
    """
    images = inventory.connection.execute(
        "SELECT path, split = 'test', label, pixels "
        "FROM originals JOIN thumbnails USING (position) ORDER BY position"
    )
    paths: list[str] = []
    in_test: list[bool] = []
    labels: list[str] = []
    pixels = bytearray()
    for path, is_test, label, thumbnail in images:
        paths.append(path)
        in_test.append(bool(is_test))
        labels.append(label)
        pixels += thumbnail
    thumbnails = np.frombuffer(pixels, np.uint8).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    blocks = list(_block_pairs(len(paths) - sum(in_test), len(paths)))
    listing = PairListing(np.array(labels), np.array(in_test, bool), limit=MAX_PAIRS)
    found = similar_pairs(
        thumbnails, progress("comparing images")(blocks, len(blocks)), only=listing.only_changing
    )
    near = (
        NearDuplicate(
            paths[pair.first],
            paths[pair.second],
            round(pair.correlation, 4),
            in_test[pair.first] != in_test[pair.second],
            labels[pair.first] != labels[pair.second],
        )
        for pair in found
        if listing.add(pair.first, pair.second)
    )
    return tuple(sorted(near, key=lambda pair: (pair.first, pair.second)))


def difference_hash(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash thumbnails by whether each cell of a coarse grid is brighter than its left neighbour.

    The method is that of Krawetz, "Kind of like that" (2013), with 16 x 16 instead of 8 x 8
    differences.

    Args:
        thumbnails: ``[N, 32, 32]``.

    Returns:
        ``[N, 32] uint8``, 256 bits for each thumbnail.
    """
    side = thumbnails.shape[1]
    # [32, 17]: the share of each column of pixels in each cell.
    edges = np.linspace(0, side, _CELLS + 1)
    left, right = np.arange(side)[:, np.newaxis], np.arange(1, side + 1)[:, np.newaxis]
    shares = np.clip(np.minimum(right, edges[1:]) - np.maximum(left, edges[:-1]), 0, None)
    bits = np.empty((len(thumbnails), _BITS // 8), np.uint8)
    for start in range(0, len(thumbnails), _BLOCK):
        block = thumbnails[start : start + _BLOCK].astype(np.float32)
        rows = block.reshape(len(block), _ROWS, -1, side).mean(axis=2)
        # Rounded, so that in plain areas no bit depends on the last digit of a sum.
        cells = np.rint(rows @ (shares * _CELLS / side).astype(np.float32))
        brighter = np.diff(cells, axis=2) > 0
        bits[start : start + _BLOCK] = np.packbits(brighter.reshape(len(block), -1), axis=1)
    return bits


def _all(first: int, others: NDArray[np.intp]) -> NDArray[np.intp]:
    return others


def similar_pairs(
    thumbnails: NDArray[np.uint8],
    blocks: Iterable[tuple[slice, slice]],
    *,
    only: Callable[[int, NDArray[np.intp]], NDArray[np.intp]] = _all,
) -> Iterator[_Pair]:
    """Find the pairs ``first < second`` that are within both limits.

    Args:
        thumbnails: ``[N, 32, 32]``.
        blocks: pairs of ranges of images to compare with each other.
        only: given an image and those whose hashes are close, says which of them are wanted.

    Yields:
        Indices of the two thumbnails, and their correlation.
    """
    hashes = difference_hash(thumbnails)
    for rows, columns in blocks:
        # With bits as +1 and -1 the product of two hashes is what agrees less what differs.
        agreement = _signs(hashes[rows]) @ _signs(hashes[columns]).T
        close = agreement >= _BITS - 2 * MAX_BITS
        if rows == columns:
            close = np.triu(close, 1)
        for row in np.flatnonzero(close.any(axis=1)):
            first = rows.start + int(row)
            others = only(first, columns.start + np.flatnonzero(close[row]))
            if not len(others):
                continue
            correlations = shift_tolerant_correlation(thumbnails[first], thumbnails[others])
            for chosen in np.flatnonzero(correlations >= MIN_CORRELATION):
                yield _Pair(first, int(others[chosen]), float(correlations[chosen]))


def shift_tolerant_correlation(
    thumbnail: NDArray[np.uint8], others: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Correlate each of ``others`` with a thumbnail and its two gradients (multiple correlation).

    To first order an image shifted a little is the image plus a share of its gradients, so this is
    normalised correlation after the best small shift.

    Args:
        thumbnail: ``[32, 32]``.
        others: ``[N, 32, 32]``.

    Returns:
        ``[N] float64``, from 0 to 1; 0 for a thumbnail of a single grey value.
    """
    image = thumbnail.astype(np.float64)
    regressors = np.stack([image, *np.gradient(image)]).reshape(3, -1)
    regressors -= regressors.mean(axis=1, keepdims=True)
    _, sizes, basis = np.linalg.svd(regressors, full_matrices=False)
    basis = basis[sizes > 1e-9 * max(sizes.max(), 1.0)]
    values = others.reshape(len(others), -1).astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    total = (values**2).sum(axis=1)
    explained = ((values @ basis.T) ** 2).sum(axis=1)
    share: NDArray[np.float64] = np.divide(
        explained, total, out=np.zeros_like(total), where=total > 0
    )
    return np.sqrt(np.minimum(share, 1.0))


def _signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    signs: NDArray[np.float32] = np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1
    return signs


def _block_pairs(learning: int, total: int) -> Iterator[tuple[slice, slice]]:
    """Cover each pair of ``total`` images once; the first ``learning`` images are not test.

    Pairs of a test image and another come first.
    """
    outside = [slice(i, min(i + _BLOCK, learning)) for i in range(0, learning, _BLOCK)]
    inside = [slice(i, min(i + _BLOCK, total)) for i in range(learning, total, _BLOCK)]
    yield from itertools.product(outside, inside)
    yield from itertools.combinations_with_replacement(outside, 2)
    yield from itertools.combinations_with_replacement(inside, 2)


def _run(context: CheckContext) -> tuple[NearDuplicate, ...]:
    return find_near_duplicates(context.inventory, progress=context.progress)


def _summarise(pairs: tuple[NearDuplicate, ...]) -> Summary:
    return Summary(
        f"{len(pairs)} pairs{' or more' * (len(pairs) >= MAX_PAIRS)}, "
        f"{sum(pair.across_splits for pair in pairs)} across splits, "
        f"{sum(pair.across_labels for pair in pairs)} across labels",
        columns=("first", "second", "correlation", "across splits", "across labels"),
        rows=tuple(
            (
                pair.first,
                pair.second,
                f"{pair.correlation:.4f}",
                "yes" if pair.across_splits else "no",
                "yes" if pair.across_labels else "no",
            )
            for pair in pairs
        ),
    )


CHECK = Check(
    NEAR_DUPLICATES,
    tuple[NearDuplicate, ...],
    _run,
    _summarise,
    explanation="Near-duplicates are files of different bytes that show the same picture, such as "
    "a film that was saved twice or resized. They stay in the metadata. cxr-edge split puts those "
    "of one label on one side, and leaves out those of test images and those under two labels.",
)
