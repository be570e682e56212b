"""Answers the chest X-rays that Orthanc receives, and stores the answers back beside them.

Orthanc keeps a list of what it received. This program reads the list from where it stopped, sends
each film to `cxr-edge serve`, and stores the answer in Orthanc. The number of the last film that
was answered is kept in a file, so nothing is lost if any of the three programs is killed; a film
that is answered twice gets the same two files, which Orthanc already has.

A film that fails again and again is skipped and logged. The program needs only Python;
docs/guides/orthanc.md says how to set it up.
"""

import argparse
import base64
import email
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

# Radiographs; the answers themselves are of other modalities, so they are not answered again.
MODALITIES = ("CR", "DX")
# Seconds. The server itself ends a request after two minutes.
TIMEOUT, PAUSE, PAUSE_AFTER_FAILURE = 150, 1, 5
# How often a film is tried at which a program fails, or ends, though it answered just before.
TRIES = 5
# Busy, or without room on its disk: what is asked is not the reason.
LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, 507)
# Deleted since, too large, or no film: the next one may be better. Other refusals are of them all.
OF_ONE_FILM = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422)


class ProgramMisses(Exception):
    """Orthanc or cxr-edge does not answer now, and may do so later."""


class Unreachable(ProgramMisses):
    """There is no connection, or it ended."""


class ProgramFails(ProgramMisses):
    """It failed at this, and may do so every time."""


class Refused(Exception):
    """A request gets no result, however often it is made.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status


def _text(error: HTTPError) -> str:
    """What a program says of its failure, on one line."""
    try:
        return " ".join(error.read().decode("utf-8", "replace").split())
    except (OSError, HTTPException):
        return "no reason given"


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
            ProgramFails: the program failed at it.
            ProgramMisses: it was not answered now.
        """
        headers = self._headers | ({"Content-Type": "application/dicom"} if body else {})
        request = Request(self._address + path, body, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return response.read(), response.headers.get("Content-Type", "")
        except HTTPError as error:
            message = f"{self._address}{path}: status {error.code}: {_text(error)}"
            if error.code in LATER:
                raise ProgramMisses(message) from None
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR and error.code != 501:
                raise ProgramFails(message) from None
            raise Refused(error.code, message) from None
        except (URLError, OSError, HTTPException) as error:
            raise Unreachable(f"{self._address}: does not answer ({error})") from None

    def json(self, path: str) -> Any:
        """What a GET gives, which is JSON; errors as of :meth:`request`."""
        try:
            return json.loads(self.request(path)[0])
        except ValueError:
            raise ProgramMisses(f"{self._address}{path}: the response is not JSON") from None


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
        try:
            orthanc.request("/instances", file)
        except ProgramFails as error:  # a disk that is full is not the film's fault
            raise ProgramMisses(str(error)) from None
    return True


def classify(film: bytes, edge: Server) -> list[bytes]:
    """The DICOM files of the answer to a film; errors as of :func:`answer`."""
    try:
        return list(parts(*edge.request("/v1/classify?as=dicom", film)))
    except Unreachable as error:  # it answered just before, so the film may have ended it
        raise ProgramFails(str(error)) from None


def parts(body: bytes, media_type: str) -> Iterator[bytes]:
    """The files of a multipart response."""
    message = email.message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
    for part in message.walk():
        if not part.is_multipart():
            file = part.get_payload(decode=True)
            if not isinstance(file, bytes) or str(len(file)) != part["Content-Length"]:
                raise ProgramMisses("a response was not received completely")
            yield file


class StateUnusable(Exception):
    """The file of the place cannot be read or written."""


class State:
    """The file that keeps the last change that was gone through: its number, and whose it was."""

    def __init__(self, file: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnusable: it is not such a file, or cannot be read.
        """
        self._file, self.last, self.resource = file, 0, ""
        try:
            text = file.read_text() if file.exists() else "0"
        except (OSError, ValueError) as error:
            raise StateUnusable(f"{file}: cannot be read ({error})") from None
        found = re.fullmatch(r"(\d+)( \S+)?\s*", text)
        if found is None:
            raise StateUnusable(
                f"{file}: is not a state file of this program; remove it to start from "
                "the beginning"
            )
        self.last, self.resource = int(found[1]), (found[2] or "").strip()

    def check(self, orthanc: Server) -> None:
        """Begin anew where the change of that number is not the one that was gone through."""
        if orthanc.json("/changes?last")["Last"] < self.last:
            self.last = 0
        elif self.last and self.resource:
            changes = orthanc.json(f"/changes?since={self.last - 1}&limit=1")["Changes"]
            # Orthanc forgets the changes of what was deleted.
            if changes and changes[0]["Seq"] == self.last and changes[0]["ID"] != self.resource:
                self.last = 0

    def write(self, change: dict[str, Any]) -> None:
        """Replace the file as a whole.

        Raises:
            StateUnusable: it cannot be written.
        """
        self.last, self.resource = change["Seq"], change["ID"]
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            new.write_text(f"{self.last} {self.resource}")
            new.replace(self._file)
        except OSError as error:
            raise StateUnusable(f"{self._file}: cannot be written ({error})") from None


def follow(orthanc: Server, edge: Server, state: State, tries: Counter[str]) -> None:
    """Answer what comes, from the place in the state file on, until a program does not answer.

    Args:
        orthanc: where films come in.
        edge: what answers them.
        state: the place.
        tries: how often each instance was tried in vain.

    Raises:
        ProgramMisses: a program does not answer; call this again later.
        Refused: a program refuses everything, as without a password.
        StateUnusable: the state cannot be written.
    """
    edge.request("/healthz")
    state.check(orthanc)
    while True:
        changes = orthanc.json(f"/changes?since={state.last}&limit=100")
        for change in changes["Changes"]:
            if change["ChangeType"] == "NewInstance":
                answer_once(change["ID"], orthanc, edge, tries)
            state.write(change)
        if changes["Done"]:
            time.sleep(PAUSE)


def answer_once(instance: str, orthanc: Server, edge: Server, tries: Counter[str]) -> None:
    """Answer an instance, and say what became of it; errors as of :func:`follow`."""
    try:
        if answer(instance, orthanc, edge):
            say(f"{instance}: answered")
    except Refused as error:
        if error.status not in OF_ONE_FILM:
            raise
        say(f"{instance}: no answer: {error}")
    except ProgramFails as error:
        # Both answered when this round began. Once may be chance; again and again, it is the film.
        tries[instance] += 1
        if tries[instance] < TRIES:
            raise
        say(f"{instance}: no answer after {TRIES} tries: {error}")


def check_address(address: str) -> str:
    """An address that the options give."""
    found = urlsplit(address)
    try:
        is_one = found.scheme in ("http", "https") and found.hostname and (found.port or 1)
    except ValueError:  # of a port that is no number
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(
            f"{address} is not an address such as http://127.0.0.1:8042"
        )
    return address


def say(text: str) -> None:
    """A line of the log: ids of Orthanc, and no name of a patient."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run until it is killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for option, default in (("--orthanc", "8042"), ("--cxr-edge", "8000")):
        parser.add_argument(
            option,
            type=check_address,
            default=f"http://127.0.0.1:{default}",
            help=f"address of {option[2:]} (default: %(default)s)",
        )
    parser.add_argument(
        "--state",
        type=Path,
        required=True,
        help="file that keeps the number of the last change that was handled",
    )
    options = parser.parse_args()
    user, token = os.environ.get("ORTHANC_USER"), os.environ.get("CXR_EDGE_TOKEN")
    password = os.environ.get("ORTHANC_PASSWORD", "")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    orthanc = Server(options.orthanc, f"Basic {basic}" if user else None)
    edge = Server(options.cxr_edge, f"Bearer {token}" if token else None)
    said, tries = "", Counter[str]()
    try:
        state = State(options.state)
        while True:
            try:
                follow(orthanc, edge, state, tries)
            except ProgramMisses as error:
                if str(error) != said:
                    said = str(error)
                    say(f"{said}; waiting")
                time.sleep(PAUSE_AFTER_FAILURE)
    except (Refused, StateUnusable) as error:
        sys.exit(f"answer_films: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
