"""Accuracy and time of `synth model register` on scans of known faces, and of trimesh's NICP.

    python benchmarks/register.py [--faces 12] [--trimesh 2] [--subjects 3] [--seed 0]

Faces of the embedded model with random identity and an expression of the gallery become raw
scans (`synth.building.scans`). "Other" ones are deformed further, by smooth random
displacements that the model does not know, 2 mm in root mean square. Errors are of the vertices
that the scan shows: distance to the true place of the same point, and to the true surface.
Seconds are of one core. trimesh gets the template in the scan's place and size; its search of
nearest points on triangles needs rtree, so it is given the scan's vertices.

A second table compares scans of subjects registered each for itself and together: two neutral
scans and six expressions of each. "Other" subjects differ as above, and their expressions by
smooth random motions of 0.6 mm besides. Its first figures are errors of offsets from neutral.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.building.scans import ScanSettings, raw_scan
from synth.expressions.storage import load_gallery
from synth.meshes.mesh import Mesh
from synth.meshes.nearest import Surface
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import MorphableModel
from synth.morphable.registration import RegisterSettings, register
from synth.morphable.registration.frame import fit_similarity
from synth.morphable.registration.source import model_template, skin_model
from synth.morphable.registration.subject import neutral_face, rigid
from synth.morphable.registration.template import Template

Float = NDArray[np.float64]

#: A true vertex nearer to the scan than this is shown by it, mm.
SHOWN = 1.0
#: Scans of a subject, and what of their motion no model knows, mm in root mean square.
NEUTRAL, SHOWING, MOTION = 2, 6, 0.6


class Faces:
    """Faces with known truth."""

    def __init__(self) -> None:
        self.rig = embedded_model()
        self.gallery = load_gallery(assets.path("va_gallery"))
        self.order = [self.gallery.names.index(n) for n in self.rig.blendshape_names]
        self.used = np.unique(self.rig.faces[self.rig.parts <= 1])

    def make(self, seed: int, other: bool) -> tuple[Float, Mesh, Float]:
        """True vertices of the skin, a scan and its landmarks."""
        rng = np.random.default_rng([seed, other])
        v = self.rig.shape(rng.normal(0, 1, 30))
        weights = self.gallery.class_weights[rng.integers(len(self.gallery.class_va))]
        v = v + self.rig.offsets(weights[self.order])
        if other:
            v = v + random_field(v, rng)
        scan, points = raw_scan(v, self.rig.faces, self.rig.landmarks(v), rng)
        return v[self.used], scan, points

    def subject(self, seed: int, other: bool) -> list[tuple[Float, Mesh, Float]]:
        """`make` of all scans of a subject, `NEUTRAL` neutral ones first."""
        rng = np.random.default_rng([seed, 9])
        face = self.rig.shape(rng.normal(0, 1, 30))
        face = face + other * random_field(face, rng)
        made = []
        for number in range(NEUTRAL + SHOWING):
            v = face
            if number >= NEUTRAL:
                weights = self.gallery.class_weights[rng.integers(len(self.gallery.class_va))]
                v = v + self.rig.offsets(weights[self.order])
                v = v + other * MOTION * random_field(v, rng) / 2
            settings = ScanSettings(spacing=3.0)
            scan, points = raw_scan(v, self.rig.faces, self.rig.landmarks(v), rng, settings)
            made.append((v[self.used], scan, points))
        return made


def random_field(v: Float, rng: np.random.Generator) -> Float:
    """Smooth displacements with waves of about 10 cm and 2 mm in root mean square."""
    waves = rng.normal(0, 2 * np.pi / 100, (60, 3))
    field = np.sin(v @ waves.T + rng.uniform(0, 2 * np.pi, 60)) @ rng.normal(0, 1, (60, 3))
    return np.asarray(field * 2 / np.sqrt((field**2).sum(1).mean()))


def errors(found: Float, truth: Float, scan: Mesh, faces: NDArray[np.int32]) -> list[Float]:
    """Per shown vertex: distance to the true point and to the true surface, mm, and the former
    as a share of the inter-ocular distance later."""
    shown = Surface(scan.vertices, scan.faces).nearest(truth).distance < SHOWN
    surface = Surface(truth, faces).nearest(found[shown]).distance
    return [np.linalg.norm(found - truth, axis=1)[shown], surface]


def by_trimesh(template: Template, scan: Mesh, points: Float) -> Float:
    """`trimesh.registration.nricp_amberg` with its own schedule."""
    import trimesh

    to_scan = fit_similarity(template.landmarks, points)
    source = trimesh.Trimesh(to_scan(template.mesh.vertices), template.mesh.faces, process=False)
    target = trimesh.Trimesh(scan.vertices, scan.faces, process=False)
    nearest = Surface(source.vertices, source.faces).nearest(to_scan(template.landmarks))
    return np.asarray(
        trimesh.registration.nricp_amberg(
            source,
            target,
            (nearest.face, nearest.bary),
            points,
            use_faces=False,
            distance_threshold=0.03,  # its default of 0.1 pulls the neck to the rim
        )
    )


def row(name: str, found: list[list[Float]], sizes: list[float], seconds: float) -> None:
    """One line of the table."""
    points = np.concatenate([e[0] for e in found])
    surface = np.concatenate([e[1] for e in found])
    share = np.concatenate([e[0] / size for e, size in zip(found, sizes, strict=True)])
    print(
        f"| {name} | {np.median(points):.2f} | {np.percentile(points, 95):.2f} "
        f"| {100 * np.percentile(share, 95):.2f} % | {100 * (share < 0.02).mean():.1f} % "
        f"| {surface.mean():.2f} | {np.percentile(surface, 95):.2f} | {seconds:.2f} |",
        flush=True,
    )


def offsets(faces: list[Float], weights: Float) -> Float:
    """(n, V, 3) offsets of a subject's faces from the neutral ones, without head motion."""
    neutral = [rigid(face, faces[0], weights)(face) for face in faces[:NEUTRAL]]
    middle = np.mean(neutral, 0)
    return np.stack([rigid(face, middle, weights)(face) - middle for face in faces[NEUTRAL:]])


def subjects(faces: Faces, model: MorphableModel, count: int, seed: int) -> None:
    """Print the table of subjects."""
    heads = (
        "subjects, prior, registered", "offset, mean mm", "95 %", "all vertices", "their size",
        "under 2 %", "surface, mean mm", "everywhere, 95 %", "s",
    )  # fmt: skip
    print(f"\n| {' | '.join(heads)} |\n|---{'|---:' * 8}|")
    for other in (False, True):
        people = [faces.subject(seed + k, other) for k in range(count)]
        for prior in (True, False):
            template = model_template(model, prior)
            for together in (False, True):
                start = time.process_time()
                found = [known_subject(template, scans, together) for scans in people]
                seconds = (time.process_time() - start) / sum(map(len, people))
                name = (
                    f"{'other' if other else 'model'}, "
                    f"{'with' if prior else 'without'}, {'together' if together else 'apart'}"
                )
                print_subjects(name, template, people, found, seconds)


def known_subject(
    template: Template, scans: list[tuple[Float, Mesh, Float]], together: bool
) -> list[Float]:
    """Registered vertices of a subject's scans."""
    if not together:
        return [register(template, None, scan, points).vertices for _, scan, points in scans]
    neutral = [register(template, None, scan, points) for _, scan, points in scans[:NEUTRAL]]
    who = neutral_face(template, neutral)
    return [register(template, None, s, p, subject=who).vertices for _, s, p in scans]


def print_subjects(
    name: str,
    template: Template,
    people: list[list[tuple[Float, Mesh, Float]]],
    found: list[list[Float]],
    seconds: float,
) -> None:
    """One line of the table of subjects."""
    moved, everywhere, sizes, points, surface, place = [], [], [], [], [], []
    for scans, made in zip(people, found, strict=True):
        true = offsets([truth for truth, *_ in scans], template.area)
        off = np.linalg.norm(offsets(made, template.area) - true, axis=2)
        everywhere.append(off.ravel())
        sizes.append(np.linalg.norm(true, axis=2).ravel())
        for number, ((truth, scan, _), mine) in enumerate(zip(scans, made, strict=True)):
            unit = np.linalg.norm(np.diff((template.marks @ truth)[[36, 45]], axis=0))
            shown = Surface(scan.vertices, scan.faces).nearest(truth).distance < SHOWN
            apart = np.linalg.norm(mine - truth, axis=1) / unit
            points.append(apart[shown])
            place.append(apart)
            surface.append(Surface(truth, template.mesh.faces).nearest(mine[shown]).distance)
            if number >= NEUTRAL:
                moved.append(off[number - NEUTRAL][shown])
    m, e, z, p, s, a = map(np.concatenate, (moved, everywhere, sizes, points, surface, place))
    print(
        f"| {name} | {m.mean():.2f} | {np.percentile(m, 95):.2f} | {e.mean():.2f} "
        f"| {z.mean():.2f} | {100 * (p < 0.02).mean():.1f} % | {s.mean():.3f} "
        f"| {100 * np.percentile(a, 95):.2f} % | {seconds:.2f} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=12)
    parser.add_argument("--trimesh", type=int, default=2, help="faces that it gets; it is slow")
    parser.add_argument("--subjects", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    faces, model = Faces(), skin_model(embedded_model())
    if args.faces:
        alone(faces, model, args)
    if args.subjects:
        subjects(faces, model, args.subjects, args.seed)


def alone(faces: Faces, model: MorphableModel, args: argparse.Namespace) -> None:
    """Print the table of single faces."""
    plain, known = model_template(model, prior=False), model_template(model)
    print("| method | point, median mm | 95 % | of inter-ocular | under 2 % | surface, mean mm "
          "| 95 % | s |\n|---|---:|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for other in (False, True):
        made = [faces.make(args.seed + k, other) for k in range(args.faces)]
        sizes = [
            float(np.linalg.norm(np.diff((plain.marks @ t)[[36, 45]], axis=0))) for t, *_ in made
        ]
        kind = "other" if other else "model's"
        for method in ("nicp", "cylindrical"):
            for name, template in (("with prior", known), ("without", plain)):
                settings = RegisterSettings(method=method)
                register(template, None, made[0][1], made[0][2], settings)  # compiles
                start = time.process_time()
                found = [register(template, None, s, p, settings).vertices for _, s, p in made]
                seconds = (time.process_time() - start) / len(made)
                got = [
                    errors(f, t, s, model.faces) for f, (t, s, _) in zip(found, made, strict=True)
                ]
                row(f"{kind}, {method}, {name}", got, sizes, seconds)
        if args.trimesh and not other:
            some = made[: args.trimesh]
            start = time.process_time()
            found = [by_trimesh(plain, s, p) for _, s, p in some]
            seconds = (time.process_time() - start) / len(some)
            got = [errors(f, t, s, model.faces) for f, (t, s, _) in zip(found, some, strict=True)]
            row(f"{kind}, trimesh (first {len(some)})", got, sizes[: len(some)], seconds)


if __name__ == "__main__":
    main()
