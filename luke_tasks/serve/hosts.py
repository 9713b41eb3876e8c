"""Which names a server on the loopback answers to.

A page from elsewhere cannot read the answers of this server, unless its own name suddenly means 127.0.0.1 (DNS
rebinding): the browser takes both for one site then. The request bears that name as its Host.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class OwnNamesOnly:
    """Refuses requests whose Host is another name than `localhost`, with status 421. Addresses are let through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        if not is_own_name(host):
            message = f"this server is not called {host!r}: ask for localhost; a proxy has to send that as Host"
            await JSONResponse({"error": message}, 421)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_own_name(host: str) -> bool:
    """Whether a Host header is empty, `localhost` or an address, with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
