import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.evaluation.reading_log import check_log

RESULTS = Path(__file__).resolve().parents[3] / "docs" / "results"


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full", "/dev/zero", "/proc/self/mem/log"])
def test_what_keeps_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"is a device, pipe or socket|Not a directory"):
        check_log(Path(name))


def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest, match="is a device, pipe or socket"):
        check_log(tmp_path / "pipe")


def test_links_to_a_device_and_to_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    for name in ("null", "nothing"):
        with pytest.raises(InvalidRequest, match=f"{name}: is "):
            check_log(tmp_path / name)


def test_folder_and_what_lies_below_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder; name the file"):
        check_log(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="Not a directory"):
        check_log(tmp_path / "file" / "a" / "log")


def test_other_files_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "film.jpeg")
    (tmp_path / "m.csv").write_text("path,split\n")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "list.json").write_text("[1]\n")
    (tmp_path / "long").write_bytes(b"\0" * (1 << 21))
    for file in tmp_path.iterdir():
        before = file.read_bytes()
        with pytest.raises(InvalidRequest, match="is not a log of readings of test"):
            check_log(file)
        assert file.read_bytes() == before


def test_missing_empty_and_earlier_logs_are_taken(tmp_path: Path) -> None:
    check_log(tmp_path / "a" / "new")
    assert not (tmp_path / "a").exists()
    (tmp_path / "empty").touch()
    check_log(tmp_path / "empty")
    for log in (RESULTS / "test-log.jsonl", RESULTS / "architectures" / "test-log.jsonl"):
        check_log(log)
        for line in log.read_text().splitlines():
            (tmp_path / "one").write_text(json.dumps(json.loads(line)) + "\n")
            check_log(tmp_path / "one")
