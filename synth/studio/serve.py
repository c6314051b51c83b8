"""Starts the studio, and ends it without leaving anything behind."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn
from threadpoolctl import threadpool_limits

from synth.errors import UsageError
from synth.pipeline import Generator
from synth.studio.server import create_app
from synth.studio.session import Session

__all__ = ["ADDRESS", "listen", "serve"]

#: Never another: what the studio shows is for the person at this machine.
ADDRESS = "127.0.0.1"


class _Server(uvicorn.Server):
    """Says when it can be reached."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await asyncio.get_running_loop().run_in_executor(None, self._ready)


def serve(
    generator: Generator,
    port: int = 8765,
    ready: Callable[[str], None] = lambda url: None,
    photo: tuple[bytes, str, str] | None = None,
) -> None:
    """Serve the page until Ctrl-C; afterwards uploads and temporary files are gone.

    Parameters
    ----------
    generator : Generator
    port : int
        0 takes a free one.
    ready : callable
        Called once with the page's address.
    photo : (bytes, str, str), optional
        Shown when the page opens: encoded file, its name, its path on a command line.

    Raises
    ------
    UsageError
        If the port is taken.
    SkipPhoto
        If `photo` cannot be used.
    """
    listening = listen(port)
    port = listening.getsockname()[1]
    # One thread per picture: more would fight for the cores, and could change the last bit.
    with listening, threadpool_limits(1), _terminate_like_interrupt():
        session = Session(generator)
        try:
            if photo is not None:
                session.first = session.open(*photo).key
            app = create_app(session, port, secrets.token_urlsafe(24))
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
            url = f"http://{ADDRESS}:{port}"
            _Server(config, lambda: ready(url)).run([listening])
        except KeyboardInterrupt:
            pass
        finally:
            session.close()


def listen(port: int) -> socket.socket:
    """A socket bound to `port` of this machine; 0 takes a free one.

    Raises
    ------
    UsageError
        If the port is taken.
    """
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY): 40 ms less.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"port: expected a free one, got {port} ({error.strerror}); give another --port"
        ) from None
    return listening


class _terminate_like_interrupt:
    """Makes SIGTERM end the studio as Ctrl-C does, temporary files included."""

    def __enter__(self) -> None:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt
