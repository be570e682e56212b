"""The activation map: what each part of a film adds to the decision, compared with normal films.

The network's own map, of which the logit is the mean, is nearly the same picture for every film, and
its zero has nothing to do with the threshold. So what normal films show on average is taken off, and
the logit at the threshold: what remains is above 0 on the whole where the label is the positive one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import Manifest

# Of a threshold that no probability reaches, or all do, the logit would be infinite.
_SURE = 1e-12


def activation_map(
    cam: NDArray[np.floating],
    logit: float,
    normal: NDArray[np.floating] | None,
    manifest: Manifest,
) -> NDArray[np.float32]:
    """Compare the network's map of a film with that of normal films, and with the threshold.

    It is ``cam - (m - mean(m)) - c``, where ``m`` is the mean map of normal validation films and
    ``c`` the logit at the threshold. The mean of ``cam`` is set to the logit, from which it may
    differ by rounding in an INT8 model.

    Args:
        cam: ``[h, w]``, the model's output ``cam`` of the film.
        logit: the model's output ``logit`` of the film.
        normal: ``[h, w]``, the mean of ``cam`` over the bundle's normal validation films; None
            where the bundle has none.
        manifest: of the bundle; gives the threshold.

    Returns:
        ``[h, w] float32``, in units of the logit. Its mean is at least 0 where the label is the
        positive one, and below 0 otherwise.

    >>> import numpy as np, cxr_edge_models
    >>> from cxr_edge_runtime.bundle import Bundle
    >>> manifest = Bundle.load(cxr_edge_models.path("tiny")).manifest
    >>> film = activation_map(np.zeros((5, 5)), 20.0, None, manifest)
    >>> bool(film.mean() > 0)
    True
    """
    shown = cam.astype(np.float64)
    if normal is not None:
        shown = shown - normal
    above = logit - threshold_logit(manifest)
    return (shown - shown.mean() + above).astype(np.float32)


def threshold_logit(manifest: Manifest) -> float:
    """The logit whose probability is the threshold of a bundle."""
    probability = min(max(manifest.threshold.value, _SURE), 1 - _SURE)
    odds = math.log(probability / (1 - probability))
    return manifest.temperature * odds - manifest.bias
