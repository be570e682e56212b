import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_edge_runtime.bundle import (
    CHECKSUM,
    MANIFEST,
    SIGNATURE,
    Bundle,
    checksum_line,
    describe_files,
    write_bundle,
)
from cxr_edge_runtime.bundle.manifest import LocatorEntry
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.errors import (
    BundleCorrupted,
    BundleError,
    BundleInvalid,
    BundleNotFound,
    EngineError,
)
from locators import FILE, located_bundle
from synthetic import noisy_gradient


@pytest.fixture
def bundle(golden_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden_bundle, tmp_path / "bundle"))


def test_golden_bundle_of_version_1_loads(golden_bundle: Path) -> None:
    loaded = Bundle.load(golden_bundle)
    assert loaded.manifest.name == "tiny-int8"
    assert loaded.model == (golden_bundle / "model.tflite").read_bytes()


def test_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="no bundle here"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST, CHECKSUM, "model.tflite", "MODEL_CARD.md"])
def test_bundle_with_one_flipped_byte_is_refused(bundle: Path, name: str) -> None:
    path = bundle / name
    whole = path.read_bytes()
    positions = range(0, len(whole), max(1, len(whole) // 200))
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        with pytest.raises(BundleError):
            Bundle.load(bundle)


@pytest.mark.parametrize("name", [CHECKSUM, "model.tflite", "MODEL_CARD.md"])
def test_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleCorrupted, match=f"{name}: the file is missing"):
        Bundle.load(bundle)


@pytest.fixture
def located(tmp_path: Path) -> Path:
    return located_bundle(tmp_path / "located")


def test_bundle_whose_locator_has_one_flipped_byte_is_refused(located: Path) -> None:
    path = located / "locator.tflite"
    whole = path.read_bytes()
    for position in range(0, len(whole), 20):
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        with pytest.raises(BundleCorrupted, match=r"locator\.tflite: differs from its recorded"):
            Bundle.load(located)


def test_bundle_whose_locator_is_missing_or_changed_later_is_refused(located: Path) -> None:
    loaded = Bundle.load(located)
    (located / "locator.tflite").write_bytes(b"another")
    with pytest.raises(BundleCorrupted, match=r"locator\.tflite: differs from its recorded"):
        Classifier(loaded)
    (located / "locator.tflite").unlink()
    with pytest.raises(BundleCorrupted, match=r"locator\.tflite: the file is missing"):
        Bundle.load(located)


@pytest.mark.parametrize(
    ("entry", "file", "message"),
    [
        (
            LocatorEntry("locator.tflite", 2, 1.2),
            FILE,
            "locator.version must be 1, the only version",
        ),
        (LocatorEntry("locator.onnx", 1, 1.2), "locator.onnx", "must be locator.tflite, in the"),
        (LocatorEntry("locator.tflite", 1, 1.2), "locator.onnx", "needs locator.tflite in files"),
        (LocatorEntry("locator.tflite", 1, 0.9), FILE, "locator.margin must be at least 1"),
    ],
)
def test_locator_of_another_kind_is_refused(
    tmp_path: Path, entry: LocatorEntry, file: str, message: str
) -> None:
    with pytest.raises(BundleInvalid, match=message):
        located_bundle(tmp_path / "located", entry=entry, file=file)


def test_locator_that_does_not_keep_the_contract_is_refused(
    located: Path, golden_bundle: Path, tmp_path: Path
) -> None:
    loaded = Bundle.load(located)
    contents = {name: loaded.read(name) for name in loaded.manifest.files}
    contents["locator.tflite"] = loaded.model  # a classifier
    manifest = replace(loaded.manifest, files=describe_files(contents))
    write_bundle(tmp_path / "wrong", manifest, contents)
    with pytest.raises(EngineError, match="the model's signature is"):
        Classifier(Bundle.load(tmp_path / "wrong"))


def test_file_that_the_bundle_does_not_name_is_not_read(bundle: Path) -> None:
    (bundle / "gate.npz").touch()
    with pytest.raises(BundleInvalid, match=r"bundle: has no gate\.npz"):
        Bundle.load(bundle).read("gate.npz")


def test_file_that_the_system_does_not_give_is_one_line(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(BundleInvalid, match=r"bundle\.json: cannot be read \(.*Permission denied"):
        Bundle.load(bundle)


@pytest.mark.parametrize("change", [b"", b"x"], ids=["shorter", "longer"])
def test_file_of_another_length_is_refused(bundle: Path, change: bytes) -> None:
    path = bundle / "model.tflite"
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-1])
    with pytest.raises(BundleCorrupted, match=r"model\.tflite: differs from its recorded SHA-256"):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", [MANIFEST, CHECKSUM, "model.tflite"])
def test_link_in_a_bundle_is_not_followed(bundle: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    with pytest.raises(BundleInvalid, match="must be a plain file, not a link"):
        Bundle.load(bundle)


def test_pipe_in_a_bundle_is_not_waited_for(bundle: Path) -> None:
    (bundle / "model.tflite").unlink()
    os.mkfifo(bundle / "model.tflite")
    with pytest.raises(BundleInvalid, match="must be a plain file"):
        Bundle.load(bundle)


def test_enormous_manifest_is_not_read_whole(bundle: Path) -> None:
    (bundle / MANIFEST).write_bytes(b" " * 2_000_000)
    with pytest.raises(BundleInvalid, match="larger than 1000000 bytes"):
        Bundle.load(bundle)


def test_size_other_than_recorded_is_refused_even_with_the_right_checksum(bundle: Path) -> None:
    manifest = Bundle.load(bundle).manifest
    entry = manifest.files["MODEL_CARD.md"]
    files = manifest.files | {"MODEL_CARD.md": replace(entry, bytes=entry.bytes + 1)}
    text = replace(manifest, files=files).to_json().encode()
    (bundle / MANIFEST).write_bytes(text)
    (bundle / CHECKSUM).write_bytes(checksum_line(hashlib.sha256(text).hexdigest()))
    with pytest.raises(BundleCorrupted, match=r"MODEL_CARD\.md: differs"):
        Bundle.load(bundle)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signature_of_another_length_is_refused(bundle: Path, length: int) -> None:
    loaded = Bundle.load(bundle)
    assert loaded.signature() is None
    (bundle / SIGNATURE).write_bytes(b"s" * 64)
    assert loaded.signature() == b"s" * 64
    (bundle / SIGNATURE).write_bytes(b"s" * length)
    with pytest.raises(
        BundleInvalid,
        match=r"bundle\.json\.sig: not a signature, which has 64 "
        "bytes",
    ):
        loaded.signature()


def test_written_bundle_loads_and_is_the_same_every_time(
    golden_bundle: Path, tmp_path: Path
) -> None:
    golden = Bundle.load(golden_bundle)
    contents = {name: (golden_bundle / name).read_bytes() for name in golden.manifest.files}
    for copy in ("one", "other"):
        write_bundle(tmp_path / copy, golden.manifest, contents)
    one, other = Bundle.load(tmp_path / "one"), Bundle.load(tmp_path / "other")
    assert one.digest == other.digest
    assert one.manifest == golden.manifest


def test_manifest_must_describe_what_is_written(golden_bundle: Path, tmp_path: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    contents = {"model.tflite": b"other"}
    with pytest.raises(BundleInvalid, match="does not describe"):
        write_bundle(tmp_path / "x", manifest, contents)
    with pytest.raises(BundleInvalid, match="threshold"):
        broken = replace(
            manifest,
            files=describe_files(contents),
            threshold=replace(manifest.threshold, value=2.0),
        )
        write_bundle(tmp_path / "x", broken, contents)
    assert not (tmp_path / "x").exists()


def test_frozen_bundle_of_version_3_is_read_and_answers_as_it_did() -> None:
    folder = Path(__file__).parent / "golden" / "bundle-v3"
    bundle = Bundle.load(folder)
    assert json.loads(bundle.manifest.to_json()) == json.loads((folder / MANIFEST).read_bytes())
    prediction = Classifier(bundle).classify(noisy_gradient((96, 96), 0))
    assert prediction.label == "Entzündung"
    # Kernels of other processors round otherwise.
    assert prediction.probability == pytest.approx(0.5204, abs=0.01)


def test_bundle_of_version_1_still_loads_and_runs() -> None:
    bundle = Bundle.load(Path(__file__).parent / "golden" / "bundle-v1")
    outputs = open_engine(bundle).run(np.zeros((1, 32, 32, 1), np.uint8))
    assert set(outputs) == set(bundle.manifest.outputs) == {"cam", "logit", "embedding"}
