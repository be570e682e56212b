"""Answers the chest X-rays that Orthanc receives, and stores the answers back beside them.

Orthanc keeps a list of what it received. This program goes through it from where it was: a film is
sent to `cxr-edge serve`, and what comes back is stored in Orthanc. The number of the last film that
was answered is kept in a file, so nothing is lost whichever of the three programs is killed; a film
that is answered twice gets the same two files, which Orthanc has already.

It needs Python alone. docs/guides/orthanc.md says how to set it up.
"""

import argparse
import base64
import email
import json
import os
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

# Radiographs; the answers themselves are of other modalities, so they are not answered again.
MODALITIES = ("CR", "DX")
# Seconds. The server itself ends a request after two minutes.
TIMEOUT, PAUSE, PAUSE_AFTER_FAILURE = 150, 1, 5
# How often a film is sent that cxr-edge fails at, rather than refuses.
TRIES = 3
# Deleted since, too large, or no film: the next one may be better. Other refusals are of them all.
OF_ONE_FILM = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422)


class ProgramMisses(Exception):
    """Orthanc or cxr-edge does not answer now, and may do so later."""


class ProgramFails(ProgramMisses):
    """It answers that it failed."""


class Refused(Exception):
    """A request gets no result, however often it is made.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status


class Server:
    """A program that answers over HTTP."""

    def __init__(self, address: str, authorization: str | None) -> None:
        """Talk to an address, with what its ``Authorization`` header must be."""
        self._address = address.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        self._opener = build_opener(ProxyHandler({}))  # it is on this device or in this house

    def request(self, path: str, body: bytes | None = None) -> tuple[bytes, str]:
        """GET, or POST where there is a body.

        Returns:
            The body of the response, and its content type.

        Raises:
            Refused: it will not be answered.
            ProgramFails: the program failed.
            ProgramMisses: it was not answered now.
        """
        headers = self._headers | ({"Content-Type": "application/dicom"} if body else {})
        request = Request(self._address + path, body, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return response.read(), response.headers.get("Content-Type", "")
        except HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            message = f"{self._address}{path}: status {error.code}: {said}"
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise ProgramMisses(message) from None
            if error.code in (HTTPStatus.INTERNAL_SERVER_ERROR, *range(502, 600)):
                raise ProgramFails(message) from None
            raise Refused(error.code, message) from None
        except (URLError, OSError, HTTPException) as error:
            raise ProgramMisses(f"{self._address}: does not answer ({error})") from None

    def json(self, path: str) -> Any:
        """What a GET gives, which is JSON; errors as of :meth:`request`."""
        try:
            return json.loads(self.request(path)[0])
        except ValueError:
            raise ProgramMisses(f"{self._address}{path}: gives no JSON") from None


def answer(instance: str, orthanc: Server, edge: Server) -> bool:
    """Classify an instance and store the answer, unless it is no radiograph.

    Returns:
        Whether it was classified.

    Raises:
        Refused: it has no answer, or the answer cannot be stored.
        ProgramMisses: a program does not answer now.
    """
    tags = orthanc.json(f"/instances/{instance}/simplified-tags")
    if tags.get("Modality") not in MODALITIES:
        return False
    film, _ = orthanc.request(f"/instances/{instance}/file")
    for file in classify(film, edge):
        orthanc.request("/instances", file)
    return True


def classify(film: bytes, edge: Server) -> list[bytes]:
    """The DICOM files of the answer to a film; errors as of :func:`answer`."""
    for _ in range(TRIES):
        try:
            return list(parts(*edge.request("/v1/classify?as=dicom", film)))
        except ProgramFails as error:
            failure = error
            time.sleep(PAUSE_AFTER_FAILURE)
    raise Refused(422, str(failure))


def parts(body: bytes, media_type: str) -> Iterator[bytes]:
    """The files of a multipart response."""
    message = email.message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
    for part in message.walk():
        if not part.is_multipart():
            file = part.get_payload(decode=True)
            if not isinstance(file, bytes) or len(file) != int(part["Content-Length"] or -1):
                raise ProgramMisses("a response was not received whole")
            yield file


def follow(orthanc: Server, edge: Server, state: Path) -> None:
    """Answer what comes, from the place in the state file on, until a program does not answer.

    Raises:
        ProgramMisses: one does not; call it again later.
        Refused: a program refuses everything, as without a password.
    """
    edge.request("/healthz")
    last = int(state.read_text()) if state.exists() else 0
    if orthanc.json("/changes?last")["Last"] < last:
        last = 0  # another Orthanc, or one that began anew
    while True:
        changes = orthanc.json(f"/changes?since={last}&limit=100")
        for change in changes["Changes"]:
            if change["ChangeType"] == "NewInstance":
                answer_once(change["ID"], orthanc, edge)
            last = change["Seq"]
            write(state, str(last))
        if changes["Done"]:
            time.sleep(PAUSE)


def answer_once(instance: str, orthanc: Server, edge: Server) -> None:
    """Answer an instance, and say what became of it; errors as of :func:`follow`."""
    try:
        if answer(instance, orthanc, edge):
            say(f"{instance}: answered")
    except Refused as error:
        if error.status not in OF_ONE_FILM:
            raise
        say(f"{instance}: no answer: {error}")


def write(file: Path, text: str) -> None:
    """Replace a file as a whole."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.replace(file)


def say(text: str) -> None:
    """A line of the log: ids of Orthanc, and no name of a patient."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run until it is killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orthanc", default="http://127.0.0.1:8042", help="address of Orthanc")
    parser.add_argument("--cxr-edge", default="http://127.0.0.1:8000", help="of cxr-edge serve")
    parser.add_argument("--state", type=Path, required=True, help="file with the last number")
    options = parser.parse_args()
    user, token = os.environ.get("ORTHANC_USER"), os.environ.get("CXR_EDGE_TOKEN")
    password = os.environ.get("ORTHANC_PASSWORD", "")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    orthanc = Server(options.orthanc, f"Basic {basic}" if user else None)
    edge = Server(options.cxr_edge, f"Bearer {token}" if token else None)
    said = ""
    while True:
        try:
            follow(orthanc, edge, options.state)
        except ProgramMisses as error:
            if str(error) != said:
                said = str(error)
                say(f"{said}; waiting")
            time.sleep(PAUSE_AFTER_FAILURE)
        except (Refused, ValueError) as error:  # a ValueError of a state file that is another's
            sys.exit(f"answer_films: {error}")


if __name__ == "__main__":
    main()
