"""The lung locator: where in a film the lungs are, so that the classifier looks at nothing else.

A small network marks which of 32 x 32 cells over the whole film are lung. Specks are dropped, and
the box follows from how many cells of each column and row are left.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import LOCATOR_INPUT, LOCATOR_OUTPUTS
from cxr_edge_runtime.engines import Engine, open_model
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.gate import INVERTED, MIN_DEVIATION, UPSIDE_DOWN
from cxr_edge_runtime.preprocess import (
    LOCATOR_CELLS,
    Box,
    PreprocessSpec,
    locator_input,
    preprocess,
)

# A group of cells that touch is kept if it has at least this share of the largest group's cells:
# one lung may be much smaller than the other, where it has collapsed or the film cuts it off.
_LEAST_GROUP = 0.2
# Fewer cells in all are no lungs.
_LEAST_CELLS = 24
# Greys that differ by one level changed their number by at most 11.4 in 1,245 images, engines by
# 0.001. The fewest in any of 1,149 films are 59.
_ONE_LEVEL = 12
# A column or row of cells belongs to the box where its cells add up to this many of lung.
_LEAST_IN_LINE = 1.0
# What is said of a film in which there are none.
NO_LUNGS = "no lungs found"
# Lungs are cut off at a side of the film where at least this many of its 32 cells are lung.
_CUT_OFF = 8
# Steps along a side of the film, to which boxes are rounded outwards: engines that differ in the
# last digit of a logit give the same box.
_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Lungs:
    """Where the lungs are in a film.

    Attributes:
        box: the smallest box that holds them.
        cut_off: the sides of the film that cut them off, of ``left``, ``top``, ``right`` and
            ``bottom`` of the picture.
        count: how many there are, apart from each other. Of 1,149 films as they are 1,148 have two.
        cells: how many of the mask's cells they take.
    """

    box: Box
    cut_off: tuple[str, ...]
    count: int = 2
    cells: float = math.inf

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes the film suspicious, in text for the user."""
        cut_off = (f"lungs cut off at the {side} edge of the picture" for side in self.cut_off)
        if self.count == 1:
            return ("only one lung found", *cut_off)
        if self.count > 2:
            return ("more than two lungs found: more than one film in the picture?", *cut_off)
        return tuple(cut_off)


class Locator:
    """A lung locator ready to run."""

    def __init__(self, engine: Engine, *, margin: float, sha256: str = "") -> None:
        """Take a loaded model.

        Args:
            engine: has the locator's model.
            margin: how many times as wide and high as the lungs the box is that is shown to the
                classifier.
            sha256: of the model's file, hexadecimal, by which what it prepared is known; empty
                where there is no file.
        """
        self._engine = engine
        self.margin = margin
        self.sha256 = sha256

    def lungs(
        self, pixels: NDArray[np.uint8], *, least_cells: float = _LEAST_CELLS
    ) -> Lungs | None:
        """Find the lungs in a film.

        Args:
            pixels: ``[H, W] uint8``.
            least_cells: see :func:`lungs_of`.

        Returns:
            The lungs, or None where there are none.

        Raises:
            EngineError: the engine failed or computed no number.
        """
        view = locator_input(pixels)
        if view.std() < MIN_DEVIATION:
            return None
        mask = self._engine.run(view)["mask"][0, :, :, 0]
        if not np.isfinite(mask).all():
            raise EngineError(f"{self._engine.name} computed no number for the lung mask")
        return lungs_of(mask, least_cells=least_cells)


def open_locator(bundle: Bundle, *, threads: int = 1, engine: str | None = None) -> Locator | None:
    """Load the locator of a bundle; None where it has none.

    Args:
        bundle: a loaded bundle.
        threads: threads of the engine.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.

    Raises:
        BundleCorrupted: its file changed since the bundle was loaded.
        EngineError: the engine does not take it, or it breaks the contract of locators.
    """
    entry = bundle.manifest.locator
    if entry is None:
        return None
    opened = open_model(
        bundle.read(entry.file),
        bundle.manifest.model.format,
        LOCATOR_INPUT,
        LOCATOR_OUTPUTS,
        threads=threads,
        engine=engine,
    )
    return Locator(opened, margin=entry.margin, sha256=bundle.manifest.files[entry.file].sha256)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFilm:
    """A film as the classifier gets it.

    Attributes:
        model_input: ``[1, H, W, 1] uint8``.
        box: what the model input shows of the film; None where it is the whole film.
        objections: why this is no usable film, in text for the user.
        doubts: what makes it suspicious.
        is_unsure: whether greys that differ by one level could change whether there are lungs.
    """

    model_input: NDArray[np.uint8]
    box: Box | None = None
    objections: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    is_unsure: bool = False


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """From a film to model input, the same in training, calibration, verification and on a device.

    Attributes:
        spec: size of the model input.
        locator: finds the lungs; the whole film is shown where it is None.
    """

    spec: PreprocessSpec
    locator: Locator | None = None

    @classmethod
    def of(cls, bundle: Bundle, *, threads: int = 1, engine: str | None = None) -> "Preprocessor":
        """That of a bundle; see :func:`open_locator`."""
        locator = open_locator(bundle, threads=threads, engine=engine)
        return cls(bundle.manifest.preprocess, locator)

    def __call__(self, pixels: NDArray[np.uint8]) -> PreparedFilm:
        """Prepare a film ``[H, W] uint8``; one in which no lungs are found is shown whole.

        Raises:
            EngineError: the locator's engine failed.
        """
        if self.locator is None:
            return PreparedFilm(preprocess(pixels, self.spec))
        lungs = self.locator.lungs(pixels)
        if lungs is None:
            objections = (NO_LUNGS, *self._orientation(pixels))
            nearly = self.locator.lungs(pixels, least_cells=_LEAST_CELLS - _ONE_LEVEL)
            return PreparedFilm(
                preprocess(pixels, self.spec), objections=objections, is_unsure=nearly is not None
            )
        box = lungs.box.widened(self.locator.margin)
        is_unsure = lungs.cells < _LEAST_CELLS + _ONE_LEVEL
        return PreparedFilm(
            preprocess(pixels, self.spec, box), box, doubts=lungs.doubts, is_unsure=is_unsure
        )

    def _orientation(self, pixels: NDArray[np.uint8]) -> tuple[str, ...]:
        """Whether a film without lungs has some when it is turned, or as a negative."""
        assert self.locator is not None
        others = (
            (UPSIDE_DOWN, np.ascontiguousarray(pixels[::-1, ::-1])),
            (INVERTED, 255 - pixels),
        )
        for reason, other in others:
            if self.locator.lungs(other):
                return (reason,)
        return ()


def lungs_of(mask: NDArray[np.float32], *, least_cells: float = _LEAST_CELLS) -> Lungs | None:
    """Find the lungs in the locator's output.

    A cell counts by how far its probability is above one half, 0 to 1, so that the box moves a
    little where logits do, and never by a cell at once. The cells of each column are added up; the
    box begins where a line through these sums first reaches 1, and ends where it does last; rows
    likewise.

    Args:
        mask: ``[32, 32] float32``, the logit that a cell is lung.
        least_cells: fewer in all are no lungs.

    Returns:
        The lungs, or None where too few cells are lung.
    """
    # 2 p - 1 of the probability p.
    groups = _large_groups(mask > 0)
    lung = np.maximum(0, np.tanh(mask.astype(np.float64) / 2)) * (groups > 0)
    columns, rows, cells = lung.sum(axis=0), lung.sum(axis=1), float(lung.sum())
    # A line one cell thin has no column, or no row, of one cell in all.
    if cells < least_cells or min(columns.max(), rows.max()) < _LEAST_IN_LINE:
        return None
    (left, right), (top, bottom) = _extent(columns), _extent(rows)
    if left >= right or top >= bottom:
        return None
    outermost = {"left": columns[0], "top": rows[0], "right": columns[-1], "bottom": rows[-1]}
    cut_off = tuple(side for side, count in outermost.items() if count >= _CUT_OFF)
    count = len(np.unique(groups[groups > 0]))
    return Lungs(Box(left, top, right, bottom), cut_off, count, cells)


def _extent(sums: NDArray[np.float64]) -> tuple[float, float]:
    """Where sums ``[32]`` along a side of the film first and last reach one cell, as shares."""
    first, last = _crossing(sums), LOCATOR_CELLS - _crossing(sums[::-1])
    return (
        math.floor(first / LOCATOR_CELLS * _STEPS) / _STEPS,
        math.ceil(last / LOCATOR_CELLS * _STEPS) / _STEPS,
    )


def _crossing(sums: NDArray[np.float64]) -> float:
    """Where the line through the cells' centres first reaches the least sum, in cells."""
    index = int(np.argmax(sums >= _LEAST_IN_LINE))
    before, after = sums[index - 1] if index else 0.0, sums[index]
    return max(0.0, float(index - 0.5 + (_LEAST_IN_LINE - before) / (after - before)))


def _large_groups(lung: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The groups of cells without those that are small beside the largest, or beside any lungs.

    Returns:
        ``[32, 32]`` numbers as of :func:`_groups`, 0 where there is no lung or a speck.
    """
    groups = _groups(lung)
    sizes = np.bincount(groups.ravel())
    sizes[0] = 0  # no lung
    large: NDArray[np.bool_] = sizes >= _LEAST_GROUP * max(_LEAST_CELLS, sizes.max())
    return groups * large[groups]


def _groups(lung: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each cell a number that it shares with the cells it is connected to; 0 for no lung."""
    framed = np.pad(lung, 1)
    numbers: NDArray[np.int64] = np.arange(framed.size).reshape(framed.shape) * framed
    cells = numbers[1:-1, 1:-1]
    beside = (numbers[2:, 1:-1], numbers[:-2, 1:-1], numbers[1:-1, 2:], numbers[1:-1, :-2])
    while True:
        highest = np.maximum.reduce([cells, *beside]) * lung
        # A number is the place of a cell of the same group, which has a higher one by now: so a
        # spiral takes 70 rounds, not 540.
        spread: NDArray[np.int64] = numbers.ravel()[highest]
        if np.array_equal(spread, cells):
            return spread
        cells[:] = spread
