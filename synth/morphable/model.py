"""A 3D morphable face model: mean, identity modes and blendshapes on one mesh.

The model is data; fitting and rendering are done elsewhere. A face is

    vertices = mean + sum_k coefficients[k] * modes[k] + sum_e weights[e] * blendshapes[e]

in millimetres, x to the *subject's* left, y up, z out of the face, with the
origin midway between the two outer eye corners of the mean face (iBUG 36 and
45). Modes are already multiplied by their standard deviation, so coefficients
are standard deviations [1]_; blendshapes follow the ARKit naming, weights are
usually in [0, 1] [2]_.

References
----------
.. [1] Blanz & Vetter, "A Morphable Model for the Synthesis of 3D Faces", SIGGRAPH 1999.
.. [2] Lewis et al., "Practice and Theory of Blendshape Facial Models", Eurographics STAR 2014.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.archives import check_contract, read_arrays
from synth.errors import AssetError, ShapeError

if TYPE_CHECKING:
    from synth.morphable.carrier import Carrier

PART_NAMES = (
    "skin",
    "lips",
    "mouth_cavity",
    "upper_teeth",
    "lower_teeth",
    "tongue",
    "eye_socket",
    "left_eye",
    "right_eye",
)
"""Names of the parts, in the order of the labels in ``MorphableModel.parts``."""

N_LANDMARKS = 68
N_CONTOUR = 17

#: Array name -> symbolic shape and the kind of its dtype ("f", "u", "U").
_CONTRACT: dict[str, tuple[tuple[str | int, ...], str]] = {
    "mean": (("V", 3), "f"),
    "modes": (("K", "V", 3), "f"),
    "sigma": (("K",), "f"),
    "blendshapes": (("E", "V", 3), "f"),
    "blendshape_names": (("E",), "U"),
    "faces": (("F", 3), "u"),
    "parts": (("F",), "u"),
    "part_names": (("P",), "U"),
    "uv": (("V", 2), "f"),
    "landmark_faces": ((N_LANDMARKS,), "u"),
    "landmark_bary": ((N_LANDMARKS, 3), "f"),
    "mirror": (("V",), "u"),
    "contour": ((N_CONTOUR, "M"), "u"),
    "meta": ((), "U"),
}


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """A morphable face model; every array is read-only.

    Parameters
    ----------
    name, version : str
        What the asset calls itself.
    mean : (V, 3) float64
        Mean neutral face, millimetres.
    modes : (K, V, 3) float32
        Identity modes, millimetres per standard deviation, largest first.
    sigma : (K,) float64
        Standard deviation along each unit mode: ``modes[k] == sigma[k] * basis[k]``.
    blendshapes : (E, V, 3) float32
        Expression offsets, millimetres per unit weight.
    blendshape_names : tuple of E str
        ARKit names; *Left* is the subject's left.
    faces : (F, 3) int32
        Triangles, counter-clockwise seen from outside.
    parts : (F,) uint8
        Part of each triangle, an index into `part_names`.
    part_names : tuple of str
        Names of the parts, see ``PART_NAMES``.
    uv : (V, 2) float64
        Texture coordinates in [0, 1], u to the subject's left, v down.
    landmark_faces : (68,) int32
        Triangle that carries each iBUG-68 landmark (0-based).
    landmark_bary : (68, 3) float64
        Barycentric coordinates of the landmarks in these triangles.
    mirror : (V,) int32
        Vertex on the other side of the face; an involution.
    contour : (17, M) int32
        For each jaw landmark 0..16 the vertices it may slide along, from the
        cheek backwards across the silhouette.
    sha256 : str
        Digest of the file the model was read from, "" if there is none.
    meta : mapping
        Licence, sources and build parameters.
    carrier : Carrier or None
        How the embedded model's mesh lies on this one; made when it is needed if absent.
    """

    name: str
    version: str
    mean: NDArray[np.float64]
    modes: NDArray[np.float32]
    sigma: NDArray[np.float64]
    blendshapes: NDArray[np.float32]
    blendshape_names: tuple[str, ...]
    faces: NDArray[np.int32]
    parts: NDArray[np.uint8]
    part_names: tuple[str, ...]
    uv: NDArray[np.float64]
    landmark_faces: NDArray[np.int32]
    landmark_bary: NDArray[np.float64]
    mirror: NDArray[np.int32]
    contour: NDArray[np.int32]
    sha256: str = ""
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    carrier: Carrier | None = None

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"MorphableModel({self.name!r}, version {self.version}: {self.n_vertices} vertices, "
            f"{len(self.faces)} triangles, {self.n_modes} modes, "
            f"{len(self.blendshape_names)} blendshapes)"
        )

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return len(self.mean)

    @property
    def n_modes(self) -> int:
        """Number of identity modes K."""
        return len(self.modes)

    def shape(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Vertices of the neutral face with the given shape coefficients.

        Parameters
        ----------
        coefficients : (k,) float, k <= K
            Standard deviations; absent ones are 0. Values are not clipped.

        Returns
        -------
        (V, 3) float64
            Vertex positions in millimetres.

        Raises
        ------
        ShapeError
            If `coefficients` is not 1-D, is longer than K or is not finite.
        """
        c = np.asarray(coefficients, dtype=np.float64)
        if c.ndim != 1 or len(c) > self.n_modes or not np.isfinite(c).all():
            raise ShapeError(
                f"coefficients: expected at most {self.n_modes} finite numbers in one dimension, "
                f"got shape {c.shape}{'' if np.isfinite(c).all() else ' with NaN or infinity'}. "
                "Pass a shorter vector, or a model with more modes."
            )
        return self.mean + _combine(c, self.modes)

    def offsets(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Displacement of every vertex under the given expression weights.

        Only the blendshapes with a nonzero weight are touched, so a typical
        expression costs a fraction of the full sum.

        Parameters
        ----------
        weights : (E,) float
            Blendshape weights in the order of `blendshape_names`. Not clipped.

        Returns
        -------
        (V, 3) float64
            Offsets in millimetres, to be added to the vertices of a neutral face.

        Raises
        ------
        ShapeError
            If `weights` does not have shape (E,) or is not finite.
        """
        return _combine(self._checked_weights(weights), self.blendshapes)

    def weights(self, mapping: Mapping[str, float]) -> NDArray[np.float64]:
        """Expression weights from names, e.g. ``{"jawOpen": 0.5, "mouthSmile": 0.7}``.

        Parameters
        ----------
        mapping : mapping of str to float
            Blendshape names to weights. A name without its side ("mouthSmile",
            "browDown") sets both sides; the sided name, if also given, wins.

        Returns
        -------
        (E,) float64
            Weights in the order of `blendshape_names`, 0 where not named.

        Raises
        ------
        ShapeError
            If a name is not a blendshape of this model.
        """
        index = {name: i for i, name in enumerate(self.blendshape_names)}
        weights = np.zeros(len(index))
        sided_last = sorted(mapping.items(), key=lambda item: item[0] in index)
        for name, value in sided_last:
            targets = [index[n] for n in (name, name + "Left", name + "Right") if n in index]
            if name in index:
                targets = [index[name]]
            if not targets:
                known = [*index, *(n[:-4] for n in index if n.endswith("Left"))]
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"Did you mean {close[0]!r}?" if close else "See `blendshape_names`."
                raise ShapeError(f"weights: expected a blendshape name, got {name!r}. {hint}")
            weights[targets] = value
        return self._checked_weights(weights)

    def mirror_weights(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Expression weights of the face seen in a mirror (Left and Right swapped).

        Parameters
        ----------
        weights : (E,) float
            Weights in the order of `blendshape_names`.

        Returns
        -------
        (E,) float64
            ``offsets(mirror_weights(w))[mirror] == offsets(w) * (-1, 1, 1)``.

        Raises
        ------
        ShapeError
            If `weights` does not have shape (E,) or is not finite.
        """
        return self._checked_weights(weights)[mirror_order(self.blendshape_names)]

    def landmarks(self, vertices: ArrayLike) -> NDArray[np.float64]:
        """The 68 iBUG landmarks of a mesh with this topology.

        Parameters
        ----------
        vertices : (V, D) float
            Vertex positions, 3D or projected; any number of columns.

        Returns
        -------
        (68, D) float64
            Landmarks in the units of `vertices`.

        Raises
        ------
        ShapeError
            If `vertices` does not have V rows.
        """
        v = np.asarray(vertices, dtype=np.float64)
        if v.ndim != 2 or len(v) != self.n_vertices:
            raise ShapeError(
                f"vertices: expected ({self.n_vertices}, D), got {v.shape}. "
                "Landmarks are defined on the full mesh of this model."
            )
        corners = v[self.faces[self.landmark_faces]]
        return np.einsum("lc,lcd->ld", self.landmark_bary, corners)

    def keep_modes(self, k: int) -> MorphableModel:
        """The same model with only its first `k` identity modes.

        Parameters
        ----------
        k : int
            Number of modes to keep, 0 <= k <= K.

        Returns
        -------
        MorphableModel
            A model that shares all other arrays with this one.

        Raises
        ------
        ShapeError
            If `k` is out of range.
        """
        if not 0 <= k <= self.n_modes:
            raise ShapeError(f"k: expected 0 to {self.n_modes}, got {k}. Ask for fewer modes.")
        return replace(self, modes=self.modes[:k], sigma=self.sigma[:k])

    def _checked_weights(self, weights: ArrayLike) -> NDArray[np.float64]:
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != (len(self.blendshape_names),) or not np.isfinite(w).all():
            raise ShapeError(
                f"weights: expected ({len(self.blendshape_names)},) finite, got {w.shape}"
                f"{'' if np.isfinite(w).all() else ' with NaN or infinity'}. "
                "Build them from names with `weights({'jawOpen': 0.5})`."
            )
        return w


def load_model(path: str | PathLike[str]) -> MorphableModel:
    """The morphable model stored in an ``.npz`` asset, verified.

    Parameters
    ----------
    path : path-like
        File written by ``python -m synth.morphable.build``, or any archive
        with the same arrays.

    Returns
    -------
    MorphableModel
        Read-only model.

    Raises
    ------
    AssetError
        If the file is missing, is not an archive of arrays, or an array is
        absent or has an unexpected shape, type or range.
    """
    path = Path(path)
    sha256, arrays, meta = read_arrays(path, "model", "fetch or build it again")
    _verify(arrays, path)
    return MorphableModel(
        name=str(meta.get("name", path.stem)),
        version=str(meta.get("version", "")),
        mean=arrays["mean"].astype(np.float64),
        modes=arrays["modes"].astype(np.float32),
        sigma=arrays["sigma"].astype(np.float64),
        blendshapes=arrays["blendshapes"].astype(np.float32),
        blendshape_names=tuple(arrays["blendshape_names"].tolist()),
        faces=arrays["faces"].astype(np.int32),
        parts=arrays["parts"].astype(np.uint8),
        part_names=tuple(arrays["part_names"].tolist()),
        uv=arrays["uv"].astype(np.float64),
        landmark_faces=arrays["landmark_faces"].astype(np.int32),
        landmark_bary=arrays["landmark_bary"].astype(np.float64),
        mirror=arrays["mirror"].astype(np.int32),
        contour=arrays["contour"].astype(np.int32),
        sha256=sha256,
        meta=MappingProxyType(meta),
        carrier=_carrier(arrays),
    )


def _carrier(arrays: Mapping[str, NDArray[Any]]) -> Carrier | None:
    if not any(key.startswith("carrier_") for key in arrays):
        return None
    from synth.morphable.carrier import read_carrier

    return read_carrier(arrays)


def mirror_order(names: tuple[str, ...]) -> NDArray[np.intp]:
    """Index of the mirrored blendshape of each name (Left <-> Right).

    Parameters
    ----------
    names : tuple of E str
        Blendshape names.

    Returns
    -------
    (E,) intp
        A name without a side, or without a partner, maps to itself.
    """
    index = {name: i for i, name in enumerate(names)}
    order = np.arange(len(names))
    for name, i in index.items():
        stem, side = (name[:-4], "Right") if name.endswith("Left") else (name[:-5], "Left")
        if name.endswith(("Left", "Right")):
            order[i] = index.get(stem + side, i)
    return order


def _combine(coefficients: NDArray[np.float64], basis: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum of ``coefficients[k] * basis[k]`` over the nonzero coefficients, (V, 3)."""
    used = np.flatnonzero(coefficients)
    if not len(used):
        return np.zeros(basis.shape[1:])
    # A contiguous block needs no copy: the usual case for identity.
    block = basis[: len(used)] if used[-1] == len(used) - 1 else basis[used]
    flat = block.reshape(len(used), -1)
    total = coefficients[used].astype(np.float32) @ flat
    return total.reshape(basis.shape[1:]).astype(np.float64)


def _verify(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raise AssetError unless the arrays honour the contract of the asset."""

    def refuse(what: str, expected: str, got: object) -> NoReturn:
        raise AssetError(
            f"{path.name}: {what}: expected {expected}, got {got}. "
            "Build the asset again or use the version that belongs to this package."
        )

    sizes = check_contract(arrays, _CONTRACT, refuse)
    limits = {
        "faces": sizes["V"],
        "mirror": sizes["V"],
        "contour": sizes["V"],
        "landmark_faces": sizes["F"],
        "parts": sizes["P"],
    }
    for key, size in limits.items():
        if arrays[key].size and not 0 <= arrays[key].min() <= arrays[key].max() < size:
            refuse(key, f"indices in [0, {size})", f"up to {arrays[key].max()}")
    mirror = arrays["mirror"].astype(np.intp)
    if not np.array_equal(mirror[mirror], np.arange(sizes["V"])):
        refuse("mirror", "an involution", "a map that is not its own inverse")
    bary = arrays["landmark_bary"]
    if bary.min() < -1e-4 or np.abs(bary.sum(1) - 1).max() > 1e-4:
        refuse("landmark_bary", "non-negative rows of sum 1", f"minimum {bary.min():.4f}")
    if arrays["uv"].min() < 0 or arrays["uv"].max() > 1:
        refuse("uv", "values in [0, 1]", f"{arrays['uv'].min():.3f} to {arrays['uv'].max():.3f}")
