"""The routes of the studio: thin, so that all that matters lies in `synth.studio.session`.

Pictures are made in a small pool of threads (the renderer lets other threads run);
photos are opened in a thread of their own, exports in another: none keeps the page
waiting.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from synth import __version__, assets
from synth.affect import EXPRESSIONS, STATES
from synth.errors import SkipPhoto, SynthError, UsageError
from synth.studio.exports import KINDS, Job
from synth.studio.guard import MAX_BODY, MAX_PHOTO_BYTES, Guard, too_large
from synth.studio.photos import Photo, mesh_edges
from synth.studio.session import Sequence, Session, samples
from synth.studio.wishes import MAX_FRAMES

__all__ = ["create_app"]

log = logging.getLogger(__name__)
T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
#: The page's files by name: nothing else of the folder is ever read.
FILES = {
    "app.js": "text/javascript",
    "api.js": "text/javascript",
    "pad.js": "text/javascript",
    "player.js": "text/javascript",
    "stage.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}
#: Threads that draw: the renderer uses one core each.
DRAWING = 2


class TooLarge(Exception):
    """A body over its limit, found while it came in."""


def create_app(session: Session, port: int, token: str) -> Guard:
    """The ASGI application.

    Parameters
    ----------
    session : Session
    port : int
        The one it will listen on: the only one that requests may name.
    token : str
        Put into the page; every other request must carry it.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    routes = _Routes(session, token)
    app.add_api_route("/", routes.page, methods=["GET"])
    app.add_api_route("/static/{name}", routes.static, methods=["GET"])
    app.add_api_route("/api/info", routes.info, methods=["GET"])
    app.add_api_route("/api/samples/{name}", routes.sample, methods=["GET"])
    app.add_api_route("/api/photos", routes.put_photo, methods=["PUT"])
    app.add_api_route("/api/photos/sample", routes.open_sample, methods=["POST"])
    app.add_api_route("/api/photos/{key}", routes.get_photo, methods=["GET"])
    app.add_api_route("/api/frame", routes.frame, methods=["POST"])
    app.add_api_route("/api/mesh", routes.mesh, methods=["POST"])
    app.add_api_route("/api/paths", routes.add_path, methods=["POST"])
    app.add_api_route("/api/exports", routes.export, methods=["POST"])
    app.add_api_route("/api/exports/{key}", routes.export_state, methods=["GET"])
    app.add_api_route("/api/exports/{key}", routes.cancel_export, methods=["DELETE"])
    app.add_api_route("/api/files/{key}", routes.file, methods=["GET"])
    app.add_exception_handler(SynthError, _on_error)
    app.add_exception_handler(TooLarge, _on_error)
    for status in (404, 405):
        app.add_exception_handler(status, _on_missing)
    app.add_exception_handler(Exception, _on_error)
    return Guard(app, port, token)


async def _on_error(_: Request, error: Exception) -> Response:
    """One line as JSON: the package's own messages, never a traceback."""
    if isinstance(error, SkipPhoto):
        return _message(str(error), 422)
    if isinstance(error, UsageError):
        return _message(str(error), 400)
    if isinstance(error, TooLarge):
        return _message(str(error), 413)
    if isinstance(error, SynthError):
        return _message(str(error), 500)
    log.exception("request failed", exc_info=error)
    return _message(f"studio: an unexpected error, {type(error).__name__}: {error}", 500)


async def _on_missing(request: Request, error: Any) -> Response:
    path = request.url.path[:60]
    return _message(f"address: expected one of this page's, got {path}", error.status_code)


def _message(text: str, status: int) -> JSONResponse:
    return JSONResponse({"message": " ".join(text.split())}, status)


class _Routes:
    """Methods of one session, each a route."""

    def __init__(self, session: Session, token: str) -> None:
        self.session, self.token = session, token
        self._drawing = ThreadPoolExecutor(DRAWING, "draw")
        self._opening = ThreadPoolExecutor(1, "open")
        self._page = (STATIC / "index.html").read_text("utf-8").replace("{{token}}", token)

    # ---------------------------------------------------------------------- the page
    async def page(self) -> Response:
        return HTMLResponse(self._page)

    async def static(self, name: str) -> Response:
        if name not in FILES:
            raise HTTPException(404, "no such file")
        return Response((STATIC / name).read_bytes(), media_type=FILES[name])

    async def info(self) -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "states": {name: [va.valence, va.arousal] for name, va in STATES.items()},
                "expressions": {n: [va.valence, va.arousal] for n, va in EXPRESSIONS.items()},
                "samples": [
                    {"name": sample.name, "attribution": sample.attribution}
                    for sample in samples().values()
                ],
                "photo": self.session.first,
                "max_photo_bytes": MAX_PHOTO_BYTES,
                "max_frames": MAX_FRAMES,
            }
        )

    # ---------------------------------------------------------------------- photos
    async def sample(self, name: str) -> Response:
        if name not in samples():
            raise HTTPException(404, "no such sample")
        data = assets.path(samples()[name].asset).read_bytes()
        return Response(data, media_type="image/jpeg")

    async def put_photo(self, request: Request, name: str = "photo") -> Response:
        data = await _body(request, MAX_PHOTO_BYTES)
        return _photo_json(await _in(self._opening, lambda: self.session.open(data, name)))

    async def open_sample(self, request: Request) -> Response:
        data = await _json(request)
        photo = await _in(self._opening, lambda: self.session.open_sample(data.get("name")))
        return _photo_json(photo)

    async def get_photo(self, key: str) -> Response:
        return _photo_json(self.session.photos.get(key))

    # ---------------------------------------------------------------------- pictures
    async def frame(self, request: Request) -> Response:
        photo, target, wish = self.session.target(await _json(request))
        data, record = await _in(self._drawing, lambda: self.session.draw(photo, target, wish))
        told = {
            "action_units": record.action_units,
            "command": "" if wish else self.session.command(photo, target),
        }
        return Response(data, media_type="image/jpeg", headers={"x-studio-face": json.dumps(told)})

    async def mesh(self, request: Request) -> Response:
        photo, target, wish = self.session.target(await _json(request))
        data = await _in(self._drawing, lambda: self.session.mesh(photo, target, wish))
        return Response(data, media_type="application/octet-stream")

    async def add_path(self, request: Request) -> Response:
        data = await _json(request)
        photo = self.session.photos.get(data.get("photo"))
        key, sequence = await _in(self._drawing, lambda: self.session.add_path(photo, data))
        command = self.session.sequence_command(sequence)
        return JSONResponse(_sequence_json(key, sequence) | {"command": command})

    # ---------------------------------------------------------------------- exports
    async def export(self, request: Request) -> Response:
        data = await _json(request)
        return JSONResponse(self.session.export(data).as_dict())

    async def export_state(self, key: str) -> Response:
        return JSONResponse(self.session.exports.get(key).as_dict())

    async def cancel_export(self, key: str) -> Response:
        job = self.session.exports.get(key)
        job.cancel.set()
        return JSONResponse(job.as_dict())

    async def file(self, key: str) -> Response:
        job: Job = self.session.exports.get(key)
        if job.state != "done" or job.file is None:
            raise UsageError("export: expected a finished one; wait for it")
        plain = "".join(c if c.isascii() and c not in '"\\' else "_" for c in job.file.name)
        named = (
            f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(job.file.name, safe='')}"
        )
        headers = {"content-disposition": named}
        return FileResponse(job.file, media_type=KINDS[job.wanted.kind], headers=headers)


async def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


async def _body(request: Request, limit: int) -> bytes:
    """The request's body; refused as soon as it is over `limit`, announced or not."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise TooLarge(too_large(None, limit))
    return bytes(data)


async def _json(request: Request) -> dict[str, Any]:
    """The object in the request's body; a page of another site cannot send this type."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("content-type: expected application/json; send that")
    try:
        data = json.loads(await _body(request, MAX_BODY))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise UsageError("body: expected a JSON object, got something else")
    return data


def _photo_json(photo: Photo) -> Response:
    image = photo.rig.image
    return JSONResponse(
        {
            "key": photo.key,
            "name": photo.name,
            "width": photo.size[0],
            "height": photo.size[1],
            "preview": [image.width, image.height],
            "faces_found": photo.faces_found,
            "notes": list(photo.notes),
            "sample": photo.sample,
            "edges": mesh_edges(photo.rig).ravel().tolist(),
        }
    )


def _sequence_json(key: str, sequence: Sequence) -> dict[str, Any]:
    track = sequence.track
    return {
        "key": key,
        "name": track.name,
        "fps": track.fps,
        "frames": len(track),
        "slowed": track.slowed,
        "expression": track.expression,
        "va": track.va.round(4).tolist(),
        "csv": sequence.wish.csv,
    }
