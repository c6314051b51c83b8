"""Where previews are written, and what is refused before anything is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synth.errors import UsageError
from synth.image_files import ImageSource, write_atomic
from synth.images import encode_image
from synth.preview.canvas import UInt8
from synth.targets import source_stems
from synth.types import Record

__all__ = [
    "FORMATS",
    "is_one_photo",
    "picture_file",
    "preview_files",
    "refuse_taken",
    "write_sheet",
]

#: Extension -> format.
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


def is_one_photo(inputs: Sequence[str]) -> bool:
    """Whether the inputs are a single photo, rather than a folder, a pattern or a list."""
    if len(inputs) != 1:
        return False
    path = Path(inputs[0]).expanduser()
    return path.suffix.lower() != ".txt" and not path.is_dir() and path.exists()


def picture_file(path: Path) -> Path:
    """`path`, if a picture can be written there.

    Raises
    ------
    UsageError
        If its extension is not one of `FORMATS`, or it is a folder.
    """
    if path.is_dir():
        raise UsageError(f"output: expected a file such as {path / 'preview.png'}, got a folder")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"output: expected a file name ending in {', '.join(FORMATS)}, got {path}")
    return path


def preview_files(sources: Sequence[ImageSource], folder: Path) -> list[Path]:
    """One file a photo in `folder`.

    Raises
    ------
    UsageError
        If `folder` is a file, or is named like one.
    """
    if folder.is_file() or (folder.suffix.lower() in FORMATS and not folder.is_dir()):
        raise UsageError(f"output: expected a folder for several photos, got {folder}")
    stems = source_stems([source.name for source in sources])
    return [folder / f"{stems[source.name]}.png" for source in sources]


def refuse_taken(files: Sequence[Path], overwrite: bool) -> None:
    """Check that no file would be replaced without leave.

    Raises
    ------
    UsageError
        If one would.
    """
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UsageError(
            f"output: expected no file yet, got {taken[0]}{more}; name another or give --overwrite"
        )


def write_sheet(file: Path, pixels: UInt8, record: dict[str, object] | None = None) -> None:
    """Write a sheet, whole or not at all; with a record it is marked as synthetic.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    data = encode_image(
        pixels,
        FORMATS[file.suffix.lower()],
        record_json=None if record is None else json.dumps(record),
        digital_source_type=None if record is None else Record.digital_source_type,
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, data)
    except OSError as error:
        raise UsageError(
            f"output: expected a place to write to, got {file}: {error.strerror or error}"
        ) from None
