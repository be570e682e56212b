import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synthetic import noisy_gradient

NOTICE = "Research use only. Not a medical device."


def test_table_and_notice_on_standard_output(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    image = make_image()
    outcome = cxr_edge("classify", image, "--bundle", golden_bundle)
    header, row, notice = outcome.out.splitlines()
    assert outcome.code == 0
    assert header.split() == ["label", "probability", "threshold", "gate", "file"]
    label, probability, threshold, gate, name = row.split()
    assert label in ("NORMAL", "PNEUMONIA")
    assert 0 <= float(probability) <= 1
    assert (threshold, gate, name) == ("0.400", "not_checked", str(image))
    digest = hashlib.sha256((golden_bundle / "bundle.json").read_bytes()).hexdigest()
    assert notice == f"{NOTICE} Model: tiny-int8 1 ({digest[:12]})."
    assert outcome.err == ""


def test_json_is_one_object_a_line(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    images = [make_image("b.png"), make_image("a.png")]
    outcome = cxr_edge("classify", *images, "--json", "--bundle", golden_bundle)
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert [result["file"] for result in results] == [str(image) for image in images]
    for result in results:
        assert result["schema_version"] == 1
        assert result["gate"]["verdict"] == "not_checked"
        assert result["notice"] == NOTICE
        assert result["bundle"]["name"] == "tiny-int8"
        assert len(result["bundle"]["sha256"]) == 64


def test_shipped_model_is_the_default_and_has_a_name(
    cxr_edge: Any, make_image: Callable[..., Path]
) -> None:
    image = make_image()
    outcomes = [
        json.loads(cxr_edge("classify", image, "--json", *more).out)
        for more in ([], ["--bundle", "mobilenetv2-int8"])
    ]
    for outcome in outcomes:
        del outcome["timings_ms"]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["bundle"]["name"] == "mobilenetv2-int8"


@pytest.fixture
def bad_inputs(tmp_path: Path, make_image: Callable[..., Path]) -> dict[str, tuple[Path, str]]:
    """Path and kind of error of each bad input that the command must survive."""
    empty = tmp_path / "empty.jpeg"
    empty.touch()
    text = tmp_path / "text.jpeg"
    text.write_text("not an image")
    whole = make_image("whole.jpeg", size=(300, 300)).read_bytes()
    truncated = tmp_path / "truncated.jpeg"
    truncated.write_bytes(whole[: len(whole) // 2])
    pixel = tmp_path / "pixel.png"
    Image.new("L", (1, 1)).save(pixel)
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    folder = tmp_path / "folder"
    folder.mkdir()
    return {
        "missing file": (tmp_path / "nowhere.png", "ImageNotFound"),
        "folder without images": (folder, "ImageNotFound"),
        "empty file": (empty, "UnreadableImage"),
        "text named jpeg": (text, "UnreadableImage"),
        "truncated jpeg": (truncated, "UnreadableImage"),
        "1x1": (pixel, "ImageTooSmall"),
        "30,000x30,000": (bomb, "ImageTooLarge"),
    }


def test_each_bad_input_is_one_line_and_exit_1(
    cxr_edge: Any, bad_inputs: dict[str, tuple[Path, str]], golden_bundle: Path
) -> None:
    for name, (path, kind) in bad_inputs.items():
        outcome = cxr_edge("classify", path, "--bundle", golden_bundle)
        assert outcome.code == 1, name
        assert outcome.out == "", name
        assert outcome.err.startswith(f"cxr-edge: {path}: "), name
        assert outcome.err.count("\n") == 1, name
        as_json = cxr_edge("classify", path, "--bundle", golden_bundle, "--json")
        assert json.loads(as_json.out)["error"]["kind"] == kind, name
        assert as_json.code == 1, name


def test_bad_files_do_not_stop_the_others(
    cxr_edge: Any,
    bad_inputs: dict[str, tuple[Path, str]],
    make_image: Callable[..., Path],
    golden_bundle: Path,
) -> None:
    good = [make_image("first.png"), make_image("last.png")]
    bad = [path for path, _ in bad_inputs.values()]
    outcome = cxr_edge("classify", good[0], *bad, good[1], "--json", "--bundle", golden_bundle)
    assert outcome.code == 3
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert [result["file"] for result in results] == [str(p) for p in [good[0], *bad, good[1]]]
    assert ["error" in result for result in results] == [False, *[True] * len(bad), False]


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping rights needs root")
def test_file_without_rights_is_named(make_image: Callable[..., Path], golden_bundle: Path) -> None:
    image = make_image()
    image.chmod(0)
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from cxr_edge_runtime.images import read_grey\n"
        "os.seteuid(65534)\n"
        "try:\n    read_grey(Path(sys.argv[1]))\nexcept Exception as e:\n    print(e.kind, e)"
    )
    for folder in image.parents[: len(image.parents) - 2]:
        folder.chmod(0o755)
    output = subprocess.run(
        [sys.executable, "-c", program, str(image)], capture_output=True, text=True
    )
    assert output.stdout == (
        f"ImageNotReadable {image}: permission denied; check the file's rights\n"
    ), output.stderr


@pytest.mark.parametrize("mode", ["I;16", "P", "RGBA", "CMYK"])
def test_unusual_modes_are_classified(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, mode: str
) -> None:
    grey = noisy_gradient((80, 70), seed=0)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "P":
        image = Image.fromarray(grey).convert("P")
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    path = tmp_path / ("film.tiff" if mode == "CMYK" else "film.png")
    image.save(path)
    plain = tmp_path / "plain.png"
    Image.fromarray(grey).save(plain)
    outcome = cxr_edge("classify", path, plain, "--json", "--bundle", golden_bundle)
    first, second = (json.loads(line)["probability"] for line in outcome.out.splitlines())
    assert first == pytest.approx(second, abs=0.01)


def test_warning_goes_to_standard_error_and_into_the_json(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path
) -> None:
    dark = tmp_path / "dark.png"
    Image.fromarray(noisy_gradient((80, 70), seed=0).astype(np.uint16) * 16).save(dark)
    outcome = cxr_edge("classify", dark, "--bundle", golden_bundle)
    assert outcome.code == 0
    assert outcome.err.startswith(f"warning: {dark}: low contrast")
    outcome = cxr_edge("classify", dark, "--bundle", golden_bundle, "--json")
    assert json.loads(outcome.out)["warnings"][0].startswith("low contrast")


def test_json_keeps_file_names_as_they_are(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    image = make_image("line\nbreak \u202f \udcff.png")
    outcome = cxr_edge("classify", image, "--bundle", golden_bundle, "--json")
    assert json.loads(outcome.out)["file"] == str(image)
    assert "line?break ? ?.png" in cxr_edge("classify", image, "--bundle", golden_bundle).out


def test_bundle_with_a_flipped_byte_is_refused_in_one_line(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(golden_bundle, tmp_path / "broken"))
    model = bytearray((broken / "model.tflite").read_bytes())
    model[100] ^= 1
    (broken / "model.tflite").write_bytes(model)
    outcome = cxr_edge("classify", make_image(), "--bundle", broken)
    assert outcome.code == 1
    assert "differs from its recorded SHA-256" in outcome.err
    assert outcome.err.count("\n") == 1


def test_bundle_of_a_newer_schema_is_refused_in_one_line(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    newer = Path(shutil.copytree(golden_bundle, tmp_path / "newer"))
    manifest = newer / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    outcome = cxr_edge("classify", make_image(), "--bundle", newer)
    assert outcome.code == 1
    assert "schema version 3, this cxr-edge reads up to 2; update cxr-edge" in outcome.err
    assert outcome.err.count("\n") == 1


def test_unknown_bundle_lists_the_shipped(cxr_edge: Any, make_image: Callable[..., Path]) -> None:
    outcome = cxr_edge("classify", make_image(), "--bundle", "huge")
    assert outcome.code == 1
    assert "shipped are mobilenetv2-int8" in outcome.err
