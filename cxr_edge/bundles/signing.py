"""Ed25519 keys in files, and signatures of bundles; needs the extra ``signed``.

The keys are those of OpenSSL::

    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out key.pub.pem
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_edge_runtime.errors import InvalidRequest, SignatureInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    from cxr_edge_runtime.bundle.archive import SignatureCheck

# Goes before the bytes of bundle.json, so that nothing else that the key ever signs, and no other
# program's signature, can pass for that of a bundle.
PREFIX = b"cxr-edge bundle.json 1\n"

# An RSA key of 16384 bits has 13 KB.
_MAX_KEY_BYTES = 20_000


def sign(manifest: bytes, key: "Ed25519PrivateKey") -> bytes:
    """The signature of a ``bundle.json``: 64 bytes, for a key always the same."""
    return key.sign(PREFIX + manifest)


def check_signature(
    manifest: bytes, signature: bytes | None, *, key: "Ed25519PublicKey", name: str
) -> None:
    """Refuse a bundle that the owner of the key did not sign.

    Args:
        manifest: bytes of ``bundle.json``.
        signature: None where the bundle has none.
        key: of the signer.
        name: what the error calls the bundle.

    Raises:
        SignatureInvalid: the signature is missing, or not by this key over these bytes.
    """
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise SignatureInvalid(f"{name}: is not signed; sign it when packing it")
    try:
        key.verify(signature, PREFIX + manifest)
    except InvalidSignature:
        raise SignatureInvalid(
            f"{name}: is not signed with this key, or was changed after signing; do not use it"
        ) from None


def signature_check(key: Path, name: str) -> "SignatureCheck":
    """A check of signatures by the public key in a file.

    Args:
        key: PEM file.
        name: what errors call the bundle.

    Raises:
        InvalidRequest: the file cannot be read, or holds anything but such a key.
    """
    return partial(check_signature, key=read_public_key(key), name=name)


def read_private_key(path: Path) -> "Ed25519PrivateKey":
    """The key to sign with, from a PEM file (PKCS8).

    Raises:
        InvalidRequest: the file cannot be read, is encrypted, or holds anything but such a key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _pem(path)
    if b"PUBLIC KEY-----" in content:
        raise InvalidRequest(f"{path}: contains a public key; signing needs the private one")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:  # what cryptography raises for the missing password
        raise InvalidRequest(
            f"{path}: the key is encrypted; decrypt it with: openssl pkey -in {path} -out key.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key(path, "private") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private")
    return key


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """The key to check signatures with, from a PEM file (SubjectPublicKeyInfo).

    Raises:
        InvalidRequest: the file cannot be read, or holds anything but such a key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _pem(path)
    if b"PRIVATE KEY-----" in content:
        raise InvalidRequest(
            f"{path}: contains a private key, which only the signer should have; make the "
            f"public one with: openssl pkey -in {path} -pubout -out key.pub.pem"
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key(path, "public") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "public")
    return key


def _pem(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise InvalidRequest(f"{path}: the key cannot be read ({error.strerror})") from None
    if b"-----BEGIN " not in content:
        raise InvalidRequest(f"{path}: is not a PEM key, which begins with -----BEGIN")
    return content


def _no_key(path: Path, kind: str) -> InvalidRequest:
    command = {
        "private": "openssl genpkey -algorithm ed25519 -out key.pem",
        "public": "openssl pkey -in key.pem -pubout -out key.pub.pem",
    }[kind]
    return InvalidRequest(f"{path}: contains no {kind} Ed25519 key; make one with: {command}")
