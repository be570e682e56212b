"""A folder with the answers to DICOM films as DICOM."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, ExtraMissing
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_runtime.images import read_bytes


class FileChanged(Exception):
    """A film's file is not the one that was classified."""


class DicomWriter:
    """Writes a capture and a report of each film, named by their UIDs, from any thread."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        """Write into a folder, made where absent.

        Raises:
            ExtraMissing: what makes DICOM files is not installed.
            InvalidRequest: the folder is a link or a file, or cannot be written.
        """
        if find_spec("highdicom") is None:
            raise ExtraMissing.of("highdicom", needed_by="an answer as DICOM", extra="dicom-out")
        check_folder(folder, "a folder of DICOM answers", ours=lambda _: True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._bundle = folder, bundle

    def answer(self, path: Path, prediction: Prediction) -> None:
        """Write the answer to a film.

        Args:
            path: of the film's file, which is read again.
            prediction: of it, with the SHA-256 of the file.

        Raises:
            FileChanged: the file may be another patient's by now.
            CxrEdgeError: there is no answer.
            OSError: the answer cannot be written.
        """
        from cxr_edge.dicom_out.answer import dicom_answer  # an extra's, and slow to import

        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != prediction.image_sha256:
            raise FileChanged(f"{path}: the file changed while it was classified")
        files = dicom_answer(content, prediction, self._bundle, name=str(path))
        for uid, file in files.items():
            with replacing(self._folder / f"{uid}.dcm") as temporary:
                temporary.write_bytes(file)

    def write(self, path: Path, prediction: Prediction) -> str | None:
        """Write the answer to a film, as :meth:`answer`.

        Returns:
            Why nothing was written; None where it was.
        """
        try:
            self.answer(path, prediction)
        except (CxrEdgeError, FileChanged, OSError) as error:
            return str(error)
        return None
