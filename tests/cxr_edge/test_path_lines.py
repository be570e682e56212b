import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from cxr_edge.path_lines import Data, lines_as_they_come
from waiting import PATIENCE_S


@pytest.fixture
def pipe() -> Iterator[tuple[io.FileIO, TextIO]]:
    reading, writing = os.pipe()
    with open(reading) as text, io.FileIO(writing, "w") as written:  # noqa: PTH123
        watch = threading.Timer(PATIENCE_S, written.close)
        watch.start()
        yield written, text
        watch.cancel()


def test_line_is_there_before_the_next_one_comes(pipe: tuple[io.FileIO, TextIO]) -> None:
    writing, text = pipe
    lines = lines_as_they_come(text)
    assert next(lines) is None
    writing.write(b"a b.png\nc")
    assert next(lines) == "a b.png"
    assert next(lines) is None
    writing.write(b".png\r\n\nd\ne")
    assert [next(lines) for _ in range(3)] == ["c.png", "", "d"]
    assert next(lines) is None
    writing.close()
    assert list(lines) == ["e"]


def test_lines_of_one_chunk_come_without_a_pause(pipe: tuple[io.FileIO, TextIO]) -> None:
    writing, text = pipe
    writing.write(b"a\nb\nc\n")
    writing.close()
    assert list(lines_as_they_come(text)) == ["a", "b", "c", ""]


def test_names_of_any_bytes_are_kept(pipe: tuple[io.FileIO, TextIO]) -> None:
    writing, text = pipe
    writing.write(b"\xff\xfe \xc3\xa9.png\n")
    assert os.fsencode(next(lines_as_they_come(text)) or "") == b"\xff\xfe \xc3\xa9.png"


def test_file_and_text_in_memory_give_the_same_lines(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a\r\n\nb")
    with (tmp_path / "list").open() as file:
        assert list(lines_as_they_come(file)) == ["a", "", "b"]
    assert list(lines_as_they_come(io.StringIO("a\r\n\nb"))) == ["a", "", "b"]


@pytest.mark.parametrize("content", [b"a\0b", b"x" * 70_000], ids=["NUL", "no end"])
def test_data_is_refused_before_its_end(pipe: tuple[io.FileIO, TextIO], content: bytes) -> None:
    writing, text = pipe
    os.set_blocking(writing.fileno(), False)
    writing.write(b"film.png\n" + content[:60_000])
    lines = lines_as_they_come(text)
    assert next(lines) == "film.png"
    with pytest.raises(Data):
        for _ in range(3):
            next(lines)
            writing.write(content[60_000:])


@pytest.mark.parametrize("pieces", [[3], [1, 1, 1], [12]])
def test_byte_order_mark_before_the_first_line_is_no_part_of_it(
    pipe: tuple[io.FileIO, TextIO], pieces: list[int]
) -> None:
    writing, text = pipe
    content = b"\xef\xbb\xbfa.png\n\xef\xbb\xbfb.png\n"
    lines = lines_as_they_come(text)
    for length in pieces:
        assert next(lines) is None
        writing.write(content[:length])
        content = content[length:]
    writing.write(content)
    writing.close()
    expected = ["a.png", "\ufeffb.png", ""]
    assert [line for line in lines if line is not None] == expected


def test_byte_order_mark_in_text_in_memory_is_no_part_of_a_line() -> None:
    assert list(lines_as_they_come(io.StringIO("\ufeffa\n\ufeffb"))) == ["a", "\ufeffb"]
