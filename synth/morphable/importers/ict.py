"""ICT-FaceKit: the folder ``FaceXModel`` of OBJ files.

``generic_neutral_mesh.obj`` is the mean, ``identityNNN.obj`` the mean plus one standard deviation
of a mode, ``browDown_L.obj`` and so on the mean with an expression at 1. Names follow ARKit with
``_L`` and ``_R`` for the sides; browInnerUp and cheekPuff, which ARKit does not split, are put
together. Centimetres. Vertex ranges of the parts are those of its README (MIT) [1]_. Overlays that
only a shader can draw (tear fluid, eye occlusion, lashes) keep their vertices but lose their
triangles.

References
----------
.. [1] Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.morphable.importers.raw import Raw, refuse, shipped_map
from synth.morphable.model import PART_NAMES

__all__ = ["read"]

NEUTRAL = "generic_neutral_mesh.obj"
VERTICES = 26719
#: First vertex of each geometry and the part it is drawn as; None: only a shader's overlay.
RANGES: tuple[tuple[int, str | None], ...] = (
    (0, "skin"), (11248, "mouth_cavity"), (13294, "eye_socket"), (14062, "mouth_cavity"),
    (17039, "upper_teeth"), (19247, "lower_teeth"), (21451, "left_eye"), (23021, "right_eye"),
    (24591, None),
)  # fmt: skip
#: ARKit does not split these.
WHOLE = ("browInnerUp", "cheekPuff")


def read(path: Path) -> Raw:
    """The model in the folder, or in the folder ``FaceXModel`` in it."""
    folder = path.parent if path.name == NEUTRAL else path
    if not (folder / NEUTRAL).is_file() and (folder / "FaceXModel" / NEUTRAL).is_file():
        folder = folder / "FaceXModel"
    if not (folder / NEUTRAL).is_file():
        raise refuse(path, f"a folder with {NEUTRAL}", "none")
    mean, faces = _read_obj(folder / NEUTRAL, True)
    identities = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    if not identities:
        raise refuse(folder, "identity000.obj and so on", "none")
    others = [p for p in sorted(folder.glob("*.obj")) if p not in identities and p.name != NEUTRAL]
    modes = np.stack([_offsets(p, mean) for p in identities])
    shapes = _expressions(others, mean)
    parts = _parts(faces) if len(mean) == VERTICES else np.zeros(len(faces), np.int64)
    kept = parts >= 0
    landmarks, source = shipped_map("ict") if len(mean) == VERTICES else (None, "")
    return Raw(
        name="ict_facekit",
        version="light",
        licence="MIT",
        source="https://github.com/ICT-VGL/ICT-FaceKit",
        mean=mean,
        faces=faces[kept],
        modes=modes,
        sigma=np.linalg.norm(modes.reshape(len(modes), -1).astype(np.float64), axis=1),
        unit=10.0,
        files={p.name: p for p in (folder / NEUTRAL, *identities, *others)},
        landmarks=landmarks,
        landmark_source=source,
        blendshapes=np.stack(list(shapes.values())) if shapes else None,
        blendshape_names=tuple(shapes),
        parts=parts[kept].astype(np.uint8),
    )


def _read_obj(path: Path, with_faces: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices in the order of the file, and its polygons as fans of triangles.

    Not by `trimesh`, which splits vertices along the seams of the texture.
    """
    vertices: list[str] = []
    triangles: list[tuple[int, int, int]] = []
    try:
        for line in path.read_text("ascii", errors="replace").splitlines():
            if line.startswith("v "):
                vertices.append(line[2:])
            elif with_faces and line.startswith("f "):
                corner = [int(word.split("/")[0]) - 1 for word in line[2:].split()]
                triangles += [
                    (corner[0], b, c) for b, c in zip(corner[1:], corner[2:], strict=False)
                ]
        numbers = np.array(list(map(float, " ".join(vertices).split())))
        points = numbers.reshape(len(vertices), -1)[:, :3] if vertices else np.zeros((0, 3))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected a readable OBJ, got {error}") from None
    return points, np.array(triangles, np.int64).reshape(-1, 3)


def _offsets(path: Path, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """(V, 3) what a morph target adds to the mean."""
    target, _ = _read_obj(path, False)
    if target.shape != mean.shape:
        raise refuse(path, f"{len(mean)} vertices as in {NEUTRAL}", f"{len(target)}")
    return (target - mean).astype(np.float32)


def _expressions(paths: list[Path], mean: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """ARKit name -> offsets, in the order of the names."""
    out: dict[str, NDArray[np.float32]] = {}
    for path in paths:
        stem, _, side = path.stem.rpartition("_")
        offsets = _offsets(path, mean)
        if side not in ("L", "R"):
            out[path.stem] = offsets
        elif stem in WHOLE:
            out[stem] = out[stem] + offsets if stem in out else offsets
        else:
            out[stem + {"L": "Left", "R": "Right"}[side]] = offsets
    return out


def _parts(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Part of each triangle, -1 for overlays."""
    starts = np.array([start for start, _ in RANGES])
    label = np.array([-1 if name is None else PART_NAMES.index(name) for _, name in RANGES])
    return np.asarray(label[np.searchsorted(starts, faces.min(1), "right") - 1])
