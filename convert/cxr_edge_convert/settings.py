"""What a conversion is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from cxr_edge_convert.limits import CALIBRATION_IMAGES, Limits
from cxr_edge_convert.variants import Scheme
from cxr_edge_train.recipe import Calibration


@dataclass(frozen=True, slots=True)
class ConversionSettings:
    """How a model is converted.

    Attributes:
        schemes: the variants to make, see :func:`cxr_edge_convert.variants.wanted_schemes`.
        limits: the most a variant may lose.
        method: how ranges are found; the source's recipe says it where this is None.
        calibration_images: how many images calibrate INT8.
        calibration_dir: a folder with them; the training images without it.
        seed: of their drawing.
        accuracy_control: keep blocks in float where INT8 falls short.
        refit_sensitivity: the sensitivity floor at which temperature and threshold are fitted anew
            to each variant after its verdict; None leaves float's.
        not_films: a folder with things that are no chest X-ray, to measure the input gate.
    """

    schemes: tuple[Scheme, ...]
    limits: Limits = field(default_factory=Limits)
    method: Calibration | None = None
    calibration_images: int = CALIBRATION_IMAGES
    calibration_dir: Path | None = None
    seed: int = 0
    accuracy_control: bool = False
    refit_sensitivity: float | None = None
    not_films: Path | None = None
