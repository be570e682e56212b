import errno
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.watching import journal as module
from cxr_edge.watching.journal import Journal, stamp_of
from cxr_edge_runtime.errors import InvalidRequest


class Killed(BaseException):
    """As SIGKILL: nothing behind it is done."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "ward" / "a.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a film")
    return path


def record(film: Path, to: Path, *, failed: bool = False) -> Path:
    journal = Journal(to)
    try:
        stamp = stamp_of(film.stat())
        return journal.record(film, stamp, "ward/a.dcm", '{"file": "a"}', failed=failed)
    finally:
        journal.close()


@pytest.mark.parametrize(("failed", "place"), [(False, "done"), (True, "failed")])
def test_file_gets_a_line_and_lies_where_it_belongs(
    film: Path, tmp_path: Path, failed: bool, place: str
) -> None:
    found = record(film, tmp_path / "to", failed=failed)
    assert found == tmp_path / "to" / place / "ward" / "a.dcm"
    assert found.read_bytes() == b"a film"
    assert not film.exists()
    assert (tmp_path / "to" / "answers.jsonl").read_text() == '{"file": "a"}\n'
    assert not (tmp_path / "to" / "pending.json").exists()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["pending", "append", "move", "forget"])
def test_killed_anywhere_it_has_one_line_and_lies_in_one_place(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    places = {
        "pending": (module, "write_text"),
        "append": (module, "_append"),
        "move": (module, "_move"),
        "forget": (Path, "unlink"),
    }
    owner, name = places[step]
    real = getattr(owner, name)

    def killed(*arguments: Any, **more: Any) -> None:
        if after:
            real(*arguments, **more)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            record(film, tmp_path / "to")
    journal = Journal(tmp_path / "to")  # finishes what was begun
    journal.close()
    answers = tmp_path / "to" / "answers.jsonl"
    if film.exists():  # it was not answered yet
        assert not answers.exists() or answers.read_text() == ""
        record(film, tmp_path / "to")
    assert answers.read_text() == '{"file": "a"}\n'
    assert [path for path in tmp_path.rglob("a*.dcm") if path.is_file()] == [
        tmp_path / "to" / "done" / "ward" / "a.dcm"
    ]


def test_half_a_line_is_taken_back_and_the_file_answered_again(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(answers: Path, line: bytes) -> None:
        answers.write_bytes(line[:5])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "_append", killed)
        with pytest.raises(Killed):
            record(film, tmp_path / "to")
    record(film, tmp_path / "to")
    answers = tmp_path / "to" / "answers.jsonl"
    assert answers.read_text() == '{"file": "a"}\n'


def test_film_that_came_under_the_name_meanwhile_stays_for_its_own_answer(
    film: Path, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "to")
    stamp = stamp_of(film.stat())
    film.write_bytes(b"another film")
    journal.record(film, stamp, "ward/a.dcm", "{}", failed=False)
    journal.close()
    assert film.read_bytes() == b"another film"


def test_names_that_are_taken_get_a_number(film: Path, tmp_path: Path) -> None:
    record(film, tmp_path / "to")
    film.write_bytes(b"a second film")
    assert record(film, tmp_path / "to").name == "a-1.dcm"
    assert (tmp_path / "to" / "done" / "ward" / "a.dcm").read_bytes() == b"a film"


def test_other_disk_is_copied_to(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(source: Path, target: Path) -> Path:
        if source == film:
            raise OSError(errno.EXDEV, "another disk")
        return real(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert record(film, tmp_path / "to").read_bytes() == b"a film"
    assert not film.exists()


def test_folder_has_one_writer(tmp_path: Path) -> None:
    first = Journal(tmp_path / "to")
    with pytest.raises(InvalidRequest, match="another cxr-edge watch is writing there"):
        Journal(tmp_path / "to")
    first.close()
    Journal(tmp_path / "to").close()


def test_name_of_the_longest_kind_gets_a_number_too(film: Path, tmp_path: Path) -> None:
    name = "ä" * 125 + ".jpeg"  # 255 bytes
    journal = Journal(tmp_path / "to")
    places = []
    for _ in range(2):
        film.write_bytes(b"a film")
        places.append(journal.record(film, stamp_of(film.stat()), name, "{}", failed=False))
    journal.close()
    assert places[0].name == name
    assert places[1].name == "ä" * 124 + "-1.jpeg"


def test_file_in_the_place_of_a_folder_is_left_alone(film: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "to")
    for name in ("IM1", "IM1/a.dcm", "IM1/b.dcm"):
        film.write_bytes(b"a film")
        journal.record(film, stamp_of(film.stat()), name, "{}", failed=False)
    journal.close()
    done = tmp_path / "to" / "done"
    found = sorted(path.relative_to(done).as_posix() for path in done.rglob("*") if path.is_file())
    assert found == ["IM1", "IM1-1/a.dcm", "IM1-1/b.dcm"]


@pytest.mark.parametrize("content", ["", '{"a": 1}', "[]"])
def test_damaged_pending_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "pending.json").write_text(content)
    with pytest.raises(InvalidRequest, match=r"pending\.json: damaged; remove it"):
        Journal(tmp_path)


def test_lines_that_somebody_took_away_are_not_filled_with_zeros(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "to"
    to.mkdir()
    (to / "answers.jsonl").write_text('{"file": "before"}\n')

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(module, "_append", killed)
    with pytest.raises(Killed):
        record(film, to)
    monkeypatch.undo()
    (to / "answers.jsonl").write_text("")
    Journal(to).close()
    assert (to / "answers.jsonl").read_bytes() == b""
    assert film.exists()
