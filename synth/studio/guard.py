"""Who may talk to the studio, how much they may send, and the headers of every answer.

The server listens on 127.0.0.1 only, but any web page open in the same browser can
send requests there. Three locks keep them out: the Host header must be this address
(a name rebound to 127.0.0.1 carries its own), an Origin must be this page's, and
every call of the interface carries a token that only the page itself knows. No
header ever allows another origin to read an answer.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["MAX_BODY", "MAX_PHOTO_BYTES", "TOKEN_HEADER", "Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Larger photos are refused before they have arrived.
MAX_PHOTO_BYTES = 30_000_000
#: Any other body: a drawn line of 5000 points has about 150 kB.
MAX_BODY = 1_000_000
TOKEN_HEADER = "x-studio-token"

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        b"object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware in front of the studio's routes.

    Parameters
    ----------
    app : ASGI application
    port : int
        The one the server listens on.
    token : str
        What calls below ``/api/`` carry; links that a browser follows by itself
        (``/api/samples/``, ``/api/files/``) do without: the first are public
        pictures, the second hold an unguessable name.
    """

    def __init__(self, app: App, port: int, token: str) -> None:
        self.app, self.token = app, token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with the reason in words."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: list[tuple[str, str]]) -> tuple[int, str] | None:
        """Status and message, where the request is not to be answered."""
        host = [value.lower() for name, value in headers if name == "host"]
        if len(host) != 1 or host[0] not in self.hosts:
            return 403, f"host: expected {sorted(self.hosts)[0]}, got {', '.join(host) or 'none'}"
        for name, value in headers:
            if name == "origin" and value.lower() not in {f"http://{h}" for h in self.hosts}:
                return 403, f"origin: expected this page, got {value}; the studio serves no other"
            if name == "sec-fetch-site" and value not in ("same-origin", "none"):
                if scope["path"] != "/":  # following a link to the page is harmless
                    return 403, "origin: expected this page, got another site"
        path = scope["path"]
        open_path = path.startswith(("/api/samples/", "/api/files/")) and scope["method"] == "GET"
        if path.startswith("/api/") and not open_path:
            given = next((value for name, value in headers if name == TOKEN_HEADER), "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return 403, "token: expected the one of this run, got another; reload the page"
        return self._too_large(scope, headers)

    @staticmethod
    def _too_large(scope: Scope, headers: list[tuple[str, str]]) -> tuple[int, str] | None:
        length = next((value for name, value in headers if name == "content-length"), "0")
        limit = body_limit(scope)
        if not length.isdecimal():
            return 400, f"content-length: expected a number, got {length[:20]!r}"
        if int(length) > limit:
            return 413, too_large(int(length), limit)
        return None


def body_limit(scope: Scope) -> int:
    """Largest body of a request in bytes."""
    return MAX_PHOTO_BYTES if scope["path"] == "/api/photos" else MAX_BODY


def too_large(got: int | None, limit: int) -> str:
    """The message for a body over the limit; `got` None where it was cut off."""
    what = "more" if got is None else f"{got / 1e6:.0f} MB"
    return f"file: expected at most {limit / 1e6:g} MB, got {what}; save it smaller"


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = {name for name, _ in _HEADERS}
            old = [(k, v) for k, v in message.get("headers", ()) if k.lower() not in kept]
            message = {**message, "headers": [*old, *_HEADERS]}
        await send(message)

    return sending


async def _refuse(send: Send, status: int, message: str) -> None:
    """A JSON refusal; the connection is closed, so that an unread body is not waited for."""
    body = json.dumps({"message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    sending = _with_headers(send)
    await sending({"type": "http.response.start", "status": status, "headers": headers})
    await sending({"type": "http.response.body", "body": body})
