"""What the extras bring, each used once; run by an environment that has them, a line a check.

python extras.py FILM.jpeg
"""

import io
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import pydicom
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ComputedRadiographyImageStorage, JPEG2000Lossless, JPEGBaseline8Bit

COMMAND = [sys.executable, str(Path(sys.executable).with_name("cxr-edge"))]


def cxr_edge(*arguments: object) -> str:
    """Run the command to its success; what it printed."""
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"cxr-edge {arguments[0]}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def answer(*arguments: object) -> str:
    """Label and probability of one film."""
    found = json.loads(cxr_edge("classify", "--json", "--force", *arguments))
    return f"{found['label']} {found['probability']:.4f}"


def compressed_dicom(film: Path, kind: str) -> bytes:
    """The film as a DICOM file, its frame compressed."""
    image = Image.open(film).convert("L")
    frame = io.BytesIO()
    if kind == "JPEG":
        image.save(frame, "JPEG", quality=95)
    else:
        image.save(frame, "JPEG2000", no_jp2=True)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if kind == "JPEG" else JPEG2000Lossless
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3"
    dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME2"
    dataset.Rows, dataset.Columns = np.asarray(image).shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = encapsulate([frame.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def served(film: Path) -> str:
    """The answer of a server to the film."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--threads", "1"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        address = next(
            word for line in server.stderr for word in line.split() if word.startswith("http://")
        )
        request = urllib.request.Request(f"{address.rstrip('/,.')}/v1/classify", film.read_bytes())
        with urllib.request.urlopen(request, timeout=300) as response:
            [found] = json.load(response)["results"]
        server.terminate()
        server.stderr.read()
    if server.returncode:
        raise SystemExit(f"cxr-edge serve: exit code {server.returncode}")
    return f"{found['label']} {found['probability']:.4f}"


def main() -> None:
    """Use each extra once."""
    film = Path(sys.argv[1])
    print("onnx:", answer("--bundle", "mobilenetv2-onnx-int8", film))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("JPEG", "JPEG2000"):
            (folder / f"{kind}.dcm").write_bytes(compressed_dicom(film, kind))
            print(f"dicom, {kind}:", answer(folder / f"{kind}.dcm"))
        print("serve:", served(film))
        private = Ed25519PrivateKey.generate()
        (folder / "key.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / "key.pub.pem").write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        archive = folder / "tiny.cxr.zip"
        cxr_edge("pack", "tiny", "--sign", folder / "key.pem", "-o", archive)
        cxr_edge("verify", archive, "--key", folder / "key.pub.pem")
        print("signed: verified")
        log = folder / "log.db"
        (folder / "films").mkdir()
        grey = Image.open(film).convert("L").reduce(3)
        for number in range(100):
            grey.crop((number // 10, number % 10, grey.width, grey.height)).save(
                folder / "films" / f"{number}.png"
            )
        cxr_edge("classify", "--force", "--log", log, folder / "films")
        # A hundred films of one kind have drifted; the exit code 4 says so.
        done = subprocess.run(
            [*COMMAND, "drift", str(log), "-o", str(folder / "drift.png")],
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 4) or not (folder / "drift.png").exists():
            raise SystemExit(f"cxr-edge drift: exit code {done.returncode}: {done.stderr}")
        print("drift:", done.stdout.splitlines()[0])


if __name__ == "__main__":
    main()
