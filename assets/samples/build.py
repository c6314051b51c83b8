"""Builds the bundled sample portraits: composites in which no real person is shown.

``python assets/samples/build.py [PHOTOS] [--output DIR]``

Each portrait is the mean of at least eight people of the Face Research Lab
London Set [1]_, all with the same weight, aligned over the whole picture
("composite portraiture" [2]_, with landmarks as in [3]_):

1. *Align.* A thin-plate spline carries each photo to the group's mean shape
   (moved on from the mean of all groups, as a caricature is [3]_): the
   189 template points of the set, the outline of hair and shoulders found
   against the studio wall, and the picture's border. Dense optical flow
   towards the running mean then removes what is left (brows, lashes, collars).
2. *Average* in linear light. Outside the face the mean is robust: a person who
   disagrees with the group's median at a place (a lock of hair on the wall)
   counts less there, smoothly, so that outlines stay single.
3. *Restore detail.* Averaging removes pores and strands. What is missing in
   each octave is put back as *random noise* of the group's mean local
   strength, drawn out along the group's mean strand direction; the picture's own
   octaves are amplified a little. No person's high frequencies are used.

The result depends on the OpenCV version in the last bits, so the JPEG files, not
this script, are what the asset registry verifies.

References
----------
.. [1] DeBruine & Jones, "Face Research Lab London Set", 2017,
   doi 10.6084/m9.figshare.5047666, CC BY 4.0.
.. [2] Galton, "Composite portraits", Nature 18, 1878.
.. [3] Rowland & Perrett, "Manipulating facial appearance through shape and
   color", IEEE CG&A 15(5), 1995.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

#: Side of the canvas on which the pictures are averaged, and of the result.
CANVAS, SIZE = 1152, 768

#: Template points around the face: jaw and brows.
FACE = [*range(124, 134), *range(71, 87)]

#: Template points of the outer hair, which differ by hair-cut, not by face.
HAIR = [*range(145, 158)]

#: How far a group's face shape is moved on from the mean of all groups, so that the
#: portraits differ as people do (a mean of eight is far closer to the average).
EXAGGERATION = 1.6

#: Who is averaged into which portrait.
GROUPS: dict[str, str] = {
    "sample_1": "001 009 014 034 081 083 118 124",
    "sample_2": "004 012 018 041 117 130 132 143",
    "sample_3": "007 020 025 034 038 087 099 135",
    "sample_4": "008 044 045 069 114 115 117 137",
    "sample_5": "003 011 020 038 107 118 136 139",
    "sample_6": "008 021 108 125 130 132 140 173",
}


@dataclass(frozen=True)
class Person:
    """One photo on the canvas.

    Attributes
    ----------
    light : (CANVAS, CANVAS, 3) float32
        Linear light, RGB order does not matter here: OpenCV's BGR.
    points : (189, 2) float64
        Template points in canvas pixels.
    outline : (A, 2) float64
        Where rays from between the eyes leave the person.
    """

    light: np.ndarray
    points: np.ndarray
    outline: np.ndarray


def to_linear(image: np.ndarray) -> np.ndarray:
    """Linear light of sRGB bytes (IEC 61966-2-1), 0 to 1."""
    return to_linear_float(np.arange(256) / 255.0)[image]


def to_linear_float(values: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values 0 to 1."""
    c = np.clip(values, 0, 1)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """sRGB values 0 to 1 of linear light."""
    c = np.clip(light, 0, 1)
    return np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055).astype(np.float32)


def read_template(path: Path) -> np.ndarray:
    """The (N, 2) points of a ``.tem`` file: line 1 holds N, then N lines ``x y``."""
    lines = path.read_text().splitlines()
    return np.array([[float(v) for v in row.split()[:2]] for row in lines[1 : int(lines[0]) + 1]])


def wall_surface(image: np.ndarray) -> np.ndarray:
    """The studio wall alone: a quadratic fitted to the sides and the top of a small picture."""
    h, w = image.shape[:2]
    y, x = np.mgrid[0:h, 0:w] / h
    wall = ((x < 0.16) | (x > 0.84)) & (y < 0.66) | (y < 0.04)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    fits = np.linalg.lstsq(terms[wall], image[wall], rcond=None)[0]
    return (terms @ fits).astype(np.float32)


def find_outline(image: np.ndarray, centre: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Where rays from `centre` cross from the person to the studio wall.

    The person is what differs from the smooth wall.
    """
    small = cv2.resize(image, (288, 288), interpolation=cv2.INTER_AREA).astype(np.float32)
    person = (np.abs(small - wall_surface(small)).max(-1) > 14).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    person = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, labels = cv2.connectedComponents(person)
    c = centre * 288 / CANVAS
    inside = labels == labels[int(c[1]), int(c[0])]
    radii = np.arange(20, 105)
    found = []
    for a in angles:
        px, py = c[0] + radii * np.cos(a), c[1] + radii * np.sin(a)
        hit = inside[py.astype(int), px.astype(int)]
        found.append(radii[hit].max(initial=20))
    r = np.array(found) * CANVAS / 288
    return centre + r[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)


#: Directions of the outline rays: over the head from temple to temple.
ANGLES = np.deg2rad(np.arange(190, 351, 10))


def load(photos: Path, name: str) -> Person:
    """One person, brought to the canvas by the similarity that puts the eyes in place."""
    image = cv2.imread(str(photos / f"{name}.jpg"))
    points = read_template(photos / f"{name}.tem")
    right, left = points[0], points[1]
    target = np.array([[0.418, 0.462], [0.582, 0.462]]) * CANVAS
    source, goal = (left - right) @ [1, 1j], (target[1] - target[0]) @ [1, 1j]
    z = goal / source
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    matrix = np.column_stack([linear, target[0] - linear @ right])
    image = cv2.warpAffine(
        image, matrix, (CANVAS, CANVAS), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    points = points @ linear.T + matrix[:, 2]
    outline = find_outline(image, target.mean(0), ANGLES)
    return Person(to_linear(image), points, outline)


def border() -> np.ndarray:
    """Anchors on and beyond the picture's border that stay where they are."""
    t = np.linspace(-0.1, 1.1, 9)
    sides = [np.stack([t, np.full_like(t, v)], -1) for v in (-0.1, 1.1)]
    return np.concatenate([*sides, *(s[1:-1, ::-1] for s in sides)]) * CANVAS


def align(person: Person, mean: np.ndarray) -> np.ndarray:
    """(CANVAS, CANVAS, 2) float32: where each canvas pixel is in the person's picture."""
    goal = np.concatenate([mean, border()])
    source = np.concatenate([person.points, person.outline, border()])
    step = 6
    grid = np.arange(0, CANVAS + step, step, dtype=np.float64)
    gx, gy = np.meshgrid(grid, grid)
    spline = RBFInterpolator(goal, source - goal, kernel="thin_plate_spline", smoothing=20.0)
    coarse = spline(np.stack([gx.ravel(), gy.ravel()], -1)).reshape(*gx.shape, 2)
    return upsample(coarse.astype(np.float32), step) + identity()


def upsample(coarse: np.ndarray, step: int) -> np.ndarray:
    """Bicubic values on the canvas of a field given at every `step` pixels."""
    at = identity() / step
    return cv2.remap(coarse, at[..., 0], at[..., 1], cv2.INTER_CUBIC)


def identity() -> np.ndarray:
    """The map of the canvas onto itself."""
    y, x = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
    return np.stack([x, y], -1)


def sample(person: Person, at: np.ndarray) -> np.ndarray:
    """The person's picture at the given places."""
    return cv2.remap(
        person.light, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def face_mask(points: np.ndarray) -> np.ndarray:
    """Soft mask of the face (brows to chin), 0 to 1."""
    hull = cv2.convexHull(points[FACE].astype(np.float32)).astype(np.int32)
    mask = np.zeros((CANVAS, CANVAS), np.float32)
    cv2.fillConvexPoly(mask, hull, 1.0)
    mask = cv2.erode(mask, np.ones((25, 25)))
    return cv2.GaussianBlur(mask, (0, 0), 14)


def robust_mean(stack: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Mean over the people; outside `face` those far from the median count less.

    Distances are taken on blurred pictures and spread over a neighbourhood, so
    that a person is kept or dropped over an area and never pixel by pixel.
    """
    blurred = np.stack([cv2.GaussianBlur(to_srgb(s), (0, 0), 2.5) for s in stack])
    tone = np.einsum("nyxc,yx->nc", blurred, face) / face.sum()
    toned = blurred * (tone.mean(0) / tone)[:, None, None]
    apart = [np.linalg.norm(b - np.median(b, axis=0), axis=-1) for b in (blurred, toned)]
    distance = np.minimum(*apart).astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
    spread = np.stack([cv2.GaussianBlur(cv2.dilate(d, disc), (0, 0), 4) for d in distance])
    spread -= spread.min(0)
    weight = np.exp(-0.5 * (spread / 0.07) ** 2)
    weight /= weight.sum(0)
    weight = face / len(stack) + (1 - face) * weight
    return np.einsum("nyx,nyxc->yxc", weight, stack)


def refine(maps: list[np.ndarray], people: list[Person], rounds: int, face: np.ndarray) -> list:
    """Maps improved by dense flow between the running mean and each person.

    The flow is smoothed, limited, and freed of its mean over the people, so that
    the group's mean shape is kept.
    """
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for k in range(rounds):
        stack = np.stack([sample(p, m) for p, m in zip(people, maps, strict=True)])
        grey = [equalised(s) for s in stack]
        target = equalised(robust_mean(stack, face))
        flows = []
        for g in grey:
            flow = flow_of.calc(target, g, None)
            near, far = (cv2.GaussianBlur(flow, (0, 0), s) for s in (16 / (k + 1) + 4, 30))
            flow = far + face[..., None] * (near - far)
            length = np.linalg.norm(flow, axis=-1, keepdims=True)
            flows.append(flow * (12 / np.maximum(length, 12)))
        drift = np.mean(flows, axis=0)
        moved = []
        for m, f in zip(maps, flows, strict=True):
            at = identity() + 0.8 * (f - drift)
            moved.append(
                cv2.remap(
                    m, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
            )
        maps = moved
    return maps


def equalised(light: np.ndarray) -> np.ndarray:
    """Grey bytes with local mean and contrast removed, so that skin tones match."""
    grey = grey_of(light)
    grey = grey - cv2.GaussianBlur(grey, (0, 0), 40)
    spread = np.sqrt(cv2.GaussianBlur(grey * grey, (0, 0), 60)) + 0.03
    return np.clip(128 + 50 * grey / spread, 0, 255).astype(np.uint8)


def grey_of(light: np.ndarray) -> np.ndarray:
    """sRGB grey, 0 to 1, of linear light."""
    return cv2.cvtColor(to_srgb(light), cv2.COLOR_BGR2GRAY)


def local_strength(band: np.ndarray, octave: int) -> np.ndarray:
    """Mean absolute value around each pixel; edges are capped so that they do not spread."""
    return cv2.GaussianBlur(np.minimum(np.abs(band), 0.06), (0, 0), 7 + 3 * octave)


def octaves(image: np.ndarray, count: int = 4) -> list[np.ndarray]:
    """Difference-of-Gaussian bands (finest first) and the rest; they sum to `image`."""
    bands, rest = [], image
    for k in range(count):
        smooth = cv2.GaussianBlur(image, (0, 0), 0.9 * 2**k)
        bands.append(rest - smooth)
        rest = smooth
    return [*bands, rest]


def strand_direction(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit direction of the strands and their coherence 0 to 1, from the mean structure tensor."""
    tensor = np.zeros((*stack.shape[1:3], 3))
    for light in stack:
        grey = grey_of(light)
        dx, dy = cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)
        tensor = tensor + np.stack([dx * dx, dx * dy, dy * dy], -1)
    tensor = cv2.GaussianBlur(np.asarray(tensor, np.float32), (0, 0), 9)
    xx, xy, yy = np.moveaxis(tensor, -1, 0)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6)
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32), coherence


def streaks(noise: np.ndarray, direction: np.ndarray, length: int) -> np.ndarray:
    """`noise` drawn out along `direction`: a line-integral convolution, unit variance."""
    total, weight = noise.copy(), 1.0
    for sign in (1.0, -1.0):
        at, way = identity(), direction * sign
        for _ in range(length):
            at = at + way
            new = cv2.remap(
                direction,
                at[..., 0],
                at[..., 1],
                cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_REPLICATE,
            )
            new *= np.where((new * way).sum(-1, keepdims=True) < 0, -1, 1)
            way = new
            total += cv2.remap(
                noise, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
            weight += 1
    return total / total.std()


def lost_detail(picture: np.ndarray, stack: np.ndarray, seed: int) -> np.ndarray:
    """What to add to the sRGB `picture`: random texture for the detail that averaging lost."""
    rng = np.random.default_rng(seed)
    luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    bands = octaves(luma)[:-1]
    lost = [[local_strength(b, k) for k, b in enumerate(octaves(grey_of(p))[:-1])] for p in stack]
    usual = np.percentile(np.array(lost), 45, axis=0).astype(np.float32)
    direction, coherence = strand_direction(stack)
    white = rng.standard_normal((CANVAS, CANVAS)).astype(np.float32)
    hair = streaks(white, direction, 14)
    blend = np.clip((coherence - 0.25) / 0.35, 0, 1) * np.clip((0.45 - luma) / 0.2, 0, 1)
    blend = cv2.GaussianBlur(blend.astype(np.float32), (0, 0), 3)
    detail = np.zeros_like(luma)
    amount = (1.0, 0.95, 0.6, 0.3)
    gain = (0.5, 0.45, 0.3, 0.1)
    noises = octaves(white)[:-1], octaves(hair)[:-1]
    for k, band in enumerate(bands):
        missing = 1.25 * np.sqrt(np.maximum(usual[k] ** 2 - local_strength(band, k) ** 2, 0))
        pores, strands = (n[k] / n[k].std() for n in noises)
        texture = (1 - blend) * pores + blend * strands
        detail += gain[k] * band + amount[k] * missing * texture
    return detail


def clean_wall(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`picture` with what hardly differs from the wall replaced by it, and the person's alpha.

    The shirt is as bright as the wall, so the lowest quarter is left as it is.
    """
    small = cv2.resize(picture, (288, 288), interpolation=cv2.INTER_AREA)
    wall = cv2.resize(wall_surface(small), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    differs = np.abs(cv2.GaussianBlur(picture, (0, 0), 1.2) - wall).max(-1)
    sure = (cv2.GaussianBlur(differs, (0, 0), 3) > 0.07).astype(np.uint8)
    sure = cv2.morphologyEx(sure, cv2.MORPH_OPEN, np.ones((15, 15), np.uint8))
    _, labels = cv2.connectedComponents(sure)
    person = (labels == labels[CANVAS // 2, CANVAS // 2]).astype(np.uint8)
    outside = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    away = cv2.distanceTransform(1 - outside, cv2.DIST_L2, 5)
    near = np.clip(1 - away / 22, 0, 1)
    alpha = np.clip((differs - 0.03) / 0.07, 0, 1) * near
    alpha = np.maximum(alpha, outside)
    shirt = np.clip((np.arange(CANVAS) / CANVAS - 0.72) / 0.10, 0, 1)[:, None]
    alpha = cv2.GaussianBlur(np.maximum(alpha, shirt).astype(np.float32), (0, 0), 1.0)
    return alpha[..., None] * picture + (1 - alpha[..., None]) * wall, alpha


def mean_shape(people: list[Person]) -> np.ndarray:
    """Mean template points and mean outline, one below the other."""
    mean = np.mean([np.concatenate([p.points, p.outline]) for p in people], axis=0)
    mean[189:] = smooth_outline(mean[189:])
    return mean


def build(people: list[Person], mean: np.ndarray, seed: int) -> np.ndarray:
    """One composite in the shape `mean`, (SIZE, SIZE, 3) uint8 BGR."""
    face = face_mask(mean[:189])
    maps = [align(p, mean) for p in people]
    maps = refine(maps, people, 3, face)
    stack = np.stack([sample(p, m) for p, m in zip(people, maps, strict=True)])
    picture, alpha = clean_wall(to_srgb(robust_mean(stack, face)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    inner = cv2.GaussianBlur(cv2.erode(alpha, disc), (0, 0), 2)
    picture = picture + (inner * lost_detail(picture, stack, seed))[..., None]
    small = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    small += 0.25 * (small - cv2.GaussianBlur(small, (0, 0), 1.0))
    return np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)


def smooth_outline(outline: np.ndarray) -> np.ndarray:
    """The mean outline without kinks."""
    for _ in range(3):
        padded = np.pad(outline, ((1, 1), (0, 0)), mode="reflect", reflect_type="odd")
        outline = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return outline


def main() -> None:
    """Writes ``sample_1.jpg`` to ``sample_6.jpg``."""
    here = Path(__file__).resolve().parent
    default = here.parents[2] / "shared" / "data" / "neutral"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", nargs="?", type=Path, default=default)
    parser.add_argument("--output", type=Path, default=here)
    parser.add_argument("--only", choices=list(GROUPS))
    args = parser.parse_args()
    everyone = {n: load(args.photos, n) for g in GROUPS.values() for n in g.split()}
    groups = {name: [everyone[n] for n in group.split()] for name, group in GROUPS.items()}
    means = {name: mean_shape(people) for name, people in groups.items()}
    middle = np.mean(list(means.values()), axis=0)
    scale = np.ones((len(middle), 1))
    scale[[i for i in range(189) if i not in HAIR]] = EXAGGERATION
    for seed, (name, people) in enumerate(groups.items()):
        if args.only in (None, name):
            image = build(people, middle + scale * (means[name] - middle), seed)
            path = args.output / f"{name}.jpg"
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            print(f"{path.name}: {len(people)} people, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
