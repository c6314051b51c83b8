r"""LAMP-HQ: a large-scale multi-pose high-quality NIR-VIS face database.

Yu, Wu, Huang, Lei & He, "LAMP-HQ: A Large-Scale Multi-Pose High-Quality Database and
Benchmark for NIR-VIS Face Recognition", International Journal of Computer Vision 129, 2021.
573 people, 56,788 NIR and 16,828 VIS images; poses, expressions, illuminations, glasses.
On request from the authors, for research.

We have not seen the set. From readers that others published: photos in folders below one
root, the spectrum in the path, and lists in ``Protocol/`` whose lines hold a path and the
person, such as ``gallery_vis1.txt`` and ``probe_nir1.txt``. How names tell pose and light we do
not know, so the reader takes what it is told::

    ROOT/VIS/....jpg                             a folder VIS or NIR (or VIS_x, x_NIR) on the way
    ROOT/NIR/....jpg
    ROOT/Protocol/test/probe_nir1.txt            optional: lines "NIR/....jpg 17"

Options: ``lists``: a pattern such as ``Protocol/test/*1.txt``, relative to ROOT: only the images
named there are read, and the second word of a line is the person. Otherwise ``pattern``: a
regular expression, searched for in the path below ROOT, with the groups ``subject`` and, where
wanted, ``light``, ``sequence``, ``frame`` and ``expression``; without it, the person is the folder
below VIS or NIR, or, without such folders, what stands before the first ``_`` or ``-`` of the
name. ``pairs``: ``none`` (default) or ``stem``: images whose paths agree but for VIS and NIR are
of the same moment.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from synth.corpora.image import SPECTRA, CorpusImage, expression_of, in_order, word_of
from synth.corpora.tree import compiled, listed, photos, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = "VIS/ and NIR/ with photos, for example NIR/0001/0001_03.jpg"
GROUPS = ("subject", "light", "sequence", "frame", "expression")
SPECTRUM = re.compile(r"(?:^|[_-])(vis|nir)(?:$|[_-])", re.IGNORECASE)


def read(root: Path, lists: str = "", pattern: str = "", pairs: str = "none") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there are none below a folder VIS or NIR, the pattern does not tell a person, or a
        list names photos that are not there.
    """
    word_of("pairs", pairs, ("none", "stem"))
    rule = compiled("pattern", pattern, GROUPS) if pattern else None
    if rule and "subject" not in rule.groupindex:
        raise UsageError(f"pattern: expected a group (?P<subject>...), got {pattern!r}")
    place_of = {path.relative_to(root).as_posix(): path for path in photos(root)}
    people = _listed(root, lists, place_of) if lists else {}
    images = []
    for name in people or place_of:
        spectrum, below = _split(PurePosixPath(name))
        if not spectrum and people:
            raise UsageError(f"lists: expected a folder VIS or NIR on the way to {name}, got none")
        if not spectrum:
            continue  # not one of the set's faces
        said = _said(rule, name, below)
        images.append(
            CorpusImage(
                place_of[name],
                name,
                subject=people.get(name) or said["subject"],
                spectrum=spectrum,
                expression=expression_of(said.get("expression", ""), f"pattern: {name}"),
                sequence=said.get("sequence", ""),
                frame=int(said["frame"]) if said.get("frame", "").isdecimal() else -1,
                light=said.get("light", ""),
                pair=_without_spectrum(name) if pairs == "stem" else "",
            )
        )
    if not images:
        raise wrong("lamp-hq", LAYOUT, root)
    return in_order(images)


def _split(place: PurePosixPath) -> tuple[str, PurePosixPath]:
    """The spectrum told by the first folder that has it in its name, and the path below it."""
    for i, part in enumerate(place.parts[:-1]):
        hit = SPECTRUM.search(part)
        if hit and hit[1].lower() in SPECTRA:
            return hit[1].lower(), PurePosixPath(*place.parts[i + 1 :])
    return "", place


def _without_spectrum(name: str) -> str:
    """The path without extension and with ``*`` for VIS and NIR."""
    parts = PurePosixPath(name).with_suffix("").parts
    return "/".join(SPECTRUM.sub(lambda hit: hit[0].replace(hit[1], "*"), part) for part in parts)


def _said(rule: re.Pattern[str] | None, name: str, below: PurePosixPath) -> dict[str, str]:
    """What the path tells, by group."""
    if rule is None:
        who = below.parts[0] if len(below.parts) > 1 else re.split("[_-]", below.stem)[0]
        return {"subject": who}
    hit = rule.search(name)
    found = {key: value for key, value in hit.groupdict().items() if value} if hit else {}
    if "subject" not in found:
        raise UsageError(
            f"pattern: expected a person in {name} by {rule.pattern!r}, got none; change it, or "
            "take the lists"
        )
    return found


def _listed(root: Path, lists: str, place_of: dict[str, Path]) -> dict[str, str]:
    """Person of each photo that the lists name."""
    try:
        paths = sorted(path for path in root.glob(lists) if path.is_file())
    except (NotImplementedError, ValueError):  # an absolute pattern
        paths = []
    if not paths:
        raise wrong("lists", f"text files {lists}", root)
    people: dict[str, str] = {}
    for path in paths:
        for line, place in listed(path):
            name, _, who = line.rpartition(" ")
            if not name or name not in place_of:
                raise UsageError(
                    f"lists: {place}: expected 'PHOTO PERSON', a photo below {root}, got {line!r}"
                )
            if people.setdefault(name, who) != who:
                raise UsageError(
                    f"lists: {place}: expected person {people[name]} as before, got {who}"
                )
    return people
