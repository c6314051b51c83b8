"""Face embeddings: 128 numbers that are near each other for photos of one person.

The network and its training are dlib's (`synth.quality.network`). Faces are cut
out by dlib's own alignment on five of our points, the corners of the eyes and the
base of the nose: no expression moves them.
"""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.errors import ShapeError
from synth.optional import require
from synth.quality.network import INPUT, Network

if TYPE_CHECKING:
    from synth.render.rig import FaceRig

__all__ = ["Embedder", "embedder_digests", "face_chip", "identity_distance"]

Float = NDArray[np.float64]

#: Name of the network's file in the asset registry.
ASSET = "dlib_face_embedding"
#: Points of iBUG 68 in the order of dlib's five: left eye, right eye, nose.
FIVE = (45, 42, 36, 39, 33)
#: dlib takes whole pixels: points are given to it at this multiple of them.
FINE = 64
#: Margin around the face, as dlib trained it.
PADDING = 0.25


def face_chip(pixels: NDArray[np.uint8], landmarks: Float) -> NDArray[np.uint8]:
    """(150, 150, 3) the face, upright, as the network was trained on it.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        RGB.
    landmarks : (68, 2) float64
        Pixels.

    Raises
    ------
    ShapeError
        If an array has another shape, or a point is not finite.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ShapeError(f"landmarks: expected (68, 2) finite pixels, got {points.shape}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(f"pixels: expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    dlib = require("dlib", hint="pip install dlib-bin")
    fine = np.rint(points[list(FIVE)] * FINE).astype(int).tolist()
    parts = [dlib.point(x, y) for x, y in fine]
    face = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), parts)
    found = dlib.get_face_chip_details(face, INPUT, PADDING)
    sides = (found.rect.left(), found.rect.top(), found.rect.right(), found.rect.bottom())
    place = dlib.chip_details(
        dlib.drectangle(*(side / FINE for side in sides)),
        dlib.chip_dims(INPUT, INPUT),
        found.angle,
    )
    return np.asarray(dlib.extract_image_chip(np.ascontiguousarray(pixels), place))


def identity_distance(first: Float, second: Float) -> float:
    """Euclidean distance of two embeddings: below 0.4 one person, above 0.6 two."""
    return float(np.linalg.norm(np.asarray(first) - np.asarray(second)))


def embedder_digests() -> dict[str, str]:
    """SHA-256 by name of the file behind the embeddings, verified, for run files."""
    return assets.verified(ASSET)


class Embedder:
    """Embeds faces; loads its network, verified, when first used.

    One call embeds one face, so that an embedding does not depend on what else
    is embedded beside it.
    """

    def __init__(self) -> None:
        self._sources: dict[int, tuple[weakref.ref[Any], Float]] = {}

    @cached_property
    def network(self) -> Network:
        """The network.

        Raises
        ------
        AssetError
            If its file is missing or damaged.
        """
        return Network(assets.path(ASSET))

    def embed(self, pixels: NDArray[np.uint8], landmarks: Float) -> Float:
        """(128,) embedding of the face at `landmarks` (68, 2), pixels.

        Raises
        ------
        ShapeError
            See `face_chip`.
        """
        found: Float = self.network(face_chip(pixels, landmarks)[None])[0]
        return found

    def source(self, rig: FaceRig) -> Float:
        """(128,) embedding of the photo of `rig`, computed once as long as the rig lives."""
        known = self._sources.get(id(rig))
        if known is not None and known[0]() is rig:
            return known[1]
        key, sources = id(rig), self._sources
        found = self.embed(rig.image.pixels, rig.landmarks.points)
        sources[key] = weakref.ref(rig, lambda _: sources.pop(key, None)), found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {}  # another process loads and embeds afresh

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
