"""Square face crops as the sets of the field have them, with the matrix that made them.

======================  ====  =======================================================
profile                 px    crop
======================  ====  =======================================================
``raw``                       the whole photo as it is
``face``                any   the whole head, upright: `face_crop`
``affectnet224``        224   a detector's face box, forehead to chin, upright
``rafdb100``            100   eyes and mouth brought to RAF-DB's places, rotated
``affwild112``          112   five points brought to ArcFace's template, rotated
``fer48``               48    the face as tight as FER2013 shows it, upright, in colour
``aligned``             any   eyes and nose at fixed places, rotated: what synth's own
                              readers of faces see
======================  ====  =======================================================

How sure each one is stands with it in `PROFILES`. Rotated crops keep the shape of
the face: their matrix is a rotation, one scale and a shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import UsageError
from synth.types import FaceImage, Landmarks

__all__ = [
    "PROFILES",
    "Profile",
    "crop_by_profile",
    "face_crop",
    "face_crop_matrix",
    "profile_matrix",
    "similarity",
    "transform_landmarks",
]

Float = NDArray[np.float64]
Points = tuple[tuple[float, float], ...]

SMALLEST = 32
#: Landmarks that the places of a template belong to, averaged: the subject's right and
#: left eye (in the picture left and right), the mouth; nose tip and mouth corners.
EYES = (tuple(range(36, 42)), tuple(range(42, 48)))
MOUTH = (tuple(range(48, 60)),)
NOSE_AND_CORNERS = ((30,), (48,), (54,))


@dataclass(frozen=True)
class Profile:
    """A way of cutting faces out.

    Attributes
    ----------
    size : int or None
        Side in pixels; None where the caller chooses it, or the photo decides.
    how : str
        ``whole`` photo, whole ``head``, ``box`` of the face, or ``aligned`` to a template.
    source : str
        Where it comes from.
    sure : str
        How sure we are that it is what that set has.
    margin, rise : float
        Of a ``box``: side as a multiple of the larger side of the landmarks' bounding
        box, and how far its centre lies above theirs, as a share of the side.
    template : tuple of (float, float)
        Of an ``aligned`` one: where the points lie, as a share of the side, picture
        edges at 0 and 1.
    points : tuple of tuples of int
        The landmarks whose means the template places.
    """

    size: int | None
    how: str
    source: str
    sure: str
    margin: float = 1.0
    rise: float = 0.0
    template: Points = ()
    points: tuple[tuple[int, ...], ...] = ()


#: ArcFace's template on 112 px, edges at -0.5 and 111.5.
_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
            (70.7299, 92.2041))  # fmt: skip

PROFILES: dict[str, Profile] = {
    "raw": Profile(None, "whole", "the photo", "certain"),
    "face": Profile(None, "head", "synth.crops.face_crop", "certain: our own"),
    "affectnet224": Profile(
        224,
        "box",
        "Mollahosseini, Hasani & Mahoor, AffectNet, IEEE Trans. Affective Computing 2019: "
        "faces cut out by the box of a face detector, 224 px in the released crops",
        "upright and 224 px: certain; the box: estimated, since detectors' boxes scatter by "
        "a tenth of their side",
        margin=1.25,
        rise=0.09,
    ),
    "rafdb100": Profile(
        100,
        "aligned",
        "Li, Deng & Du, RAF-DB, CVPR 2017: aligned by the centres of eyes and mouth, 100 px",
        "the three points and 100 px: certain; their places: estimated, the authors give none",
        template=((0.31, 0.38), (0.69, 0.38), (0.5, 0.81)),
        points=(*EYES, *MOUTH),
    ),
    "affwild112": Profile(
        112,
        "aligned",
        "Kollias & Zafeiriou, Aff-Wild2, BMVC 2019: aligned by five points, 112 px; template "
        "of Deng et al., ArcFace, CVPR 2019",
        "five points and 112 px: certain; that the template is ArcFace's: likely",
        template=tuple(((x + 0.5) / 112, (y + 0.5) / 112) for x, y in _ARCFACE),
        points=(*EYES, *NOSE_AND_CORNERS),
    ),
    "fer48": Profile(
        48,
        "box",
        "Goodfellow et al., FER2013, ICONIP 2013: the face about centred and filling the "
        "picture, 48 px, grey",
        "48 px: certain; the box: estimated; grey is left to the reader",
        margin=1.05,
        rise=0.04,
    ),
    # A smile moves the mouth, a drawn brow the brows: aligned by them, a crop would hide what a
    # reader is to see. The corners of the eyes and the nose's tip and base hardly move.
    "aligned": Profile(
        None,
        "aligned",
        "synth.recognition: eyes .38 of the side apart; raised brows and open mouths are inside",
        "certain: our own",
        template=((0.31, 0.29), (0.69, 0.29), (0.5, 0.515)),
        points=((36, 39), (42, 45), (30, 33)),
    ),
}


def face_crop_matrix(landmarks: Landmarks, size: int) -> Float:
    """(2, 3) matrix from photo pixels to a `size` x `size` crop with the whole head.

    The crop is centred on the landmarks, a little above their mean, and is
    2.2 times as high as the distance from nose bridge (27) to chin (8).
    """
    points = landmarks.points
    half = 1.1 * float(np.linalg.norm(points[8] - points[27]))
    center = points.mean(0) - (0.0, 0.1 * half)
    return _upright(center, half, size)


def _upright(center: Float, half: float, size: int) -> Float:
    scale = size / (2 * half)
    # Pixel centres are integers: the crop's own centre is (size - 1) / 2.
    shift = (size - 1) / 2 - scale * center
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def similarity(source: ArrayLike, target: ArrayLike) -> Float:
    """(2, 3) rotation, scale and shift that brings `source` closest to `target`.

    Least squares over the points, never a reflection; in the plane the closed form
    of Umeyama [1]_.

    Parameters
    ----------
    source, target : (n, 2) float, n >= 2

    References
    ----------
    .. [1] Umeyama, "Least-squares estimation of transformation parameters between two
       point patterns", PAMI 1991.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    a_mean, b_mean = a.mean(0), b.mean(0)
    a, b = a - a_mean, b - b_mean
    spread = float((a**2).sum())
    if spread <= 0:
        raise UsageError("points: expected at least two different ones, got all in one place")
    along = float((a * b).sum()) / spread
    across = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, b_mean - turn @ a_mean])


def profile_matrix(landmarks: Landmarks, profile: Profile, size: int) -> Float:
    """(2, 3) matrix from photo pixels to the `size` x `size` crop of a profile.

    Not for ``whole`` photos, which have no size of their own.
    """
    points = landmarks.points
    if profile.how == "head":
        return face_crop_matrix(landmarks, size)
    if profile.how == "box":
        low, high = points.min(0), points.max(0)
        side = profile.margin * float((high - low).max())
        return _upright((low + high) / 2 - (0.0, profile.rise * side), side / 2, size)
    found = np.array([points[list(part)].mean(0) for part in profile.points])
    return similarity(found, np.array(profile.template) * size - 0.5)


def transform_landmarks(landmarks: Landmarks, matrix: NDArray[np.float64]) -> Landmarks:
    """The same landmarks after the pixels moved by `matrix` (2, 3).

    A box that is turned becomes the upright box around it.
    """
    left, top, right, bottom = np.asarray(landmarks.box, np.float64)
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    return Landmarks(
        points=landmarks.points @ matrix[:, :2].T + matrix[:, 2],
        detector=landmarks.detector,
        box=np.concatenate([corners.min(0), corners.max(0)]),
        confidence=landmarks.confidence,
        faces_found=landmarks.faces_found,
    )


def face_crop(
    image: FaceImage, landmarks: Landmarks, size: int
) -> tuple[FaceImage, Landmarks, NDArray[np.float64]]:
    """The face cut out to `size` x `size` pixels.

    Returns
    -------
    image : FaceImage
        Cropped; where the crop leaves the photo its border is repeated.
    landmarks : Landmarks
        In crop pixels.
    matrix : (2, 3) float64
        Photo pixels to crop pixels.
    """
    return crop_by_profile(image, landmarks, "face", size)


def crop_by_profile(
    image: FaceImage, landmarks: Landmarks, profile: str, size: int | None = None
) -> tuple[FaceImage, Landmarks, NDArray[np.float64]]:
    """The photo as a profile of `PROFILES` shows it.

    Parameters
    ----------
    image : FaceImage
    landmarks : Landmarks
    profile : str
        A key of `PROFILES`.
    size : int, optional
        Side of the crop, at least 32 pixels; the profile's own when not given.

    Returns
    -------
    image : FaceImage
        Cropped; where the crop leaves the photo its border is repeated. ``raw`` gives
        the photo itself.
    landmarks : Landmarks
        In crop pixels.
    matrix : (2, 3) float64
        Photo pixels to crop pixels.

    Raises
    ------
    UsageError
        For an unknown profile, a size that is too small, or one that does not go
        with the profile.
    """
    if profile not in PROFILES:
        raise UsageError(f"crop: expected one of {', '.join(PROFILES)}, got {profile!r}")
    chosen = PROFILES[profile]
    if chosen.how == "whole":
        if size is not None:
            raise UsageError(f"size: expected none with the crop raw, got {size}; leave it out")
        return image, landmarks, np.eye(2, 3)
    side = chosen.size if size is None else size
    if side is None:
        raise UsageError(f"size: expected one with the crop {profile}, got none; use --size 256")
    if side < SMALLEST:
        raise UsageError(
            f"size: expected at least {SMALLEST} pixels, got {side}; use --size 256 or more"
        )
    matrix = profile_matrix(landmarks, chosen, side)
    return _cut(image, matrix, side), transform_landmarks(landmarks, matrix), matrix


def _cut(image: FaceImage, matrix: Float, size: int) -> FaceImage:
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    pixels = image.pixels
    if scale < 1:  # area filter: blur to the new Nyquist before sampling
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(0.01, 0.45 / scale))
    cropped = cv2.warpAffine(
        pixels, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return FaceImage(
        pixels=np.ascontiguousarray(cropped),
        name=image.name,
        sha256=image.sha256,
        notes=(*image.notes, f"cropped to {size} px"),
    )
