"""One interface to the models that can be measured: a run in Keras, or a bundle."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.images import GreyImage
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_train.dataset.class_names import ClassNames, class_names
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.statistics.operating_point import OperatingPoint


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model was measured; exactly one of ``run`` and ``bundle`` is not None.

    Attributes:
        run: name of the run's folder.
        bundle: name of the bundle.
        version: version of the bundle.
        bundle_sha256: digest of the bundle.
        model_sha256: SHA-256 of the model's file, which is ``model.keras`` for a run. It is given
            besides the bundle's digest, which changes when a result is added to the bundle's card.
        training_digest: digest of the training and validation images, see
            :func:`cxr_edge_train.dataset.metadata.dataset_digest`.
    """

    run: str | None
    bundle: str | None
    version: str | None
    bundle_sha256: str | None
    model_sha256: str
    training_digest: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of N films.

    Attributes:
        logits: ``[N]``.
        verdicts: ``[N]`` of the input gate, ``accepted``, ``suspicious`` or ``rejected``; None for
            a run, which has no gate.
        distances: ``[N]`` from the training films, NaN where a bundle measures none; None for a
            run.
    """

    logits: NDArray[np.float64]
    verdicts: tuple[str, ...] | None = None
    distances: NDArray[np.float64] | None = None


class Subject(Protocol):
    """A model with its frozen operating point.

    Attributes:
        identity: which model it is.
        run_folder: folder with its history; None for a bundle and for an imported model.
        prepare: from a film to its input.
        operating_point: its temperature, bias and threshold.
        test_digest: digest of the test images that were there when it was made; empty when that is
            not known.
        names: the names of its classes.
        gives_maps: whether the model has the ``cam`` output.
        site: the site that a bundle was calibrated for; empty for others.
        own_films: rows of the films it was made with; None for a bundle, which does not list them.
    """

    identity: ModelIdentity
    run_folder: Path | None
    prepare: Preprocessor
    operating_point: OperatingPoint
    test_digest: str
    names: ClassNames
    gives_maps: bool
    site: str
    own_films: pd.DataFrame | None

    def answers(self, films: Iterable[GreyImage]) -> Answers:
        """Answer to each film, decoded with the ``least_side`` of ``prepare``."""
        ...

    def logits(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Compute logits ``[N]`` of N images, each preprocessed to ``[1, H, W, 1] uint8``."""
        ...

    def activation_maps(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute activation maps ``[N, h, w]`` of ``images [N, H, W, 1]``, where there are any."""
        ...


def check_names(subject: Subject, metadata: pd.DataFrame, file: Path) -> None:
    """Check that metadata has the labels of a model.

    Args:
        subject: the model.
        metadata: see :func:`cxr_edge_train.dataset.metadata.read_metadata`.
        file: what it was read from.

    Raises:
        DatasetError: it has other labels.
    """
    found, own = class_names(metadata), subject.names
    if set(found) == set(own) and found != own:
        raise DatasetError(
            f"{file}: its finding is {found.positive}, the model's is {own.positive}; clean again "
            f"with positive {own.positive}"
        )
    if found != own:
        raise DatasetError(
            f"{file}: its labels are {' and '.join(found)}, the model's {' and '.join(own)}; clean "
            f"again with map {found.negative}={own.negative},{found.positive}={own.positive}"
            + ("" if own.is_default else f" and positive {own.positive}")
        )


def own_film_warnings(subject: Subject, films: pd.DataFrame | None) -> Iterator[str]:
    """Say whether the films that a model is measured on may be those that it was made with.

    Args:
        subject: the model.
        films: rows with ``md5`` and ``patient``; None where no table lists them.

    Yields:
        A sentence each.
    """
    if subject.site:
        yield (
            f"{subject.identity.bundle} was calibrated for {subject.site}; metrics on films of "
            "that site are optimistic"
        )
    if subject.own_films is None:
        yield (
            "a bundle does not list the images it was made with; if these are among them, the "
            "metrics are optimistic"
        )
    elif films is not None and (number := int(films["md5"].isin(subject.own_films["md5"]).sum())):
        yield (
            f"the run was trained on or chosen by {number} of these "
            f"{counted(len(films), 'image')}, so the metrics are optimistic"
        )
    if films is not None:
        yield from UnknownPatients.among(films).warnings
