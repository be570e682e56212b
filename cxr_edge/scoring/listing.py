"""What INPUT names: the films of a folder, of a list or of a Parquet table, one by one."""

import codecs
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cxr_edge.inputs import expand
from cxr_edge_runtime.errors import CxrEdgeError, ImageError, InvalidRequest
from cxr_edge_runtime.images import HEATMAP_SUFFIX, SUFFIXES

_TABLE_SUFFIX = ".parquet"
_COLUMNS = ("file", "path")


def is_url(name: str) -> bool:
    """Whether a name is for fsspec to open, not a local path, which may have colons, too."""
    return "://" in name and not name.startswith("/")


def absolute(name: str) -> str:
    """A local name as every process knows it, whatever its working directory; a URL as it is.

    Of a chain, such as ``zip://films::file://archive.zip``, the last link is what may be local.
    """
    chain, chained, last = name.rpartition("::") if is_url(name) else ("", "", name)
    if last.startswith(("file://", "local://")):
        last = LocalFileSystem._strip_protocol(last)
    if not is_url(last):
        last = os.path.abspath(last)  # noqa: PTH100  # links stay
        last = f"file://{last}" if chained else last
    return chain + chained + last


def film_names(source: str) -> Iterator[str]:
    """The films that a folder, a list or a table names, in a stable order.

    Of a folder they are those that classify finds recursively; a remote one is searched only
    by suffix. A list has a path or URL per line, a table one per row, in ``file`` or ``path``.

    Args:
        source: path or fsspec URL.

    Yields:
        Absolute paths and URLs; bytes of a path that are no UTF-8 as Python's surrogates.

    Raises:
        ImageNotFound: the folder has no film.
        InvalidRequest: it is neither folder nor list nor table.
        CxrEdgeError: it cannot be read.
    """
    source = absolute(source)
    if not is_url(source) and Path(source).is_dir():
        yield from _in_local_folder(source)
        return
    try:
        filesystem, path = url_to_fs(source)
        if filesystem.isdir(path):
            yield from _in_remote_folder(source, filesystem, path)
        elif path.lower().endswith(_TABLE_SUFFIX):
            yield from _in_table(source, filesystem, path)
        else:
            yield from _in_list(source, filesystem, path)
    except CxrEdgeError:
        raise
    except FileNotFoundError:
        raise CxrEdgeError(f"{source}: no such folder or file") from None
    except Exception as error:
        # Each kind of storage raises errors of its own.
        raise CxrEdgeError(f"{source}: cannot be read ({one_line(error)})") from error


def one_line(error: BaseException) -> str:
    """What an error says, on one line; its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _in_local_folder(folder: str) -> Iterator[str]:
    for path, error in expand([Path(folder)], recursive=True):
        if isinstance(error, ImageError) and str(path) == folder:
            raise error
        # A folder in it without rights is a row with an error, as a film would be.
        yield str(path)


def _in_remote_folder(source: str, filesystem: Any, folder: str) -> Iterator[str]:
    # Of a chain, such as zip://films::https://host/archive.zip, what comes after the first link.
    _, chained, rest = source.partition("::")
    found = False
    for here, folders, files in filesystem.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if _is_film(name):
                found = True
                yield filesystem.unstrip_protocol(posixpath.join(here, name)) + chained + rest
    if not found:
        raise CxrEdgeError(f"{source}: no image in this folder")


def _is_film(name: str) -> bool:
    if name.startswith(".") or name.endswith(HEATMAP_SUFFIX):
        return False
    # Looking into files for DICOM's first bytes, as in local folders, would cost a request each.
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def _in_table(source: str, filesystem: Any, path: str) -> Iterator[str]:
    with filesystem.open(path, "rb") as file:
        table = pq.ParquetFile(file)
        column = next((name for name in _COLUMNS if name in table.schema_arrow.names), None)
        if column is None:
            raise InvalidRequest(f"{source}: has no column {' or '.join(_COLUMNS)}")
        for batch in table.iter_batches(columns=[column]):
            for name in batch.column(0):
                yield _checked(name.as_py(), source)


def _in_list(source: str, filesystem: Any, path: str) -> Iterator[str]:
    if posixpath.splitext(path)[1].lower() in SUFFIXES:
        raise InvalidRequest(f"{source}: is a film; name a folder, a list or a Parquet table")
    if path.lower().endswith(".csv"):
        raise InvalidRequest(
            f"{source}: is CSV; name a list, one path per line, or a Parquet table"
        )
    with filesystem.open(path, "rb") as file:
        for number, line in enumerate(file):
            # Some editors begin a file with a byte order mark.
            line = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
            name = os.fsdecode(line.rstrip(b"\r\n"))
            if name:
                yield _checked(name, source)


def _checked(name: object, source: str) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidRequest(f"{source}: contains something other than paths and URLs of films")
    return absolute(name)
