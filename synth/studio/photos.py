"""Photos in memory, and the small preview that follows the dot."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.camera import crop_camera, project
from synth.crops import transform_landmarks
from synth.errors import UsageError
from synth.images import load_image, resize
from synth.pipeline import Generator, PreparedFace
from synth.render.rig import FaceRig, build_rig
from synth.render.topology import LIPS, SKIN
from synth.types import FaceImage, Landmarks

__all__ = ["PREVIEW_SIDE", "Photo", "PhotoStore", "mesh_edges", "mesh_points", "open_photo"]

Float = NDArray[np.float64]

#: Longest side of the preview in pixels.
PREVIEW_SIDE = 512
#: The preview shows this many times the height from nose bridge to chin around the face:
#: a portrait is shown whole, of a wide scene only the head and shoulders.
WINDOW = 4.4
#: Photos kept; the one that was used longest ago goes first.
KEPT = 4


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo of this session.

    Attributes
    ----------
    key : str
        Unguessable name within the session.
    name : str
        File name, without folders.
    data : bytes
        The encoded file, as it came.
    preview : PreparedFace
        Fitted at full size, drawn at `PREVIEW_SIDE`.
    size : (int, int)
        Width and height of the whole photo.
    input : str
        What ``--input`` of a command line would be.
    notes : tuple of str
        What the decoder did beyond the ordinary.
    faces_found : int
        The largest is used.
    sample : bool
        Whether it is a bundled portrait.
    """

    key: str
    name: str
    data: bytes
    preview: PreparedFace
    size: tuple[int, int]
    input: str
    notes: tuple[str, ...] = ()
    faces_found: int = 1
    sample: bool = False

    @property
    def rig(self) -> FaceRig:
        """The preview's rig."""
        return self.preview.rig


def open_photo(
    generator: Generator, data: bytes, name: str, given: str | None = None, sample: bool = False
) -> Photo:
    """A photo decoded, fitted and ready to be drawn.

    The checks are those of the commands, at full size; the fit is that of the full
    size too, seen through the camera of the preview.

    Parameters
    ----------
    generator : Generator
    data : bytes
        The encoded file.
    name : str
        What the browser calls it; folders are dropped.
    given : str, optional
        What ``--input`` of a command line would be; default `name`.
    sample : bool
        Whether it is a bundled portrait.

    Raises
    ------
    SkipPhoto
        If it cannot be decoded, shows no usable face or the fit failed.
    """
    name = safe_name(name)
    image, faces = generator.faces(load_image(data, name=name))
    face = generator.prepare(image, faces[0])
    small, landmarks, matrix = _preview(image, faces[0])
    fit = replace(face.rig.fit, camera=crop_camera(face.rig.fit.camera, matrix))
    rig = build_rig(small, landmarks, fit, face.rig.model, generator.render_settings)
    return Photo(
        key=secrets.token_urlsafe(9),
        name=name,
        data=data,
        preview=PreparedFace(rig),
        size=(image.width, image.height),
        input=given or name,
        notes=image.notes,
        faces_found=faces[0].faces_found,
        sample=sample,
    )


def safe_name(name: str) -> str:
    """The last part of a file name, printable, at most 100 letters."""
    last = PurePath(name.replace("\\", "/")).name
    kept = "".join(c for c in last if c.isprintable()).strip(". ")
    return kept[-100:] or "photo"


def _preview(image: FaceImage, landmarks: Landmarks) -> tuple[FaceImage, Landmarks, Float]:
    """A window around the head, scaled down to `PREVIEW_SIDE`, with its matrix."""
    left, top, right, bottom = _window(landmarks.points, image.width, image.height)
    width, height = right - left, bottom - top
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = image.pixels[top:bottom, left:right]
    pixels = np.ascontiguousarray(pixels) if size == (width, height) else resize(pixels, *size)
    # One factor for both axes, which the camera needs; rounding the sides costs half a pixel.
    shift = (scale - 1) / 2 - scale * np.array([left, top])
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    small = FaceImage(pixels, image.name, image.sha256)
    return small, transform_landmarks(landmarks, matrix), matrix


def _window(points: Float, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what the preview shows; the whole photo of a portrait."""
    half = WINDOW / 2 * float(np.linalg.norm(points[8] - points[27]))
    center = points.mean(0)
    low = np.maximum(np.floor(center - half), 0).astype(int)
    high = np.minimum(np.ceil(center + half), (width, height)).astype(int)
    seen = np.prod(high - low) / (width * height)
    if seen > 0.5 or max(width, height) <= PREVIEW_SIDE:
        return 0, 0, width, height
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


# --------------------------------------------------------------------------- the mesh
def mesh_edges(rig: FaceRig) -> NDArray[np.int64]:
    """(n, 2) vertex pairs to draw: edges of the skin that faces the viewer.

    An edge that is the longest of both its triangles is the diagonal of a
    quadrangle, and left out: the mesh reads better without.
    """
    faces = rig.model.faces[np.isin(rig.model.parts, (SKIN, LIPS))]
    corners = rig.neutral[faces][..., :2]
    across, down = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    turn = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    # Counter-clockwise seen from outside, and y runs down: towards the viewer is negative.
    front = faces[turn < 0]
    sides = np.sort(front[:, [[0, 1], [1, 2], [2, 0]]], axis=-1)  # (F, 3, 2)
    vertices = rig.fit.vertices
    length = np.linalg.norm(vertices[sides[..., 0]] - vertices[sides[..., 1]], axis=-1)
    longest = sides[np.arange(len(sides)), length.argmax(1)]
    edges = np.unique(sides.reshape(-1, 2), axis=0)
    diagonals, count = np.unique(longest, axis=0, return_counts=True)
    twice = {tuple(pair) for pair in diagonals[count == 2].tolist()}
    keep = [tuple(pair) not in twice for pair in edges.tolist()]
    return np.asarray(edges[keep], np.int64)


def mesh_points(rig: FaceRig, weights: dict[str, float]) -> NDArray[np.float32]:
    """(V, 2) pixels of the fitted mesh with the blendshape weights of a record."""
    vector = np.array([weights.get(name, 0.0) for name in rig.model.blendshape_names])
    vertices = rig.fit.vertices + rig.model.offsets(vector)
    return project(vertices, rig.fit.camera)[:, :2].astype(np.float32)


# -------------------------------------------------------------------------- the store
class PhotoStore:
    """The last few photos, by key. Safe to use from several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._photos = kept, OrderedDict[str, Photo]()
        self._lock = threading.Lock()

    def add(self, photo: Photo) -> Photo:
        """Keep a photo; the one unused for longest is forgotten."""
        with self._lock:
            self._photos[photo.key] = photo
            while len(self._photos) > self._kept:
                self._photos.popitem(last=False)
        return photo

    def get(self, key: Any) -> Photo:
        """The photo of a key.

        Raises
        ------
        UsageError
            If it is not, or no longer, there.
        """
        with self._lock:
            if not isinstance(key, str) or key not in self._photos:
                raise UsageError(
                    "photo: expected one of this session, got one that is no longer there; "
                    "open it again"
                )
            self._photos.move_to_end(key)
            return self._photos[key]

    def __contains__(self, photo: Photo) -> bool:
        with self._lock:
            return self._photos.get(photo.key) is photo

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._photos.clear()
