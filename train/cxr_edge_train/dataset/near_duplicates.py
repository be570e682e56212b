"""Pairs of near-duplicates as cleaning found them; a split keeps them on one side."""

from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json
from cxr_edge_train.dataset.metadata import report_path

# The key of the pairs in the cleaning report.
NEAR_DUPLICATES = "near_duplicates"


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two files of different bytes that show the same picture.

    The field names are the keys of the report.

    Attributes:
        first: path as in the metadata.
        second: path as in the metadata.
        correlation: of the thumbnails, 0 to 1; see
            :func:`cxr_edge_train.cleaning.checks.near_duplicates.shift_tolerant_correlation`.
        across_splits: one is in test, the other in train or val.
        across_labels: their labels differ.
    """

    first: str
    second: str
    correlation: float
    across_splits: bool
    across_labels: bool


def read_near_duplicates(metadata: Path) -> tuple[NearDuplicate, ...] | None:
    """Read the near-duplicates from the report that cleaning wrote beside the metadata.

    Args:
        metadata: the metadata file.

    Returns:
        The pairs in the order of the report; None where there is no report, so that none is
        known.

    Raises:
        DatasetError: the report is damaged.
    """
    file = report_path(metadata)
    try:
        content = parse_json(file.read_bytes())
        if not isinstance(content, dict) or NEAR_DUPLICATES not in content:
            raise TypedJsonError(NEAR_DUPLICATES, "is missing")
        return from_json(tuple[NearDuplicate, ...], content[NEAR_DUPLICATES], path=NEAR_DUPLICATES)
    except FileNotFoundError:
        return None
    except (OSError, TypedJsonError) as error:
        raise DatasetError(
            f"{file}: the near-duplicates cannot be read ({error}); make it again with "
            "cxr-edge clean"
        ) from error
