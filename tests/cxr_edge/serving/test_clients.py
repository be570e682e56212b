from typing import Any

import pytest

from cxr_edge.serving.clients import client_of


def scope(address: str | None, *forwarded: str) -> Any:
    return {
        "type": "http",
        "client": None if address is None else (address, 1234),
        "headers": [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded],
    }


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("192.0.2.7",), "192.0.2.7"),
        ("::1", ("2001:DB8::7",), "2001:db8::/64"),
        # A host has all addresses of its network.
        ("2001:db8:1:2::7", (), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", (), "2001:db8:1:2::/64"),
        ("fe80::7%eth0", (), "fe80::/64"),
        ("::ffff:192.0.2.7", (), "192.0.2.7"),
        ("127.0.0.1", ("::ffff:192.0.2.7",), "192.0.2.7"),
        ("::1", (), "::/64"),
        # Only what the proxy added itself is true.
        ("127.0.0.1", ("198.51.100.1, 192.0.2.7",), "192.0.2.7"),
        ("127.0.0.1", ("198.51.100.1", "192.0.2.7"), "192.0.2.7"),
        # From another device it is what the client says of itself.
        ("192.0.2.7", ("198.51.100.1",), "192.0.2.7"),
        ("127.0.0.1", ("anna-smith",), "127.0.0.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", ("\xff\x00",), "127.0.0.1"),
        (None, ("198.51.100.1",), "unknown"),
    ],
)
def test_client_is_its_address_or_the_one_that_a_proxy_of_this_device_names(
    address: str | None, forwarded: tuple[str, ...], client: str
) -> None:
    assert client_of(scope(address, *forwarded)) == client
