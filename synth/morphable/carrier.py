"""Dressing a native 3D morphable model with all that the renderer needs.

A model of scans has skin and little else: no teeth, no mouth, no lids that shut, and
seldom the 52 ARKit blendshapes. So the mesh of the embedded model, the *rig*, is laid
once over the native mean: its `Carrier` says for every rig vertex where on the native
mesh it lies, and how what the native mesh does not cover (eyeballs, teeth, the mouth,
often neck and skull) follows. Identity modes are carried over with one sparse linear
map, so that a native coefficient means the same in the dressed model; blendshapes are
those of the rig, turned and scaled as the skin around them [1]_.

References
----------
.. [1] Sumner & Popovic, "Deformation Transfer for Triangle Meshes", SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import AssetError, ShapeError
from synth.morphable.covering import companions, extension
from synth.morphable.inner import place_parts
from synth.morphable.native import topology_digest
from synth.morphable.transfer import local_maps, moved_offsets, take_native
from synth.morphable.wrap import wrap

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from synth.morphable.model import MorphableModel

__all__ = ["Carrier", "dressed", "is_dressed", "make_carrier", "read_carrier",
           "with_carrier"]  # fmt: skip

Float = NDArray[np.float64]

#: Native blendshapes are taken when there are at least this many of ARKit's.
ENOUGH_NATIVE = 40
PREFIX = "carrier_"


@dataclass(frozen=True, eq=False)
class Carrier:
    """How the rig mesh lies on a native mesh; every array is read-only.

    Attributes
    ----------
    rig_topology, native_topology : str
        SHA-256 of the two meshes' triangles.
    vertices : (Vrig, 3) float64
        The rig mesh laid over the native mean, mm.
    face : (Vrig,) int32
        Native triangle that a rig vertex lies on, -1 where none does.
    bary : (Vrig, 3) float64
        Barycentric coordinates there, else 0.
    data, indices, indptr : (n,) float32, (n,) int32, (Vrig + 1,) int32
        The sparse map from native to rig offsets, by rows.
    n_native : int
        Vertices of the native mesh.
    read : (r,) int32
        Rig vertices whose offsets tell which of the rig's own people differ alike.
    reader : (K + 7, r, 3) float32
        How they tell it.
    told : (m, 3, K + 7) float32
        What that adds to the vertices `free`.
    free : (m,) int32
        Rig vertices that lie on nothing.
    """

    rig_topology: str
    native_topology: str
    vertices: Float
    face: NDArray[np.int32]
    bary: Float
    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    n_native: int
    read: NDArray[np.int32]
    reader: NDArray[np.float32]
    told: NDArray[np.float32]
    free: NDArray[np.int32]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(Vrig,) which rig vertices lie on the native mesh."""
        return self.face >= 0

    def offsets(self, native_offsets: ArrayLike) -> Float:
        """(..., Vrig, 3) offsets of the rig for (..., V, 3) offsets of the native mesh.

        Raises
        ------
        ShapeError
            If the offsets are not of the native mesh.
        """
        given = np.asarray(native_offsets)
        if given.ndim < 2 or given.shape[-2:] != (self.n_native, 3):
            raise ShapeError(
                f"native_offsets: expected (..., {self.n_native}, 3), got {given.shape}; "
                "pass offsets on the mesh that the carrier was made for"
            )
        rows = self._operator()
        flat = given.reshape(-1, self.n_native, 3)
        out = np.empty((len(flat), rows.shape[0], 3))
        for k, offset in enumerate(flat):
            out[k] = rows @ offset
        alike = (
            out[:, self.read].reshape(len(out), -1) @ self.reader.reshape(len(self.reader), -1).T
        )
        out[:, self.free] += np.einsum("ok,nxk->onx", alike, self.told)
        return out.reshape(*given.shape[:-2], rows.shape[0], 3)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, each with ``carrier_`` before it, for the model's archive."""
        return {PREFIX + name: np.asarray(value) for name, value in vars(self).items()}

    def _operator(self) -> csr_matrix:
        from scipy.sparse import csr_matrix

        shape = (len(self.vertices), self.n_native)
        return csr_matrix((self.data.astype(np.float64), self.indices, self.indptr), shape)


def make_carrier(native: MorphableModel, rig: MorphableModel) -> Carrier:
    """The rig's mesh laid over the mean of a native model.

    Parameters
    ----------
    native : MorphableModel
        Any topology, millimetres, house axes.
    rig : MorphableModel
        The embedded model.

    Raises
    ------
    AssetError
        If the native mesh is not a face on which the rig finds its skin.
    """
    from scipy.sparse import csr_matrix

    placed = wrap(native, rig)
    n_rig, n_native = rig.n_vertices, native.n_vertices
    on = np.flatnonzero(placed.face >= 0)
    corners = native.faces[placed.face[on]].astype(np.int64)
    direct = csr_matrix(
        (placed.bary[on].ravel(), (np.repeat(on, 3), corners.ravel())), (n_rig, n_native)
    )
    vertices = place_parts(rig, placed.vertices)
    follow = extension(rig, placed.vertices, on)
    modes = moved_offsets(local_maps(rig, vertices), rig.modes)
    free = np.flatnonzero(placed.face < 0)
    read, reader, told = companions(vertices, modes, follow, free, on)
    rows = (follow @ direct).tocsr()
    rows.data[np.abs(rows.data) < 1e-6] = 0
    rows.eliminate_zeros()
    rows.sort_indices()
    return Carrier(
        rig_topology=topology_digest(rig.faces),
        native_topology=topology_digest(native.faces),
        vertices=vertices,
        face=placed.face.astype(np.int32),
        bary=placed.bary,
        data=rows.data.astype(np.float32),
        indices=rows.indices.astype(np.int32),
        indptr=rows.indptr.astype(np.int32),
        n_native=n_native,
        read=read.astype(np.int32),
        reader=reader.astype(np.float32),
        told=told.astype(np.float32),
        free=free.astype(np.int32),
    )


def dressed(
    native: MorphableModel, rig: MorphableModel, carrier: Carrier | None = None
) -> MorphableModel:
    """The native model's people on the rig's mesh, with the rig's blendshapes and inner parts.

    Parameters
    ----------
    native, rig : MorphableModel
    carrier : Carrier, optional
        Of these two; made if there is none.

    Raises
    ------
    AssetError
        If the carrier belongs to other meshes, or none can be made.
    """
    carrier = carrier or make_carrier(native, rig)
    if carrier.native_topology != topology_digest(
        native.faces
    ) or carrier.rig_topology != topology_digest(rig.faces):
        raise AssetError(
            "model: expected a carrier of the model's own mesh, got one of another; import or "
            "build the model again"
        )
    maps = local_maps(rig, carrier.vertices)
    blendshapes = moved_offsets(maps, rig.blendshapes)
    own = [name for name in rig.blendshape_names if name in native.blendshape_names]
    if len(own) >= ENOUGH_NATIVE:
        take_native(blendshapes, own, native, rig, carrier)
    return replace(
        rig,
        name=native.name,
        version=native.version,
        mean=np.array(carrier.vertices),
        modes=carrier.offsets(native.modes).astype(np.float32),
        sigma=native.sigma,
        blendshapes=blendshapes.astype(np.float32),
        sha256=native.sha256,
        meta=MappingProxyType({**native.meta, "dressed": "on the mesh of " + rig.name}),
        carrier=None,
    )


def with_carrier(native: MorphableModel, rig: MorphableModel) -> MorphableModel:
    """The same model with its carrier, to be saved with it: it is then not made at every start.

    Raises
    ------
    AssetError
        As `make_carrier`.
    """
    if is_dressed(native, rig):
        return native
    return replace(native, carrier=make_carrier(native, rig))


def is_dressed(model: MorphableModel, rig: MorphableModel) -> bool:
    """Whether a model is on the rig's mesh and has its blendshapes, and can be drawn as it is."""
    names = set(rig.blendshape_names)
    return names <= set(model.blendshape_names) and np.array_equal(model.faces, rig.faces)


def read_carrier(arrays: Mapping[str, NDArray[Any]]) -> Carrier | None:
    """The carrier among the arrays of a model's archive; None if there is none.

    Raises
    ------
    AssetError
        If some of its arrays are missing or of impossible shapes.
    """
    if not any(key.startswith(PREFIX) for key in arrays):
        return None
    try:
        found = {name: arrays[PREFIX + name] for name in Carrier.__dataclass_fields__}
    except KeyError as error:
        raise AssetError(f"model: expected an array {error} with the carrier, got none") from None
    for name in ("rig_topology", "native_topology"):
        found[name] = str(found[name])  # type: ignore[assignment]
    found["n_native"] = int(found["n_native"])  # type: ignore[assignment]
    carrier = Carrier(**found)  # type: ignore[arg-type]
    _check(carrier)
    return carrier


def _check(carrier: Carrier) -> None:
    n = len(carrier.vertices)
    good = (
        carrier.vertices.shape == (n, 3)
        and carrier.face.shape == (n,)
        and carrier.bary.shape == (n, 3)
        and carrier.indptr.shape == (n + 1,)
        and len(carrier.data) == len(carrier.indices) == carrier.indptr[-1]
        and bool(np.isfinite(carrier.vertices).all() and np.isfinite(carrier.data).all())
        and carrier.reader.shape[1:] == (len(carrier.read), 3)
        and carrier.told.shape == (len(carrier.free), 3, len(carrier.reader))
        and (not len(carrier.indices) or 0 <= carrier.indices.min())
        and (not len(carrier.indices) or carrier.indices.max() < carrier.n_native)
    )
    if not good:
        raise AssetError(
            "model: expected carrier arrays that fit each other, got others; the file is damaged"
        )
