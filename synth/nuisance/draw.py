"""One draw of everything that varies: drawn first, rounded, written down, then applied."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from synth.errors import UsageError
from synth.nuisance.ranges import Ranges

__all__ = ["FRAMES", "MASKS", "FaceMask", "Glasses", "Nuisance", "draw_nuisance"]

#: Second word of the seed: the numbers differ from those of styles and motion.
TAG = 0x6E756973
#: Numbers drawn for every picture, each with its own place: a changed range leaves the
#: others as they were. New places go to the end.
SLOTS = (
    "share_pose", "yaw", "pitch", "roll",
    "share_light", "light", "around", "aside",
    "share_gain", "gain", "share_warmth", "warmth",
    "share_blur", "blur", "share_motion", "motion", "motion_angle",
    "share_noise", "noise", "shot", "noise_seed",
    "share_jpeg", "jpeg", "share_gamma", "gamma", "share_contrast", "contrast",
    "share_brightness", "brightness",
    "glasses", "frame", "frame_colour", "width", "rim", "tint", "glare", "glare_at",
    "mask", "mask_colour", "height", "sag",
)  # fmt: skip

RGB = tuple[int, int, int]
#: Shapes of `synth.nuisance.glasses`.
FRAMES = ("rectangle", "round", "square", "aviator", "browline")
FRAME_COLOURS: tuple[RGB, ...] = (
    (24, 23, 25), (24, 23, 25), (74, 48, 32), (112, 76, 46), (150, 128, 92),
    (120, 122, 126), (34, 42, 66), (96, 28, 34),
)  # fmt: skip
MASKS: tuple[RGB, ...] = (
    (150, 196, 220), (150, 196, 220), (172, 208, 214), (226, 228, 230), (238, 238, 236),
    (40, 41, 44), (160, 202, 186), (222, 184, 192),
)  # fmt: skip


@dataclass(frozen=True)
class Glasses:
    """Eyeglasses.

    Attributes
    ----------
    frame : str
        One of `FRAMES`.
    colour : (3,) int
        RGB in white light.
    width : float
        Relative to lenses that fit the distance of the eyes.
    rim : float
        Thickness of the rim in mm.
    tint : float
        Share of light that the lenses take away.
    glare : float
        Strength of the reflection on the lenses, 0 to 1.
    glare_at : float
        Where on the lens it lies, -1 to 1 from the picture's left to its right.
    """

    frame: str
    colour: RGB
    width: float
    rim: float
    tint: float
    glare: float
    glare_at: float


@dataclass(frozen=True)
class FaceMask:
    """A surgical mask.

    Attributes
    ----------
    colour : (3,) int
        RGB in white light.
    height : float
        Where its upper edge crosses the nose: 0 at the tip, 1 between the eyes.
    sag : float
        How loosely it hangs, 0 to 1.
    """

    colour: RGB
    height: float
    sag: float


@dataclass(frozen=True)
class Nuisance:
    """What one picture gets beside its expression; the defaults change nothing.

    Attributes
    ----------
    pose : (3,) float
        Yaw, pitch and roll in degrees, for `synth.render.face.render`.
    light : (3,) float
        Towards the added light, model axes of a frontal head (x to the picture's
        right, y up, z to the viewer); its length is the strength.
    gain, warmth, blur, motion, noise, jpeg, gamma, contrast, brightness
        As in `synth.nuisance.ranges.Ranges`.
    motion_angle : float
        Direction of the motion, degrees from the x axis, clockwise in the picture.
    shot : float
        Share of the noise's variance at mid grey that grows with the grey level.
    noise_seed : int
    glasses : Glasses or None
    mask : FaceMask or None
    """

    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gain: float = 1.0
    warmth: float = 0.0
    blur: float = 0.0
    motion: float = 0.0
    motion_angle: float = 0.0
    noise: float = 0.0
    shot: float = 0.0
    noise_seed: int = 0
    jpeg: int = 0
    gamma: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0
    glasses: Glasses | None = None
    mask: FaceMask | None = None

    @property
    def changes_pixels(self) -> bool:
        """Whether anything is left to do once the head is posed."""
        return any(getattr(self, f.name) != f.default for f in fields(self) if f.name != "pose")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: what differs from doing nothing. `from_dict` gives it back exactly."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Nuisance:
        """The nuisance that `as_dict` wrote.

        Raises
        ------
        UsageError
            If an entry is not one of a nuisance.
        """
        found: dict[str, Any] = {}
        known = {field.name for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise UsageError(
                    f"nuisance: expected {', '.join(sorted(known))}, got {name!r}; "
                    "the record was written by another version"
                )
            found[name] = tuple(value) if isinstance(value, (list, tuple)) else value
        try:
            for name, kind in (("glasses", Glasses), ("mask", FaceMask)):
                if found.get(name) is not None:
                    parts = {**found[name], "colour": tuple(found[name]["colour"])}
                    found[name] = kind(**parts)
        except (TypeError, KeyError) as error:
            raise UsageError(
                f"nuisance: expected the entries of glasses and mask, got {found[name]!r} ({error})"
            ) from None
        return cls(**found)


def _plain(value: Any) -> Any:
    """Tuples as lists, records as dictionaries."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, (Glasses, FaceMask)):
        return {name: _plain(part) for name, part in asdict(value).items()}
    return value


def draw_nuisance(seed: int, ranges: Ranges) -> Nuisance:
    """What one picture gets.

    Every quantity has its own place in the stream of ``default_rng([seed, tag])``:
    changing one range changes no other quantity.

    Parameters
    ----------
    seed : int
        Of the picture; non-negative.
    ranges : Ranges

    Returns
    -------
    Nuisance
        Rounded, so that its record replays it exactly.
    """
    if not ranges.varies:
        return Nuisance()
    draws = np.random.default_rng([seed, TAG]).random(len(SLOTS)).tolist()
    u = dict(zip(SLOTS, draws, strict=True))

    def between(name: str, low: float, high: float, digits: int = 4) -> float:
        # Rounding may step over the edge of a range.
        return min(max(round(low + (high - low) * u[name], digits), low), high)

    def drawn(name: str, neutral: float) -> float:
        low, high = getattr(ranges, name)
        if (low, high) == (neutral, neutral) or u[f"share_{name}"] >= ranges.share:
            return neutral
        if neutral != 1:
            return between(name, low, high)
        value = low * (high / low) ** u[name]
        return min(max(round(value, 4), low), high)

    motion, noise = drawn("motion", 0.0), drawn("noise", 0.0)
    return Nuisance(
        pose=_pose(u, ranges),
        light=_light(u, drawn("light", 0.0)),
        gain=drawn("gain", 1.0),
        warmth=drawn("warmth", 0.0),
        blur=drawn("blur", 0.0),
        motion=motion,
        motion_angle=between("motion_angle", 0.0, 180.0, 1) if motion else 0.0,
        noise=noise,
        shot=between("shot", 0.2, 0.9) if noise else 0.0,
        noise_seed=int(u["noise_seed"] * 2**32) if noise else 0,
        jpeg=round(drawn("jpeg", 0.0)),
        gamma=drawn("gamma", 1.0),
        contrast=drawn("contrast", 1.0),
        brightness=drawn("brightness", 0.0),
        glasses=_glasses(u, between) if u["glasses"] < ranges.glasses else None,
        mask=_mask(u, between) if u["mask"] < ranges.mask else None,
    )


def _pose(u: dict[str, float], ranges: Ranges) -> tuple[float, float, float]:
    """Degrees, inside the ellipsoid: no head is turned, lifted and tipped to the utmost at once."""
    if not any(ranges.pose) or u["share_pose"] >= ranges.share:
        return 0.0, 0.0, 0.0
    x, y, z = (2 * u[name] - 1 for name in ("yaw", "pitch", "roll"))
    ball = (
        x * math.sqrt(1 - y * y / 2 - z * z / 2 + y * y * z * z / 3),
        y * math.sqrt(1 - z * z / 2 - x * x / 2 + z * z * x * x / 3),
        z * math.sqrt(1 - x * x / 2 - y * y / 2 + x * x * y * y / 3),
    )
    yaw, pitch, roll = (
        min(max(round(b * most, 2), -most), most) + 0.0
        for b, most in zip(ball, ranges.pose, strict=True)
    )
    return yaw, pitch, roll


def _light(u: dict[str, float], strength: float) -> tuple[float, float, float]:
    """Towards the light: from the sides and above, 40 to 90 degrees off the line of sight."""
    if not strength:
        return 0.0, 0.0, 0.0
    around = math.radians(-30 + 240 * u["around"])
    aside = math.radians(40 + 50 * u["aside"])
    across = strength * math.sin(aside)
    return (
        round(across * math.cos(around), 4) + 0.0,
        round(across * math.sin(around), 4) + 0.0,
        round(strength * math.cos(aside), 4) + 0.0,
    )


def _glasses(u: dict[str, float], between: Any) -> Glasses:
    frame = FRAMES[int(u["frame"] * len(FRAMES))]
    # Half of all lenses show a reflection.
    glare = min(max(2 * u["glare"] - 1, 0.0), 1.0)
    return Glasses(
        frame=frame,
        colour=FRAME_COLOURS[int(u["frame_colour"] * len(FRAME_COLOURS))],
        width=between("width", 0.92, 1.1),
        rim=between("rim", 0.8, 1.4) if frame == "aviator" else between("rim", 1.2, 3.6),
        tint=round(0.25 * max(u["tint"] - 0.6, 0) / 0.4, 4),
        glare=round(glare, 4),
        glare_at=between("glare_at", -1.0, 1.0),
    )


def _mask(u: dict[str, float], between: Any) -> FaceMask:
    return FaceMask(
        colour=MASKS[int(u["mask_colour"] * len(MASKS))],
        height=between("height", 0.35, 0.75),
        sag=between("sag", 0.0, 1.0),
    )
