from pathlib import Path

import pytest

from cxr_edge_convert.new_folder import appearing_at_once
from cxr_edge_runtime.errors import InvalidRequest


def test_folder_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    with appearing_at_once(tmp_path / "out") as folder:
        (folder / "a").touch()
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").exists()
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interruption_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), appearing_at_once(tmp_path / "out") as folder:
        (folder / "a").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with appearing_at_once(tmp_path / "out") as folder:
        (folder / "a").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").exists()


def test_folders_above_are_made(tmp_path: Path) -> None:
    with appearing_at_once(tmp_path / "new" / "out") as folder:
        (folder / "a").touch()
    assert (tmp_path / "new" / "out" / "a").exists()


@pytest.mark.parametrize("before", ["", "empty", "full"])
def test_of_two_at_the_same_time_the_first_to_end_stays(tmp_path: Path, before: str) -> None:
    output = tmp_path / "out"
    if before:
        output.mkdir()
    if before == "full":
        (output / "old").touch()
    with (
        pytest.raises(InvalidRequest, match="another process has written to it in the meantime"),
        appearing_at_once(output) as second,
    ):
        (second / "second").touch()
        with appearing_at_once(output) as first:
            (first / "first").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in output.iterdir()] == ["first"]
