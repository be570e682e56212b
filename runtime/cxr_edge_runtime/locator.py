"""The lung locator: where in a film the lungs are, so that the classifier looks at nothing else."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import LOCATOR_INPUT, LOCATOR_OUTPUTS
from cxr_edge_runtime.engines import Engine, open_model
from cxr_edge_runtime.errors import EngineError, EngineMissing
from cxr_edge_runtime.gate import INVERTED, MIN_DEVIATION, UPSIDE_DOWN
from cxr_edge_runtime.lungs import LEAST_CELLS, ONE_LEVEL, Lungs, content_of, lungs_of
from cxr_edge_runtime.preprocess import (
    LOCATOR_REDUCED,
    Box,
    PreprocessSpec,
    locator_input,
    preprocess,
)

# What is said of a film in which there are none, and of one whose lungs show nothing small.
NO_LUNGS = "no lungs found"
NO_DETAIL = "no fine detail: blurred, or enlarged from a small image?"
# Of 5,514 films of three kinds none has less than 0.082; blurred by 2% of its width, none of 75 has
# more than 0.050 (docs/results/lung-locator.md).
_LEAST_DETAIL = 0.07
# Of a film's width and height; of 220 full-size films the smallest has 0.64. Of a smaller box a
# reduced film may have fewer pixels than the model input.
_SMALLEST_BOX = 0.4


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

    def lungs(self, pixels: NDArray[np.uint8], *, least_cells: float = LEAST_CELLS) -> Lungs | None:
        """Find the lungs in a film.

        Args:
            pixels: ``[H, W] uint8``.
            least_cells: see :func:`cxr_edge_runtime.lungs.lungs_of`.

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
            raise EngineError(f"{self._engine.name} computed no finite number for the lung mask")
        return lungs_of(mask, content_of(view[0, :, :, 0]), least_cells=least_cells)


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
    content = bundle.read(entry.file)
    try:
        opened = open_model(
            content,
            bundle.manifest.model.format,
            LOCATOR_INPUT,
            LOCATOR_OUTPUTS,
            threads=threads,
            engine=engine,
        )
    except EngineMissing:
        raise
    except EngineError as error:  # which calls it the model
        raise EngineError(f"{entry.file}, the lung locator: {error}") from error
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

    @property
    def least_side(self) -> int | None:
        """Pixels that a side of a JPEG must keep when it is decoded at a reduced size.

        None where it must not be: without a locator films are prepared as they always were.
        """
        if self.locator is None:
            return None
        side = max(self.spec.height, self.spec.width)
        return max(LOCATOR_REDUCED, math.ceil(side / _SMALLEST_BOX))

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
        # What the locator sees is the same of its own input, and turning that costs nothing.
        view = locator_input(pixels)[0, :, :, 0]
        lungs = self.locator.lungs(view)
        if lungs is None:
            objections = (NO_LUNGS, *self._orientation(view))
            nearly = self.locator.lungs(view, least_cells=LEAST_CELLS - ONE_LEVEL)
            return PreparedFilm(
                preprocess(pixels, self.spec), objections=objections, is_unsure=nearly is not None
            )
        doubts = lungs.doubts
        if _detail(view, lungs.box) < _LEAST_DETAIL:
            doubts = (*doubts, NO_DETAIL)
        box = lungs.box.widened(self.locator.margin)
        is_unsure = lungs.cells < LEAST_CELLS + ONE_LEVEL
        return PreparedFilm(
            preprocess(pixels, self.spec, box), box, doubts=doubts, is_unsure=is_unsure
        )

    def _orientation(self, view: NDArray[np.uint8]) -> tuple[str, ...]:
        """Whether a film without lungs has two, and no doubt, when it is turned or as a negative.

        Args:
            view: the film ``[128, 128] uint8`` as the locator sees it.
        """
        assert self.locator is not None
        others = ((UPSIDE_DOWN, np.ascontiguousarray(view[::-1, ::-1])), (INVERTED, 255 - view))
        for reason, other in others:
            lungs = self.locator.lungs(other)
            if lungs is not None and not lungs.doubts:
                return (reason,)
        return ()


def _detail(view: NDArray[np.uint8], box: Box) -> float:
    """How much the lungs show that is as small as a pixel of the locator's view.

    Args:
        view: the film ``[128, 128] uint8``.
        box: of the lungs.

    Returns:
        The standard deviation of the second difference along rows or along columns, whichever is
        the smaller, since a patient who moves blurs one of them; over that of the greys, so that
        contrast changes it by rounding alone.
    """
    side = len(view)
    left, top, right, bottom = map(round, box.in_pixels(side, side))
    shown = view[top:bottom, left:right].astype(np.float64)
    if min(shown.shape) < 3:
        return 0.0
    smallest = min(np.diff(shown, 2, axis=axis).std() for axis in (0, 1))
    return float(smallest / max(shown.std(), MIN_DEVIATION))
