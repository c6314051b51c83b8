"""From a photo to its preview: what is drawn, and how the generator draws it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import synth
from synth.affect import EXPRESSIONS, va_grid
from synth.errors import AssetError, DependencyError, SkipPhoto, UsageError
from synth.image_files import ImageSource
from synth.images import resize
from synth.pipeline import Generator
from synth.preview.canvas import UInt8
from synth.preview.sheet import circumplex_sheet
from synth.records import Skip
from synth.targets import Target
from synth.types import VA, FaceImage

__all__ = [
    "PhotoSheet",
    "Preview",
    "draw_preview",
    "preview_or_skip",
    "render_size",
    "shown_face",
]

#: Faces are rendered this many times larger than shown.
OVERSIZE = 2
#: What is cut off each side of the face crop (hair, background, neck), of what is left.
TRIM = 0.16


def render_size(face_size: int) -> int:
    """Side of the face crop behind faces of `face_size` pixels."""
    return OVERSIZE * face_size + 2 * _margin(face_size)


def _margin(face_size: int) -> int:
    return round(TRIM * OVERSIZE * face_size)


@dataclass(frozen=True)
class Preview:
    """What a preview shows.

    Attributes
    ----------
    grid : int
        Points on the diameter of the circumplex: odd, 3 to 15.
    face_size : int
        Side of each face, 32 to 512 pixels.
    intensity : float
        Of the basic expressions, 0 to 1.
    style : int, optional
        Seed of a person style; the mean face when None.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    grid: int = 7
    face_size: int = 160
    intensity: float = 1.0
    style: int | None = None

    def __post_init__(self) -> None:
        if not 3 <= self.grid <= 15 or self.grid % 2 == 0:
            raise UsageError(
                f"grid: expected an odd number from 3 to 15, got {self.grid}; "
                "the photo itself stands in the middle"
            )
        if not 32 <= self.face_size <= 512:
            raise UsageError(f"face-size: expected 32 to 512 pixels, got {self.face_size}")
        if not 0 <= self.intensity <= 1:  # nan too
            raise UsageError(f"intensity: expected 0 to 1, got {self.intensity:g}")
        if self.style is not None and self.style < 0:
            raise UsageError(f"style: expected 0 or more, got {self.style}")

    def points(self) -> list[Target]:
        """The lattice points of the disc."""
        return [Target(va, i, style=self.style) for i, va in enumerate(va_grid(self.grid))]

    def strip(self) -> list[Target]:
        """Neutral and the basic expressions, numbered after the lattice points."""
        first = len(self.points())
        return [
            Target(
                VA(full.valence * self.intensity, full.arousal * self.intensity),
                first + i,
                name,
                style=self.style,
            )
            for i, (name, full) in enumerate(EXPRESSIONS.items())
        ]

    def words(self, generator: Generator) -> str:
        """The line below the title."""
        style = "mean face" if self.style is None else f"style {self.style}"
        strength = f"expressions at {self.intensity:g}, " if self.intensity < 1 else ""
        return (
            f"{style}, {strength}{generator.lookup} lookup, seed {generator.seed}"
            f" \N{MIDDLE DOT} synth {synth.__version__}"
        )


@dataclass(frozen=True)
class PhotoSheet:
    """The preview of one photo.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
    record : dict
        Photo, settings, versions and assets, ready for JSON.
    """

    pixels: UInt8
    record: dict[str, object]


def shown_face(crop: UInt8, face_size: int) -> UInt8:
    """(face_size, face_size, 3) middle of a face crop of `render_size` pixels."""
    margin = _margin(face_size)
    return resize(crop[margin:-margin, margin:-margin], face_size, face_size)


def draw_preview(
    generator: Generator, photo: FaceImage | ImageSource, preview: Preview
) -> PhotoSheet:
    """The preview of the first chosen face of a photo.

    Parameters
    ----------
    generator : Generator
        With ``crop="face"`` and the `render_size` of the faces.
    photo : FaceImage or ImageSource
    preview : Preview

    Raises
    ------
    SkipPhoto
        If the photo cannot be used; ``reason`` says why.
    UsageError
        If the generator has another size.
    """
    if generator.size != (size := render_size(preview.face_size)):
        raise UsageError(
            f"size: expected a generator with crop='face', size={size}, got size {generator.size}"
        )
    image, faces = generator.faces(photo)
    prepared = generator.prepare(image, faces[0])
    drawn = {
        target: shown_face(generator.draw(prepared, target).image, preview.face_size)
        for target in [*preview.points(), *preview.strip()]
    }
    pixels = circumplex_sheet(
        {target.va: drawn[target] for target in preview.points()},
        [(target.expression, drawn[target]) for target in preview.strip()],
        image.name,
        preview.words(generator),
    )
    record = {
        "kind": "preview",
        "source": image.name,
        "source_sha256": image.sha256,
        **asdict(preview),
        "lookup": generator.lookup,
        "seed": generator.seed,
        "assets": generator.digests,
        "versions": {"synth": synth.__version__},
    }
    return PhotoSheet(pixels, record)


def preview_or_skip(
    generator: Generator, photo: ImageSource, preview: Preview
) -> PhotoSheet | Skip:
    """As `draw_preview`, but a photo that cannot be used costs only itself."""
    try:
        return draw_preview(generator, photo, preview)
    except SkipPhoto as skip:
        return Skip(photo.name, skip.reason, skip.value, str(skip))
    except (AssetError, DependencyError):
        raise  # every other photo would fail alike
    except Exception as error:
        return Skip(photo.name, "INTERNAL", None, f"{type(error).__name__}: {error}")
