"""Pictures labelled with an expression: how sets are read, and batches drawn.

Three layouts: ``metadata.csv`` with the columns ``file_name`` and ``expression`` (what
``synth augment`` writes, and Hugging Face's ImageFolder), a folder for every class, and
``training.csv`` with AffectNet's numbers as the authors' code of GANmut wants it. Which
picture is shown when depends on the seed and the iteration alone.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from synth.affect import expression_name
from synth.errors import SynthError, TargetError, UsageError
from synth.models.ganmut_public import AFFECTNET

__all__ = [
    "LabelledPicture",
    "PictureFeed",
    "choose_classes",
    "order",
    "read_labelled",
]

UInt8 = NDArray[np.uint8]
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LAYOUTS = (
    "a set of synth augment, metadata.csv with file_name and expression, training.csv with "
    "AffectNet's numbers, or a folder for every expression"
)
#: Decoded pictures kept in memory: 1 GB at 128 px.
KEPT = 20_000


@dataclass(frozen=True)
class LabelledPicture:
    """A picture of a face and what it expresses.

    Attributes
    ----------
    name : str
        Unique in its set.
    expression : str
        A key of `synth.affect.EXPRESSIONS`.
    read : callable
        Gives the encoded picture.
    """

    name: str
    expression: str
    read: Callable[[], bytes] = field(compare=False, repr=False)


def read_labelled(root: Path, split: str = "") -> list[LabelledPicture]:
    """The labelled pictures of a folder, sorted by name; those without a label are left out.

    Parameters
    ----------
    root : Path
    split : str
        Subfolder to read. By default ``train`` if there is one, else all of it.

    Raises
    ------
    UsageError
        If the folder or the split is missing, the layout is none of those known, a class
        name is unknown, or nothing is labelled.
    """
    if not root.is_dir():
        raise UsageError(f"data: expected a folder of labelled pictures, got {root}")
    part = root / split if split else root / "train" if (root / "train").is_dir() else root
    if not part.is_dir():
        raise UsageError(f"split: expected a subfolder of {root}, got {split!r}")
    tables = [path for path in (part / "metadata.csv", part / "training.csv") if path.is_file()]
    found = _of_table(tables[0]) if tables else _of_folders(part)
    if not found:
        raise UsageError(
            f"data: expected pictures with an expression, got none in {part}; give {LAYOUTS} "
            "(sets that ask for valence and arousal only have no classes)"
        )
    return sorted(found, key=lambda picture: picture.name)


def _of_table(path: Path) -> list[LabelledPicture]:
    numbered = path.name == "training.csv"
    file, label = ("subDirectory_filePath" if numbered else "file_name"), "expression"
    found = []
    with open(path, encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = {file, label} - set(rows.fieldnames or ())
        if missing:
            raise UsageError(
                f"data: expected the columns {file} and {label} in {path}, got "
                f"{', '.join(rows.fieldnames or ['none'])}"
            )
        for number, row in enumerate(rows, 2):
            where = f"{path} line {number}"
            name = _numbered(row[label], where) if numbered else _named(row, where)
            if name:
                found.append(LabelledPicture(row[file], name, (path.parent / row[file]).read_bytes))
    return found


def _named(row: dict[str, str], where: str) -> str:
    """The row's expression; neutral faces of ``synth augment`` may be asked for as (0, 0)."""
    text = (row["expression"] or "").strip()
    if text:
        return _expression(text, where)
    try:
        point = float(row.get("valence") or "nan"), float(row.get("arousal") or "nan")
    except ValueError:
        return ""
    return "neutral" if point == (0, 0) else ""


def _numbered(text: str, where: str) -> str:
    """AffectNet's label; "" for its 8 to 10: none, uncertain, no face."""
    if not (text or "").strip().isdigit():
        raise UsageError(
            f"expression: expected AffectNet's numbers 0 to 10, got {text!r} ({where})"
        )
    return AFFECTNET[int(text)] if int(text) < len(AFFECTNET) else ""


def _of_folders(part: Path) -> list[LabelledPicture]:
    found = []
    for folder in sorted(p for p in part.iterdir() if p.is_dir() and not p.name.startswith(".")):
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
        if files:
            name = _expression(folder.name, str(folder))
            found += [
                LabelledPicture(f.relative_to(part).as_posix(), name, f.read_bytes) for f in files
            ]
    return found


def _expression(text: str, where: str) -> str:
    try:
        return expression_name(text)
    except TargetError as error:
        raise UsageError(f"{error} ({where}); rename the class") from None


def choose_classes(
    pictures: Sequence[LabelledPicture], wanted: Sequence[str] = (), least: int = 20
) -> tuple[str, ...]:
    """The classes to train on: neutral first, the others in AffectNet's order.

    Parameters
    ----------
    pictures : sequence of LabelledPicture
    wanted : sequence of str
        Names; all that the pictures have by default.
    least : int
        Pictures that each class must have.

    Raises
    ------
    UsageError
        If neutral or any other class is missing, or a class has too few pictures.
    """
    counts = Counter(picture.expression for picture in pictures)
    names = (
        {_expression(name, "--classes") for name in wanted} | {"neutral"} if wanted else set(counts)
    )
    classes = tuple(name for name in AFFECTNET if name in names)
    have = ", ".join(f"{name} {counts[name]}" for name in AFFECTNET if counts[name])
    if "neutral" not in classes or len(classes) < 2:
        raise UsageError(
            f"data: expected neutral faces and at least one expression, got {have or 'none'}; "
            "GANmut edits from and to neutral"
        )
    few = [f"{name} {counts[name]}" for name in classes if counts[name] < least]
    if few:
        raise UsageError(
            f"data: expected {least} pictures or more of each class, got {', '.join(few)}; add "
            "some, leave the class out by --classes, or lower --least"
        )
    return classes


def order(count: int, batch: int, iteration: int, seed: int) -> NDArray[np.intp]:
    """(batch,) which pictures a step sees: every epoch all of them, shuffled anew.

    Depends on nothing but its arguments, so that a resumed run needs no state for it.
    """
    places = np.arange(iteration * batch, (iteration + 1) * batch)
    epochs = {int(epoch): _shuffled(count, seed, int(epoch)) for epoch in set(places // count)}
    return np.array([epochs[int(place // count)][place % count] for place in places], np.intp)


_LAST: dict[tuple[int, int, int], NDArray[np.intp]] = {}


def _shuffled(count: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """A permutation; the last two are kept."""
    key = count, seed, epoch
    if key not in _LAST:
        while len(_LAST) > 1:
            _LAST.pop(next(iter(_LAST)))
        _LAST[key] = np.random.default_rng([seed, 2, epoch]).permutation(count)
    return _LAST[key]


class PictureFeed:
    """Pictures of one size, decoded ahead in threads and kept while there is room.

    Parameters
    ----------
    pictures : sequence of LabelledPicture
    size : int
        Side; the largest square about the middle is shrunk or enlarged to it.
    kept : int
        Pictures kept in memory.
    threads : int
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        size: int,
        kept: int = KEPT,
        threads: int = 4,
    ) -> None:
        self.pictures, self.size, self.kept = pictures, size, kept
        self._memory: dict[int, UInt8] = {}
        self._coming: dict[int, Future[UInt8]] = {}
        self._pool = ThreadPoolExecutor(threads)

    def expect(self, indices: NDArray[np.intp]) -> None:
        """Begin to decode what the next `batch` will ask for."""
        for index in map(int, indices):
            if index not in self._memory and index not in self._coming:
                self._coming[index] = self._pool.submit(self.decode, index)

    def batch(self, indices: NDArray[np.intp]) -> UInt8:
        """(N, size, size, 3) the pictures.

        Raises
        ------
        SynthError
            If one cannot be read.
        """
        self.expect(indices)
        found = []
        for index in map(int, indices):
            if index in self._coming:
                picture = self._coming.pop(index).result()
                if len(self._memory) < self.kept:
                    self._memory[index] = picture
                found.append(picture)
            else:  # twice in a batch: kept, or read again
                found.append(self._memory[index] if index in self._memory else self.decode(index))
        return np.stack(found)

    def decode(self, index: int) -> UInt8:
        """(size, size, 3) one picture."""
        picture = self.pictures[index]
        try:
            with Image.open(io.BytesIO(picture.read())) as image:
                image.draft("RGB", (2 * self.size, 2 * self.size))
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise SynthError(
                f"data: expected a readable picture, got {picture.name} ({error}); remove it"
            ) from None
        size = (self.size, self.size)
        return np.asarray(ImageOps.fit(upright, size, Image.Resampling.LANCZOS), np.uint8)
