"""How much of a stranger's face texture models explain: robust or plain, clean or covered photos.

``python benchmarks/texture_model.py --input DIR/neutral --input DIR/smiling --held-out TXT``.
Training photos are covered after sampling, so that held-out photos and fits stay the same: in six
of ten a disc over a part of the places holds features of other places of other photos.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.building.texture import (
    TextureSettings,
    build_texture,
    components_of,
    face_layout,
    observed,
    read_faces,
)
from synth.building.texture_files import held_out_errors, read_held_out
from synth.images import find_images
from synth.morphable.landmark_map import embedded_model
from synth.plans.subjects import subject_of
from synth.records import Skip

STEPS = (1, 5, 10, 20, 30, 40)


def covered(
    values: NDArray[np.float32], places: NDArray[np.float64], share: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features (N, n, C) of which a disc of `share` of the places is wrong in six of ten."""
    rng = np.random.default_rng(seed)
    out, where = values.copy(), np.zeros(values.shape[:2], bool)
    count = len(places)
    for i in range(len(out)):
        if rng.random() < 0.6:
            distance = np.linalg.norm(places - places[rng.integers(count)], axis=1)
            hidden = np.argsort(distance)[: int(share * count)]
            out[i, hidden] = values[
                rng.integers(len(values)), rng.permutation(count)[: len(hidden)]
            ]
            where[i, hidden] = True
    return out, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", action="append", required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--penalty", type=float, action="append")
    arguments = parser.parse_args()
    from dataclasses import replace

    model = embedded_model()
    sources = find_images(arguments.input)
    people = subject_of(sources, "stem:.+")
    apart = read_held_out(arguments.held_out)
    settings = TextureSettings()
    layout = face_layout(model, settings)
    faces, others = [], []
    for item in read_faces(sources, model, [layout]):
        if not isinstance(item, Skip):
            held = people[item[0].source] in apart
            (others if held else faces).extend(item[:1] if held else item)
    places = np.einsum("nc,ncd->nd", layout.bary, model.mean[model.faces[layout.faces]])
    texture = build_texture(faces, people, model, layout, settings)
    values, seen = observed(faces)
    wanted = {(f, *b) for f, b in zip(texture.faces.tolist(), texture.bary.tolist(), strict=True)}
    kept = np.array(
        [
            (f, *b) in wanted
            for f, b in zip(layout.faces.tolist(), layout.bary.tolist(), strict=True)
        ]
    )
    values, seen, places = values[:, kept], seen[:, kept], places[kept]
    who = [people[face.source] for face in faces]
    print(f"{len(faces)} faces of {len(set(who))} people; {len(others)} held out")
    print("| training photos | PCA | " + " | ".join(f"{k} modes" for k in STEPS) + " |")
    print("|---" * (len(STEPS) + 2) + "|")
    for share, known in ((0.0, False), (0.2, False), (0.4, False), (0.4, True)):
        data, where = covered(values, places, share)
        mask = seen & ~where if known else seen
        for penalty in (None, *(arguments.penalty or [settings.penalty])):
            how = replace(settings, robust=penalty is not None, penalty=penalty or 1.0)
            parts, noise, _ = components_of(data, mask, how, who)
            shape = values.shape[1:]
            made = replace(
                texture,
                mean=parts.mean.reshape(shape).astype(np.float32),
                modes=parts.modes.reshape(-1, *shape).astype(np.float32),
                sigma=parts.sigma,
                noise=noise,
            )
            errors = held_out_errors(made, others, kept, STEPS)
            title = (
                f"{share:.0%} of 60 % {'missing' if known else 'covered'}"
                if share
                else "as they are"
            )
            kind = "plain" if penalty is None else f"robust, {penalty:g}"
            print(
                f"| {title} | {kind} | " + " | ".join(f"{e:.3f}" for e in errors) + " |", flush=True
            )


if __name__ == "__main__":
    main()
