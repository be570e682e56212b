import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import cxr_edge_models
import damaged_models
from cxr_edge_runtime import images as images_module
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import GateLimits
from cxr_edge_runtime.errors import ImageNotReadable
from locators import whole_film_bundle
from synthetic import noisy_gradient

NOTICE = "Research use only. Not a medical device."


def test_table_and_notice_on_standard_output(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    image = make_image()
    outcome = cxr_edge("classify", image, "--bundle", golden_bundle)
    header, row, chance, notice = outcome.out.splitlines()
    assert outcome.code == 0
    assert header.split() == ["label", "probability", "threshold", "gate", "file"]
    label, probability, threshold, gate, name = row.split()
    assert label in ("NORMAL", "PNEUMONIA")
    assert 0 <= float(probability) <= 1
    assert (threshold, gate, name) == ("0.400", "not_checked", str(image))
    assert chance.startswith("  ↳ on validation this model was not clearly better than chance (AUC")
    digest = hashlib.sha256((golden_bundle / "bundle.json").read_bytes()).hexdigest()
    assert notice == (
        f"{NOTICE} Model: tiny-int8 1 ({digest[:12]}), trained on films of people of unstated age."
    )
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
        "from cxr_edge_runtime.images import load_grey\n"
        "os.seteuid(65534)\n"
        "try:\n    load_grey(Path(sys.argv[1]))\nexcept Exception as e:\n    print(e.kind, e)"
    )
    for folder in image.parents[: len(image.parents) - 2]:
        folder.chmod(0o755)
    output = subprocess.run(
        [sys.executable, "-c", program, str(image)], capture_output=True, text=True
    )
    assert output.stdout == (
        f"ImageNotReadable {image}: permission denied; check the file's permissions\n"
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


def test_warning_is_a_note_below_the_row_and_in_the_json(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path
) -> None:
    dark = tmp_path / "dark.png"
    Image.fromarray(noisy_gradient((80, 70), seed=0).astype(np.uint16) * 16).save(dark)
    outcome = cxr_edge("classify", dark, "--bundle", golden_bundle)
    assert outcome.code == 0
    assert outcome.out.splitlines()[3].startswith("  ↳ low contrast")
    assert outcome.err == ""
    outcome = cxr_edge("classify", dark, "--bundle", golden_bundle, "--json")
    assert json.loads(outcome.out)["warnings"][1].startswith("low contrast")


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
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 4'))
    outcome = cxr_edge("classify", make_image(), "--bundle", newer)
    assert outcome.code == 1
    words = "schema version 4 is too new, this cxr-edge reads up to 3; update cxr-edge"
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_unknown_bundle_lists_the_shipped(cxr_edge: Any, make_image: Callable[..., Path]) -> None:
    outcome = cxr_edge("classify", make_image(), "--bundle", "huge")
    assert outcome.code == 1
    assert "choose one of mobilenetv2-int8" in outcome.err


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without locator and with a limit that nothing keeps: every image is rejected."""
    folder = tmp_path_factory.mktemp("gated") / "bundle"
    return whole_film_bundle(folder, cxr_edge_models.DEFAULT, gate=GateLimits(1e-6, 1e-6))


def test_rejected_image_is_an_answer_without_label(
    cxr_edge: Any, make_image: Callable[..., Path], gated: Path
) -> None:
    image = make_image()
    outcome = cxr_edge("classify", image, "--bundle", gated)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1].split() == [
        "–",
        "–",
        f"{Bundle.load(gated).manifest.threshold.value:.3f}",
        "rejected",
        str(image),
    ]
    assert outcome.out.splitlines()[2].startswith("  ↳ does not look like a frontal chest X-ray")
    result = json.loads(cxr_edge("classify", image, "--bundle", gated, "--json").out)
    assert (result["label"], result["probability"]) == (None, None)
    assert result["gate"]["verdict"] == "rejected"
    assert result["gate"]["reasons"]


def test_force_gives_the_answer_and_keeps_the_verdict(
    cxr_edge: Any, make_image: Callable[..., Path], gated: Path
) -> None:
    outcome = cxr_edge("classify", make_image(), "--bundle", gated, "--json", "--force")
    result = json.loads(outcome.out)
    assert result["label"] in ("NORMAL", "PNEUMONIA")
    assert 0 <= result["probability"] <= 1
    assert result["gate"]["verdict"] == "rejected"


def test_inverted_film_is_named_as_such(cxr_edge: Any, shared: Path, tmp_path: Path) -> None:
    film = sorted((shared / "data" / "originals" / "NORMAL").glob("*.jpeg"))[0]
    negative = tmp_path / "negative.png"
    ImageOps.invert(Image.open(film).convert("L")).save(negative)
    outcome = cxr_edge("classify", film, negative)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.endswith(f"  {negative}")]
    assert lines[at].split()[3] == "rejected"
    note = "  ↳ inverted: bones are dark and air is bright; invert the grey values"
    assert note in lines[at + 1 :]


def test_folders_patterns_and_standard_input(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    for name in ("set/b.png", "set/a.png", "set/deep/c.png"):
        make_image(name)
    folder = tmp_path / "set"

    def files(*arguments: object, stdin: str = "") -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cxr_edge", "classify", "--json", "--bundle", golden_bundle,
             *map(str, arguments)],
            input=stdin, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [
            str(Path(json.loads(line)["file"]).relative_to(folder))
            for line in done.stdout.splitlines()
        ]

    assert files(folder) == ["a.png", "b.png"]
    assert files("--recursive", folder) == ["a.png", "b.png", "deep/c.png"]
    assert files(folder / "*.png") == ["a.png", "b.png"]
    assert files(folder / "**" / "c*") == ["deep/c.png"]
    lines = f"{folder / 'b.png'}\n\n{folder / 'deep'}\n"
    assert files("-", stdin=lines) == ["b.png", "deep/c.png"]


@pytest.mark.parametrize("threads", [1, 3])
def test_order_and_answers_do_not_depend_on_threads(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, threads: int
) -> None:
    images = [make_image(f"{number}.png", seed=number) for number in range(9)]
    outcome = cxr_edge(
        "classify", *images, "--json", "--bundle", golden_bundle, "--threads", threads
    )
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert [result["file"] for result in results] == [str(image) for image in images]
    alone = [
        json.loads(cxr_edge("classify", image, "--json", "--bundle", golden_bundle).out)
        for image in images
    ]
    assert [r["probability"] for r in results] == [r["probability"] for r in alone]


def test_film_that_vanishes_is_its_own_error(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    golden_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone, kept = make_image("a.png"), make_image("b.png")
    monkeypatch.setattr(images_module, "read_bytes", _vanishing(gone, images_module.read_bytes))
    outcome = cxr_edge("classify", gone, kept, "--json", "--bundle", golden_bundle)
    assert outcome.code == 3
    first, second = (json.loads(line) for line in outcome.out.splitlines())
    assert first["error"]["kind"] == "ImageNotReadable"
    assert second["label"] in ("NORMAL", "PNEUMONIA")


def _vanishing(gone: Path, read: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    def read_bytes(path: Path) -> bytes:
        if path == gone:
            raise ImageNotReadable(f"{path}: cannot be read (Stale file handle)")
        return read(path)

    return read_bytes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_batch_with_what_is_done_written(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    image, table, answers = make_image(), tmp_path / "answers.csv", tmp_path / "answers.jsonl"
    with answers.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cxr_edge", "classify", "-", "--csv", table, "--json",
             "--threads", "2", "--bundle", golden_bundle],
            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE, text=True,
            # A gate that runs in the background ignores SIGINT, and its children would.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(f"{image}\n" * 20)
    process.stdin.flush()
    while not answers.read_text() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    # Standard input stays open: it waits for no further line.
    process.wait(timeout=60)
    _, err = process.communicate()
    assert process.returncode == 128 + number
    assert "stopping after the images in progress" in err
    assert "Traceback" not in err
    printed = [json.loads(line) for line in answers.read_text().splitlines()]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [result["file"] for result in printed]
    assert 1 <= len(rows) <= 20
    images = "1 image" if len(rows) == 1 else f"{len(rows)} images"
    assert f"stopped after {images}; classify the others, with another --csv\n" in err


def test_rows_of_a_killed_call_are_found(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    image, table = make_image(), tmp_path / "table.csv"
    line = ["classify", "-", "--csv", table, "--json", "--threads", "2", "--bundle", golden_bundle]
    with subprocess.Popen(
        [sys.executable, "-m", "cxr_edge", *line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{image}\n" * 20)
        process.stdin.flush()
        for _ in range(2):  # a row is written when its answer was printed
            process.stdout.readline()
        process.kill()
    assert not table.exists()
    [left] = tmp_path.glob(".table-????????.csv")
    with left.open(newline="") as file:
        assert next(csv.DictReader(file))["file"] == str(image)
    outcome = cxr_edge("classify", image, "--csv", table, "--bundle", golden_bundle)
    assert outcome.err.startswith(f"cxr-edge: {left}: rows of a call that was killed, or that")
    assert table.exists()
    assert left.exists()


def test_reader_that_stops_early_is_no_traceback(
    make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    image = make_image()
    command = [sys.executable, "-m", "cxr_edge", "classify", "--json", "--bundle", golden_bundle]
    with subprocess.Popen(
        [*command, *[str(image)] * 3000], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode != 0


def test_engine_of_another_format_is_refused(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path
) -> None:
    outcome = cxr_edge(
        "classify", make_image(), "--bundle", golden_bundle, "--engine", "onnxruntime"
    )
    assert outcome.code == 1
    assert "onnxruntime does not run tflite models" in outcome.err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_disk_that_fills_up_costs_the_table_not_the_answers(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk])
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        image = make_image()
        outcome = cxr_edge(
            "classify", *[image] * 200, "--csv", disk / "t.csv", "--json", "--bundle", golden_bundle
        )
        assert outcome.code == 1
        assert len(outcome.out.splitlines()) == 200
        assert "No space left on device" in outcome.err
        assert outcome.err.count("\n") == 1
        assert list(disk.iterdir()) == []  # no half table, no temporary file
    finally:
        subprocess.run(["umount", disk], check=True)


def test_damaged_model_with_right_hashes_is_one_line(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    bundle = Bundle.load(golden_bundle)
    model = damaged_models.repacked(bundle.model, damaged_models.unknown_tensor)
    folder = damaged_models.bundle_with(bundle, model, tmp_path / "damaged")
    outcome = cxr_edge("classify", make_image(), "--bundle", folder)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("cxr-edge: ai-edge-litert cannot load the model (Invalid tensor")
    assert outcome.err.count("\n") == 1
