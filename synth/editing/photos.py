"""Photos of people to the same photos with the expression edited: found, edited, recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.editing import Editor, EditSettings, edit_face, editor_digests, get_editor
from synth.editing.paste import Box, inside
from synth.editing.ranges import Code, code_of
from synth.errors import AssetError, DependencyError, SkipPhoto, UsageError
from synth.images import ImageSource, load_image, read_record
from synth.landmarks import DetectorOwner, parse_face_policy, select_face
from synth.records import Skip
from synth.seeds import sample_seed
from synth.targets import Target
from synth.types import VA, FaceImage, Landmarks, Record, Sample
from synth.versions import installed

__all__ = ["COLUMNS", "PhotoEditor", "edit_picture", "edit_sample"]

UInt8 = NDArray[np.uint8]


#: Columns of ``metadata.csv``.
COLUMNS = ("file_name", "source", "valence", "arousal", "expression", "intensity", "theta", "rho",
           "lookup", "seed", "faces_found", "spectrum")  # fmt: skip


def edit_picture(
    editor: Editor,
    pixels: UInt8,
    points: NDArray[np.floating],
    theta: float,
    rho: float,
    settings: EditSettings | None = None,
) -> tuple[UInt8, Box]:
    """`synth.editing.edit_face` for colour and for grey pictures, with the box cut to them.

    Returns
    -------
    pixels : (H, W, 3) uint8, or (H, W) uint8 for a grey one
    box : (left, top, right, bottom)
        Half open, within the picture; all else is bit-identical.
    """
    grey = pixels.ndim == 2
    given = np.repeat(pixels[..., None], 3, axis=2) if grey else pixels
    out, box = edit_face(editor, given, points, theta, rho, settings or EditSettings())
    x0, y0, x1, y1 = cut = inside(box, pixels.shape)
    if not grey:
        return out, cut
    plain = pixels.copy()
    plain[y0:y1, x0:x1] = np.rint(out[y0:y1, x0:x1].mean(axis=2)).astype(np.uint8)
    return plain, cut


def edit_sample(
    editor: Editor,
    sample: Sample,
    settings: EditSettings | None = None,
    points: NDArray[np.floating] | None = None,
    code: tuple[float, float] | None = None,
) -> Sample:
    """A picture of another route edited further, towards its own label.

    Parameters
    ----------
    editor : Editor
    sample : Sample
        In visible light or near infrared.
    settings : EditSettings, optional
    points : (68, 2) float, optional
        Landmarks in the picture; those of its record, of the neutral photo, by default.
    code : (theta, rho), optional
        The place of the sample's valence and arousal in the editor's space by default.

    Returns
    -------
    Sample
        Labels are kept; ``lookup`` gets ``+ganmut``; the mask grows by the square.
    """
    settings = settings or EditSettings()
    at = np.asarray(sample.record.landmarks if points is None else points, np.float64)
    theta, rho = code or editor.space.of_va(sample.target)
    pixels, box = edit_picture(editor, sample.image, at, theta, rho, settings)
    x0, y0, x1, y1 = box
    mask = sample.mask.copy()
    mask[y0:y1, x0:x1] = True
    own = {f.name: getattr(sample.record, f.name) for f in fields(sample.record)}
    own |= {
        "lookup": f"{sample.record.lookup}+ganmut",
        "mask_box": _around(mask),
        "mask_share": round(float(mask.mean()), 6),
        "changed": sample.record.changed or not np.array_equal(pixels, sample.image),
        "assets": {**sample.record.assets, **editor.digests},
        "theta": round(float(theta), 6),
        "rho": round(float(rho), 6),
        "editing": describe(editor, settings, box),
    }
    return replace(sample, image=pixels, mask=mask, record=Record(**own))


def describe(editor: Editor, settings: EditSettings, box: Box) -> dict[str, Any]:
    """What stands in a record about how an edit was made."""
    return {"method": editor.method, **asdict(settings), "box": list(box)}


def _around(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class PhotoEditor(DetectorOwner):
    """Photos to edited photos.

    Attributes
    ----------
    weights : Path, optional
        See `synth.editing.get_editor`.
    settings : EditSettings
    landmarks : str
        Detector, see `synth.landmarks`.
    face : {"largest", "error", "all"} or int
        Where a photo shows several faces; with ``all`` each gives a picture of its own.
    seed : int
        Of the run.
    device : {"cpu", "cuda"}

    Raises
    ------
    UsageError
        If the seed is negative or `face` is none of these.
    """

    weights: Path | None = None
    settings: EditSettings = EditSettings()
    landmarks: str = "dlib"
    face: str | int = "largest"
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "face", parse_face_policy(self.face))
        if self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, got {self.seed}")

    @cached_property
    def editor(self) -> Editor:
        """Made when first needed."""
        return get_editor(self.weights, self.device)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 by name of every data file that decides the pictures."""
        own = assets.verified("dlib_68") if self.landmarks == "dlib" else {}
        return own | editor_digests(self.weights)

    def preload(self) -> None:
        """Load everything, so that what is missing is said before the first photo."""
        _ = self.digests, self.editor

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh

    def edit(
        self,
        image: FaceImage,
        face: Landmarks,
        target: Target,
        of: Mapping[str, Any] = MappingProxyType({}),
    ) -> Sample:
        """One edit of one face of a decoded photo.

        Parameters
        ----------
        image : FaceImage
        face : Landmarks
        target : EditTarget, or another Target by its valence and arousal
        of : mapping
            Record of the photo, where `synth` made it: who is on it, and its spectrum.

        Raises
        ------
        TargetError
            If the editor's space has no such place.
        """
        seed = sample_seed(self.seed, image.sha256, target.index)
        code = code_of(target, self.editor.space, seed)
        nir = of.get("spectrum") == "nir"
        given = image.pixels[..., 0] if nir else image.pixels
        pixels, box = edit_picture(
            self.editor, given, face.points, code.theta, code.rho, self.settings
        )
        mask = np.zeros(pixels.shape[:2], bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        record = self._record(image, face, target, code, seed, box)
        record = replace(
            record,
            mask_share=round(float(mask.mean()), 6),
            changed=not np.array_equal(pixels, given),
            subject=of.get("subject") or "",
            spectrum="nir" if nir else "vis",
        )
        return Sample(pixels, code.va, record, mask, image.alpha)

    def _record(
        self,
        image: FaceImage,
        face: Landmarks,
        target: Target,
        code: Code,
        seed: int,
        box: Box,
    ) -> Record:
        va: VA = code.va
        count = face.faces_found
        return Record(
            file_name="",
            source=image.name,
            valence=va.valence,
            arousal=va.arousal,
            class_valence=va.valence,
            class_arousal=va.arousal,
            expression=code.expression,
            intensity=code.rho if code.expression else round(va.radius, 6),
            seed=seed,
            source_sha256=image.sha256,
            target_index=target.index,
            lookup="ganmut",
            composite="alpha" if self.settings.alpha else "paste",
            style="",
            landmarks=tuple((round(float(x), 3), round(float(y), 3)) for x, y in face.points),
            detector=face.detector,
            faces_found=count,
            mask_box=box,
            notes=image.notes + ((f"{self.face} of {count} faces",) if count > 1 else ()),
            assets=dict(self.digests),
            versions=installed(),
            theta=code.theta,
            rho=code.rho,
            editing=describe(self.editor, self.settings, box),
        )

    def run(self, photos: Iterable[ImageSource], targets: Iterable[Target]) -> Iterator[Any]:
        """Every target of every chosen face: `Sample`; what cannot be used becomes a `Skip`."""
        targets = list(targets)
        for photo in photos:
            try:
                image = load_image(photo.path, name=photo.name)
                of = read_record(photo.path) or {}
                for face in select_face(self.detector(photo).detect(image), self.face):
                    for target in targets:
                        yield self.edit(image, face, target, of)
            except SkipPhoto as skip:
                yield Skip(photo.name, skip.reason, skip.value, str(skip))
            except (AssetError, DependencyError, UsageError):
                raise  # every other photo would fail alike
            except Exception as error:
                yield Skip(photo.name, "INTERNAL", None, f"{type(error).__name__}: {error}")
