"""The nouns of the package: frozen records that the stages hand to each other.

``FaceImage -> Landmarks -> Fit -> FaceRig -> Sample + Record``. Geometry is
float64 numpy; images are uint8 sRGB, RGB order. Pixel coordinates have x to the
right, y down and (0, 0) at the centre of the top-left pixel (``docs/axes.md``).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError, TargetError

__all__ = [
    "VA",
    "Camera",
    "FaceImage",
    "Fit",
    "Landmarks",
    "Record",
    "Sample",
    "Track",
    "inter_ocular",
]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, order=True)
class VA:
    """A point of the valence-arousal plane, inside the unit disc.

    Valence runs from unpleasant (-1) to pleasant (+1), arousal from calm (-1)
    to excited (+1); (0, 0) is neutral [1]_. Values are never clipped.

    Raises
    ------
    TargetError
        If a value is not finite or the point lies outside the unit disc.

    References
    ----------
    .. [1] Russell, "A circumplex model of affect", J. Pers. Soc. Psych. 1980.
    """

    valence: float
    arousal: float

    def __post_init__(self) -> None:
        for name in ("valence", "arousal"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise TargetError(f"{name}: expected a finite number in [-1, 1], got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.radius > 1 + 1e-9:
            raise TargetError(
                "va: expected a point inside the unit disc, got "
                f"({self.valence:g}, {self.arousal:g}) at radius {self.radius:.3g}; "
                f"divide both by {self.radius:.3g}, or map a square "
                "rating with synth.affect.square_to_disc"
            )

    @classmethod
    def parse(cls, text: str) -> VA:
        """The target written as ``"VALENCE,AROUSAL"``, for example ``"-0.5,0.3"``."""
        parts = text.replace(";", ",").split(",")
        try:
            valence, arousal = (float(p) for p in parts)
        except ValueError:
            raise TargetError(
                f"va: expected two numbers 'VALENCE,AROUSAL' such as 0.5,0.3, got {text!r}"
            ) from None
        return cls(valence, arousal)

    @property
    def radius(self) -> float:
        """Distance from neutral, 0 to 1."""
        return math.hypot(self.valence, self.arousal)

    @property
    def angle(self) -> float:
        """Direction in radians, counter-clockwise from pleasant, in (-pi, pi]."""
        return math.atan2(self.arousal, self.valence)

    def __str__(self) -> str:
        return f"{self.valence:g},{self.arousal:g}"


@dataclass(frozen=True, eq=False)
class Track:
    """A path through the circumplex, sampled at a constant frame rate.

    Attributes
    ----------
    name : str
        Of its files: letters, digits, ``+``, ``-``, ``.`` and ``_``.
    fps : float
        Frames per second; frame i is shown at ``i / fps`` seconds.
    va : (F, 2) float64
        Valence and arousal of each frame, inside the unit disc.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when that expression's own face is
        wanted; `va` then lies on its ray.
    slowed : float
        How many times longer it takes than asked, because faces do not move faster.
    """

    name: str
    fps: float
    va: Float
    expression: str = ""
    slowed: float = 1.0

    def __len__(self) -> int:
        return len(self.va)

    @property
    def times(self) -> Float:
        """(F,) seconds."""
        return np.arange(len(self.va)) / self.fps


@dataclass(frozen=True)
class FaceImage:
    """A decoded photo, upright, sRGB.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
        RGB. Alpha is kept apart.
    name : str
        Where it came from, relative to the input folder where there is one.
    sha256 : str
        Of the encoded file (or of the pixels, for an array in memory).
    alpha : (H, W) uint8 or None
        The photo's own alpha channel, written back unchanged.
    notes : tuple of str
        What the decoder did beyond the ordinary ("first of 12 frames").
    """

    pixels: UInt8
    name: str
    sha256: str
    alpha: UInt8 | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ShapeError(
                f"pixels: expected (H, W, 3) uint8 RGB, got {self.pixels.shape} {self.pixels.dtype}"
            )

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def inter_ocular(points: Float) -> float:
    """Distance between the outer eye corners (iBUG 36 and 45), in the unit of `points`."""
    return float(np.linalg.norm(points[45] - points[36]))


@dataclass(frozen=True)
class Landmarks:
    """68 iBUG points of one face.

    Attributes
    ----------
    points : (68, 2) float64
        Pixels, x right, y down, (0, 0) the centre of the top-left pixel.
    detector : str
        Name in the detector table, or the file the points came from.
    box : (4,) float64
        Face box: left, top, right, bottom in pixels.
    confidence : float
        The detector's own score; not comparable between detectors.
    faces_found : int
        How many faces the photo showed.
    """

    points: Float
    detector: str
    box: Float
    confidence: float = 1.0
    faces_found: int = 1

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float64)
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise ShapeError(f"points: expected (68, 2) finite pixels, got {points.shape}")
        object.__setattr__(self, "points", points)

    @property
    def inter_ocular(self) -> float:
        """Distance between the outer eye corners in pixels."""
        return inter_ocular(self.points)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking at the model.

    A model point ``X`` in mm maps to ``Y = R(q) F X + t`` with
    ``F = diag(1, -1, -1)`` (model y up, z towards the viewer; camera y down, z
    away from the viewer) and to pixel ``f Y_xy / Y_z + c``.

    Attributes
    ----------
    quaternion : (4,) float64
        Unit quaternion, scalar last (scipy's order).
    translation : (3,) float64
        mm, camera space.
    focal : float
        Pixels.
    center : (2,) float64
        Principal point in pixels.
    """

    quaternion: Float
    translation: Float
    focal: float
    center: Float


@dataclass(frozen=True)
class Fit:
    """A morphable model fitted to the landmarks of one photo.

    Attributes
    ----------
    shape : (K,) float64
        Identity coefficients in standard deviations.
    expression : (52,) float64
        Blendshape weights found in the photo (0 where it is neutral).
    camera : Camera
    residual : (68,) float64
        Landmark distance before residual correction, as a share of the
        inter-ocular distance (36-45).
    vertices : (V, 3) float64
        Model space, mm, after residual correction.
    corrected : (68,) float64
        Landmark distance after residual correction, same unit.
    pose : (3,) float64
        Yaw (to the subject's left), pitch (up), roll in degrees.
    """

    shape: Float
    expression: Float
    camera: Camera
    residual: Float
    vertices: Float
    corrected: Float
    pose: Float


@dataclass(frozen=True)
class Record:
    """Everything that explains, and replays, one output image.

    The first fields are columns of ``metadata.csv``; all of them form one line of
    ``provenance.jsonl``.

    Attributes
    ----------
    valence, arousal : float
        What was asked for; for action units, of the mean face most like it.
    lookup : str
        Where the face came from: ``smooth`` or ``class`` (the VA classes),
        ``expression`` (the expression's own mean face) or ``actions``.
    style : str
        ``mean_face``, or ``person_SEED`` for a drawn person style.
    action_units : dict of str to float
        FACS intensities, 0 to 1, of what was rendered.
    weights : dict of str to float
        Blendshapes of what was rendered; zeros are left out.
    sequence, frame, time : str, int, float
        Name, number and seconds of a frame of a sequence.
    head_motion : (3,) float
        Yaw, pitch and roll added to the head's own pose, degrees.
    blink : float
        1 where a blink shuts the eyes.
    smoothness : dict of str to float
        Of the whole sequence; see `synth.motion.Smoothness`.
    spectrum : {"vis", "nir"}
        Visible light or near infrared.
    translation : dict of str to str
        Order, method and weights of a translation to near infrared.
    theta, rho, editing : float, float, dict
        Degrees and strength in the space of a conditional network, and how its edit was
        carried back, where one had a part (`synth.editing`).
    plan_id, subject, split : int, str, str
        Row of the plan, person and part of a set made by ``synth augment``.
    nuisance : dict
        Pose, light, camera and occluders drawn for the picture (`synth.nuisance`).
    fit : {"landmarks", "dense"}
        How the model was put on the face.
    photo_expression : dict of str to float
        Blendshapes found in the photo itself; zeros are left out.
    neutralised : bool
        Whether they were taken off before drawing.
    quality : dict of str to float
        Scores of the gates (`synth.quality`).
    redraws : int
        How many styles were rejected before this one.
    """

    file_name: str
    source: str
    valence: float
    arousal: float
    class_valence: float
    class_arousal: float
    expression: str
    intensity: float
    seed: int
    class_index: int = -1
    source_sha256: str = ""
    target_index: int = 0
    lookup: str = ""
    composite: str = ""
    style: str = "mean_face"
    action_units: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    sequence: str = ""
    frame: int | None = None
    time: float | None = None
    head_motion: tuple[float, float, float] = (0.0, 0.0, 0.0)
    blink: float = 0.0
    smoothness: dict[str, float] = field(default_factory=dict)
    spectrum: str = "vis"
    translation: dict[str, str] = field(default_factory=dict)
    theta: float | None = None
    rho: float | None = None
    editing: dict[str, Any] = field(default_factory=dict)
    plan_id: int | None = None
    subject: str = ""
    split: str = ""
    nuisance: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    redraws: int = 0
    landmarks: tuple[tuple[float, float], ...] = ()
    detector: str = ""
    faces_found: int = 1
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fit_residual: float = 0.0
    fit: str = "landmarks"
    photo_expression: dict[str, float] = field(default_factory=dict)
    neutralised: bool = False
    crop_matrix: tuple[tuple[float, float, float], ...] | None = None
    mask_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    mask_share: float = 0.0
    changed: bool = True
    notes: tuple[str, ...] = ()
    assets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    digital_source_type: str = (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )

    #: Columns of ``metadata.csv``, in order.
    COLUMNS = (
        "file_name",
        "source",
        "valence",
        "arousal",
        "class_valence",
        "class_arousal",
        "expression",
        "intensity",
        "seed",
        "lookup",
        "style",
        "action_units",
        "spectrum",
    )
    #: Columns of a run of sequences.
    FRAME_COLUMNS = (*COLUMNS, "sequence", "frame", "time")

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of every field."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Sample:
    """One generated image with its label and provenance.

    Attributes
    ----------
    image : (H, W, 3) uint8, or (H, W) uint8 in near infrared
        RGB or grey, at the photo's size or the size asked for.
    target : VA
        What was asked for.
    record : Record
    mask : (H, W) bool
        Pixels that may differ from the photo (in near infrared from the photo's
        translation); all others are bit-identical.
    alpha : (H, W) uint8 or None
        The photo's own alpha channel.
    """

    image: UInt8
    target: VA
    record: Record
    mask: NDArray[np.bool_]
    alpha: UInt8 | None = None
