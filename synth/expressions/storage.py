"""Galleries on disk: the ``.npz`` contract, and CSV files of annotated samples.

The records and the two lookups themselves are in `synth.expressions.gallery`.

A gallery file is an ``.npz`` (no pickles) with

=====================  ==============  ====================================================
array                  shape           content
=====================  ==============  ====================================================
``format``             ()              the string ``synth-gallery-1``
``names``              (E,)            the 52 ARKit blendshape names, in any order; own ones after
``class_va``           (K, 2)          class centres; row 0 is (0, 0)
``class_weights``      (K, 52)         mean face of each class, 0 to 1.1; row 0 is all zero
``class_count``        (K,)            samples per class, at least 1
``class_sd``           (K, 52)         optional: spread over people
``radial_exponent``    (52,)           optional: growth along a ray, 1 or more (default 1.2)
``limit``              (52,)           optional: largest weight (default 1)
``bandwidth``          ()              optional: smoothing kernel in VA (default .06)
``components``         (P, 52)         optional: how people of one class differ
``component_sd``       (K, P)          optional
``expression_names``   (E,)            optional: basic expressions with own samples
``expression_va``      (E, 2)          with them: VA of the full expression
``expression_weights`` (E, 52)         with them: mean face
``expression_sd``      (E, 52)         with them: spread
``expression_samples`` (E, M, 52)      with them, optional: uint8, weight * 255
``expression_count``   (E,)            with it, optional: how many of the M there are (default all)
``expression_own``     (E, M, P)       with it and own blendshapes: their P weights
``sample_weights``     (N, 52)         optional: uint8, weight * 255
``sample_own``         (N, P)          with it and own blendshapes: their P weights
``sample_va``          (N, 2)          with it
``sample_class``       (N,)            with it
``sample_style``       (N,)            with it
``sample_limit``       (52,)           with it, optional: largest weight of styles (default limit)
``sample_mirror``      ()              with it, optional: 0 where mirror images are no samples
``own_blendshapes``    (E - 52, V, 3)  mm per unit weight of the own names, see below
``own_topology``       ()              with it: digest of the mesh they are on
=====================  ==============  ====================================================

A gallery may bring blendshapes of its own beside the 52 of ARKit: displacements of the mesh
that the renderer draws, that of the embedded model. All that is 52 wide in the table is then
E = 52 + P wide, but for the samples, whose own weights (float16) have arrays of their own.
Weights of own blendshapes have either sign and no ceiling, their ``limit`` (default: none)
holds for both signs. A gallery without samples has mean faces only.

A CSV file has the columns ``valence``, ``arousal`` and the 52 blendshape names
(0 to 1), one annotated sample a line; it is clustered with Ward's method when
it is loaded.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError, ShapeError
from synth.expressions.arkit import NAMES
from synth.expressions.clusters import class_statistics, ward_classes, within_class_components
from synth.expressions.faces import Samples
from synth.expressions.gallery import Gallery
from synth.expressions.stored_samples import (
    CEILING,
    numbers,
    read_expressions,
    read_limits,
    read_samples,
    read_weights,
)

__all__ = ["FORMAT", "load_gallery"]

Arrays = Mapping[str, NDArray[Any]]

FORMAT = "synth-gallery-1"
#: For galleries that do not say: mouths open later than they move, so above 1.
DEFAULT_EXPONENT = 1.2
DEFAULT_BANDWIDTH = 0.06


def load_gallery(path: str | Path) -> Gallery:
    """The gallery in an ``.npz`` file, or the classes of a ``.csv`` file of samples.

    Raises
    ------
    AssetError
        If the file is missing, damaged or does not keep the contract above.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".csv":
            return _from_csv(path)
        with np.load(path, allow_pickle=False) as archive:
            return _from_arrays({key: archive[key] for key in archive.files})
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        reason = f"no array {error}" if isinstance(error, KeyError) else str(error)
        raise AssetError(
            f"gallery: expected a gallery (.npz or .csv) in {path}, got {reason}; restore the "
            "file, or build it with python -m synth.expressions.build"
        ) from error


def _from_arrays(data: dict[str, NDArray[Any]]) -> Gallery:
    if str(data["format"]) != FORMAT:
        raise ValueError(f"format {data['format']}, expected {FORMAT}")
    names = [str(name) for name in data["names"]]
    order, own = _order(names, "own_blendshapes" in data)
    wide = len(order)
    own_blendshapes = _own_blendshapes(data, len(own))
    classes = len(data["class_va"])
    va = numbers(data, "class_va", (classes, 2), -1, 1)
    weights = read_weights(data, "class_weights", classes, order)
    if np.abs(weights[:1]).max(initial=0) < 1e-9:  # what rounding leaves of a fitted zero
        weights[0] = 0
    if classes < 2 or va[0].any() or weights[0].any():
        raise ValueError("class 0 that is not the zero face at (0, 0), or no other class")
    if not np.any(va[1:], axis=1).all() or np.hypot(va[:, 0], va[:, 1]).max() > 1 + 1e-6:
        raise ValueError("class centres at neutral or outside the unit disc")
    count = numbers(data, "class_count", (classes,), 1, np.inf).astype(np.int64)
    free = np.where(np.arange(wide) < len(NAMES), 1.0, np.inf)[np.argsort(order)]
    parts = len(data["components"]) if "components" in data else 0
    no_components = {"components": np.zeros((0, wide)), "component_sd": np.zeros((classes, 0))}
    data = {
        "class_sd": np.zeros((classes, wide)),
        "radial_exponent": np.full(wide, DEFAULT_EXPONENT),
        "bandwidth": np.array(DEFAULT_BANDWIDTH),
        **no_components,
        **data,
    }
    return Gallery(
        names=NAMES + own,
        class_va=va,
        class_weights=weights,
        class_sd=numbers(data, "class_sd", (classes, wide), 0, np.inf)[:, order],
        class_count=count,
        exponent=numbers(data, "radial_exponent", (wide,), 1, 10)[order],
        limit=read_limits({"limit": free, **data}, "limit", order),
        bandwidth=float(numbers(data, "bandwidth", (), 1e-3, 2)),
        components=numbers(data, "components", (parts, wide))[:, order],
        component_sd=numbers(data, "component_sd", (classes, parts), 0, np.inf),
        expressions=read_expressions(data, order),
        samples=read_samples(data, order, classes),
        own_blendshapes=own_blendshapes,
        own_topology=_own_topology(data),
    )


def _own_blendshapes(data: Arrays, count: int) -> NDArray[np.float32]:
    if not count:
        return np.zeros((0, 0, 3), np.float32)
    shapes = np.asarray(data["own_blendshapes"])
    if shapes.ndim != 3 or shapes.shape[::2] != (count, 3) or shapes.dtype.kind != "f":
        raise ValueError(
            f"own_blendshapes {shapes.dtype} {shapes.shape}, expected floats ({count}, V, 3)"
        )
    if not np.isfinite(shapes).all():
        raise ValueError("own_blendshapes with values that are not finite")
    return np.ascontiguousarray(shapes, np.float32)


def _own_topology(data: Arrays) -> str:
    if "own_blendshapes" not in data:
        return ""
    return str(data["own_topology"])


def _order(names: list[str], with_own: bool) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Positions in the file of the blendshapes in our order, and names of its own ones."""
    own = tuple(name for name in names if name not in NAMES) if with_own else ()
    if sorted(names) != sorted((*NAMES, *set(own))):
        odd = sorted((set(names) ^ set(NAMES)) - set(own))
        raise ValueError(f"names other than the 52 of ARKit ({', '.join(odd) or 'repeated'})")
    return np.array([names.index(name) for name in NAMES + own]), own


def _from_csv(path: Path) -> Gallery:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = ["valence", "arousal", *NAMES]
        missing = [name for name in columns if name not in (reader.fieldnames or [])]
        if missing:
            raise ValueError(f"no column {', '.join(missing[:5])}")
        rows = []
        for row in reader:
            try:
                rows.append([float(row[name]) for name in columns])
            except (TypeError, ValueError) as error:
                raise ValueError(f"line {reader.line_num}: {error}") from None
    table = np.array(rows, np.float64).reshape(-1, len(columns))
    va, weights = table[:, :2], table[:, 2:]
    if not np.isfinite(table).all() or (np.hypot(va[:, 0], va[:, 1]) > 1 + 1e-9).any():
        raise ValueError("valence and arousal outside the unit disc, or numbers not finite")
    if (weights < 0).any() or (weights > CEILING).any():
        raise ValueError(f"blendshape weights outside [0, {CEILING}]")
    try:
        label = ward_classes(va)
    except ShapeError as error:
        raise ValueError(str(error)) from None
    classes = class_statistics(va, weights, label)
    basis, sd, _ = within_class_components(weights, label)
    return Gallery(
        names=NAMES,
        class_va=classes.va,
        class_weights=classes.weights,
        class_sd=classes.sd,
        class_count=classes.count,
        exponent=np.full(52, DEFAULT_EXPONENT),
        limit=np.ones(52),
        bandwidth=DEFAULT_BANDWIDTH,
        components=basis,
        component_sd=sd,
        samples=Samples(
            np.round(np.clip(weights, 0, 1) * 255).astype(np.uint8),
            va,
            label,
            np.zeros(len(va), np.int64),
        ),
    )
