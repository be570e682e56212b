"""Every error a user can meet, in one tree.

::

    CxrEdgeError                 anything cxr-edge raises on purpose
    ├── InvalidRequest           what was asked for makes no sense
    ├── ImageError               this one image cannot be used
    │   ├── ImageNotFound        no such file
    │   ├── ImageNotReadable     a folder, no permission, or the disk failed
    │   ├── UnreadableImage      bytes that we cannot decode as an image
    │   ├── UnsupportedImage     an image, but of a format or depth we do not take
    │   ├── ImageTooLarge        beyond the limits on pixels or bytes, or this device's memory
    │   ├── ImageTooSlow         beyond the limit on seconds of decoding
    │   └── ImageTooSmall        too few pixels to show a chest
    ├── BundleError              this bundle cannot be used
    │   ├── BundleNotFound       no such bundle
    │   ├── BundleInvalid        a file of it breaks the bundle format
    │   ├── BundleCorrupted      a file differs from its recorded SHA-256
    │   ├── BundleTooNew         written by a later version of cxr-edge
    │   ├── BundleRejected       its model missed a limit when it was converted
    │   └── SignatureInvalid     the signature is missing or not by the given key
    ├── InstallationError        the bundles installed on this device cannot be changed
    ├── EngineError              the inference engine cannot run the model
    │   └── EngineMissing        no engine is installed for this kind of model
    ├── DatasetError             images, metadata or splits cannot be used for training
    ├── WeightsUnavailable       pretrained weights cannot be downloaded or loaded
    ├── RunError                 a training run is incomplete or damaged
    ├── ReportError              the report of a conversion cannot be read
    ├── LogError                 a log of predictions cannot be read or written
    ├── ConversionError          a model cannot be expressed in the wanted format
    ├── ExtraMissing             packages are needed that the base install leaves out
    └── LimitMissed              a stated limit was missed

The message of each says what is wrong, where, and what to do; it can be printed as it is.
"""

import sys

# What each extra lacks on Python 3.14 and later.
_NOT_ON_3_14 = {"train": "TensorFlow", "convert": "TensorFlow", "dicom-out": "pyjpegls"}


def how_to_install(extra: str) -> str:
    """What to do to have an extra, for example ``train``: the command, or another Python.

    cxr-edge is on no package index, so its bare name must never be installed from one.
    """
    if sys.version_info >= (3, 14) and extra in _NOT_ON_3_14:
        return f"use Python 3.11 to 3.13; there is no {_NOT_ON_3_14[extra]} for this version"
    return (
        f"run: pip install '.[{extra}]' in the checkout, or with the wheel's file name instead of ."
    )


class CxrEdgeError(Exception):
    """Base of all errors that cxr-edge raises on purpose; its text is meant for the user."""

    @property
    def kind(self) -> str:
        """The stable name of the error in JSON output."""
        return type(self).__name__


class InvalidRequest(CxrEdgeError):
    """What was asked for makes no sense, whatever the files hold."""


class ImageError(CxrEdgeError):
    """One image cannot be used; others may be fine."""


class ImageNotFound(ImageError):
    """There is no file of that name."""


class ImageNotReadable(ImageError):
    """The path is a folder, permission is denied, or the disk failed."""


class UnreadableImage(ImageError):
    """The bytes are not an image, or a damaged one."""


class UnsupportedImage(ImageError):
    """An image of a format or a sample depth that cxr-edge does not take."""


class ImageTooLarge(ImageError):
    """The image is beyond the limits on pixels or bytes, or the memory of this device."""


class ImageTooSlow(ImageError):
    """Decoding the image was stopped at the limit on seconds."""


class ImageTooSmall(ImageError):
    """The image has too few pixels to show a chest."""


class BundleError(CxrEdgeError):
    """A bundle cannot be used."""


class BundleNotFound(BundleError):
    """There is no bundle of that name or path."""


class BundleInvalid(BundleError):
    """A file of the bundle, ``bundle.json`` first, is not what the bundle format asks for."""


class BundleCorrupted(BundleError):
    """A file of the bundle is missing or is not the one its manifest describes."""


class BundleTooNew(BundleError):
    """The bundle was written by a later version of cxr-edge."""


class BundleRejected(BundleError):
    """The bundle's model missed a limit of accuracy when it was converted."""


class SignatureInvalid(BundleError):
    """A bundle's signature is missing, or is not one by the key that it must be by."""


class InstallationError(CxrEdgeError):
    """The bundles installed on this device cannot be changed, and were not."""


class EngineError(CxrEdgeError):
    """The inference engine cannot load or run the model."""


class EngineMissing(EngineError):
    """No inference engine is installed that runs this kind of model."""


class DatasetError(CxrEdgeError):
    """Images, metadata or splits cannot be used for training."""


class WeightsUnavailable(CxrEdgeError):
    """Pretrained weights cannot be downloaded or loaded."""


class RunError(CxrEdgeError):
    """A training run is incomplete or damaged."""


class ReportError(CxrEdgeError):
    """The report of a conversion is missing or damaged."""


class LogError(CxrEdgeError):
    """A log of predictions is no such file, or cannot be read or written."""


class ConversionError(CxrEdgeError):
    """A model cannot be expressed in the wanted format."""


class ExtraMissing(CxrEdgeError, ImportError):
    """Packages are needed that the base install leaves out."""

    @classmethod
    def of(cls, package: str | None, *, needed_by: str, extra: str) -> "ExtraMissing":
        """The error with its message.

        Args:
            package: what is not installed.
            needed_by: what cannot be done without it.
            extra: what brings it.
        """
        missing = f"{needed_by} needs {package}, which is not installed"
        return cls(f"{missing}; {how_to_install(extra)}")


class LimitMissed(CxrEdgeError):
    """The work was done, but a stated limit was missed."""
