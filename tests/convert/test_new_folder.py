from pathlib import Path

import pytest

from cxr_edge_convert.new_folder import appearing_at_once, check_not_current, is_free
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


def test_empty_folder_is_filled_and_a_link_to_it_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with appearing_at_once(tmp_path / "link") as folder:
        (folder / "a").touch()
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    assert (tmp_path / "real" / "a").exists()


def test_what_is_free(tmp_path: Path) -> None:
    assert is_free(tmp_path / "new")
    (tmp_path / "file").touch()
    assert not is_free(tmp_path / "file")
    assert not is_free(tmp_path)
    (tmp_path / "empty").mkdir()
    assert is_free(tmp_path / "empty")


def test_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (".", "..", tmp_path):
        with pytest.raises(InvalidRequest, match="holds the current folder"):
            check_not_current(Path(folder))
    check_not_current(Path("new"))
