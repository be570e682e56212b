"""What the lung locator says of validation films and of images that are none."""

from dataclasses import dataclass

from cxr_edge_convert.artifacts.gate_fitting import Remarks
from cxr_edge_convert.artifacts.out_of_distribution import OutOfDistributionImages
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.locator import NO_LUNGS


@dataclass(frozen=True, slots=True)
class LungCounts:
    """In how many images the lung locator finds no lungs.

    Attributes:
        validation: of the validation films.
        validation_films: their number.
        non_films: of the images that are not chest X-rays.
        non_film_images: their number.
    """

    validation: int
    validation_films: int
    non_films: int
    non_film_images: int

    @classmethod
    def of(cls, remarks: list[Remarks], others: OutOfDistributionImages) -> "LungCounts":
        """Count; see :func:`remarks_on_validation`."""
        without = sum(NO_LUNGS in objections for objections, _ in remarks)
        return cls(without, len(remarks), others.without_lungs, len(others.inputs))


def remarks_on_validation(source: Source) -> list[Remarks] | None:
    """What the locator says of each validation film; None where there is none.

    Raises:
        DatasetError: an image is missing or changed since it was cleaned.
    """
    if source.locator is None:
        return None
    table, images = source.validation.table, source.images
    films = images.progress("looking for lungs")(images.films(table), len(table))
    return [(film.objections, film.doubts) for film in map(images.prepare, films)]
