"""A photo as a near-infrared camera with its own lamp would see it: physics, no learning.

``photo -> linear light -> melanin, haemoglobin, shade -> reflectance at 850 nm -> coaxial
light -> lens, sensor``. The light of the photo is taken off only where skin is known; the
numbers and where they come from stand in `synth.translation.optical_tables`. It serves as
the truth of the known-truth experiment (`docs/known_truth_nir.md`) and as a baseline; it is
not a measurement of anybody.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, UsageError
from synth.translation.optical_tables import ABSORPTION, AT_850, DERMIS, OpticalSettings
from synth.translation.regions import (
    Frame,
    Regions,
    blurred,
    face_frame,
    face_relief,
    find_regions,
)
from synth.types import inter_ocular

__all__ = [
    "OpticalSettings",
    "coaxial_light",
    "optical_nir",
    "reflectance_850",
    "skin_reflectance",
    "turbid_reflectance",
]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

DEFAULT = OpticalSettings()


def optical_nir(
    pixels: ArrayLike,
    points: ArrayLike,
    seed: int = 0,
    settings: OpticalSettings = DEFAULT,
    normals: ArrayLike | None = None,
) -> UInt8:
    """The face at 850 nm, lit from the camera.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        sRGB. Its exposure is believed: a photo that is too dark gives darker skin.
    points : (68, 2) float
        iBUG landmarks, pixels.
    seed : int
        Of the sensor's noise, from 0 on; nothing else is random.
    settings : OpticalSettings
    normals : (H, W, 3) float, optional
        Unit normals in picture axes (x right, y down, z to the camera) where a fitted
        face is at hand; otherwise an ellipsoid with a nose is laid through the landmarks.

    Returns
    -------
    (H, W) uint8

    Raises
    ------
    ShapeError
        If the picture, the points or the normals have another shape or type.
    """
    picture, marks = _checked(pixels, points)
    if seed < 0:
        raise UsageError(f"seed: expected 0 or more, got {seed}")
    frame = face_frame(marks, picture.shape[:2])
    linear = _linear(picture)
    regions = find_regions(linear, marks, frame)
    reflected = reflectance_850(linear, frame, regions, settings)
    light = coaxial_light(face_relief(frame), frame.unit, settings, normals)
    # Walls are far off and have no relief that we know.
    behind = 1 / settings.background**2
    light = light + regions.background * (behind - light)
    signal = settings.gain * reflected * light
    signal = signal + settings.gain * settings.glint * regions.glint
    return _sensed(np.asarray(signal, np.float32), seed, settings)


def _checked(pixels: ArrayLike, points: ArrayLike) -> tuple[UInt8, Float]:
    picture, marks = np.asarray(pixels), np.asarray(points, np.float64)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ShapeError(
            f"pixels: expected (H, W, 3) uint8 RGB, got {picture.shape} {picture.dtype}; "
            "a grey photo has no colour to tell skin from lips by"
        )
    if marks.shape != (68, 2) or not np.isfinite(marks).all():
        raise ShapeError(f"points: expected (68, 2) finite pixels, got {marks.shape}")
    if inter_ocular(marks) < 1:
        raise ShapeError(
            f"points: expected eyes at least 1 pixel apart, got {inter_ocular(marks):.2g}"
        )
    return picture, marks


# ----------------------------------------------------------------- reflectance
def skin_reflectance(red: ArrayLike) -> Float:
    """Reflectance at 850 nm of skin that reflects `red` (0 to 1) in the red channel.

    Melanin weakens the light on both ways through the epidermis (Beer-Lambert) [1]_: its
    density at 850 nm is a third of that in red, so dark skin gains most and stays darker.

    References
    ----------
    .. [1] Anderson & Parrish, "The optics of human skin", J. Invest. Dermatol. 1981.
    """
    melanin = np.maximum(np.log(DERMIS[0] / np.maximum(red, 1e-3)), 0)
    return np.asarray(DERMIS[1] * np.exp(-AT_850[0] * melanin), np.float64)


def turbid_reflectance(visible: ArrayLike, absorption: float) -> Float:
    """Reflectance of a thick layer when its absorption changes by the factor `absorption`.

    Kubelka-Munk: ``K / S = (1 - R)² / 2R`` [1]_; the scattering S stays.

    Parameters
    ----------
    visible : (...) float
        Reflectance in visible light, 0 to 1.
    absorption : float

    References
    ----------
    .. [1] Kubelka & Munk, "Ein Beitrag zur Optik der Farbanstriche", Z. Tech. Phys. 1931.
    """
    r = np.clip(np.asarray(visible, np.float64), 1e-3, 1.0)
    k = absorption * (1 - r) ** 2 / (2 * r)
    return np.asarray(1 + k - np.sqrt(k * k + 2 * k), np.float64)


def reflectance_850(
    linear: Float32, frame: Frame, regions: Regions, settings: OpticalSettings = DEFAULT
) -> Float32:
    """(H, W) float32 reflectance at 850 nm of everything in the picture."""
    skin, fine, level = _skin_map(linear, frame, regions, settings)
    brightest = linear.max(-1)
    # Hair and brows are dark in every channel: melanin; colourful things are dyed.
    colourful = np.clip((brightest - linear.min(-1)) / np.maximum(brightest, 0.02) - 0.5, 0, 0.5)
    hair = turbid_reflectance(linear[..., 0], float(AT_850[0]))
    dyed = turbid_reflectance(brightest, settings.dye)
    result = (1 - 2 * colourful) * hair + 2 * colourful * dyed
    result = _over(result, regions.skin, skin)
    red = -np.log(np.maximum(linear[..., 0], 0.02))
    grooves = _fine(red, regions.lips * (1 - regions.mouth), frame)
    lips = np.exp(-0.5 * np.clip(grooves, -0.1, 0.6))
    result = _over(result, regions.lips, settings.lips * level * lips)
    # Teeth are as bright as skin at most; the cavity between lips stays as dark as it is.
    result = _over(result, regions.mouth, np.minimum(linear[..., 0] ** 0.8, settings.teeth))
    grain = np.exp(np.clip(-0.35 * fine, -0.4, 0.4))
    result = _over(result, regions.eyes, settings.sclera * grain)
    result = _over(result, regions.iris, settings.iris * grain)
    pupil = settings.pupil + settings.bright_pupil * (1 - settings.pupil)
    return np.asarray(_over(result, regions.pupil, np.full_like(fine, pupil)), np.float32)


def _over(below: NDArray[np.floating], mask: Float32, above: NDArray[np.floating]) -> Float:
    return np.asarray(below + mask * (above - below), np.float64)


def _skin_map(
    linear: Float32, frame: Frame, regions: Regions, settings: OpticalSettings
) -> tuple[Float32, Float32, float]:
    """Reflectance as if all were skin, the fine shade (density) of the photo, the skin's median.

    The colour's distance from the person's median skin is split into melanin, haemoglobin
    and shade, three densities from three channels [1]_. Slow changes of shade are the
    photo's light, which is switched off; fast ones are relief.

    References
    ----------
    .. [1] Tsumura et al., "Image-based skin color and texture analysis/synthesis by extracting
       hemoglobin and melanin information in the skin", SIGGRAPH 2003.
    """
    density = -np.log(np.maximum(linear, 0.004))
    sure = regions.skin > 0.7
    sure &= (regions.lips < 0.1) & (regions.eyes < 0.1)
    base = np.median(density[sure], 0) if sure.any() else np.median(density, (0, 1))
    parts = ((density - base) @ np.linalg.inv(ABSORPTION).T).astype(np.float32)
    melanin, blood = (np.clip(blurred(parts[..., i], 0.01 * frame.unit), -1, 2) for i in (0, 1))
    bare = regions.skin * (1 - regions.lips) * (1 - regions.mouth) * (1 - regions.eyes)
    fine = np.clip(_fine(parts[..., 2], bare, frame), -1, 1)
    change = AT_850[0] * melanin + AT_850[1] * blood + settings.relief * fine
    level = float(skin_reflectance(np.exp(-base[0])))
    skin = np.minimum(level * np.exp(-change), 0.9)
    return blurred(np.asarray(skin, np.float32), settings.scatter * frame.unit), fine, level


def _fine(values: Float32, mask: Float32, frame: Frame) -> Float32:
    """What changes faster than about a sixth of the inter-ocular distance inside a mask."""
    weight, sigma = mask + 1e-3, 0.15 * frame.unit
    return np.asarray(values - blurred(values * weight, sigma) / blurred(weight, sigma), np.float32)


# ------------------------------------------------------------ light and camera
def coaxial_light(
    relief: ArrayLike,
    unit: float,
    settings: OpticalSettings = DEFAULT,
    normals: ArrayLike | None = None,
) -> Float32:
    """Light that comes back to a camera with the lamp around its lens, per reflectance.

    ``cos(theta) ** lambert * (distance / (distance - height)) ** 2``: 1 for a surface at the
    height of the eyes that faces the lamp.

    Parameters
    ----------
    relief : (H, W) float
        Height towards the camera, in inter-ocular distances.
    unit : float
        Inter-ocular distance in pixels.
    settings : OpticalSettings
    normals : (H, W, 3) float, optional
        Instead of those of the relief.
    """
    height = np.asarray(relief, np.float64)
    if normals is None:
        dy, dx = np.gradient(height * unit)
        cosine = 1 / np.sqrt(1 + dx * dx + dy * dy)
    else:
        given = np.asarray(normals, np.float64)
        if given.shape != (*height.shape, 3):
            raise ShapeError(f"normals: expected {(*height.shape, 3)}, got {given.shape}")
        cosine = np.clip(given[..., 2], 0, 1)
    nearer = settings.distance / np.maximum(settings.distance - height, 0.1)
    return np.asarray(cosine**settings.lambert * nearer**2, np.float32)


def _linear(pixels: UInt8) -> Float32:
    """sRGB to linear light (IEC 61966-2-1), 0 to 1."""
    v = np.arange(256) / 255
    table = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return np.asarray(table.astype(np.float32)[pixels], np.float32)


def _encoded(signal: Float32) -> Float:
    v = np.clip(signal, 0, 1)
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.maximum(v, 1e-9) ** (1 / 2.4) - 0.055)


def _sensed(signal: Float32, seed: int, settings: OpticalSettings) -> UInt8:
    """Eight bits of a signal (share of full scale): lens, photons, read-out, encoding."""
    signal = np.clip(blurred(signal, settings.blur), 0, 1)
    if settings.full_well > 0:
        rng = np.random.default_rng(seed)
        electrons = signal * settings.full_well
        # Thousands of photons: Poisson is all but normal, and normal is quicker.
        spread = np.sqrt(electrons + settings.read_noise**2)
        noisy = electrons + spread * rng.standard_normal(signal.shape, np.float32)
        signal = np.asarray(noisy / settings.full_well, np.float32)
    encoded = _encoded(signal) if settings.gamma else np.clip(signal, 0, 1)
    return np.asarray(np.round(encoded * 255), np.uint8)
