"""Concordance of two readers as files, and the readings of two folders of pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import SkipPhoto, UsageError
from synth.evaluation.concordance import Prediction, name_key
from synth.evaluation.fer_predictions import read_table
from synth.evaluation.matching import match_pictures
from synth.images import encode_image, load_image
from synth.metrics.classes import confusion_margins
from synth.metrics.figures import draw_confusion
from synth.metrics.va_figures import draw_scatter
from synth.recognition.infer import Inference

__all__ = ["FILES", "concordance_files", "concordance_text", "predictions_of", "read_folders"]

#: What may be written into the output folder.
FILES = ("concordance.md", "concordance.json", "confusion.png", "scatter.png")

Predicted = dict[str, Prediction]


# --------------------------------------------------------------------------------- readings
def predictions_of(file: Path) -> Predicted:
    """Predictions of a table as ``synth infer`` writes it, of the first face of each file.

    Raises
    ------
    UsageError
        As `synth.evaluation.fer_predictions.read_table`.
    """
    table = read_table(file)
    found: Predicted = {}
    for i, name in enumerate(table.names):
        valence, arousal = (math.nan,) * 2 if table.va is None else table.va[i]
        word = ""
        if table.expressions is not None:
            word = table.expressions[i]
        elif table.probabilities is not None and np.isfinite(table.probabilities[i]).all():
            word = table.classes[int(table.probabilities[i].argmax())]
        found[name_key(name)] = Prediction(float(valence), float(arousal), word)
    return found


def read_folders(
    photos: Path,
    translated: Path,
    vis: Inference,
    nir: Inference,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Predicted, Predicted, list[tuple[str, str]]]:
    """What the two readers say of photos and of their translations.

    Parameters
    ----------
    photos, translated : Path
        Folders; names agree without extension and a final ``_nir``, or as the table of a
        run says.
    vis, nir : Inference
        What finds and reads the faces of each side; the largest face of a picture counts.
    progress : callable
        Told how many pairs of how many are done.

    Returns
    -------
    photos, translated : dict of str to Prediction
        Of pairs of which both sides were read.
    lost : list of (str, str)
        Pairs left out: name, and side with the reason.

    Raises
    ------
    UsageError
        If a folder is missing or empty, or nothing belongs together.
    AssetError
        If a network is missing.
    """
    matches, _ = match_pictures(photos, translated)
    for inference in (vis, nir):
        inference.preload()
    sides: tuple[Predicted, Predicted] = ({}, {})
    lost: list[tuple[str, str]] = []
    for done, match in enumerate(matches, 1):
        read = []
        for side, inference, path in (("photo", vis, match.photo), ("nir", nir, match.translated)):
            try:
                read.append(_prediction(inference, path))
            except SkipPhoto as skip:
                lost.append((match.key, f"{side}: {skip.reason}"))
                break
        if len(read) == 2:
            for found, prediction in zip(sides, read, strict=True):
                found[match.key] = prediction
        progress(done, len(matches))
    if not sides[0]:
        raise UsageError(
            f"photos: expected a face on both sides of a pair, got none in {len(matches)} pairs "
            f"({', '.join(f'{name} {why}' for name, why in lost[:3])})"
        )
    return *sides, lost


def _prediction(inference: Inference, path: Path) -> Prediction:
    image = load_image(path)
    spectrum = inference.spectrum_of(image)
    face = inference.detect(image)[:1]
    [[reading]] = inference.read([(image, face, spectrum)])
    if reading.valence is None or reading.arousal is None:
        return Prediction(expression=reading.expression)
    return Prediction(reading.valence, reading.arousal, reading.expression)


# ----------------------------------------------------------------------------------- report
def concordance_text(found: Mapping[str, Any], lost: int = 0) -> str:
    """The agreement as Markdown; every table says n.

    Parameters
    ----------
    found : dict
        Of `synth.evaluation.concordance.concordance`.
    lost : int
        Pairs without a face on both sides.
    """
    said = f"n = {found['n']} pictures read on both sides"
    for key, words in (("only_photos", "only as photos"), ("only_translated", "only translated")):
        said += f"; {found[key]} {words}" if found[key] else ""
    said += f"; {lost} pairs without a face on both sides" if lost else ""
    blocks = ["# Concordance of two readers", said + "."]
    if part := found.get("expression"):
        values = [str(part["n"]), f"{part['equal']:.1f}"]
        values += [_number(part[key]) for key in ("kappa", "macro_f1")]
        head = "| n | equal, % | kappa | macro F1 |\n| ---: | ---: | ---: | ---: |"
        blocks += ["## Expressions", f"{head}\n| {' | '.join(values)} |"]
    if part := found.get("va"):
        lines = ["| | n | CCC | PCC | RMSE | SAGR |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
        for axis in ("valence", "arousal"):
            values = [_number(part[name][axis]) for name in ("ccc", "pcc", "rmse", "sagr")]
            lines.append(f"| {axis} | {part['n']} | {' | '.join(values)} |")
        distance = f"Mean distance in the plane {_number(part['mean_distance'])}, n = {part['n']}."
        blocks += ["## Valence and arousal", "\n".join(lines), distance]
    return "\n\n".join(blocks) + "\n"


def concordance_files(
    found: Mapping[str, Any], photos: Predicted, translated: Predicted, lost: int = 0
) -> dict[str, bytes]:
    """Contents of `FILES`, figures only of what both sides have, by name."""
    files = {
        "concordance.md": concordance_text(found, lost).encode(),
        "concordance.json": json.dumps(
            _plain(dict(found) | {"lost": lost}), indent=1, allow_nan=False
        ).encode() + b"\n",
    }  # fmt: skip
    common = sorted(set(photos) & set(translated))
    if "expression" in found:
        named = [k for k in common if photos[k].expression and translated[k].expression]
        margins = confusion_margins(
            [photos[k].expression for k in named], [translated[k].expression for k in named]
        )
        files["confusion.png"] = encode_image(draw_confusion(margins, "photo, translated"), "png")
    if "va" in found:
        first, second = (
            np.array([(side[k].valence, side[k].arousal) for k in common])
            for side in (photos, translated)
        )
        picture = draw_scatter(first, second, "translated against photo", ("photo", "translated"))
        files["scatter.png"] = encode_image(picture, "png")
    return files


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _plain(value: Any) -> Any:
    """JSON knows no NaN: null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
