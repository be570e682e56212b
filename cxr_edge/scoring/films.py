"""Films from anywhere: a local path, or a URL of any storage that fsspec knows."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from fsspec.core import url_to_fs

from cxr_edge.scoring.listing import is_url, one_line
from cxr_edge_runtime.errors import ExtraMissing, ImageError, ImageNotFound, ImageNotReadable
from cxr_edge_runtime.images import decoding_limits, read_bytes

# Films that are fetched while one is scored: an object store takes tens of milliseconds a film,
# scoring it five to ten. Each may have 80 MB.
_AHEAD, _AHEAD_OF_URLS = 2, 8


def contents(names: Sequence[str]) -> Iterator[tuple[str, bytes | ImageError]]:
    """Read films, some ahead.

    Yields:
        Each film's name with its bytes, or with what kept them from being read.

    Raises:
        ExtraMissing: a package for this kind of URL is not installed, which no film can help.
    """
    ahead = _AHEAD_OF_URLS if any(map(is_url, names)) else _AHEAD
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[str, Future[bytes | ImageError]]] = deque()
        for name in names:
            waiting.append((name, pool.submit(_content, name)))
            if len(waiting) > ahead:
                name, content = waiting.popleft()
                yield name, content.result()
        while waiting:
            name, content = waiting.popleft()
            yield name, content.result()


def _content(name: str) -> bytes | ImageError:
    try:
        return _fetched(name) if is_url(name) else read_bytes(Path(name))
    except ImageError as error:
        return error


def _fetched(url: str) -> bytes:
    try:
        filesystem, path = url_to_fs(url)
        content: bytes = filesystem.cat_file(path, start=0, end=decoding_limits.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageNotFound(f"{url}: no such file") from None
    except PermissionError:
        raise ImageNotReadable(f"{url}: permission denied; check the credentials") from None
    except ImportError as error:
        raise ExtraMissing(f"{url}: {one_line(error)}") from error
    except Exception as error:
        # Each kind of storage raises errors of its own.
        raise ImageNotReadable(f"{url}: cannot be read ({one_line(error)})") from error
    decoding_limits.check_bytes(content, url)
    return content
