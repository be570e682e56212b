"""Who a client is, for what each may take: its address."""

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

from cxr_edge.serving.security import is_loopback

_UNKNOWN = "unknown"


def client_of(scope: Scope) -> str:
    """The address that a request comes from.

    Of requests from this device it is the one that a proxy on it names last in X-Forwarded-For:
    all of a proxy's requests come from the device itself. From elsewhere the header is not
    believed: with it one client could be as many as it likes.

    Args:
        scope: of an HTTP request.

    Returns:
        The address as text; for requests from this device without such a header this device's.
    """
    address = (scope.get("client") or (_UNKNOWN,))[0]
    if not is_loopback(address):
        return str(address)
    named = Headers(scope=scope).getlist("x-forwarded-for")
    # A proxy that adds to what the client sent adds at the end.
    last = named[-1].rpartition(",")[2].strip() if named else ""
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return str(address)
