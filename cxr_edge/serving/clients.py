"""Who a client is, for what each may take: its address, or its network where it has many."""

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

from cxr_edge.serving.security import is_loopback

_UNKNOWN = "unknown"
# Bits of an IPv6 address that a client cannot choose: a host has all addresses of such a network.
_NETWORK_BITS = 64


def client_of(scope: Scope) -> str:
    """The address that a request comes from.

    Of requests from this device it is the one that a proxy on it names last in X-Forwarded-For:
    all of a proxy's requests come from the device itself. From elsewhere the header is not
    believed: with it one client could be as many as it likes.

    Args:
        scope: of an HTTP request.

    Returns:
        It as :func:`client_named`; for requests from this device without such a header this
        device's.
    """
    address = (scope.get("client") or (_UNKNOWN,))[0]
    if not is_loopback(address):
        return client_named(address)
    named = Headers(scope=scope).getlist("x-forwarded-for")
    # A proxy that adds to what the client sent adds at the end.
    last = named[-1].rpartition(",")[2].strip() if named else ""
    return client_named(last, otherwise=address)


def client_named(address: str, *, otherwise: str | None = None) -> str:
    """The client that has an address: an IPv4 address, or the /64 network of an IPv6 address.

    Args:
        address: as text; one of IPv4 may be written as one of IPv6.
        otherwise: what stands for it where it is no address; by default itself.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address if otherwise is None else client_named(otherwise)
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _NETWORK_BITS), strict=False))
