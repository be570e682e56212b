"""The films that a locator is trained and measured on: those whose lungs are outlined."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import file_sha256
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import LOCATOR_CELLS, PreprocessSpec, locator_input
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.metadata import dataset_digest, without_test
from cxr_edge_train.dataset.pixels import load_pixels, read_unchanged
from cxr_edge_train.locator.masks import FILM_SIDE, read_masks, with_masks
from cxr_edge_train.progress import ProgressFactory, no_progress

# Of each label in each split: with fewer, neither training nor its figures mean anything.
_MIN_FILMS = 10


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedFilms:
    """Films with the outlines of their lungs.

    Attributes:
        table: the films, of training and validation or of one of them; their masks' paths are in
            the column ``mask``.
        masks: ``[N, 224, 224] uint8``, 255 where a film shows lung; none is empty.
        without_mask: how many other films of these splits have no mask, or an empty one.
    """

    table: pd.DataFrame
    masks: NDArray[np.uint8]
    without_mask: int

    @classmethod
    def of(
        cls, table: pd.DataFrame, masks: Path, *, progress: ProgressFactory = no_progress
    ) -> "OutlinedFilms":
        """Find and read the masks of training and validation films; no test film is looked at.

        Args:
            table: the films with their splits.
            masks: folder of the masks, see :func:`cxr_edge_train.locator.masks.with_masks`.
            progress: makes the progress bar over the masks.

        Raises:
            DatasetError: the folder is missing, has no masks of these films or two of one name,
                most masks are white where no lung is, or a split has too few films of a label with
                one.
            ImageError: a mask cannot be read.
        """
        films = without_test(table)
        found = with_masks(films, masks)
        pixels = read_masks(found["mask"], progress=progress)
        shows_lung = pixels.any(axis=(1, 2))
        kept = found[shows_lung]
        _check_enough(kept, masks)
        _check_white_is_lung(pixels[shows_lung], masks)
        return cls(kept, pixels[shows_lung], len(films) - len(kept))

    def split(self, name: str) -> "OutlinedFilms":
        """Those of ``train`` or ``validation``."""
        chosen = (self.table["split"] == name).to_numpy()
        return OutlinedFilms(self.table[chosen], self.masks[chosen], 0)

    @property
    def digest(self) -> str:
        """Digest of the films, their splits and labels, and their masks."""
        masks = self.table["mask"].map(lambda path: file_sha256(Path(path)))
        return dataset_digest(self.table.assign(md5=self.table["md5"] + masks))

    @property
    def outlines(self) -> NDArray[np.float32]:
        """For each cell of the locator's output the share that is lung, ``[N, 32, 32]``."""
        size = FILM_SIDE // LOCATOR_CELLS
        cells = self.masks.reshape(-1, LOCATOR_CELLS, size, LOCATOR_CELLS, size)
        shares: NDArray[np.float32] = cells.mean(axis=(2, 4), dtype=np.float32) / 255
        return shares

    def films(
        self, *, root: Path, cache_dir: Path, progress: ProgressFactory = no_progress
    ) -> NDArray[np.uint8]:
        """The films ``[N, 224, 224] uint8``, of which views are cut.

        Raises:
            DatasetError: a film is missing or changed since it was cleaned.
            ImageError: a film cannot be read.
        """
        spec = PreprocessSpec(FILM_SIDE, FILM_SIDE)
        pixels = load_pixels(
            self.table, Preprocessor(spec), root=root, cache_dir=cache_dir, progress=progress
        )
        return pixels[..., 0]

    def locator_inputs(
        self, *, root: Path, progress: ProgressFactory = no_progress
    ) -> NDArray[np.uint8]:
        """The films ``[N, 128, 128, 1] uint8`` as a device shows them to the locator.

        A device may have decoded a large JPEG at a reduced size.

        Raises:
            DatasetError: a film is missing or changed since it was cleaned.
            ImageError: a film cannot be read.
        """
        paths = progress("reading validation films")(self.table["path"], len(self.table))
        return np.concatenate(
            [
                locator_input(read_unchanged(root / path, md5))
                for path, md5 in zip(paths, self.table["md5"])
            ]
        )


def _check_enough(table: pd.DataFrame, masks: Path) -> None:
    for split in ("train", "validation"):
        for label in class_names(table):
            count = int(((table["split"] == split) & (table["label"] == label)).sum())
            if count < _MIN_FILMS:
                raise DatasetError(
                    f"{masks}: {count} {label} films of the {split} split have a mask that shows "
                    f"lung (white is lung), at least {_MIN_FILMS} are needed; add masks"
                )


def _check_white_is_lung(masks: NDArray[np.uint8], folder: Path) -> None:
    """Of 1,583 masks that people drew none is white in a corner."""
    corners = masks[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    count = int(corners.any(axis=1).sum())
    if count > len(masks) / 2:
        raise DatasetError(
            f"{folder}: {count} of {len(masks)} masks are white in a corner of the film, where no "
            "lung is; white must be lung: invert the masks, or give the folder that has them"
        )
