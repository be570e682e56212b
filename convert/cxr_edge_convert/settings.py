"""What a conversion is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from cxr_edge_convert.limits import CALIBRATION_IMAGES, MIN_CALIBRATION_IMAGES, Limits
from cxr_edge_convert.variants import INT8, Scheme
from cxr_edge_runtime.arguments import as_whole_number
from cxr_edge_runtime.bundle.manifest import Ages
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.recipe import Calibration


@dataclass(frozen=True, slots=True)
class ConversionSettings:
    """How a model is converted.

    Attributes:
        schemes: the variants to make, see :func:`cxr_edge_convert.variants.wanted_schemes`.
        limits: the most that a variant may lose.
        method: how ranges are found; the run's recipe says it where this is None.
        calibration_images: how many images calibrate INT8.
        calibration_dir: a folder with calibration images; training images are used if None.
        seed: the seed of the choice of calibration images.
        accuracy_control: whether blocks are kept in float where INT8 misses a limit.
        refit_sensitivity: the lowest sensitivity at which the operating point is fitted
            anew to each variant after its verdict; None leaves those of the float model.
        not_films: a folder with out-of-distribution images, which measure the input gate.
        ages: of the people whose films the model was made with; None where they are not known.
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
    ages: Ages | None = None

    def __post_init__(self) -> None:
        """Refuse what would have no effect.

        Raises:
            InvalidRequest: something is asked for that only INT8 variants have, or a setting is of
                the wrong type.
        """
        if not isinstance(self.limits, Limits):
            raise InvalidRequest(f"the limits must be cxr_edge.Limits, not {self.limits!r}")
        as_whole_number(
            self.calibration_images, "calibration_images", minimum=MIN_CALIBRATION_IMAGES
        )
        int8 = any(scheme.quantization == INT8 for scheme in self.schemes)
        if not int8 and (self.method or self.calibration_dir or self.accuracy_control):
            raise InvalidRequest(
                "a calibration folder, a recipe and accuracy control are for INT8, which was not "
                "requested"
            )
