"""How much the dense fit gains over the landmark fit. Prints the tables of ``docs/fitting.md``.

``python benchmarks/fit_dense.py ../shared/data [--quick] [--texture NPZ] [--weights]``

1. Rendered faces of known truth: identities drawn from the model (0.7 sd, as different as
   fits of people are), with the skin of people whom the texture model does not know, pinned
   to the mesh by their hand-clicked points; the landmarks are the true ones with noise and
   with a bias that all pictures share, as a detector's have.
2. Hand-clicked templates of 189 points: each gets the place on the mesh where it lies best
   on the training people, for every kind of fit its own, and is then predicted for people
   whom neither texture model nor places have seen.

Differences are paired; intervals draw persons with replacement (`synth.metrics.intervals`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.camera import camera_offset, project
from synth.fitting import fit_camera_and_shape, fit_face, residual_field
from synth.fitting.correction import thin_plate_spline
from synth.fitting.dense import DenseSettings, Units, fit_dense
from synth.images import load_image
from synth.landmarks import get_detector
from synth.meshes.mesh import vertex_normals
from synth.metrics.intervals import interval_ends, times_drawn
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.texture import TextureModel, load_texture
from synth.render.raster import rasterise
from synth.testing import synthetic_camera, visible_jaw
from synth.types import Camera, Fit, inter_ocular

Float = NDArray[np.float64]

YAWS, SIZE, SPREAD = (0, 15, 30, 45), 512, 0.7
#: Ambient light, direct light, and where it comes from.
LIGHTS = {
    "even": (1.0, 0.0, (0, 0, 1)),
    "side": (0.35, 0.9, (0.85, 0.25, 0.5)),
    "top": (0.4, 0.85, (-0.3, 0.8, 0.5)),
}
#: Of the landmarks, shares of the inter-ocular distance.
NOISE, BIAS = 0.015, 0.010
#: Template points farther than this from any place of the mesh are no part of the face.
ON_FACE = 0.05
GRID = np.array([(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)], float) / 6


@dataclass
class Person:
    """A photo with its points."""

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


def gain(first: Float, second: Float) -> str:
    """Mean difference of two errors by person, with its interval."""
    change = second - first
    drawn = [times @ change / len(change) for times in times_drawn(len(change), 2000, 0)]
    low, high, _ = interval_ends(float(change.mean()), np.concatenate(drawn), len(change), 0.95)
    return f"{change.mean():+.3f} ({low:+.3f} to {high:+.3f})"


# ------------------------------------------------------------------------ templates
def learn_places(
    model: MorphableModel, seen: list[Float], templates: list[Float], iod: list[float]
) -> tuple[NDArray[np.int64], Float, Float]:
    """Triangle, barycentric place and training error of every template point."""
    mesh, points, scale = np.array(seen), np.array(templates), np.array(iod)[:, None]
    usable = np.flatnonzero(~np.isin(model.parts, (2, 3, 4, 5)))
    vertices = np.unique(model.faces[usable])
    faces, bary, error = [], [], []
    for k in range(points.shape[1]):
        apart = np.linalg.norm(mesh[:, vertices] - points[:, None, k], axis=2) / scale
        best: tuple[float, int, Float] = (np.inf, 0, GRID[0])
        for vertex in vertices[np.argsort((apart**2).mean(0))[:4]]:
            for face in usable[(model.faces[usable] == vertex).any(1)]:
                at = np.einsum("gc,ncx->ngx", GRID, mesh[:, model.faces[face]])
                apart = np.linalg.norm(at - points[:, None, k], axis=2) / scale
                mean = (apart**2).mean(0)
                if mean.min() < best[0]:
                    best = (float(mean.min()), int(face), GRID[mean.argmin()])
        faces.append(best[1])
        bary.append(best[2])
        error.append(np.sqrt(best[0]))
    return np.array(faces), np.array(bary), np.array(error)


def template_errors(
    model: MorphableModel, who: list[Person], seen: list[Float]
) -> tuple[Float, Float]:
    """(P, 189) errors of the held-out people in % of the inter-ocular distance, and training."""
    known = [i for i, p in enumerate(who) if not p.held_out]
    faces, bary, training = learn_places(
        model,
        [seen[i] for i in known],
        [who[i].template for i in known],
        [who[i].iod for i in known],
    )
    errors = [
        np.linalg.norm(np.einsum("nc,ncx->nx", bary, s[model.faces[faces]]) - p.template, axis=1)
        / p.iod
        for p, s in zip(who, seen, strict=True)
        if p.held_out
    ]
    return 100 * np.array(errors), training


def corrected(model: MorphableModel, person: Person, vertices: Float, camera: Camera) -> Float:
    """(V, 2) mesh with its landmarks moved onto the detected ones."""
    seen = project(vertices, camera)
    marks = project(model.landmarks(vertices), camera)[:, :2]
    move = residual_field(marks, person.points, person.iod)(seen[:, :2] / person.iod)
    return project(vertices + camera_offset(move, seen[:, 2], camera), camera)[:, :2]


def templates_table(
    model: MorphableModel, texture: TextureModel, who: list[Person], settings: DenseSettings
) -> None:
    """Fits of the held-out people against their hand-clicked points."""
    start = time.process_time()
    fits = [
        fit_dense(p.pixels, p.points, model, texture, p.fit.camera, p.fit.shape, settings)
        for p in who
    ]
    spent = (time.process_time() - start) / len(who)
    flat: Callable[[Float, Camera], Float] = lambda v, c: project(v, c)[:, :2]  # noqa: E731
    pairs = list(zip(who, fits, strict=True))
    kinds = {
        "landmarks": [flat(model.shape(p.fit.shape), p.fit.camera) for p in who],
        "landmarks, corrected": [flat(p.fit.vertices, p.fit.camera) for p in who],
        "dense, identity alone": [flat(model.shape(f[1]), f[0]) for _, f in pairs],
        "dense": [flat(f[2], f[0]) for _, f in pairs],
        "dense, corrected": [corrected(model, p, f[2], f[0]) for p, f in pairs],
    }
    found = {name: template_errors(model, who, seen) for name, seen in kinds.items()}
    face = np.max([training for _, training in found.values()], axis=0) < ON_FACE
    print(f"\n{sum(p.held_out for p in who)} held-out people; {face.sum()} of {len(face)} points")
    print(
        f"lie on the face (training error under {ON_FACE:.0%}); {spent * 1000:.0f} ms a dense fit"
    )
    base, best = found["landmarks"][0], found["landmarks, corrected"][0]
    print("| fit | all points, % | face, % | face against landmarks | ... landmarks, corrected |")
    print("|---|---|---|---|---|")
    for name, (errors, _) in found.items():
        by_person = errors[:, face].mean(1)
        print(
            f"| {name} | {errors.mean():.3f} | {by_person.mean():.3f} "
            f"| {gain(base[:, face].mean(1), by_person)} "
            f"| {gain(best[:, face].mean(1), by_person)} |",
            flush=True,
        )


# -------------------------------------------------------------------- rendered truth
def pinned(model: MorphableModel, who: list[Person]) -> list[Float]:
    """(V, 2) mesh of each photo, laid on its hand-clicked points."""
    seen = [project(p.fit.vertices, p.fit.camera)[:, :2] for p in who]
    faces, bary, error = learn_places(model, seen, [p.template for p in who], [p.iod for p in who])
    used, out = np.flatnonzero(error < 0.04), []
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for person, mesh in zip(who, seen, strict=True):
        at = np.einsum("nc,ncx->nx", bary[used], mesh[model.faces[faces[used]]])
        move, iod = person.template[used] - at, person.iod
        _, first = np.unique(np.round(at / iod, 3), axis=0, return_index=True)
        ring = at.mean(0) + 2 * iod * np.column_stack((np.cos(angle), np.sin(angle)))
        field = thin_plate_spline(
            np.concatenate((at[first], ring)) / iod,
            np.concatenate((move[first], np.zeros((16, 2)))),
            2e-4,
        )
        out.append(mesh + field(mesh / iod))
    return out


def rendered(
    model: MorphableModel, person: Person, skin: Float, vertices: Float, camera: Camera, light: str
) -> NDArray[np.uint8]:
    """(SIZE, SIZE, 3) another face with this person's skin, in another light."""
    seen = project(vertices, camera)
    ids, bary, _ = rasterise(seen, model.faces, (0, 0, SIZE, SIZE))
    hit, corner = ids >= 0, model.faces[np.maximum(ids, 0)]
    weight = np.stack((1 - bary.sum(2), bary[..., 0], bary[..., 1]), 2)[..., None]
    shrink = inter_ocular(model.landmarks(skin)) / inter_ocular(model.landmarks(seen[:, :2]))
    source = cv2.GaussianBlur(person.pixels, (0, 0), 0.5 * shrink) if shrink > 1 else person.pixels
    x, y = np.moveaxis((weight * skin[corner]).sum(2), 2, 0).astype(np.float32)
    picture = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ambient, direct, toward = LIGHTS[light]
    normal = (weight * vertex_normals(vertices, model.faces)[corner]).sum(2)
    shade = ambient + direct * np.clip(
        normal @ (np.array(toward) / np.linalg.norm(toward)), 0, None
    )
    lit = ((picture / 255.0) ** 2.2 * shade[..., None]) ** (1 / 2.2) * 255
    wall = np.array([120, 125, 135]) + 25 * np.linspace(-1, 1, SIZE)[None, :, None]
    lit = np.where(hit[..., None], lit, wall)
    grain = np.random.default_rng(0).normal(0, 2, lit.shape)
    return np.clip(cv2.GaussianBlur(lit, (0, 0), 0.6) + grain, 0, 255).astype(np.uint8)


def aligned(source: Float, target: Float) -> Float:
    """`source` moved, turned and scaled onto `target` (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    return np.asarray((s * sign).sum() / (a**2).sum() * a @ ((u * sign) @ vt) + target.mean(0))


def truth_table(
    model: MorphableModel, texture: TextureModel, who: list[Person], settings: DenseSettings,
    count: int,
) -> None:  # fmt: skip
    """Vertex errors of both fits on faces of known shape."""
    skins = [p for p in who if p.held_out]
    maps = dict(zip((p.path for p in who), pinned(model, who), strict=True))
    skin = np.unique(model.faces[model.parts <= 1])
    front = skin[model.mean[skin, 2] > model.mean[skin, 2].max() - 70]
    bias = BIAS * np.random.default_rng(99).standard_normal((68, 2))
    millimetre = 100 / inter_ocular(model.landmarks(model.mean))
    print("\n| yaw | light | | landmarks, mm | dense, mm | change, mm | better for |")
    print("|---|---|---|---|---|---|---|")
    for yaw in YAWS:
        for light in LIGHTS:
            rows = []
            for i in range(count):
                rng = np.random.default_rng((yaw, i))
                person = skins[2 * i % len(skins)]
                truth = model.shape(SPREAD * rng.standard_normal(model.n_modes))
                camera = synthetic_camera(model, yaw, 0, 0, SIZE)
                pixels = rendered(model, person, maps[person.path], truth, camera, light)
                points = model.landmarks(project(truth, camera))[:, :2]
                points[:17] = visible_jaw(model, truth, camera)
                noise = NOISE * rng.standard_normal((68, 2)) + bias
                points = points + 0.34 * SIZE * noise
                start, shape, _ = fit_camera_and_shape(points, (SIZE, SIZE), model)
                found = fit_dense(pixels, points, model, texture, start, shape, settings)
                seen = project(truth, camera)[front, :2]
                for vertices, view in ((model.shape(shape), start), (found[2], found[0])):
                    off = vertices[front] - truth[front]
                    close = aligned(vertices[front], truth[front]) - truth[front]
                    flat = project(vertices, view)[front, :2] - seen
                    rows.append(
                        (
                            np.linalg.norm(off, axis=1).mean(),
                            np.linalg.norm(close, axis=1).mean(),
                            np.linalg.norm(flat, axis=1).mean() / (0.34 * SIZE) * 100,
                        )
                    )
            table = np.array(rows).reshape(count, 2, 3)
            for k, name in enumerate(("as it is", "aligned", "in the picture, % of eyes")):
                a, b = table[:, 0, k], table[:, 1, k]
                share = "" if k == 2 else f" ({a.mean() * millimetre:.2f} %)"
                other = "" if k == 2 else f" ({b.mean() * millimetre:.2f} %)"
                print(
                    f"| {yaw} | {light} | {name} | {a.mean():.2f}{share} | {b.mean():.2f}{other} "
                    f"| {gain(a, b)} | {(b < a).sum()} of {count} |",
                    flush=True,
                )


def weights_table(
    model: MorphableModel, texture: TextureModel, who: list[Person], settings: DenseSettings
) -> None:
    """What becomes of the templates when the paper's units are read differently."""
    for samples, pixels in ((3e3, 300), (1e4, 300), (3e4, 300), (1e4, 100), (1e4, 900), (1e0, 300)):
        print(f"\nsamples {samples:g}, pixels {pixels:g}")
        templates_table(model, texture, who, replace(settings, units=Units(samples, pixels=pixels)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="three faces a row")
    parser.add_argument("--texture", type=Path, help="another than the embedded one")
    parser.add_argument("--weights", action="store_true", help="other readings of the units")
    parser.add_argument("--only", choices=("truth", "templates"))
    args = parser.parse_args()
    model = load_model(assets.path("anny_face"))
    texture = load_texture(args.texture or assets.path("texture"))
    who, settings = people(args.folder, model), DenseSettings()
    if args.weights:
        weights_table(model, texture, who, settings)
        return
    if args.only != "truth":
        templates_table(model, texture, who, settings)
    if args.only != "templates":
        truth_table(model, texture, who, settings, 3 if args.quick else 11)


if __name__ == "__main__":
    main()
