import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.images.inspection import inspect
from cxr_edge_train.cleaning.checks import near_duplicates
from cxr_edge_train.cleaning.checks.duplicates import leave_out_duplicates
from cxr_edge_train.cleaning.checks.near_duplicates import (
    MAX_BITS,
    MIN_CORRELATION,
    difference_hash,
    find_near_duplicates,
    shift_tolerant_correlation,
    similar_pairs,
)
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.dataset.separation import separate
from synthetic import scanned_file

Grey = NDArray[np.uint8]


def blobs(seed: int) -> Grey:
    """``[224, 224]`` of smooth light and dark, another picture for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((224, 224), Image.Resampling.BICUBIC))


def encoded(pixels: Grey, *, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def thumbnail(content: bytes) -> Grey:
    return inspect(content, side=32).thumbnail


def brighter(pixels: Grey) -> Grey:
    return np.clip(pixels.astype(int) + 12, 0, 255).astype(np.uint8)


def resized(pixels: Grey) -> Grey:
    size = (pixels.shape[1] * 3 // 4, pixels.shape[0] * 3 // 4)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def shifted(pixels: Grey) -> Grey:
    return np.pad(pixels, ((2, 0), (2, 0)), mode="edge")[:-2, :-2]


ALTERED: dict[str, Callable[[Grey], bytes]] = {
    "re-encoded": lambda pixels: encoded(pixels, quality=40),
    "brighter": lambda pixels: encoded(brighter(pixels)),
    "resized": lambda pixels: encoded(resized(pixels)),
    "shifted": lambda pixels: encoded(shifted(pixels)),
}


def pairs(*thumbnails: Grey) -> list[tuple[int, int]]:
    whole = slice(0, len(thumbnails))
    found = similar_pairs(np.stack(thumbnails), [(whole, whole)])
    return [(pair.first, pair.second) for pair in found]


@pytest.mark.parametrize("how", ALTERED)
def test_altered_copy_is_found_and_other_pictures_are_not(how: str) -> None:
    originals = [thumbnail(encoded(blobs(seed))) for seed in range(10)]
    assert pairs(*originals, thumbnail(ALTERED[how](blobs(3)))) == [(3, 10)]


def test_inverted_picture_is_another() -> None:
    original = thumbnail(encoded(blobs(0)))
    assert pairs(original, 255 - original) == []


def test_plain_pictures_have_no_correlation() -> None:
    plain = np.full((32, 32), 90, np.uint8)
    varied = thumbnail(encoded(blobs(0)))
    assert shift_tolerant_correlation(plain, np.stack([plain, varied])).tolist() == [0, 0]
    assert shift_tolerant_correlation(varied, plain[np.newaxis]).tolist() == [0]


def test_hash_has_256_bits_and_knows_light_from_dark() -> None:
    ramp = np.arange(32, dtype=np.uint8)[np.newaxis, :].repeat(32, axis=0) * 8
    hashes = difference_hash(np.stack([ramp, ramp[:, ::-1]]))
    assert np.unpackbits(hashes, axis=1).mean(axis=1).tolist() == [1, 0]


def inventory_of(*films: tuple[str, str, Grey]) -> Inventory:
    inventory = Inventory()
    inventory.add(
        scanned_file(path, f"{number}", label=label, thumbnail=pixels)
        for number, (path, label, pixels) in enumerate(films)
    )
    leave_out_duplicates(inventory)
    return inventory


def test_pairs_tell_splits_and_labels() -> None:
    one, two = (thumbnail(encoded(blobs(seed))) for seed in (0, 1))
    films = [("train/b", "NORMAL", one), ("train/a", "PNEUMONIA", one), ("test/c", "NORMAL", two)]
    with inventory_of(*films, ("test/d", "NORMAL", one)) as inventory:
        found = find_near_duplicates(inventory)
    assert [(p.first, p.second, p.across_splits, p.across_labels) for p in found] == [
        ("train/a", "test/d", True, True),
        ("train/b", "test/d", True, False),
        ("train/b", "train/a", False, True),
    ]
    assert {pair.correlation for pair in found} == {1.0}


def test_small_blocks_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    films = [
        (f"{split}/{seed}", "NORMAL", thumbnail(encoded(blobs(seed % 7), quality=90 - seed)))
        for seed, split in enumerate(["train"] * 11 + ["test"] * 6)
    ]
    with inventory_of(*films) as inventory:
        whole = find_near_duplicates(inventory)
        monkeypatch.setattr(near_duplicates, "_BLOCK", 3)
        assert find_near_duplicates(inventory) == whole
    assert len(whole) == 3 * 3 + 4 * 1


def test_beyond_the_limit_only_pairs_that_change_a_split_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_duplicates, "MAX_PAIRS", 4)
    film = thumbnail(encoded(blobs(0)))
    films = [(f"train/{number}", "NORMAL", film) for number in range(30)]
    with inventory_of(*films, ("test/x", "NORMAL", film)) as inventory:
        found = find_near_duplicates(inventory)
    assert sorted(pair.first for pair in found) == sorted(path for path, _, _ in films)
    assert all(pair.across_splits for pair in found)


def test_limit_of_the_listing_changes_no_split(monkeypatch: pytest.MonkeyPatch) -> None:
    # Copies of five pictures, some of them under another label, and of two pictures some in test.
    draw = np.random.default_rng(0)
    pictures, pneumonia = draw.integers(0, 5, 50), draw.random(50) < 0.2
    films = [
        (
            f"{'test' if number > 40 and picture < 2 else 'train'}/{number}",
            "PNEUMONIA" if pneumonia[number] else "NORMAL",
            thumbnail(encoded(blobs(picture))),
        )
        for number, picture in enumerate(pictures.tolist())
    ]
    table = pd.DataFrame(films, columns=["path", "label", "pixels"])
    table["split"] = table["path"].str.split("/").str[0]
    table["patient"] = ""
    separations = []
    for limit in (10_000, 0):
        monkeypatch.setattr(near_duplicates, "MAX_PAIRS", limit)
        with inventory_of(*films) as inventory:
            found = find_near_duplicates(inventory)
        separations.append((len(found), separate(table, near_duplicates=found)))
    (many, whole), (few, short) = separations
    assert few < 2 * len(films) < many
    assert 0 < len(whole.left_out) < len(films)
    assert short.groups.equals(whole.groups)
    assert [path for path, _ in short.left_out] == [path for path, _ in whole.left_out]


@pytest.fixture(scope="module")
def films(shared: Path) -> list[Grey]:
    """A twelfth of the real films and all of test, as pixels."""
    paths = sorted((shared / "data" / "chest_xray" / "train").rglob("*.jpeg"))[::12]
    paths += sorted((shared / "data" / "chest_xray" / "test").rglob("*.jpeg"))
    pixels = [np.asarray(Image.open(path).convert("L")) for path in paths]
    _, first = np.unique([film.tobytes() for film in pixels], return_index=True)
    return [pixels[index] for index in sorted(first)]


def test_real_films_are_not_near_duplicates_though_a_64_bit_hash_says_so(films: list[Grey]) -> None:
    thumbnails = np.stack([thumbnail(encoded(film)) for film in films])
    assert pairs(*thumbnails) == []
    # The usual hash: 8 x 8 differences, films within 10 bits being called alike.
    small = np.stack([np.asarray(Image.fromarray(film).resize((9, 8))) for film in thumbnails])
    bits = (np.diff(small.astype(int), axis=2) > 0).reshape(len(small), -1).astype(int)
    differing = bits @ (1 - bits.T) + (1 - bits) @ bits.T
    assert np.triu(differing <= 10, 1).sum() > 1_000


@pytest.mark.parametrize("how", ALTERED)
def test_altered_copies_of_real_films_are_found(films: list[Grey], how: str) -> None:
    chosen = films[::8]
    before = np.stack([thumbnail(encoded(film)) for film in chosen])
    after = np.stack([thumbnail(ALTERED[how](film)) for film in chosen])
    bits = np.unpackbits(difference_hash(before) ^ difference_hash(after), axis=1).sum(axis=1)
    correlations = [
        shift_tolerant_correlation(one, other[np.newaxis])[0] for one, other in zip(before, after)
    ]
    found = (bits <= MAX_BITS) & (np.array(correlations) >= MIN_CORRELATION)
    assert found.mean() >= 0.95


@pytest.mark.parametrize(("changed_rows", "found"), [(2, [(0, 1)]), (3, [])])
def test_pair_may_differ_in_32_bits_and_not_in_48(
    changed_rows: int, found: list[tuple[int, int]]
) -> None:
    # Steep from top to bottom, which decides the correlation; nearly flat from left to right, which
    # decides the hash: a mirrored row of the hash, two rows of pixels, changes 16 bits.
    steep, flat = np.mgrid[0:32, 0:32]
    picture = (7 * steep + flat * 3 // 4).astype(np.uint8)
    copy = picture.copy()
    copy[: 2 * changed_rows] = copy[: 2 * changed_rows, ::-1]
    hashes = difference_hash(np.stack([picture, copy]))
    assert np.unpackbits(hashes[0] ^ hashes[1]).sum() == 16 * changed_rows
    assert shift_tolerant_correlation(picture, copy[np.newaxis])[0] > MIN_CORRELATION
    assert pairs(picture, copy) == found
