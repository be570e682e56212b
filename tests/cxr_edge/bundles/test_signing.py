import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cxr_edge.bundles.signing import (
    PREFIX,
    check_signature,
    read_private_key,
    read_public_key,
    sign,
)
from cxr_edge_runtime.errors import InvalidRequest, SignatureInvalid

MANIFEST = b'{"schema_version": 2}\n'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def private_pem(
    key: Ed25519PrivateKey | rsa.RSAPrivateKey = KEY,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public_pem(key: Ed25519PrivateKey | rsa.RSAPrivateKey = KEY) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files of a private and its public key."""
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    private.write_bytes(private_pem())
    public.write_bytes(public_pem())
    return private, public


def test_signature_is_right_for_its_key_and_bytes_alone(keys: tuple[Path, Path]) -> None:
    private, public = keys
    signature = sign(MANIFEST, read_private_key(private))
    key = read_public_key(public)
    check_signature(MANIFEST, signature, key=key, name="a.cxr.zip")
    other = Ed25519PrivateKey.generate().public_key()
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for manifest, wrong, public_key in (
        (MANIFEST + b" ", signature, key),
        (MANIFEST, flipped, key),
        (MANIFEST, b"", key),
        (MANIFEST, signature, other),
    ):
        with pytest.raises(SignatureInvalid, match=r"a\.cxr\.zip: is not signed with this key"):
            check_signature(manifest, wrong, key=public_key, name="a.cxr.zip")
    with pytest.raises(SignatureInvalid, match=r"a\.cxr\.zip: is not signed; sign it when"):
        check_signature(MANIFEST, None, key=key, name="a.cxr.zip")


def test_signature_of_the_bare_bytes_is_not_one_of_a_bundle() -> None:
    bare = KEY.sign(MANIFEST)
    with pytest.raises(SignatureInvalid):
        check_signature(MANIFEST, bare, key=KEY.public_key(), name="a")


def test_same_bytes_get_the_same_signature_for_ever() -> None:
    assert sign(MANIFEST, KEY).hex() == (
        "53240fcea14932b6b2e2b36e379664e1d444fd5ed5284213fa917d58cf075770"
        "75ea36543a7976ef936e8b64657926a997352a1fbc672fac901bf8c2ac3f3102"
    )


def test_keys_of_openssl_sign_and_openssl_agrees(tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    openssl = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    try:
        subprocess.run(openssl, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not here")
    openssl = ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)]
    subprocess.run(openssl, check=True, capture_output=True)
    signature = sign(MANIFEST, read_private_key(private))
    check_signature(MANIFEST, signature, key=read_public_key(public), name="a")
    (tmp_path / "signed").write_bytes(PREFIX + MANIFEST)
    (tmp_path / "sig").write_bytes(signature)
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    files = ["-in", str(tmp_path / "signed"), "-sigfile", str(tmp_path / "sig")]
    found = subprocess.run([*verify, *files], capture_output=True, text=True)
    assert "Signature Verified Successfully" in found.stdout, found.stderr


RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
ENCRYPTED = private_pem(encryption=BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (public_pem(), "contains a public key; signing needs the private one"),
        (private_pem(RSA), "contains no private Ed25519 key; make one with: openssl genpkey"),
        (ENCRYPTED, "the key is encrypted; decrypt it with: openssl pkey -in "),
        (private_pem()[:60], "contains no private Ed25519 key"),
        (b"-----BEGIN CERTIFICATE-----\n", "contains no private Ed25519 key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "contains no private Ed25519 key"),
        (b"not a key", "is not a PEM key, which begins with -----BEGIN"),
        (b"", "is not a PEM key"),
        (b"\x00" * 50_000, "is not a PEM key"),
    ],
)
def test_what_cannot_sign_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(InvalidRequest, match=message) as refused:
        read_private_key(tmp_path / "key.pem")
    assert str(refused.value).startswith(f"{tmp_path / 'key.pem'}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            private_pem(),
            "contains a private key, which only the signer should have; make the public one",
        ),
        (ENCRYPTED, "contains a private key"),
        (public_pem(RSA), "contains no public Ed25519 key; make one with: openssl pkey"),
        (public_pem()[:60], "contains no public Ed25519 key"),
        (b"-----BEGIN CERTIFICATE-----\n", "contains no public Ed25519 key"),
        (b"not a key", "is not a PEM key"),
    ],
)
def test_what_cannot_check_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(InvalidRequest, match=message) as refused:
        read_public_key(tmp_path / "key.pem")
    assert "\n" not in str(refused.value)


def test_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for read in (read_private_key, read_public_key):
        with pytest.raises(InvalidRequest, match=r"cannot be read \(No such file"):
            read(tmp_path / "none.pem")
        with pytest.raises(InvalidRequest, match=r"cannot be read \(Is a directory"):
            read(tmp_path)


def test_key_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, private_pem())
    os.close(writing)
    assert sign(b"", read_private_key(Path(f"/dev/fd/{reading}"))) == sign(b"", KEY)
    os.close(reading)
