"""Names for patients that do not say who they are."""

import hashlib
import hmac
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest

# Shorter keys can be guessed, and with the key the patients.
_SHORTEST_KEY = 16
_DIGITS = 16


class Pseudonyms:
    """The pseudonym of each patient: a number in order of first appearance, or by a secret key.

    Numbers depend on which films are there; with one key a patient is called the same everywhere.
    """

    def __init__(self, key: bytes | None = None) -> None:
        """Number patients, or name them by HMAC-SHA256 (RFC 2104) with the key."""
        self._key = key
        self._numbers: dict[str, int] = {}

    def of(self, patient: str) -> str:
        """The pseudonym of a patient's id; empty where the id is."""
        if not patient:
            return ""
        if self._key is not None:
            digest = hmac.new(self._key, patient.encode(), hashlib.sha256).hexdigest()
            return f"dicom-{digest[:_DIGITS]}"
        return f"dicom-{self._numbers.setdefault(patient, len(self._numbers) + 1)}"


def read_patient_key(file: Path) -> bytes:
    """Read the secret key by which patients are named.

    Raises:
        InvalidRequest: the file cannot be read, or is too short.
    """
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise InvalidRequest(f"{file}: cannot be read ({error.strerror})") from error
    if len(key) < _SHORTEST_KEY:
        raise InvalidRequest(
            f"{file}: holds {len(key)} bytes; a key has {_SHORTEST_KEY} or more, for example from "
            "openssl rand -hex 32"
        )
    return key
