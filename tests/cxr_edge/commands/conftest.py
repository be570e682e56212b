"""Keys and archives of the commands that deal with signed bundles."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cxr_edge.bundles.signing import sign
from installable import make_archive, make_bundle


@dataclass(frozen=True)
class Keys:
    """PEM files of a private key, its public key, and the public key of somebody else."""

    private: Path
    public: Path
    other: Path


@dataclass(frozen=True)
class Archives:
    """Signed archives of two versions of a bundle, and one of the second that is not signed."""

    first: Path
    second: Path
    unsigned: Path


_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    found = Keys(folder / "key.pem", folder / "key.pub.pem", folder / "other.pub.pem")
    private = _SIGNER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    found.private.touch(mode=0o600)
    found.private.write_bytes(private)
    for path, key in ((found.public, _SIGNER), (found.other, Ed25519PrivateKey.generate())):
        public = key.public_key()
        path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return found


@pytest.fixture(scope="session")
def archives(golden_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Archives:
    folder = tmp_path_factory.mktemp("archives")
    first, second = (make_bundle(golden_bundle, folder / v, version=v) for v in "12")
    return Archives(
        make_archive(first, folder / "1.cxr.zip", signature=sign(first.manifest_bytes(), _SIGNER)),
        make_archive(
            second, folder / "2.cxr.zip", signature=sign(second.manifest_bytes(), _SIGNER)
        ),
        make_archive(second, folder / "unsigned.cxr.zip"),
    )
