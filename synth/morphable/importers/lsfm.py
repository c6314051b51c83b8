"""Large Scale Facial Model (LSFM), and any shape model saved by menpo or menpo3d.

The published ``.mat`` [1]_ holds ``mean (3V,)``, orthonormal ``components (3V, K)``,
``eigenvalues (K,)`` (variances), ``trilist (F, 3)`` from 0 and ``n_training_samples``; cropped
models also ``map_full_to_cropped``. A pickle is a menpo ``PCAModel`` (or menpo3d's ``ShapeModel``
around one): ``_mean``, ``_components (K, 3V)``, ``_eigenvalues``, and a ``template_instance`` with
``points`` and ``trilist``, and perhaps landmarks. It is read as data, menpo is not needed. No unit
is published: it is found by plausibility.

References
----------
.. [1] Booth et al., "Large Scale 3D Morphable Models", IJCV 2018; MODELS.md of menpo/lsfm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.morphable.importers.matlab import read_mat
from synth.morphable.importers.pickles import Inert, dense, load_pickle
from synth.morphable.importers.raw import Raw, refuse, scaled_modes, shipped_map

__all__ = ["read"]

FULL, CROPPED = 53215, 28431
LICENCE = "non-commercial research (LSFM agreement)"
SOURCE = "https://ibug.doc.ic.ac.uk/resources/lsfm/"
KEYS = ("mean", "components", "eigenvalues", "trilist")
Landmarks = tuple[NDArray[np.int32] | None, str]


def read(path: Path) -> Raw:
    """The model in a ``.mat``, ``.pkl`` or ``.pkl.gz`` file."""
    if path.suffix == ".mat":
        found = read_mat(path, KEYS, "LSFM")
        mean, basis = found["mean"].reshape(-1, 3), found["components"]
        variance, faces = found["eigenvalues"].ravel(), found["trilist"]
        landmarks = _shipped(len(mean), found.get("map_full_to_cropped"))
    else:
        mean, basis, variance, faces, landmarks = _from_pickle(path)
    if basis.shape != (mean.size, len(variance)) or faces.ndim != 2 or faces.shape[1] != 3:
        raise refuse(
            path,
            f"components ({mean.size}, {len(variance)}) and triangles",
            f"{basis.shape} and {faces.shape}",
        )
    sigma = np.sqrt(np.maximum(variance.astype(np.float64), 0))
    return Raw(
        name=path.name.split(".")[0],
        version="lsfm",
        licence=LICENCE,
        source=SOURCE,
        mean=mean,
        faces=faces,
        modes=scaled_modes(basis, sigma, len(mean)),
        sigma=sigma,
        unit=None,
        files={path.name: path},
        landmarks=landmarks[0],
        landmark_source=landmarks[1],
    )


def _from_pickle(path: Path) -> tuple[Any, ...]:
    """Mean (V, 3), basis (3V, K), variance (K,), triangles and landmarks of a menpo model."""
    model = load_pickle(path)
    while isinstance(model, (Inert, dict)):
        inner = model.get("model") if isinstance(model, Inert) else model.get("shape_model")
        if inner is None:
            break
        model = inner
    if not isinstance(model, Inert):
        raise refuse(path, "a pickle of menpo's PCAModel", type(model).__name__)
    template = model.get("template_instance", "_template_instance")
    faces = dense(template.get("trilist")) if isinstance(template, Inert) else None
    arrays = [dense(model.get(n)) for n in ("_mean", "_components", "_eigenvalues")]
    if any(a is None for a in arrays):  # menpo before 0.6 kept the mean as the mesh itself
        whole = model.get("mean_vector", "_mean_vector", "_mean")
        if isinstance(whole, Inert):
            arrays[0] = dense(whole.get("points"))
            faces = faces if faces is not None else dense(whole.get("trilist"))
    mean, basis, variance = arrays
    if mean is None or basis is None or variance is None:
        raise refuse(path, "a PCAModel with mean, components and eigenvalues", model.kind)
    if faces is None:
        raise refuse(path, "a PCAModel of a TriMesh", "one without triangles")
    mean = mean.reshape(-1, 3)
    variance = variance.ravel()[: len(basis)]
    return mean, basis.T, variance, faces, _own(template, mean)


def _own(template: Any, mean: NDArray[Any]) -> Landmarks:
    """Landmarks that the pickled template carries, else those shipped for its topology."""
    from scipy.spatial import cKDTree

    manager = template.get("_landmarks") if isinstance(template, Inert) else None
    groups = manager.get("_landmark_groups") if isinstance(manager, Inert) else None
    points = dense(template.get("points")) if isinstance(template, Inert) else None
    for name, group in (groups or {}).items():
        cloud = group.get("_pointcloud") if isinstance(group, Inert) else None
        holder = cloud if isinstance(cloud, Inert) else group
        at = dense(holder.get("points")) if isinstance(holder, Inert) else None
        if at is not None and at.shape == (68, 3) and points is not None:
            nearest = cKDTree(points).query(at)[1]
            return np.asarray(nearest, np.int32), f"landmarks {name!r} in the file"
    return _shipped(len(mean), None)


def _shipped(n_vertices: int, to_cropped: NDArray[Any] | None) -> Landmarks:
    """The shipped map for the full model; through the file's own table for the cropped one."""
    if n_vertices == FULL:
        return shipped_map("lsfm")
    if to_cropped is not None and to_cropped.size == FULL:
        full, source = shipped_map("lsfm")
        table = to_cropped.ravel().astype(np.int32)
        return np.where(full >= 0, table[full], -1).astype(np.int32), source
    return None, ""
