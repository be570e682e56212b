"""DICOM files as the response to a film, in the form that DICOMweb has for them."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec

from starlette.responses import Response

from cxr_edge.serving.problems import ProblemResponse
from cxr_edge_runtime.errors import how_to_install

_DICOM = "application/dicom"


def check_installed() -> None:
    """Check that answers can be made as DICOM here.

    Raises:
        ProblemResponse: what makes them is not installed.
    """
    if find_spec("highdicom") is None:
        raise ProblemResponse(
            501,
            "ExtraMissing",
            f"answers as DICOM need highdicom on the server; {how_to_install('dicom-out')}",
        )


def multipart(files: Sequence[bytes]) -> Response:
    """The files as ``multipart/related`` (PS3.18, 8.6.1.2), as a PACS takes them by STOW-RS."""
    # What no file contains, and the same for the same files.
    boundary = hashlib.sha256(b"".join(files)).hexdigest()
    parts = [
        b"--%b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b\r\n"
        % (boundary.encode(), _DICOM.encode(), len(file), file)
        for file in files
    ]
    body = b"".join([*parts, b"--%b--\r\n" % boundary.encode()])
    return Response(
        body,
        headers={"Content-Type": f'multipart/related; type="{_DICOM}"; boundary={boundary}'},
    )
