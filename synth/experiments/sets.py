"""The sets of an experiment as faces: made or read once, kept as ``faces.npz``.

Names of faces get the set's name in front, names of people the root's, so that sets can be
joined and people be told apart: neutral and smiling photos below one root show the same
people, photos below different roots do not.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.errors import SynthError, UsageError
from synth.experiments.definition import Definition, Root, SetSpec
from synth.experiments.making import Work, augmented, photos_of
from synth.experiments.people import chosen
from synth.experiments.steps import DONE, digest_of, is_done, mark_done
from synth.image_files import find_images, write_atomic

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet

__all__ = ["check_roots", "get_faces", "refuse_leaks", "set_digest"]

#: Pictures are made at this side at least, pixels: smaller ones blur where landmarks are.
SMALLEST = 96
FACES, SKIPPED, TABLE = "faces.npz", "unread.csv", "photos.csv"


def check_roots(
    definition: Definition, roots: Mapping[str, Path], sets: Iterable[str]
) -> dict[str, Path]:
    """The folders of the roots that these sets need.

    Raises
    ------
    UsageError
        If one was not given, does not exist, or is none of the experiment's.
    """
    if unknown := sorted(set(roots) - set(definition.roots)):
        raise UsageError(
            f"root: expected {', '.join(definition.roots) or 'none'}, got {unknown[0]!r}; "
            "give --root NAME=DIR"
        )
    needed = dict.fromkeys(definition.sets[name].root for name in sets)
    if missing := [name for name in needed if name not in roots]:
        raise UsageError(
            f"root: expected a folder for {', '.join(needed)}, got none for "
            + "; ".join(_wanted(name, definition.roots[name]) for name in missing)
        )
    for name in needed:
        if not roots[name].is_dir():
            raise UsageError(f"root: expected the folder {name}, got {roots[name]}, which is none")
    return {name: roots[name].absolute() for name in needed}


def _wanted(name: str, root: Root) -> str:
    licence = f" [{root.licence}]" if root.licence else ""
    return f"--root {name}=DIR: {root.what}{licence}"


def set_digest(definition: Definition, name: str) -> str:
    """Of all that decides the faces of a set, but the photos themselves."""
    spec = definition.sets[name]
    decides: dict[str, Any] = {"spec": spec.decides(), "size": definition.size,
                               "channels": definition.channels,
                               "points": definition.finds_points}  # fmt: skip
    if spec.made:
        decides["pictures"] = _pictures(definition, spec)
    return digest_of(decides)


def _pictures(definition: Definition, spec: SetSpec) -> int:
    return max(1, round(definition.count * spec.count))


def get_faces(
    definition: Definition, name: str, roots: Mapping[str, Path], folder: Path, work: Work
) -> FaceSet:
    """The faces of a set; made, found and aligned when this is the first time.

    Raises
    ------
    Interrupted
        If the work was stopped.
    UsageError
        If the folder holds the set with other settings, or nothing can be read.
    """
    from synth.recognition.faces import FaceSet

    digest, own = set_digest(definition, name), folder / name
    # Faces cut otherwise are read again; pictures of other settings are refused where they lie.
    if is_done(own, digest):
        return FaceSet.load(own / FACES)
    spec = definition.sets[name]
    own.mkdir(parents=True, exist_ok=True)
    told: dict[str, int] = {}
    if spec.made:
        told = _make(definition, name, roots, own, work)
    work.say(f"{name}: reading")
    faces, skipped = _read(definition, name, roots, own, work)
    if not len(faces):
        raise UsageError(
            f"{name}: expected faces, got none: {len(skipped)} pictures could not be read; "
            f"see {own / SKIPPED}"
        )
    faces.save(own / FACES)
    counts = {"faces": len(faces), "unread": len(skipped), "people": len(set(faces.subjects))}
    labelled = {"with_va": int(np.isfinite(faces.va).all(1).sum()),
                "with_class": int((faces.label >= 0).sum())}  # fmt: skip
    mark_done(own, digest, **{**told, **counts, **labelled})
    work.say(f"{name}: {counts['faces']} faces of {counts['people']} people")
    return faces


def counts_of(folder: Path, name: str) -> dict[str, int]:
    """What the note of a finished set counts."""
    try:
        note: dict[str, int] = json.loads((folder / name / DONE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in note.items() if isinstance(value, int)}


def _make(
    definition: Definition, name: str, roots: Mapping[str, Path], own: Path, work: Work
) -> dict[str, int]:
    spec = definition.sets[name]
    photos, count = photos_of(spec, roots), _pictures(definition, spec)
    size = max(definition.size, SMALLEST)
    if spec.make == "morphs":
        from synth.experiments.morphs import morphed

        return morphed(name, spec, count, photos, size, own, work)
    if spec.make == "edit":
        from synth.experiments.edits import edited

        return edited(name, spec, count, photos, own / "pictures", work)
    return augmented(name, spec, count, photos, size, own / "pictures", work)


# -------------------------------------------------------------------------------- reading
def _read(
    definition: Definition, name: str, roots: Mapping[str, Path], own: Path, work: Work
) -> tuple[FaceSet, list[Any]]:
    from synth.face_sets import read_face_set

    spec = definition.sets[name]
    source, crop = _source(spec, roots, own)
    channels = 3 if spec.translate == "nir" else definition.channels
    faces, skipped = read_face_set(
        source, size=definition.size, channels=channels, split=spec.split or None,
        crop=crop, points=definition.finds_points or bool(spec.translate),
        progress=lambda done, of: work.told(f"{name}: faces", done, of),
    )  # fmt: skip
    _write_skipped(own / SKIPPED, skipped)
    faces = _of_people(faces, spec)
    if spec.translate:
        faces = translated(faces, spec.translate, definition.channels, work.device)
    return _renamed(faces, name, spec), skipped


def _source(spec: SetSpec, roots: Mapping[str, Path], own: Path) -> tuple[str, str]:
    """What `read_face_set` reads, and how faces are cut out of it."""
    if spec.make in ("augment", "edit"):
        return str(own / "pictures"), spec.crop
    if spec.make == "morphs":
        return str(own / "morphs"), "as-is"
    folder = roots[spec.root] / spec.folder
    if spec.read == "photos":
        _write_photos(own / TABLE, spec, roots[spec.root])
        return str(own / TABLE), "aligned" if spec.crop == "auto" else spec.crop
    if spec.read == "set":
        return str(folder), spec.crop
    options = "".join(f",{key}={value}" for key, value in spec.options.items())
    return f"{spec.read}:{folder}{options}", spec.crop


def _write_photos(path: Path, spec: SetSpec, root: Path) -> None:
    """A table of labelled photos, as `read_face_set` takes it: one folder an expression."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_name", "expression", "subject"))
    for expression, folder in spec.folders.items():
        photos = {Path(photo.name).stem: photo for photo in find_images(root / folder)}
        for person in chosen(list(photos), spec.people):
            writer.writerow((photos[person].path.absolute(), expression, person))
    write_atomic(path, text.getvalue().encode())


def _of_people(faces: FaceSet, spec: SetSpec) -> FaceSet:
    """For what is read: the faces of the chosen people only."""
    if spec.made or spec.read == "photos" or spec.people == "all":
        return faces
    names = set(chosen([s for s in faces.subjects if s], spec.people))
    return faces.take(np.array([s in names for s in faces.subjects], bool))


def _renamed(faces: FaceSet, name: str, spec: SetSpec) -> FaceSet:
    from synth.experiments.morphs import DRAW

    subjects = tuple(
        f"{spec.root}/{s.partition(DRAW)[0] if spec.make == 'morphs' else s}" if s else ""
        for s in faces.subjects
    )
    changed: dict[str, Any] = {
        "subjects": subjects,
        "names": tuple(f"{name}/{_short(n)}" for n in faces.names),
    }
    if spec.made:
        changed["origin"] = ("synthetic",) * len(faces)
        changed["spectrum"] = ("nir" if spec.settings.get("nir") else "vis",) * len(faces)
    return replace(faces, **changed)


def translated(faces: FaceSet, to: str, channels: int, device: str) -> FaceSet:
    """The faces in another spectrum; those that are in it already stay as they are.

    Near infrared looks the same in both numbers of channels.
    """
    from synth.color import to_grey
    from synth.translation import TranslatorOptions, get_translator

    translator = get_translator(to, options=TranslatorOptions(device=device))
    shape = (len(faces), faces.size, faces.size, *((3,) if channels == 3 else ()))
    pixels = np.empty(shape, np.uint8)
    for i, face in enumerate(faces.pixels):
        if faces.spectrum[i] != to:
            given = face if to == "nir" or face.ndim == 2 else to_grey(face)
            points = faces.points[i].astype(np.float64)
            face = translator(given, points if np.isfinite(points).all() else None, seed=i)
        if channels == 1:
            pixels[i] = face if face.ndim == 2 else to_grey(face)
        else:
            pixels[i] = face if face.ndim == 3 else face[..., None]
    return replace(faces, pixels=pixels, spectrum=(to,) * len(faces))


def _short(name: str) -> str:
    """Of a file outside: its folder and name."""
    path = Path(name)
    return f"{path.parent.name}/{path.name}" if path.is_absolute() else name


def _write_skipped(path: Path, skipped: Iterable[Any]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_name", "reason", "message"))
    for skip in skipped:
        writer.writerow([getattr(skip, key, "") for key in ("source", "reason", "message")])
    write_atomic(path, text.getvalue().encode())


# ----------------------------------------------------------------------------------- leaks
def refuse_leaks(condition: str, learned: Iterable[str], tested: Iterable[str], test: str) -> None:
    """Refuse a condition that learns from people it is tested on.

    Raises
    ------
    SynthError
        Naming some of them.
    """
    if both := sorted((set(learned) & set(tested)) - {""}):
        raise SynthError(
            f"{condition}: expected people that are not in the test {test}, got {len(both)} of "
            f"them, such as {', '.join(both[:3])}; give train and test sets different people"
        )
