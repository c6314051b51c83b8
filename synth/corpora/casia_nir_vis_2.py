r"""CASIA NIR-VIS 2.0 face database.

Li, Yi, Lei & Liao, "The CASIA NIR-VIS 2.0 Face Database", CVPR Workshops 2013. 725 people,
1 to 22 VIS and 5 to 50 NIR images each, four sessions, 640 x 480 px and cropped to 128 x 128.
Free for research after a signed agreement with CASIA, Beijing.

Layout::

    ROOT/s1/VIS/00001/001.jpg             session 1 to 4, spectrum, person
    ROOT/s1/NIR/00001/001.bmp
    ROOT/s1/VIS_128x128/00001/001.bmp     cropped: VIS_128x128 and NIR_128x128
    ROOT/protocols/nir_train_dev.txt      lines such as s1\NIR\00001\001.bmp

Flat folders with names such as ``s1_NIR_00001_001.bmp`` are read, too. Images of one person
are of different moments: nothing is paired, and there are no expressions.

Options: ``crop``: ``128x128``, ``none`` or "" (default): the cropped images, the whole ones, or
the only ones there are. ``fold``: "" (default, all images), ``dev`` (View 1) or ``1`` to ``10``
(View 2), with ``part``: ``train`` (``vis_train_FOLD.txt``, ``nir_train_FOLD.txt``), ``test``
(``vis_gallery_FOLD.txt``, ``nir_probe_FOLD.txt``) or ``all`` (default). Lists name whole images;
the cropped one of the same session, spectrum, person and stem is meant where those are read.
"""

from __future__ import annotations

import re
from pathlib import Path

from synth.corpora.image import CorpusImage, in_order, word_of
from synth.corpora.tree import child, listed, photos, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = "s1/ to s4/ with VIS/ and NIR/ (or VIS_128x128/ ...), for example s1/NIR/00001/001.bmp"
PLACE = re.compile(
    r"(?:.*[/_])?(s\d)[/_](vis|nir)(?:_\d+x\d+)?[/_](\d+)[/_]([^/]+?)(?:\.[a-z]+)?", re.IGNORECASE
)
SIZE = re.compile(r"\d{2,}x\d{2,}")
LISTS = {"train": ("vis_train", "nir_train"), "test": ("vis_gallery", "nir_probe")}
FOLDS = ("", "dev", *map(str, range(1, 11)))

#: Session, spectrum, person and number.
Key = tuple[str, str, str, str]


def read(root: Path, crop: str = "", fold: str = "", part: str = "all") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there are none, whole and cropped ones and none chosen, no lists of the fold, or
        a list names images that are not there.
    """
    fold = word_of("fold", fold, FOLDS)
    part = word_of("part", part, ("all", *LISTS))
    if part != "all" and not fold:
        raise UsageError(f"part: expected a fold with {part}, got none; give fold=dev or 1 to 10")
    found = _chosen(root, crop.strip().lower())
    keys = _keys(root, fold, part) if fold else set(found)
    if missing := sorted(keys - set(found)):
        raise UsageError(
            f"fold: expected the {len(keys)} images of fold {fold}, got "
            f"{len(keys) - len(missing)}; {'/'.join(missing[0])} is not there; complete the set"
        )
    return in_order(
        CorpusImage(
            found[key],
            found[key].relative_to(root).as_posix(),
            subject=key[2],
            spectrum=key[1],
            sequence=key[0],
        )
        for key in keys
    )


def _chosen(root: Path, crop: str) -> dict[Key, Path]:
    """The whole or the cropped photos."""
    places = [(path, hit) for path in photos(root) if (hit := _place(path, root))]
    if not places:
        raise wrong("casia-nir-vis-2", LAYOUT, root)
    sizes = sorted({size for _, (_, size) in places})
    if crop not in (*sizes, "") or (not crop and len(sizes) > 1):
        raise UsageError(f"crop: expected one of {', '.join(sizes)}, got {crop!r}")
    found: dict[Key, Path] = {}
    for path, (key, size) in places:
        if crop in ("", size) and found.setdefault(key, path) != path:
            raise UsageError(
                f"casia-nir-vis-2: expected one image of {'/'.join(key)}, got {found[key]} and "
                f"{path}; leave one out"
            )
    return found


def _place(path: Path, root: Path) -> tuple[Key, str] | None:
    """Session, spectrum, person and number of a file, and the size of its crop."""
    name = path.relative_to(root)
    hit = PLACE.fullmatch(name.as_posix())
    if not hit:
        return None
    session, spectrum, person, number = hit.groups()
    size = SIZE.search(name.parent.as_posix())
    return (session.lower(), spectrum.lower(), person, number.lower()), size[0] if size else "none"


def _keys(root: Path, fold: str, part: str) -> set[Key]:
    """What the lists of a fold name."""
    folder = child(root, "protocols") or child(root, "protocol")
    parts = LISTS if part == "all" else {part: LISTS[part]}
    names = [f"{name}_{fold}.txt" for lists in parts.values() for name in lists]
    if folder is None or not all((folder / name).is_file() for name in names):
        raise wrong("fold", f"protocols/ with {', '.join(names)}", folder or root)
    keys: set[Key] = set()
    for name in names:
        for line, place in listed(folder / name):
            hit = PLACE.fullmatch(line)
            if not hit:
                raise UsageError(f"fold: {place}: expected s1/NIR/00001/001.bmp, got {line!r}")
            keys.add((hit[1].lower(), hit[2].lower(), hit[3], hit[4].lower()))
    return keys
