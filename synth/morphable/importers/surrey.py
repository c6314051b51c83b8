"""Surrey Face Model, and any model in the binary format of eos (cereal).

The layout is that of ``MorphableModel::serialize`` in eos 1.5 [1]_, versions 1 to 4: a shape and a
colour PCA model (mean, orthonormal basis, variances, triangles), since version 2 an optional
expression model (PCA or blendshapes), since 3 optional landmark definitions, then texture
coordinates. Millimetres. Expression blendshapes of the public model are a file of their own,
``expression_blendshapes_3448.bin``, taken when it lies beside.

References
----------
.. [1] Huber et al., "A Multiresolution 3D Morphable Face Model and Fitting Framework", VISAPP 2016;
   the layout from the sources of eos (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.morphable.importers.cereal import Archive
from synth.morphable.importers.raw import Raw, refuse, scaled_modes, shipped_map

__all__ = ["read"]

#: Vertices of the Surrey model's resolutions; the ids of the lowest are valid in all.
RESOLUTIONS = {845: 845, 3448: 3448, 16759: 845, 29587: 845}


@dataclass(frozen=True, eq=False)
class _Pca:
    mean: NDArray[Any]
    basis: NDArray[Any]
    variance: NDArray[Any]
    faces: NDArray[Any]


@dataclass(eq=False)
class _Eos:
    shape: _Pca
    expression: _Pca | None = None
    blendshapes: dict[str, NDArray[Any]] = field(default_factory=dict)
    landmarks: dict[str, int] = field(default_factory=dict)


def read(path: Path) -> Raw:
    """The model of a ``.bin`` file, or of ``sfm_shape_3448.bin`` in a folder."""
    if path.is_dir():
        found = sorted(path.glob("sfm_shape_*.bin"))
        if not found:
            raise refuse(path, "a folder with sfm_shape_3448.bin", "none")
        path = found[0]
    try:
        model = _model(Archive(path.read_bytes()))
    except ValueError as error:
        raise refuse(path, "a model of eos (cereal, version 1 to 4)", str(error)) from None
    mean = model.shape.mean.reshape(-1, 3).astype(np.float64)
    sigma = np.sqrt(np.maximum(model.shape.variance.ravel().astype(np.float64), 0))
    files = {path.name: path}
    shapes = dict(model.blendshapes) or _pca_shapes(model.expression)
    beside = path.with_name(f"expression_blendshapes_{len(mean)}.bin")
    if not shapes and beside.is_file():
        shapes = _blendshape_file(beside)
        files[beside.name] = beside
    if any(v.size != mean.size for v in shapes.values()):
        raise refuse(path, f"blendshapes of {len(mean)} vertices", "those of another resolution")
    landmarks, source = _landmarks(model.landmarks, len(mean))
    return Raw(
        name=path.stem,
        version="eos",
        licence="non-commercial research (Surrey Face Model licence)",
        source="https://cvssp.org/faceweb/3dmm/facemodels/",
        mean=mean,
        faces=model.shape.faces,
        modes=scaled_modes(model.shape.basis, sigma, len(mean)),
        sigma=sigma,
        unit=1.0,
        files=files,
        landmarks=landmarks,
        landmark_source=source,
        blendshapes=np.stack([v.reshape(-1, 3) for v in shapes.values()]) if shapes else None,
        blendshape_names=tuple(shapes),
    )


def _model(data: Archive) -> _Eos:
    version = data.number("I")
    if not 1 <= version <= 4:
        raise ValueError(f"version {version}")
    out = _Eos(_pca(data))
    _pca(data)  # colour
    if version >= 2 and not data.empty():
        kind = data.number("i")
        if kind == 0:
            out.expression = _pca(data)
        elif kind == 1:
            out.blendshapes = _blendshapes(data)
        else:
            raise ValueError(f"an expression model of kind {kind}")
    if version >= 3 and not data.empty():
        for _ in range(data.length()):
            name = data.text()
            out.landmarks[name] = data.number("i")
    data.array("<f8", 2 * data.length())  # texture coordinates
    if version >= 4:
        data.array("<i4", 3 * data.length())
    if data.left:
        raise ValueError(f"{data.left} bytes behind its end")
    return out


def _pca(data: Archive) -> _Pca:
    mean, basis, variance = data.matrix(), data.matrix(), data.matrix()
    faces = data.array("<i4", 3 * data.length()).reshape(-1, 3)
    if mean.size % 3 or basis.shape != (mean.size, variance.size):
        raise ValueError(f"a basis {basis.shape} for a mean of {mean.size} numbers")
    return _Pca(mean.ravel(), basis, variance.ravel(), faces)


def _blendshapes(data: Archive) -> dict[str, NDArray[Any]]:
    return {data.text(): data.matrix().ravel() for _ in range(data.length())}


def _blendshape_file(path: Path) -> dict[str, NDArray[Any]]:
    try:
        data = Archive(path.read_bytes())
        found = _blendshapes(data)
        if data.left:
            raise ValueError(f"{data.left} bytes behind its end")
    except ValueError as error:
        raise refuse(path, "blendshapes of eos (cereal)", str(error)) from None
    return found


def _pca_shapes(model: _Pca | None) -> dict[str, NDArray[Any]]:
    """An expression PCA as blendshapes per standard deviation, its mean first."""
    if model is None:
        return {}
    sigma = np.sqrt(np.maximum(model.variance, 0))
    named = {f"expression{k:03d}": model.basis[:, k] * sigma[k] for k in range(len(sigma))}
    return {"expressionMean": model.mean} | named


def _landmarks(own: dict[str, int], n_vertices: int) -> tuple[NDArray[np.int32] | None, str]:
    """Those of the file where it numbers them 1 to 68, else the shipped map."""
    numbered = {int(k): v for k, v in own.items() if k.isdigit() and 1 <= int(k) <= 68}
    if len(numbered) >= 6:
        ids = np.full(68, -1, np.int32)
        ids[np.array(list(numbered)) - 1] = list(numbered.values())
        return ids, "landmark definitions of the file"
    if n_vertices not in RESOLUTIONS:
        return None, ""
    ids, source = shipped_map("surrey")
    return np.where(ids < RESOLUTIONS[n_vertices], ids, -1).astype(np.int32), source
