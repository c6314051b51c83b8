"""How much the dense fit gains over the landmark fit. Prints the tables of ``docs/fitting.md``.

``python benchmarks/fit_dense.py ../shared/data [--quick] [--texture NPZ] [--halves A B]``

1. Rendered faces of known truth: identities drawn from the model (0.7 sd, as different as
   fits of people are), with the skin of people whom the texture model does not know, pinned
   to the mesh by their hand-clicked points; the landmarks are the true ones with noise and
   with a bias that all pictures share, as a detector's have.
2. Hand-clicked templates of 189 points: each gets the place on the mesh where it lies best
   on the training people, for every kind of fit its own, and is then predicted for people
   whom neither texture model nor places have seen. With ``--halves`` of the people whom the
   texture model knows, each fitted with the model of the half without him or her: what
   weights were chosen by.

Differences are paired; intervals draw persons with replacement (`synth.metrics.intervals`).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from fit_places import (
    ON_FACE,
    REGIONS,
    Person,
    Places,
    fold_errors,
    held_out_errors,
    people,
    regions,
)
from numpy.typing import NDArray

from synth import assets
from synth.camera import camera_offset, project
from synth.fitting import FitSettings, fit_camera_and_shape, residual_field
from synth.fitting.correction import thin_plate_spline
from synth.fitting.dense import fit_dense
from synth.fitting.photo import NOISE
from synth.meshes.mesh import vertex_normals
from synth.metrics.intervals import interval_ends, times_drawn
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.texture import TextureModel, load_texture
from synth.render.raster import rasterise
from synth.testing import synthetic_camera, visible_jaw
from synth.types import Camera, inter_ocular

Float = NDArray[np.float64]

YAWS, SIZE, SPREAD = (0, 15, 30, 45), 512, 0.7
#: Between the outer eye corners of a frontal face, pixels.
EYES = 0.34 * SIZE
#: Ambient light, direct light, and where it comes from.
LIGHTS = {
    "even": (1.0, 0.0, (0, 0, 1)),
    "side": (0.35, 0.9, (0.85, 0.25, 0.5)),
    "top": (0.4, 0.85, (-0.3, 0.8, 0.5)),
}
#: Of the landmarks, shares of the inter-ocular distance.
SCATTER, BIAS = 0.015, 0.010
#: The landmark fit with a stronger prior: what of the gain is the features'?
STRONGER = FitSettings(shape_prior=2.0)


def gain(first: Float, second: Float) -> str:
    """Mean difference of two errors by person, with its interval."""
    change = second - first
    drawn = [times @ change / len(change) for times in times_drawn(len(change), 2000, 0)]
    low, high, _ = interval_ends(float(change.mean()), np.concatenate(drawn), len(change), 0.95)
    return f"{change.mean():+.3f} ({low:+.3f} to {high:+.3f})"


# ------------------------------------------------------------------------ templates
def corrected(
    model: MorphableModel, person: Person, vertices: Float, camera: Camera, noise: float
) -> Float:
    """(V, 2) mesh with its landmarks moved onto the detected ones."""
    seen = project(vertices, camera)
    marks = project(model.landmarks(vertices), camera)[:, :2]
    move = residual_field(marks, person.points, person.iod, noise)(seen[:, :2] / person.iod)
    return project(vertices + camera_offset(move, seen[:, 2], camera), camera)[:, :2]


def all_kinds(
    model: MorphableModel, textures: list[TextureModel], who: list[Person]
) -> dict[str, list[Float]]:
    """(V, 2) meshes of everybody by kind of fit; textures take turns."""
    start = time.process_time()
    fits = [
        fit_dense(p.pixels, p.points, model, textures[i % len(textures)], p.fit.camera, p.fit.shape)
        for i, p in enumerate(who)
    ]
    spent = (time.process_time() - start) / len(who)
    print(f"\n{spent * 1000:.0f} ms a dense fit")
    pairs = list(zip(who, fits, strict=True))
    return {
        "landmarks": [_flat(model.shape(p.fit.shape), p.fit.camera) for p in who],
        "dense, identity alone": [_flat(model.shape(f.shape), f.camera) for f in fits],
        "dense": [_flat(f.vertices, f.camera) for f in fits],
        "landmarks, corrected": [_flat(p.fit.vertices, p.fit.camera) for p in who],
        "dense, corrected fully": [corrected(model, p, f.vertices, f.camera, 0) for p, f in pairs],
        "dense, corrected": [corrected(model, p, f.vertices, f.camera, NOISE) for p, f in pairs],
    }


def _flat(vertices: Float, camera: Camera) -> Float:
    return project(vertices, camera)[:, :2]


def templates_table(model: MorphableModel, textures: list[TextureModel], who: list[Person]) -> None:
    """Fits against hand-clicked points: of people held out, or (two textures) of the others."""
    judge = held_out_errors
    if len(textures) > 1:
        who, judge = [p for p in who if not p.held_out], fold_errors
    found = {name: judge(model, who, s) for name, s in all_kinds(model, textures, who).items()}
    face = np.max([training for _, training in found.values()], axis=0) < ON_FACE
    region = np.where(face, regions(who), len(REGIONS))
    people_judged = len(found["dense"][0])
    print(f"{people_judged} people; {face.sum()} of {len(face)} points lie on the face\n")
    print("| fit | all points, % | against | face, % | against |", *(f"{n} |" for n in REGIONS),
          "off the face |")  # fmt: skip
    print("|---|---|---|---|---|" + "---|" * (len(REGIONS) + 1))
    for name, (errors, _) in found.items():
        base = found["landmarks, corrected" if "corrected" in name else "landmarks"][0]
        cells = [
            f"{errors.mean():.3f}", gain(base.mean(1), errors.mean(1)),
            f"{errors[:, face].mean():.3f}", gain(base[:, face].mean(1), errors[:, face].mean(1)),
            *(f"{errors[:, region == k].mean():.2f}" for k in range(len(REGIONS) + 1)),
        ]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("points:", *np.bincount(region, minlength=len(REGIONS) + 1))


# -------------------------------------------------------------------- rendered truth
def pinned(model: MorphableModel, who: list[Person]) -> list[Float]:
    """(V, 2) mesh of each photo, laid on its hand-clicked points."""
    seen = [project(p.fit.vertices, p.fit.camera)[:, :2] for p in who]
    places = Places(model, who, seen)
    used, out = np.flatnonzero(places.error < 0.04), []
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for person, mesh in zip(who, seen, strict=True):
        at, iod = places.on(mesh)[used], person.iod
        move = person.template[used] - at
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


def truth_errors(
    truth: Float, camera: Camera, vertices: Float, view: Camera, front: NDArray[np.intp]
) -> tuple[float, float, float]:
    """Mean distance of the face as it is and aligned, mm, and in the picture, % of the eyes."""
    off = vertices[front] - truth[front]
    close = aligned(vertices[front], truth[front]) - truth[front]
    flat = (project(vertices, view) - project(truth, camera))[front, :2]
    mean = [float(np.linalg.norm(d, axis=1).mean()) for d in (off, close, flat)]
    return mean[0], mean[1], mean[2] / EYES * 100


def truth_row(
    model: MorphableModel, texture: TextureModel, skins: list[Person],
    maps: dict[Path, Float], yaw: int, light: str, count: int,
) -> Float:  # fmt: skip
    """(count, 3, 3) errors of the landmark fit, the same with a stronger prior, the dense fit."""
    skin = np.unique(model.faces[model.parts <= 1])
    front = skin[model.mean[skin, 2] > model.mean[skin, 2].max() - 70]
    bias = BIAS * np.random.default_rng(99).standard_normal((68, 2))
    rows = []
    for i in range(count):
        rng = np.random.default_rng((yaw, i))
        person = skins[2 * i % len(skins)]
        truth = model.shape(SPREAD * rng.standard_normal(model.n_modes))
        camera = synthetic_camera(model, yaw, 0, 0, SIZE)
        pixels = rendered(model, person, maps[person.path], truth, camera, light)
        points = model.landmarks(project(truth, camera))[:, :2]
        points[:17] = visible_jaw(model, truth, camera)
        points = points + EYES * (SCATTER * rng.standard_normal((68, 2)) + bias)
        start, shape, _ = fit_camera_and_shape(points, (SIZE, SIZE), model)
        strict, other, _ = fit_camera_and_shape(points, (SIZE, SIZE), model, STRONGER)
        found = fit_dense(pixels, points, model, texture, start, shape)
        fits = (
            (model.shape(shape), start),
            (model.shape(other), strict),
            (found.vertices, found.camera),
        )
        rows.append([truth_errors(truth, camera, v, c, front) for v, c in fits])
    return np.array(rows)


def truth_table(
    model: MorphableModel, texture: TextureModel, who: list[Person], count: int
) -> None:
    """Errors of the fits on faces of known shape, and what dense gains on the landmark fit."""
    skins = [p for p in who if p.held_out]
    maps = dict(zip((p.path for p in who), pinned(model, who), strict=True))
    names = ("as it is, mm", "aligned, mm", "in the picture, % of eyes")
    print("\n| yaw | light | | landmarks | stronger prior | dense | change | better for |")
    print("|---|---|---|---|---|---|---|---|")
    for yaw in YAWS:
        for light in LIGHTS:
            table = truth_row(model, texture, skins, maps, yaw, light, count)
            for k, name in enumerate(names):
                a, strict, b = table[:, :, k].T
                print(
                    f"| {yaw} | {light} | {name} | {a.mean():.2f} | {strict.mean():.2f} "
                    f"| {b.mean():.2f} | {gain(a, b)} | {(b < a).sum()} of {count} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="three faces a row")
    parser.add_argument("--texture", type=Path, help="another than the embedded one")
    parser.add_argument("--halves", type=Path, nargs=2, help="of the even and the odd people")
    parser.add_argument("--only", choices=("truth", "templates"))
    args = parser.parse_args()
    model = load_model(assets.path("anny_face"))
    who = people(args.folder, model)
    texture = load_texture(args.texture or assets.path("texture"))
    textures = [load_texture(path) for path in args.halves or ()]
    if args.only != "truth":
        templates_table(model, textures[::-1] or [texture], who)
    if args.only != "templates" and not textures:
        truth_table(model, texture, who, 3 if args.quick else 11)


if __name__ == "__main__":
    main()
