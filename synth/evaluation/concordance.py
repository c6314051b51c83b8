"""Does a recogniser say of the translation what another says of the photo?

The benchmark of the thesis of Kalabis [1]_: a recogniser of visible photos reads the
photos, one of near-infrared pictures reads their translations. How often they agree
says how much of the expression survives the translation (and both recognisers' errors).
Any recogniser can be used: its predictions are a CSV file.

References
----------
.. [1] Kalabis, "Facial expression analysis from NIR image", CTU in Prague 2024.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synth.errors import UsageError
from synth.image_files import EXTENSIONS
from synth.metrics import agreement

__all__ = ["Prediction", "concordance", "name_key", "read_predictions"]


@dataclass(frozen=True)
class Prediction:
    """What a recogniser said of one picture; NaN and "" where it said nothing."""

    valence: float = math.nan
    arousal: float = math.nan
    expression: str = ""

    @property
    def has_va(self) -> bool:
        """Whether there are valence and arousal."""
        return math.isfinite(self.valence) and math.isfinite(self.arousal)


def name_key(name: str) -> str:
    """What a photo and its translation have in common: the name without its extension."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    # Only the extensions of pictures: "va+0.5" is a whole name.
    picture = path.suffix.lower() in EXTENSIONS
    return str(path.with_suffix("") if picture else path) if path.name else ""


def read_predictions(file: Path) -> dict[str, Prediction]:
    """Predictions by `name_key`.

    Parameters
    ----------
    file : Path
        CSV with ``file_name`` and ``valence, arousal``, ``expression`` or all three;
        other columns are ignored, a value may be empty.

    Raises
    ------
    UsageError
        If the file or its columns are missing, a value is unreadable, or a name
        occurs twice.
    """
    if not file.is_file():
        raise UsageError(f"predictions: expected a CSV file, got none at {file}")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        columns = set(reader.fieldnames or [])
        if "file_name" not in columns or not ({"valence", "arousal"} <= columns
                                              or "expression" in columns):  # fmt: skip
            raise UsageError(
                f"{file.name}: expected columns file_name and valence, arousal or expression, "
                f"got {', '.join(sorted(columns)) or 'none'}"
            )
        found: dict[str, Prediction] = {}
        for row in reader:
            where = f"{file.name}, line {reader.line_num}"
            key = name_key((row["file_name"] or "").strip())
            if not key or key in found:
                raise UsageError(f"{where}: expected a new file name, got {row['file_name']!r}")
            found[key] = Prediction(
                _number(row.get("valence"), where),
                _number(row.get("arousal"), where),
                (row.get("expression") or "").strip().lower(),
            )
    if not found:
        raise UsageError(f"{file.name}: expected at least one prediction, got none")
    return found


def _number(text: str | None, where: str) -> float:
    text = (text or "").strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise UsageError(f"{where}: expected a number, got {text!r}")
    return value


def concordance(
    photos: Mapping[str, Prediction], translated: Mapping[str, Prediction]
) -> dict[str, Any]:
    """Agreement of the predictions for photos with those for their translations.

    Parameters
    ----------
    photos, translated : mapping of str to Prediction
        By `name_key`.

    Returns
    -------
    dict
        ``n`` names on both sides, ``only_photos`` and ``only_translated`` on one.
        ``expression``: ``n``, ``equal`` (percent), ``kappa``, ``macro_f1``,
        ``classes`` and their ``confusion`` (rows: photos). ``va``: ``n``,
        ``mean_distance``, and ``ccc``, ``pcc``, ``rmse``, ``sagr`` each by dimension.
        A part is left out where nobody predicted it. CCC in population form.

    Raises
    ------
    UsageError
        If no name is on both sides.
    """
    common = sorted(set(photos) & set(translated))
    if not common:
        raise UsageError(
            "predictions: expected names on both sides, got none in common: "
            f"{_some(photos)} and {_some(translated)}; extensions may differ, stems may not"
        )
    found: dict[str, Any] = {
        "n": len(common),
        "only_photos": len(set(photos) - set(common)),
        "only_translated": len(set(translated) - set(common)),
    }
    named = [k for k in common if photos[k].expression and translated[k].expression]
    if named:
        first = [photos[k].expression for k in named]
        second = [translated[k].expression for k in named]
        counts, classes = agreement.confusion(first, second)
        found["expression"] = {
            "n": len(named),
            "equal": 100 * agreement.accuracy(first, second),
            "kappa": agreement.kappa(first, second),
            "macro_f1": agreement.macro_f1(first, second),
            "classes": classes,
            "confusion": counts.tolist(),
        }
    placed = [k for k in common if photos[k].has_va and translated[k].has_va]
    if placed:
        found["va"] = _va_agreement([photos[k] for k in placed], [translated[k] for k in placed])
    return found


def _va_agreement(photos: list[Prediction], translated: list[Prediction]) -> dict[str, Any]:
    first = np.array([(p.valence, p.arousal) for p in photos])
    second = np.array([(p.valence, p.arousal) for p in translated])
    found: dict[str, Any] = {
        "n": len(photos),
        "mean_distance": agreement.mean_distance(first, second),
    }
    for name in ("ccc", "pcc", "rmse", "sagr"):
        measure = getattr(agreement, name)
        found[name] = {
            dimension: measure(first[:, i], second[:, i])
            for i, dimension in enumerate(("valence", "arousal"))
        }
    return found


def _some(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
