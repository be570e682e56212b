"""The activation map: what each part of a film adds to the decision, compared with normal films.

The network's own map, of which the logit is the mean, is nearly the same picture for every film,
and its zero has nothing to do with the threshold. So what normal films show on average is taken
off, and the logit at the threshold: the mean of what remains is above 0 where the label is the
positive one.
"""

import numpy as np
from numpy.typing import NDArray


def activation_map(
    cam: NDArray[np.floating],
    *,
    logit: float,
    threshold_logit: float,
    normal: NDArray[np.floating] | None,
) -> NDArray[np.float32]:
    """Compare the network's map of a film with that of normal films, and with the threshold.

    It is ``cam - (m - mean(m)) - c``, where ``m`` is the mean map of normal validation films and
    ``c`` the logit at the threshold. The mean of ``cam`` is set to the logit, from which it may
    differ by rounding in an INT8 model.

    Args:
        cam: ``[h, w]``, the model's output ``cam`` of the film.
        logit: the model's output ``logit`` of the film.
        threshold_logit: the logit whose probability is the threshold; see
            :func:`cxr_edge_runtime.probability.threshold_logit`.
        normal: ``[h, w]``, the mean of ``cam`` over the bundle's normal validation films; None
            where the bundle has none.

    Returns:
        ``[h, w] float32``, in units of the logit. Its mean is at least 0 where the label is the
        positive one, and below 0 otherwise.

    >>> import numpy as np
    >>> film, normal = np.array([[1.0, 3.0]]), np.array([[0.0, 2.0]])
    >>> activation_map(film, logit=2.0, threshold_logit=0.5, normal=normal)
    array([[1.5, 1.5]], dtype=float32)
    """
    shown: NDArray[np.float64] = cam.astype(np.float64)
    if normal is not None:
        shown -= normal
    relative: NDArray[np.float32] = (shown - shown.mean() + logit - threshold_logit).astype(
        np.float32
    )
    return relative
