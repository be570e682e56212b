import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.process.interruption import Interruption
from cxr_edge.watching.watch import watch
from cxr_edge.writers.dicom_files import FileChanged
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import InvalidRequest, LogError
from dicom_files import written

SAMPLES = Path(__file__).parents[3] / "data" / "samples"


def lines_of(to: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (to / "answers.jsonl").read_text().splitlines()]


def watched(folder: Path, to: Path, bundle: Path, *, until: int) -> list[str]:
    """Watch until so many files are answered."""
    interrupted, names = Interruption(), []

    def show(name: str, _: object) -> None:
        names.append(name)
        if len(names) == until:
            interrupted.number = signal.SIGTERM

    watch(
        folder, to, Bundle.load(bundle), interrupted=interrupted, settle_s=0, on_result=show,
        on_absent=lambda _: None, poll_s=0.01,
    )  # fmt: skip
    return names


def test_every_file_has_one_line_of_classify_json_and_is_moved(
    tmp_path: Path, golden_bundle: Path, cxr_edge: Any
) -> None:
    folder, to = tmp_path / "in", tmp_path / "to"
    shutil.copytree(SAMPLES, folder)
    (folder / "film").write_bytes(written())
    (folder / "broken.jpeg").write_text("no film")
    names = sorted(path.name for path in folder.iterdir())
    assert sorted(watched(folder, to, golden_bundle, until=len(names))) == names
    lines = {line["file"]: line for line in lines_of(to)}
    assert sorted(lines) == names
    assert list(folder.iterdir()) == []
    assert [path.name for path in (to / "failed").iterdir()] == [
        name for name in names if "error" in lines[name]
    ]
    assert "broken.jpeg" in {path.name for path in (to / "failed").iterdir()}
    film = next(path for path in sorted((to / "done").iterdir()) if path.suffix == ".jpeg")
    outcome = cxr_edge("classify", film, "--json", "--bundle", golden_bundle)
    alone, here = json.loads(outcome.out), lines[film.name]
    for changing in ("file", "timings_ms", "image_sha256"):
        alone.pop(changing, None)
        here.pop(changing, None)
    assert here == alone


def test_killed_at_random_every_file_is_answered_exactly_once(tmp_path: Path) -> None:
    folder, to = tmp_path / "in", tmp_path / "to"
    folder.mkdir()
    film = next(SAMPLES.glob("*.jpeg"))
    for number in range(40):
        shutil.copy(film, folder / f"{number:02}.jpeg")
    command = [sys.executable, "-m", "cxr_edge", "watch", str(folder), "--to", str(to)]
    chance = random.Random(0)
    for _ in range(60):
        process = subprocess.Popen(
            [*command, "--settle", "0s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline, before = time.monotonic() + 20, len(list(folder.iterdir()))
        while len(list(folder.iterdir())) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.wait()
        if not any(folder.iterdir()):
            break
    assert list(folder.iterdir()) == []
    if (to / "pending.json").exists():
        watched(folder, to, _no_bundle(), until=0)
    assert sorted(line["file"] for line in lines_of(to)) == [f"{n:02}.jpeg" for n in range(40)]
    assert len(list((to / "done").iterdir())) == 40


def _no_bundle() -> Path:
    return Path(__file__).parents[2] / "runtime" / "bundle" / "golden" / "bundle-v2"


def test_folder_that_vanishes_is_waited_for(tmp_path: Path, golden_bundle: Path) -> None:
    folder, interrupted, said = tmp_path / "in", Interruption(), []

    def absent(gone: bool) -> None:
        said.append(gone)
        if gone:
            shutil.copytree(SAMPLES, folder)

    def show(*_: object) -> None:
        interrupted.number = signal.SIGTERM

    done = watch(
        folder, tmp_path / "to", Bundle.load(golden_bundle), interrupted=interrupted, settle_s=0,
        on_result=show, on_absent=absent, poll_s=0.01,
    )  # fmt: skip
    assert said == [True, False]
    assert done == 1


@pytest.mark.parametrize(("folder", "to"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_one_folder_in_the_other_is_refused(
    tmp_path: Path, golden_bundle: Path, folder: str, to: str
) -> None:
    with pytest.raises(InvalidRequest, match="choose another folder"):
        watched(tmp_path / folder, tmp_path / to, golden_bundle, until=1)


def test_command_says_what_it_does_and_wrong_settling_is_one_line(
    cxr_edge: Any, tmp_path: Path
) -> None:
    outcome = cxr_edge("watch", tmp_path / "in", "--to", tmp_path / "to", "--settle", "soon")
    assert (outcome.code, outcome.err) == (
        2, "cxr-edge: --settle soon: give a number of s, m, h or d, such as 5s\n",
    )  # fmt: skip


def test_answers_go_out_as_dicom_too(cxr_edge: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.dcm"
    film.write_bytes(written(StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.4"))
    by_hand = cxr_edge("classify", film, "--dicom-out", tmp_path / "by-hand")
    assert by_hand.code == 0, by_hand.err
    files = {path.name: path.read_bytes() for path in (tmp_path / "by-hand").iterdir()}
    assert len(files) == 2
    sample = next(SAMPLES.glob("*.jpeg"))
    outcome = cxr_edge("classify", sample, "--dicom-out", tmp_path / "by-hand")
    assert outcome.code == 3
    assert f"no DICOM answer of {sample}: is not a DICOM file" in outcome.err
    (tmp_path / "in").mkdir()
    shutil.copy(sample, tmp_path / "in" / "a.jpeg")
    film.rename(tmp_path / "in" / "film.dcm")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "cxr_edge", "watch", str(tmp_path / "in"), "--settle", "0s",
            "--to", str(tmp_path / "to"), "--dicom-out", str(tmp_path / "answers"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while any((tmp_path / "in").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert "no DICOM answer of a.jpeg: is not a DICOM file" in process.communicate()[1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "answers").iterdir()} == files


def test_file_that_changes_again_gets_no_line_before_it_is_whole(
    tmp_path: Path, golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, to = tmp_path / "in", tmp_path / "to"
    folder.mkdir()
    film = folder / "film.jpeg"
    whole = next(SAMPLES.glob("*.jpeg")).read_bytes()
    film.write_bytes(whole[:1000])
    classify, begun = Classifier.classify, []

    def rewritten(*arguments: Any, **options: Any) -> Any:
        try:
            return classify(*arguments, **options)
        finally:
            if not begun:
                begun.append(film.write_bytes(whole))

    monkeypatch.setattr(Classifier, "classify", rewritten)
    assert watched(folder, to, golden_bundle, until=1) == ["film.jpeg"]
    [line] = lines_of(to)
    assert "error" not in line
    assert [path.read_bytes() for path in (to / "done").iterdir()] == [whole]


@pytest.mark.parametrize("option", ["--log", "--dicom-out"])
def test_outputs_among_the_films_are_refused(cxr_edge: Any, tmp_path: Path, option: str) -> None:
    (tmp_path / "in").mkdir()
    output = tmp_path / "in" / "out"
    outcome = cxr_edge("watch", tmp_path / "in", "--to", tmp_path / "to", option, output)
    assert outcome.code == 2
    assert f"{output}: lies in {tmp_path / 'in'} or contains it" in outcome.err
    (tmp_path / "film.dcm").touch()
    outcome = cxr_edge("watch", tmp_path / "film.dcm", "--to", tmp_path / "to")
    assert (outcome.code, "is not a folder" in outcome.err) == (2, True)


def test_full_disk_for_dicom_ends_it_before_the_line(tmp_path: Path, golden_bundle: Path) -> None:
    folder, to = tmp_path / "in", tmp_path / "to"
    folder.mkdir()
    (folder / "film.dcm").write_bytes(written())

    class Full:
        def answer(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        watch(
            folder, to, Bundle.load(golden_bundle), interrupted=Interruption(), settle_s=0,
            dicom=Full(), on_result=lambda *_: None, on_absent=lambda _: None, poll_s=0.01,
        )  # fmt: skip
    assert (folder / "film.dcm").exists()
    assert not (to / "answers.jsonl").exists()


def test_log_that_fails_is_said_when_it_does(tmp_path: Path, golden_bundle: Path) -> None:
    folder, said = tmp_path / "in", []
    shutil.copytree(SAMPLES, folder)
    interrupted, names = Interruption(), []

    class Failing:
        def append(self, _: object) -> None:
            raise LogError("the disk is full")

    def show(name: str, _: object) -> None:
        names.append(name)
        assert said == ["the disk is full"]
        if len(names) == 2:
            interrupted.number = signal.SIGTERM

    watch(
        folder, tmp_path / "to", Bundle.load(golden_bundle), interrupted=interrupted, settle_s=0,
        log=PredictionRecorder(Failing(), lambda error: said.append(str(error))),
        on_result=show, on_absent=lambda _: None, poll_s=0.01,
    )  # fmt: skip
    assert len(names) == 2


def test_folder_whose_files_cannot_be_moved_is_named_and_the_others_go_on(
    tmp_path: Path, golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, interrupted, told = tmp_path / "in", Interruption(), []
    shutil.copytree(SAMPLES, folder)
    shutil.copytree(SAMPLES, folder / "a-ward")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "a-ward" and access(path, mode)
    )
    count = len(list(SAMPLES.iterdir()))
    names: list[str] = []

    def show(name: str, _: object) -> None:
        names.append(name)
        if len(names) == count:
            interrupted.number = signal.SIGTERM

    watch(
        folder, tmp_path / "to", Bundle.load(golden_bundle), interrupted=interrupted, settle_s=0,
        on_result=show, on_absent=lambda _: None, poll_s=0.01,
        on_unreadable=lambda path, why: told.append((path.name, why)),
    )  # fmt: skip
    assert not any("/" in name for name in names)
    assert told == [("a-ward", "its files cannot be moved away")]


def test_film_that_is_another_one_by_now_gets_no_line(tmp_path: Path, golden_bundle: Path) -> None:
    folder, interrupted = tmp_path / "in", Interruption()
    folder.mkdir()
    (folder / "film.dcm").write_bytes(written())

    class Writer:
        tries = 0

        def answer(self, *_: object) -> None:
            self.tries += 1
            if self.tries == 1:
                raise FileChanged("film.dcm: the file changed")

    writer = Writer()

    def show(*_: object) -> None:
        interrupted.number = signal.SIGTERM

    watch(
        folder, tmp_path / "to", Bundle.load(golden_bundle), interrupted=interrupted, settle_s=0,
        dicom=writer, on_result=show, on_absent=lambda _: None, poll_s=0.01,
    )  # fmt: skip
    assert writer.tries == 2
    assert len(lines_of(tmp_path / "to")) == 1
