"""What a conversion may lose and how many images calibrate it; light to import."""

from dataclasses import asdict, dataclass

from cxr_edge_runtime.arguments import check_number

CALIBRATION_IMAGES = 300
# Fewer leave the extremes of many tensors unseen.
MIN_CALIBRATION_IMAGES = 50
# Of each label, to fit a bundle to a site; with fewer the threshold rests on two or three films.
MIN_SITE_FILMS = 50
# With fewer a lost one moves recall by more than the limit itself.
MIN_POSITIVES = 100
# Float32 in another format computes the same up to rounding; more is an error of the graph.
MAX_GRAPH_DIFFERENCE = 1e-3


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a variant may lose against the float model, as differences of shares.

    Attributes:
        max_recall_drop: the maximum drop in recall of the positive label.
        max_specificity_drop: the maximum drop in specificity.
        max_auc_drop: the maximum drop of the area under the ROC curve.
        min_agreement: the minimum share of images with the prediction of the float model.
    """

    max_recall_drop: float = 0.01
    max_specificity_drop: float = 0.02
    max_auc_drop: float = 0.005
    min_agreement: float = 0.98

    def __post_init__(self) -> None:
        """Refuse NaN, against which anything would pass, and percentages.

        Raises:
            InvalidRequest: a limit is not a number from 0 to 1.
        """
        for name, limit in asdict(self).items():
            check_number(limit, name, maximum=1)

    @property
    def looser(self) -> tuple[str, ...]:
        """The limits that allow more than the defaults do, one sentence each."""
        default = Limits()
        return tuple(
            f"{name} may drop by {limit:g} (default {standard:g})"
            for name, limit, standard in (
                ("recall", self.max_recall_drop, default.max_recall_drop),
                ("specificity", self.max_specificity_drop, default.max_specificity_drop),
                ("AUC", self.max_auc_drop, default.max_auc_drop),
                ("agreement", 1 - self.min_agreement, 1 - default.min_agreement),
            )
            if limit > standard
        )


DEFAULT_LIMITS = Limits()
