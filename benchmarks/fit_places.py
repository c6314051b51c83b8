"""Hand-clicked templates of 189 points and a mesh: which place of the mesh is which point.

Used by ``benchmarks/fit_dense.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.morphable.model import MorphableModel
from synth.types import Fit, inter_ocular

Float = NDArray[np.float64]

#: Template points farther than this from any place of the mesh are no part of the face.
ON_FACE = 0.05
GRID = np.array([(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)], float) / 6
#: Landmarks by region: a template point is of the region whose landmark is nearest to it.
REGIONS = {"jaw": 17, "brows": 27, "nose": 36, "eyes": 48, "lips": 68}


@dataclass
class Person:
    """A photo with its points, clicked (template) and detected."""

    path: Path
    held_out: bool
    pixels: NDArray[np.uint8]
    points: Float
    template: Float
    fit: Fit

    @property
    def iod(self) -> float:
        return inter_ocular(self.points)


def people(folder: Path, model: MorphableModel) -> list[Person]:
    """Everybody with a neutral photo; every fourth and every second are held out."""
    sets = [sorted((folder / name).glob("*.jpg")) for name in ("neutral", "canada")]
    held = {*sets[0][::4], *sets[1][::2]}
    detect, found = get_detector("dlib").detect, []
    for path in sets[0] + sets[1]:
        image = load_image(path)
        marks = max(detect(image), key=lambda face: face.inter_ocular)
        lines = path.with_suffix(".tem").read_text().split("\n")
        rows = [line.split()[:2] for line in lines[1 : 1 + int(lines[0])]]
        fit = fit_face(marks, (image.height, image.width), model)
        template = np.array(rows, float)
        found.append(Person(path, path in held, image.pixels, marks.points, template, fit))
    return found


class Places:
    """Where on the mesh template points lie best on some people.

    Attributes
    ----------
    faces, bary : (n,) int64, (n, 3) float64
    error : (n,) float64
        Root mean square on these people, inter-ocular distances.
    """

    def __init__(self, model: MorphableModel, who: list[Person], seen: list[Float]) -> None:
        self.model = model
        scale = np.array([p.iod for p in who])[:, None]
        mesh = np.array(seen) / scale[..., None]
        points = np.array([p.template for p in who]) / scale[..., None]
        usable = np.flatnonzero(~np.isin(model.parts, (2, 3, 4, 5)))
        vertices = np.unique(model.faces[usable])
        faces, bary, error = [], [], []
        for k in range(points.shape[1]):
            apart = ((mesh[:, vertices] - points[:, None, k]) ** 2).sum(2).mean(0)
            near = vertices[np.argsort(apart)[:4]]
            around = usable[np.isin(model.faces[usable], near).any(1)]
            at = np.einsum("gc,nfcx->nfgx", GRID, mesh[:, model.faces[around]])
            mean = ((at - points[:, None, None, k]) ** 2).sum(3).mean(0)
            face, place = np.unravel_index(mean.argmin(), mean.shape)
            faces.append(around[face])
            bary.append(GRID[place])
            error.append(np.sqrt(mean[face, place]))
        self.faces, self.bary, self.error = np.array(faces), np.array(bary), np.array(error)

    def on(self, seen: Float) -> Float:
        """(n, 2) the places on a mesh in the picture (V, 2)."""
        return np.einsum("nc,ncx->nx", self.bary, seen[self.model.faces[self.faces]])

    def errors(self, who: list[Person], seen: list[Float]) -> Float:
        """(P, n) distance from what was clicked, % of the inter-ocular distance."""
        return np.array(
            [
                100 * np.linalg.norm(self.on(mesh) - p.template, axis=1) / p.iod
                for p, mesh in zip(who, seen, strict=True)
            ]
        )


def held_out_errors(
    model: MorphableModel, who: list[Person], seen: list[Float]
) -> tuple[Float, Float]:
    """Errors (P, 189) of those held out, and of the places on the others (189,)."""
    known = [i for i, p in enumerate(who) if not p.held_out]
    held = [i for i, p in enumerate(who) if p.held_out]
    places = Places(model, [who[i] for i in known], [seen[i] for i in known])
    return places.errors([who[i] for i in held], [seen[i] for i in held]), places.error


def fold_errors(model: MorphableModel, who: list[Person], seen: list[Float]) -> tuple[Float, Float]:
    """The same for everybody, by places learned from the other three folds of four."""
    fold = np.arange(len(who)) // 2 % 4
    errors, training = np.empty((len(who), who[0].template.shape[0])), []
    for n in range(4):
        known, left = np.flatnonzero(fold != n), np.flatnonzero(fold == n)
        places = Places(model, [who[i] for i in known], [seen[i] for i in known])
        errors[left] = places.errors([who[i] for i in left], [seen[i] for i in left])
        training.append(places.error)
    return errors, np.mean(training, axis=0)


def regions(who: list[Person]) -> NDArray[np.int64]:
    """(189,) number in `REGIONS` of each template point."""
    nearest = np.array(
        [np.linalg.norm(p.template[:, None] - p.points[None], axis=2).argmin(1) for p in who]
    )
    most = [np.bincount(column).argmax() for column in nearest.T]
    return np.searchsorted(list(REGIONS.values()), most, side="right")
