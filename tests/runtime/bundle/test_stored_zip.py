import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.bundle.stored_zip import StoredReader, write_stored
from cxr_edge_runtime.errors import BundleError, BundleInvalid

NAMES = st.text("abcXYZ019._-", min_size=1, max_size=40)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=16)


def written(contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_stored(file, contents.items())
    return file.getvalue()


def read(content: bytes, names: list[str]) -> dict[str, bytes]:
    reader = StoredReader(io.BytesIO(content), "a.zip")
    found = {name: b"".join(reader.chunks(name, range(1000))) for name in names}
    reader.end()
    return found


@given(CONTENTS)
def test_what_is_written_is_read_again(contents: dict[str, bytes]) -> None:
    assert read(written(contents), list(contents)) == contents


@given(CONTENTS)
def test_every_other_program_finds_the_same(contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(written(contents))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents


@given(CONTENTS, st.data())
def test_any_flipped_byte_is_refused(contents: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(written(contents))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        read(bytes(content), list(contents))


@given(CONTENTS, st.binary(min_size=1, max_size=200))
def test_bytes_after_the_end_are_refused(contents: dict[str, bytes], appended: bytes) -> None:
    with pytest.raises(BundleInvalid, match="the end after"):
        read(written(contents) + appended, list(contents))


def test_next_file_is_known_before_it_is_read() -> None:
    reader = StoredReader(io.BytesIO(written({"a": b"1", "b": b"2"})), "a.zip")
    assert (reader.next_is("a"), reader.next_is("b")) == (True, False)
    assert b"".join(reader.chunks("a", range(1, 2))) == b"1"
    assert reader.next_is("b")
