"""A set of any format as a plain PyTorch dataset, with random access.

The labels of a split are read once into flat arrays; a picture is one seek and one
read at the offset that its provenance row names, whatever the format. No file stays
open, so the dataset can be pickled and used by the workers of a `DataLoader`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from synth.affect import CLASSES, UNLABELLED
from synth.dataset.manifest import read_manifests
from synth.dataset.provenance import read_provenance
from synth.errors import UsageError
from synth.expressions.action_units import ACTION_UNITS

__all__ = ["CLASSES", "UNLABELLED", "AffectDataset", "unit_vector"]

#: Units by position in ``action_units``: FACS codes as text.
UNITS: tuple[str, ...] = tuple(ACTION_UNITS)

_TARGETS = ("both", "va", "expression")
_READ = ("key", "file", "offset", "bytes", "valence", "arousal", "expression", "action_units",
         "subject")  # fmt: skip


class AffectDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Pictures and labels of one split of a set.

    An item is a dictionary:

    ================  =========================================================
    ``image``         (3, H, W) float32 in [0, 1], RGB; or what `transform` gives
    ``valence``       float32 scalar, -1 to 1; not with ``target="expression"``
    ``arousal``       float32 scalar, -1 to 1; not with ``target="expression"``
    ``expression``    int64 scalar, position in `CLASSES`; `UNLABELLED` (-100) where
                      only a point of the circumplex was asked for; not with
                      ``target="va"``
    ``action_units``  (len(units),) float32 in [0, 1], in the order of ``units``; of a
                      unit on one side, the stronger side
    ``id``            str, the picture's key in the set
    ``subject``       str
    ================  =========================================================

    Neutral faces asked for as the point (0, 0) have the class ``neutral``.

    Parameters
    ----------
    root : path
        Folder of the set, of any format.
    split : str
    transform : callable, optional
        Takes the decoded `PIL.Image.Image` (RGB), gives ``image``.
    target : {"both", "va", "expression"}
        Which labels an item has.

    Raises
    ------
    UsageError
        If there is no such set or split, or the target is unknown.
    SynthError
        If the set is damaged.
    """

    classes = CLASSES
    units = UNITS

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Callable[[Image.Image], Any] | None = None,
        target: Literal["both", "va", "expression"] = "both",
    ) -> None:
        if target not in _TARGETS:
            raise UsageError(f"target: expected one of {', '.join(_TARGETS)}, got {target!r}")
        self.root, self.split, self.transform, self.target = Path(root), split, transform, target
        manifests = read_manifests(self.root)
        if not manifests:
            raise UsageError(f"root: expected a set made by synth augment, got {root}")
        splits = list(dict.fromkeys(m.split for m in manifests))
        if split not in splits:
            raise UsageError(f"split: expected one of {', '.join(splits)}, got {split!r}")
        tables = [
            read_provenance(self.root, split, m.number, _READ)
            for m in manifests
            if m.split == split
        ]
        self._load({name: _joined([table[name] for table in tables]) for name in _READ})

    def _load(self, columns: dict[str, NDArray[Any]]) -> None:
        """Keep the columns as arrays of fixed types: workers share them, copies are cheap."""
        self.valence = columns["valence"].astype(np.float32)
        self.arousal = columns["arousal"].astype(np.float32)
        index = {name: i for i, name in enumerate(CLASSES)}
        named = np.array([index.get(name, UNLABELLED) for name in columns["expression"]], np.int64)
        neutral = (named == UNLABELLED) & (self.valence == 0) & (self.arousal == 0)
        self.expression = np.where(neutral, 0, named)
        self.action_units = _vectors(columns["action_units"])
        self._offset, self._size = columns["offset"], columns["bytes"]
        self._key, self._file = (_fixed(columns[name]) for name in ("key", "file"))
        self._subjects, self._subject = np.unique(_fixed(columns["subject"]), return_inverse=True)

    def __len__(self) -> int:
        return len(self._offset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index: expected less than {len(self)}, got {index}")
        with Image.open(BytesIO(self.read(index))) as picture:
            image = picture.convert("RGB")
        item: dict[str, Any] = {"image": (self.transform or to_tensor)(image)}
        if self.target != "expression":
            item["valence"] = torch.tensor(self.valence[index])
            item["arousal"] = torch.tensor(self.arousal[index])
        if self.target != "va":
            item["expression"] = torch.tensor(self.expression[index])
        item["action_units"] = torch.from_numpy(self.action_units[index].copy())
        item["id"] = str(self._key[index])
        item["subject"] = str(self._subjects[self._subject[index]])
        return item

    def read(self, index: int) -> bytes:
        """The encoded picture as it was written."""
        with open(self.root / str(self._file[index]), "rb") as file:
            file.seek(int(self._offset[index]))
            return file.read(int(self._size[index]))


def to_tensor(image: Image.Image) -> torch.Tensor:
    """(3, H, W) float32 in [0, 1] of an RGB picture."""
    pixels = torch.from_numpy(np.array(image, np.uint8))
    return pixels.permute(2, 0, 1).to(torch.float32).div_(255)


def unit_vector(text: str) -> NDArray[np.float32]:
    """(len(ACTION_UNITS),) intensities of a cell such as ``12:0.8,L1:0.5``, or ``none``.

    Blendshapes asked for by name are no units and are left out.
    """
    vector = np.zeros(len(UNITS), np.float32)
    for part in [] if text == "none" else text.split(","):
        name, _, value = part.partition(":")
        code = name.strip("LR")
        if code in ACTION_UNITS:
            at = UNITS.index(code)
            vector[at] = max(vector[at], float(value))
    return vector


def _vectors(cells: NDArray[Any]) -> NDArray[np.float32]:
    different, which = np.unique(_fixed(cells), return_inverse=True)
    table = [unit_vector(text) for text in different] or [unit_vector("none")]
    return np.stack(table)[which]


def _joined(columns: list[Any]) -> NDArray[Any]:
    return np.concatenate([column.to_numpy() for column in columns])


def _fixed(texts: NDArray[Any]) -> NDArray[np.str_]:
    """Text as an array without Python objects."""
    return np.asarray(texts, dtype=np.str_)
