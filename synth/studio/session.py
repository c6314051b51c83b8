"""What one run of the studio holds: photos, tracks, generators, exports, a temporary folder."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synth import assets
from synth.errors import UsageError
from synth.images import encode_image
from synth.pipeline import Generator
from synth.samples import SAMPLES, SamplePortrait
from synth.studio.commands import path_command, target_command
from synth.studio.exports import KINDS, Exports, Job, LiveFirst, Wanted
from synth.studio.photos import Photo, PhotoStore, mesh_points, open_photo
from synth.studio.wishes import (
    WAYPOINTS_FILE,
    PathWish,
    read_path,
    read_target,
    track_of,
)
from synth.targets import Target, source_stems, target_tags
from synth.types import Record, Track

__all__ = ["Session", "Sequence", "samples"]

#: Paths remembered for playing and exporting.
KEPT_PATHS = 12
JPEG_QUALITY = 90


@dataclass(frozen=True, eq=False)
class Sequence:
    """A path on a photo, sampled."""

    photo: Photo
    wish: PathWish
    track: Track
    targets: tuple[Target, ...]


def samples() -> dict[str, SamplePortrait]:
    """The bundled portraits that the generator takes, by name."""
    return {sample.name: sample for sample in SAMPLES if sample.neutral}


class Session:
    """State of the studio; every method may be called from any thread.

    Parameters
    ----------
    generator : Generator
        Its settings are those of all pictures, blinks and head motion excepted.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.photos, self.live = PhotoStore(), LiveFirst()
        self.first: str | None = None  # shown when the page opens
        self._folder = tempfile.TemporaryDirectory(prefix="synth-studio-")
        self.exports = Exports(Path(self._folder.name), self.live)
        self._sequences: OrderedDict[str, Sequence] = OrderedDict()
        self._lively: dict[tuple[bool, bool], Generator] = {}
        self._lock, self._opening = threading.Lock(), threading.Lock()

    def close(self) -> None:
        """End the jobs and delete everything that was written."""
        self.exports.close()
        self.photos.clear()
        self._folder.cleanup()

    # -------------------------------------------------------------------------- photos
    def open(self, data: bytes, name: str, given: str | None = None, sample: bool = False) -> Photo:
        """A photo fitted and kept; one at a time, since detectors are not shared.

        The first picture is drawn too, so that what is compiled on first use is.
        """
        with self._opening:
            photo = open_photo(self.generator, data, name, given, sample)
            self.draw(photo, read_target({"valence": 0.5, "arousal": 0.3}))
        self.photos.add(photo)
        with self._lock:  # the paths of forgotten photos are of no use
            gone = [k for k, one in self._sequences.items() if one.photo not in self.photos]
            for key in gone:
                del self._sequences[key]
        return photo

    def open_sample(self, name: Any) -> Photo:
        """A bundled portrait, fitted and kept."""
        if not isinstance(name, str) or name not in samples():
            raise UsageError(f"sample: expected one of {', '.join(samples())}, got {name!r:.40}")
        data = assets.path(samples()[name].asset).read_bytes()
        return self.open(data, name, f"samples/{name}", sample=True)

    # ------------------------------------------------------------------------- pictures
    def draw(
        self, photo: Photo, target: Target, wish: PathWish | None = None
    ) -> tuple[bytes, Record]:
        """The preview of a target as JPEG, and the record of what was drawn."""
        generator = self._generator(wish.blinks, wish.head_motion) if wish else self.generator
        with self.live:
            sample = generator.draw(photo.preview, target)
            return encode_image(sample.image, "jpeg", JPEG_QUALITY), sample.record

    def mesh(self, photo: Photo, target: Target, wish: PathWish | None = None) -> bytes:
        """Pixels of the mesh of a target: (V, 2) little-endian float32."""
        generator = self._generator(wish.blinks, wish.head_motion) if wish else self.generator
        with self.live:
            record = generator.draw(photo.preview, target).record
        return mesh_points(photo.rig, record.weights).astype("<f4").tobytes()

    def _generator(self, blinks: bool, head_motion: bool) -> Generator:
        if not (blinks or head_motion):
            return self.generator
        with self._lock:
            key = blinks, head_motion
            if key not in self._lively:
                self._lively[key] = replace(self.generator, blinks=blinks, head_motion=head_motion)
            return self._lively[key]

    # ---------------------------------------------------------------------------- paths
    def add_path(self, photo: Photo, data: Mapping[str, Any]) -> tuple[str, Sequence]:
        """A path sampled on a photo, with the key of its frames."""
        wish = read_path(data)
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            track = track_of(self.generator, wish, Path(folder))
        sequence = Sequence(photo, wish, track, tuple(wish.targets(track)))
        key = secrets.token_urlsafe(9)
        with self._lock:
            self._sequences[key] = sequence
            while len(self._sequences) > KEPT_PATHS:
                self._sequences.popitem(last=False)
        return key, sequence

    def sequence(self, key: Any) -> Sequence:
        """The path of a key.

        Raises
        ------
        UsageError
            If it is not, or no longer, there.
        """
        with self._lock:
            if not isinstance(key, str) or key not in self._sequences:
                raise UsageError("path: expected one of this session; draw it again")
            self._sequences.move_to_end(key)
            return self._sequences[key]

    def target(self, data: Mapping[str, Any]) -> tuple[Photo, Target, PathWish | None]:
        """What a request for one picture means: a frame of a path, or a target on a photo."""
        if "path" not in data:
            return self.photos.get(data.get("photo")), read_target(data), None
        sequence, frame = self.sequence(data["path"]), data.get("frame")
        count = len(sequence.targets)
        if isinstance(frame, bool) or not isinstance(frame, int) or not 0 <= frame < count:
            raise UsageError(f"frame: expected 0 to {count - 1}, got {frame!r:.40}")
        return sequence.photo, sequence.targets[frame], sequence.wish

    # -------------------------------------------------------------------------- exports
    def export(self, data: Mapping[str, Any]) -> Job:
        """A job that makes the picture of a target, or the frames or video of a path."""
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise UsageError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r:.40}")
        if kind == "picture":
            photo, target, _ = self.target(data)
            wanted = self._wanted("picture", photo, (target,), PathWish(), {})
        else:
            sequence = self.sequence(data.get("path"))
            wish, extra = (
                sequence.wish,
                {"command.txt": path_command(sequence.photo, sequence.wish)},
            )
            extra["command.txt"] += "\n"
            if wish.csv:
                extra[WAYPOINTS_FILE] = wish.csv
            wanted = self._wanted(str(kind), sequence.photo, sequence.targets, wish, extra)
        return self.exports.start(wanted)

    def _wanted(
        self,
        kind: str,
        photo: Photo,
        targets: tuple[Target, ...],
        wish: PathWish,
        extra: dict[str, str],
    ) -> Wanted:
        own = replace(self.generator)
        if wish.blinks or wish.head_motion:
            own = replace(own, blinks=wish.blinks, head_motion=wish.head_motion)
        tag = target_tags(targets[:1])[0].partition("/")[0]
        name = f"{source_stems([photo.name])[photo.name]}_{tag}"
        return Wanted(kind, photo, targets, own, name, extra)

    # ------------------------------------------------------------------------- commands
    def command(self, photo: Photo, target: Target) -> str:
        """The command line for one picture."""
        return target_command(photo, target)

    def sequence_command(self, sequence: Sequence) -> str:
        """The command line for a path."""
        return path_command(sequence.photo, sequence.wish)
