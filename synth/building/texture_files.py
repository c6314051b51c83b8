"""``synth model texture``: from photos to the texture model and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.building.model_files import report_folder
from synth.building.texture import (
    LEAST_PEOPLE,
    Face,
    TextureSettings,
    build_texture,
    check_people,
    face_layout,
    observed,
    read_faces,
)
from synth.building.texture_picture import canvas_layout, draw_sheet, draw_texture
from synth.errors import UsageError
from synth.images import ImageSource, encode_image, write_atomic
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import load_model
from synth.morphable.robust_pca import Components, project
from synth.morphable.texture import TextureModel, save_texture
from synth.records import Skip
from synth.tables import csv_bytes

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["BuiltTexture", "held_out_errors", "model_on_rig", "photos_to_texture",
           "read_held_out", "write_texture"]  # fmt: skip

#: Photos whose colours go into the picture.
PICTURED = 200
#: Numbers of modes in the table of errors.
STEPS = (0, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 150, 200)


@dataclass(frozen=True, eq=False)
class BuiltTexture:
    """A texture model with what its report says.

    Attributes
    ----------
    texture : TextureModel
    skips : tuple of Skip
    errors : list of (int, float, float)
        Number of modes; share of the variance that they leave on photos learned from and on
        those held out (NaN without any).
    sheet : (H, W, 3) uint8
    held_out : int
        Photos of people that were held out.
    """

    texture: TextureModel
    skips: tuple[Skip, ...]
    errors: list[tuple[int, float, float]]
    sheet: NDArray[np.uint8]
    held_out: int


def model_on_rig(path: Path | None) -> MorphableModel:
    """The model of a file on the mesh that is drawn; the embedded one without a file.

    Raises
    ------
    AssetError
        If the file is no model, or cannot be dressed with the embedded one.
    """
    from synth.morphable.carrier import dressed, is_dressed

    rig = embedded_model()
    if path is None:
        return rig
    native = load_model(path)
    return native if is_dressed(native, rig) else dressed(native, rig, native.carrier)


def read_held_out(path: Path) -> set[str]:
    """Names in a text file, one a line; empty lines and ``#`` comments are left out.

    Raises
    ------
    UsageError
        If it cannot be read or names nothing.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"held-out: expected a text file with a name a line, got {path} "
            f"({getattr(error, 'strerror', None) or 'not text'}); check the path"
        ) from None
    names = {name for line in lines if (name := line.split("#")[0].strip())}
    if not names:
        raise UsageError(f"held-out: expected a name a line, got none in {path}; name people")
    return names


def _held(source: ImageSource, person: str, names: set[str]) -> bool:
    return bool({source.name, Path(source.name).stem, person} & names)


def photos_to_texture(
    sources: Sequence[ImageSource],
    people: Mapping[str, str],
    model: MorphableModel,
    settings: TextureSettings,
    held_out: set[str] | None = None,
    name: str = "texture",
    version: str = "1",
    meta: Mapping[str, Any] | None = None,
    landmarks: str = "dlib",
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> BuiltTexture:
    """Read photos, build the texture model, measure and draw it.

    Parameters
    ----------
    sources : sequence of ImageSource
    people : mapping of str to str
        Who is on a photo, by its name.
    model : MorphableModel
        On the rig mesh.
    settings : TextureSettings
    held_out : set of str, optional
        People, or names of photos, that are measured but not learned from. Of a photo that is
        held out all photos of the person are.
    name, version, meta
        Of the texture model.
    landmarks : str
        Detector.
    workers : int
    progress : callable
        Told after each photo how many were read.

    Raises
    ------
    UsageError
        If fewer than eight people are left to learn from.
    """
    apart = {people[s.name] for s in sources if _held(s, people[s.name], held_out or set())}
    if held_out and not apart:
        raise UsageError(
            "held-out: expected names among the photos or people, got none of them "
            f"(such as {sorted(held_out)[0]!r}); write them as in --input"
        )
    check_people(people[s.name] for s in sources if people[s.name] not in apart)
    layout = face_layout(model, settings)
    canvas, drawn = canvas_layout(model)
    faces: list[Face] = []
    others: list[Face] = []
    skips: list[Skip] = []
    learned = [s for s in sources if people[s.name] not in apart]
    pictured = {s.name for s in learned[:: -(-len(learned) // PICTURED)]}
    found = read_faces(
        sources, model, (layout, canvas), settings.mirror, landmarks, workers, pictured
    )
    for done, item in enumerate(found, 1):
        if isinstance(item, Skip):
            skips.append(item)
        elif people[item[0].source] in apart:
            others.append(item[0])
        else:
            faces += item
        progress(done)
    texture = build_texture(faces, people, model, layout, settings, name, version, meta)
    kept = _kept(layout.faces, layout.bary, texture)
    errors = _errors(texture, faces, others, kept)
    shown = [face for face in faces if len(face.observations) > 1]
    pictures, share = draw_texture(
        [face.observations[1] for face in shown],
        _coefficients(texture, shown, kept),
        [people[face.source] for face in shown],
        drawn,
        LEAST_PEOPLE,
    )
    return BuiltTexture(texture, tuple(skips), errors, draw_sheet(pictures, share), len(others))


def _kept(faces: NDArray[Any], bary: NDArray[Any], texture: TextureModel) -> NDArray[np.bool_]:
    """(n,) places of the layout that the texture has."""
    wanted = {(f, *b) for f, b in zip(texture.faces.tolist(), texture.bary.tolist(), strict=True)}
    return np.array([(f, *b) in wanted for f, b in zip(faces.tolist(), bary.tolist(), strict=True)])


def _components(texture: TextureModel) -> Components:
    return Components(
        texture.mean.ravel().astype(np.float64),
        texture.modes.reshape(texture.n_modes, -1).astype(np.float64),
        texture.sigma,
    )


def _coefficients(
    texture: TextureModel, faces: Sequence[Face], kept: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N, K) of faces, in standard deviations."""
    values, seen = observed(faces)
    mask = np.repeat(seen[:, kept], values.shape[2], axis=1)
    flat = values[:, kept].reshape(len(values), -1)
    components = _components(texture)
    found = [project(v, m, components, texture.noise) for v, m in zip(flat, mask, strict=True)]
    return np.array(found) / texture.sigma


def _errors(
    texture: TextureModel, faces: Sequence[Face], others: Sequence[Face], kept: NDArray[np.bool_]
) -> list[tuple[int, float, float]]:
    steps = [k for k in STEPS if k < texture.n_modes] + [texture.n_modes]
    own = held_out_errors(texture, faces[::2], kept, steps)
    held = held_out_errors(texture, others, kept, steps) if others else [np.nan] * len(steps)
    return list(zip(steps, own, held, strict=True))


def held_out_errors(
    texture: TextureModel, faces: Sequence[Face], kept: NDArray[np.bool_], steps: Sequence[int]
) -> list[float]:
    """Share of the features' variance around the mean that so many modes leave.

    Parameters
    ----------
    texture : TextureModel
    faces : sequence of Face
    kept : (n,) bool
        Places of the faces' layout that the texture has.
    steps : sequence of int
        Numbers of modes.
    """
    values, seen = observed(faces)
    mask = np.repeat(seen[:, kept], values.shape[2], axis=1)
    flat = values[:, kept].reshape(len(values), -1)
    whole = _components(texture)
    found = []
    for k in steps:
        few = whole.keep(k)
        left = total = 0.0
        for v, m in zip(flat, mask, strict=True):
            rest = v - whole.mean
            total += float((rest[m] ** 2).sum())
            left += float(((rest - project(v, m, few, texture.noise) @ few.modes)[m] ** 2).sum())
        found.append(left / max(total, 1e-12))
    return found


def write_texture(built: BuiltTexture, output: Path) -> None:
    """Write the report into `report_folder`, then the model."""
    folder = report_folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _files(built).items():
        write_atomic(folder / name, content)
    save_texture(built.texture, output)


def _files(built: BuiltTexture) -> dict[str, bytes]:
    errors = [
        [k, f"{own:.4f}", "" if np.isnan(held) else f"{held:.4f}"] for k, own, held in built.errors
    ]
    skips = [[s.source, s.reason, s.value, s.message] for s in built.skips]
    return {
        "errors.csv": csv_bytes(["modes", "left_learned", "left_held_out"], errors),
        "modes.png": encode_image(built.sheet),
        "skipped.csv": csv_bytes([f.name for f in fields(Skip)], skips),
        "report.md": _report(built).encode(),
    }


def _report(built: BuiltTexture) -> str:
    t = built.texture
    lines = [
        f"# {t.name}: {t.meta['photos']} photos of {t.meta['people']} people",
        "",
        f"- {t.feature} with {t.scale:g} pixels between the outer eye corners, at {len(t.mean)} "
        f"places, of which a photo shows {t.meta['seen']:.1%}",
        f"- {t.n_modes} modes; noise of a value {t.noise:.4f}",
        f"- robust PCA: rank {t.meta['rank']}, {t.meta['corrupted']:.1%} of the values taken for "
        "gross errors",
        f"- {len(built.skips)} photos skipped, see `skipped.csv`",
        "",
        "![mean, where it is seen, and modes](modes.png)",
        "",
        "Share of the features' variance around the mean that the modes leave"
        + (f", {built.held_out} photos held out:" if built.held_out else ":"),
        "",
        "| modes | photos learned from | held out |",
        "|---|---|---|",
        *(
            f"| {k} | {own:.3f} | {'' if np.isnan(held) else f'{held:.3f}'} |"
            for k, own, held in built.errors
        ),
    ]
    return "\n".join(lines) + "\n"
