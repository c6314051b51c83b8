"""A statistical model of dense features on the face: mean and modes at surface samples.

What a face looks like in features that hardly see the light (`synth.morphable.features`), at
places spread evenly over the embedded model's mesh (the rig mesh), so that one texture model
serves every model that is dressed with it. A face's features are

    mean + sum_k coefficients[k] * sigma[k] * modes[k] + noise

The modes come from a robust PCA with missing values (`synth.morphable.robust_pca`) [1]_.

References
----------
.. [1] Booth et al., "3D Face Morphable Models 'In-the-Wild'", CVPR 2017; extended by Booth
   et al., "3D Reconstruction of 'In-the-Wild' Faces in Images and Videos", TPAMI 2018.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.archives import check_contract, read_arrays, write_npz
from synth.errors import AssetError, MeshError
from synth.morphable.features import (
    FEATURES,
    SIDE,
    channels,
    dense_features,
    face_matrix,
    resampled,
)
from synth.morphable.native import topology_digest

__all__ = [
    "TextureModel",
    "dense_features",
    "feature_image",
    "load_texture",
    "save_texture",
]

_FORMAT = "synth-texture-1"
#: Array name -> symbolic shape and the kind of its dtype.
_CONTRACT: dict[str, tuple[tuple[str | int, ...], str]] = {
    "sample_faces": (("n",), "u"),
    "sample_bary": (("n", 3), "f"),
    "mean": (("n", "C"), "f"),
    "modes": (("K", "n", "C"), "f"),
    "sigma": (("K",), "f"),
    "noise": ((), "f"),
    "feature": ((), "U"),
    "scale": ((), "f"),
    "topology": ((), "U"),
    "format": ((), "U"),
    "meta": ((), "U"),
}


@dataclass(frozen=True, eq=False)
class TextureModel:
    """Mean and modes of dense features at samples of the rig mesh; arrays are read-only.

    Samples are points on triangles, not vertices, because the mesh has five times as many
    vertices on a lid as on a cheek: spread evenly, each stands for the same area.

    Attributes
    ----------
    name, version : str
    feature : str
        Kind of features, a key of `synth.morphable.features.FEATURES`.
    scale : float
        Pixels between the outer eye corners at which features are taken.
    faces : (n,) int32
        Triangle of the rig mesh that carries each sample.
    bary : (n, 3) float64
        Barycentric coordinates of the samples in these triangles.
    mean : (n, C) float32
        Mean features, without unit.
    modes : (K, n, C) float32
        Orthonormal over n * C, largest variance first.
    sigma : (K,) float64
        Standard deviation along each mode.
    noise : float
        Standard deviation of one feature value around mean and modes.
    topology : str
        Digest of the rig mesh's triangles, `synth.morphable.native.topology_digest`.
    sha256 : str
        Of the file the model was read from, "" if there is none.
    meta : mapping
        Licence, sources and build parameters.
    """

    name: str
    version: str
    feature: str
    scale: float
    faces: NDArray[np.int32]
    bary: NDArray[np.float64]
    mean: NDArray[np.float32]
    modes: NDArray[np.float32]
    sigma: NDArray[np.float64]
    noise: float
    topology: str
    sha256: str = ""
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"TextureModel({self.name!r}, version {self.version}: {self.feature} at "
            f"{len(self.mean)} places, {self.n_modes} modes)"
        )

    @property
    def n_modes(self) -> int:
        """Number of modes K."""
        return len(self.modes)

    def positions(self, triangles: ArrayLike, vertices: ArrayLike) -> NDArray[np.float64]:
        """Where the samples lie on a mesh of the rig's topology.

        Parameters
        ----------
        triangles : (F, 3) int
            Of the rig mesh: ``model.faces``.
        vertices : (V, D) float
            3D or projected.

        Returns
        -------
        (n, D) float64

        Raises
        ------
        MeshError
            If the triangles are not those of the texture's mesh.
        """
        triangles = np.asarray(triangles)
        self.check_topology(triangles)
        return np.einsum("nc,ncd->nd", self.bary, np.asarray(vertices)[triangles[self.faces]])

    def check_topology(self, triangles: ArrayLike) -> None:
        """Pass silently when `triangles` (F, 3) are those of the texture's mesh, else MeshError."""
        got = topology_digest(triangles)
        if got != self.topology:
            raise MeshError(
                f"model: expected the mesh of texture {self.name!r} ({self.topology[:12]}), got "
                f"{len(np.asarray(triangles))} other triangles ({got[:12]}); "
                "use a model dressed with the embedded one"
            )


def feature_image(
    pixels: NDArray[np.uint8], points: ArrayLike, texture: TextureModel
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Features of a photo at the texture model's size, upright, and how to get there.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        The photo, sRGB.
    points : (68, 2) float
        Its iBUG landmarks, pixels.
    texture : TextureModel

    Returns
    -------
    features : (S, S, C) float32
        With `scale` pixels between the outer eye corners, which are level; S is three times
        that. Outside the photo its edge is repeated.
    matrix : (2, 3) float64
        Similarity (turned by the head's roll) from pixels of the photo to pixels of
        `features`: ``x_feature = matrix[:, :2] @ x_photo + matrix[:, 2]``.
    """
    matrix = face_matrix(points, texture.scale)
    picture = resampled(pixels, matrix, round(SIDE * texture.scale))
    return dense_features(picture, texture.feature), matrix


def save_texture(texture: TextureModel, path: str | PathLike[str]) -> None:
    """Write a texture model, whole or not at all; arrays in half precision.

    Parameters
    ----------
    texture : TextureModel
    path : path-like
        ``.npz`` file.
    """
    meta = {**texture.meta, "name": texture.name, "version": texture.version}
    write_npz(
        Path(path),
        {
            "format": np.array(_FORMAT),
            "feature": np.array(texture.feature),
            "scale": np.array(float(texture.scale)),
            "topology": np.array(texture.topology),
            "sample_faces": texture.faces.astype(np.int32),
            "sample_bary": texture.bary.astype(np.float32),
            "mean": texture.mean.astype(np.float16),
            "modes": texture.modes.astype(np.float16),
            "sigma": texture.sigma.astype(np.float64),
            "noise": np.array(float(texture.noise)),
            "meta": np.array(json.dumps(meta, ensure_ascii=False, sort_keys=True)),
        },
    )


def load_texture(path: str | PathLike[str]) -> TextureModel:
    """The texture model in an ``.npz`` file, verified.

    Raises
    ------
    AssetError
        If the file is missing, is no texture model, or an array has an unexpected shape,
        type or range.
    """
    path = Path(path)
    sha256, arrays, meta = read_arrays(path, "texture", "build one with `synth model texture`")
    _verify(arrays, path)
    modes = arrays["modes"].astype(np.float64)
    # Half precision costs 1e-4 of length and angle; project-out needs orthonormal modes.
    flat, _ = np.linalg.qr(modes.reshape(len(modes), -1).T)
    sign = np.sign(np.einsum("dk,kd->k", flat, modes.reshape(len(modes), -1)))
    return TextureModel(
        name=str(meta.get("name", path.stem)),
        version=str(meta.get("version", "")),
        feature=str(arrays["feature"]),
        scale=float(arrays["scale"]),
        faces=arrays["sample_faces"].astype(np.int32),
        bary=arrays["sample_bary"].astype(np.float64),
        mean=arrays["mean"].astype(np.float32),
        modes=np.ascontiguousarray((flat * sign).T, np.float32).reshape(modes.shape),
        sigma=arrays["sigma"].astype(np.float64),
        noise=float(arrays["noise"]),
        topology=str(arrays["topology"]),
        sha256=sha256,
        meta=MappingProxyType(meta),
    )


def _verify(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raise AssetError unless the arrays honour the contract."""

    def refuse(what: str, expected: str, got: object) -> NoReturn:
        raise AssetError(
            f"{path.name}: {what}: expected {expected}, got {got}; "
            "build the texture again with `synth model texture`"
        )

    sizes = check_contract(arrays, _CONTRACT, refuse)
    if str(arrays["format"]) != _FORMAT:
        refuse("format", _FORMAT, arrays["format"])
    feature = str(arrays["feature"])
    if feature not in FEATURES or channels(feature) != sizes["C"]:
        refuse("feature", f"one of {', '.join(FEATURES)} with its channels", repr(feature))
    if sizes["K"] > sizes["n"] * sizes["C"] or not sizes["n"]:
        refuse("modes", f"at most {sizes['n'] * sizes['C']} modes", sizes["K"])
    if arrays["sample_faces"].min() < 0 or arrays["sample_bary"].min() < -1e-3:
        refuse("sample_bary", "places inside triangles", "negative numbers")
    if np.abs(arrays["sample_bary"].sum(1) - 1).max() > 1e-3:
        refuse("sample_bary", "rows of sum 1", "other sums")
    if arrays["sigma"].size and arrays["sigma"].min() < 0 or arrays["noise"] < 0:
        refuse("sigma", "no negative numbers", "negative numbers")
    if not float(arrays["scale"]) >= 8:
        refuse("scale", "at least 8 pixels", float(arrays["scale"]))
