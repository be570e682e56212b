"""A folder with the answers to DICOM films as DICOM."""

from pathlib import Path

from cxr_edge.dicom_out.answer import dicom_answer
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_runtime.images import read_bytes


class DicomWriter:
    """Writes a capture and a report of each film, named by their UIDs, from any thread."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        """Write into a folder, made where absent.

        Raises:
            InvalidRequest: the folder is a link or a file, or cannot be written.
        """
        check_folder(folder, "a folder of DICOM answers", ours=lambda _: True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._bundle = folder, bundle

    def write(self, path: Path, prediction: Prediction) -> str | None:
        """Write the answer to a film.

        Args:
            path: of the film's file, which is read again.
            prediction: of it.

        Returns:
            Why nothing was written; None where it was.
        """
        try:
            content = read_bytes(path)
            files = dicom_answer(content, prediction, self._bundle, name=str(path))
            for uid, answer in files.items():
                with replacing(self._folder / f"{uid}.dcm") as temporary:
                    temporary.write_bytes(answer)
        except (CxrEdgeError, OSError) as error:
            return str(error)
        return None
