import hashlib
from pathlib import Path

from cxr_edge_runtime.digests import file_sha256


def test_digest_is_that_of_all_bytes(tmp_path: Path) -> None:
    content = b"film" * 1_000_000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
