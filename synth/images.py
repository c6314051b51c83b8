"""Photos in and pictures out: decoding and encoding; files are found and written too.

The only module, besides ``synth.render``, that touches OpenCV or Pillow. Pixels
are uint8 sRGB in RGB order on both sides; nothing outside sees BGR.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from synth.errors import ShapeError, SkipPhoto, UsageError
from synth.image_files import EXTENSIONS, ImageSource, find_images, write_atomic
from synth.image_metadata import embed, read_record
from synth.types import FaceImage

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_PIXELS",
    "ImageSource",
    "encode_image",
    "find_images",
    "load_image",
    "read_record",
    "resize",
    "write_atomic",
]

UInt8 = NDArray[np.uint8]

#: Output formats of `encode_image`.
FORMATS = ("png", "jpeg", "webp")
#: Larger photos are refused from their header, before any pixel is decoded.
MAX_PIXELS = 60_000_000
#: Decoders allowed: no EPS or PDF, which would start another program.
#: JPEG includes MPO, which shares its opener.
DECODERS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")


# ----------------------------------------------------------------- decoding
def load_image(
    source: str | os.PathLike[str] | bytes | ArrayLike | Image.Image,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> FaceImage:
    """The photo `source`, upright, 8-bit sRGB.

    Applies EXIF orientation, converts an embedded ICC profile to sRGB, scales 16
    bits to 8, expands grey, palette and CMYK, keeps alpha apart and takes the
    first frame of an animation. What was unusual stands in ``notes``.

    Parameters
    ----------
    source : path, bytes, array or PIL image
        An array is (H, W) or (H, W, 3 or 4), RGB(A): uint8, uint16, or float in
        [0, 1].
    name : str, optional
        Default: the file name, else ``"image"``.
    max_pixels : int
        Refuse larger images.

    Raises
    ------
    SkipPhoto
        ``DECODE`` if it is not a whole, readable image; ``TOO_LARGE`` with the
        megapixels as value.
    ShapeError
        If an array is not an image.
    """
    if isinstance(source, Image.Image):
        digest = hashlib.sha256(repr((source.mode, source.size)).encode() + source.tobytes())
        return _from_pil(source, name or "image", digest.hexdigest(), max_pixels)
    if isinstance(source, (str, os.PathLike)):
        name = name or Path(source).name
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise _undecodable(name, error.strerror or type(error).__name__) from None
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    else:
        return _from_array(np.asarray(source), name or "image", max_pixels)
    name = name or "image"
    if not data:
        raise _undecodable(name, "0 bytes")
    return _decode(data, name, max_pixels)


def _undecodable(name: str, got: str) -> SkipPhoto:
    return SkipPhoto(
        "DECODE",
        f"{name}: expected a whole JPEG, PNG, WebP, BMP or TIFF image, got {got}; "
        "open it in a viewer and save it again",
    )


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise SkipPhoto(
            "TOO_LARGE",
            f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got {width} x {height} = "
            f"{width * height / 1e6:.1f}; downsize it",
            width * height / 1e6,
        )


def _decode(data: bytes, name: str, max_pixels: int) -> FaceImage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bomb warnings: we have our own, lower limit
            image = Image.open(BytesIO(data), formats=DECODERS)
            _check_size(name, image.width, image.height, max_pixels)
            image.load()
            return _from_pil(image, name, hashlib.sha256(data).hexdigest(), max_pixels)
    except SkipPhoto:
        raise
    except Image.DecompressionBombError:
        raise SkipPhoto(
            "TOO_LARGE",
            f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got more than "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f}; downsize it",
        ) from None
    except UnidentifiedImageError:
        raise _undecodable(name, "an unknown format") from None
    except Exception as error:  # decoders fail in many ways: struct, zlib, Value, Index, OS ...
        raise _undecodable(name, f"{type(error).__name__} ({error})") from None


def _from_pil(image: Image.Image, name: str, sha256: str, max_pixels: int) -> FaceImage:
    _check_size(name, image.width, image.height, max_pixels)
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG with a preview behind it
        image.seek(0)
        notes.append(f"first of {frames} frames")
    profile = image.info.get("icc_profile")
    image = _upright(image, notes)
    if image.mode[0] in "IF":  # 16-bit grey, 32-bit integer or float
        pixels, alpha = _to_8_bit(np.asarray(image), name, notes), None
        return FaceImage(_three_channels(pixels), name, sha256, alpha, tuple(notes))
    image, alpha = _split_alpha(image, notes)
    image = _to_srgb(image, profile, notes)
    return FaceImage(np.array(image), name, sha256, alpha, tuple(notes))


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112, 1)
        if orientation == 1:
            return image
        upright = ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block must not cost the photo
        notes.append("unreadable EXIF ignored")
        return image
    notes.append(f"EXIF orientation {orientation} applied")
    return upright


def _split_alpha(image: Image.Image, notes: list[str]) -> tuple[Image.Image, UInt8 | None]:
    """Straight (not premultiplied) colours, and the alpha channel when there is one."""
    if not image.has_transparency_data and image.mode not in ("La", "RGBa"):
        return (image.convert("RGB") if image.mode == "P" else image), None
    notes.append("alpha kept apart")
    grey = image.mode in ("LA", "La")
    image = image.convert("LA" if grey else "RGBA")
    return image.convert("L" if grey else "RGB"), np.array(image.getchannel("A"))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    if image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "RGB"):
        notes.append(f"{image.mode} converted to RGB")
    if profile:
        try:
            transform = _transform(profile, image.mode)
            if transform is None:
                return image.convert("RGB")
            converted = ImageCms.applyTransform(image, transform)
            if converted is not None:
                notes.append("ICC profile converted to sRGB")
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("unusable ICC profile ignored")
    return image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Transform from `profile` to sRGB; None when the profile is sRGB already."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _to_8_bit(values: NDArray[Any], name: str, notes: list[str]) -> UInt8:
    """Grey levels 0..255 of 16-bit integers or of floats in [0, 1]."""
    if values.dtype.kind in "iu" and values.min(initial=0) >= 0 and values.max(initial=0) <= 65535:
        notes.append("16 bits scaled to 8")
        return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    # A NaN fails both comparisons.
    if values.dtype.kind == "f" and values.size and values.min() >= 0 and values.max() <= 1:
        notes.append("floats scaled to 8 bits")
        return np.rint(values * 255).astype(np.uint8)
    raise SkipPhoto(
        "DECODE",
        f"{name}: expected 8 or 16 bits, or floats in [0, 1], got {values.dtype} outside that "
        "range; convert it",
    )


def _three_channels(pixels: UInt8) -> UInt8:
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _from_array(array: NDArray[Any], name: str, max_pixels: int) -> FaceImage:
    grey_or_colour = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not grey_or_colour or 0 in array.shape:
        raise ShapeError(
            "image: expected a path, bytes, or (H, W), (H, W, 3) or (H, W, 4) pixels, "
            f"got {array.shape} {array.dtype}"
        )
    _check_size(name, array.shape[1], array.shape[0], max_pixels)
    header = f"{array.shape}{array.dtype.str}".encode()
    digest = hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()
    notes: list[str] = []
    pixels = array if array.dtype == np.uint8 else _to_8_bit(array, name, notes)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        notes.append("alpha kept apart")
        alpha = np.ascontiguousarray(pixels[..., 3])
        pixels = pixels[..., :3]
    return FaceImage(np.array(_three_channels(pixels)), name, digest, alpha, tuple(notes))


def resize(pixels: UInt8, width: int, height: int) -> UInt8:
    """`pixels` at another size: area average when smaller, bicubic when larger.

    A point ``x`` of the input lies at ``(x + 0.5) * width / W - 0.5``: pixel
    *edges*, not centres, are aligned.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    width, height : int
    """
    smaller = width * height <= pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)


# ----------------------------------------------------------------- encoding
def encode_image(
    pixels: UInt8,
    fmt: str = "png",
    quality: int = 95,
    alpha: UInt8 | None = None,
    record_json: str | None = None,
    digital_source_type: str | None = None,
) -> bytes:
    """The file content of one output picture.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or (H, W) uint8
        RGB, or grey, which is written as such.
    fmt : {"png", "jpeg", "webp"}
        PNG is lossless at its fastest compression level. JPEG keeps full colour
        resolution (4:4:4): halving it smears lips and irises to save 0.4 ms and
        an eighth of the size at 512 px. ``"jpg"`` is understood.
    quality : int
        1 to 100, JPEG and WebP.
    alpha : (H, W) uint8, optional
        Written into PNG and WebP; JPEG has no alpha and drops it.
    record_json, digital_source_type : str, optional
        Put into the file by `synth.image_metadata.embed`.

    Raises
    ------
    UsageError
        For an unknown format or a quality out of range.
    """
    fmt = {"jpg": "jpeg"}.get(fmt.lower(), fmt.lower())
    if fmt not in FORMATS:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {fmt!r}")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality: expected 1 to 100, got {quality}")
    if pixels.dtype != np.uint8 or (pixels.ndim != 2 and pixels.shape[2:] != (3,)):
        raise ShapeError(
            f"pixels: expected (H, W, 3) or (H, W) uint8, got {pixels.shape} {pixels.dtype}"
        )
    if pixels.ndim == 2 and (alpha is not None or fmt == "webp"):
        pixels = _three_channels(pixels)  # WebP has no grey, and neither has OpenCV with alpha
    if fmt == "jpeg":
        data = _encode_cv2(
            ".jpg", pixels, None, [cv2.IMWRITE_JPEG_QUALITY, quality, *_JPEG_OPTIONS]
        )
    elif fmt == "png":
        data = _encode_cv2(".png", pixels, alpha, _PNG_OPTIONS)
    else:
        data = _encode_cv2(".webp", pixels, alpha, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return embed(data, record_json, digital_source_type, (pixels.shape[1], pixels.shape[0]))


# Rows predicted from the row above: a third faster than OpenCV's default at level 1
# and no larger (8.2 against 13.2 ms at 512 px; Pillow's default takes 96).
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # OpenCV 4.12 and later
    _PNG_OPTIONS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


# simplejpeg takes as long at 4:4:4 (1.05 ms at 512 px) and errs more (rms 1.42, here 1.31).
_JPEG_OPTIONS = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def _encode_cv2(extension: str, pixels: UInt8, alpha: UInt8 | None, options: list[int]) -> bytes:
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if alpha is not None:
        bgr = np.dstack([bgr, alpha])
    return bytes(cv2.imencode(extension, bgr, options)[1])
