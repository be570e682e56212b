"""What pretrained backbones share: the layer's name, and one clear message when weights fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest

# The layer that is frozen while the head is trained.
BACKBONE = "backbone"


@contextmanager
def loading_weights(architecture: str, weights: str | None) -> Iterator[None]:
    """Turn what Keras raises about weights into one line for the user.

    Args:
        architecture: name for the message.
        weights: ``imagenet``, a file, or None.

    Raises:
        InvalidRequest: the file is missing or does not fit, or the download failed.
    """
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise InvalidRequest(f"--weights {weights}: no such file; or say imagenet or none")
    try:
        yield
    except Exception as error:
        # Keras raises plain Exception, OSError, KeyError or ValueError here; all of them mean that
        # the weights, the one thing that comes from outside, cannot be used.
        if weights is None:
            raise
        if weights == "imagenet":
            raise InvalidRequest(
                f"--weights imagenet: the download for {architecture} failed ({error}); on an "
                "offline machine give the 'no top' weights file of Keras by its path"
            ) from error
        raise InvalidRequest(
            f"--weights {weights}: does not fit {architecture} ({error})"
        ) from error
