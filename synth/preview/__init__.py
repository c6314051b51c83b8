"""Pictures that show what the generator makes: a sheet per photo, a sheet per gallery.

``circumplex_sheet`` and ``gallery_sheet`` are pure drawing; ``draw_preview`` asks a
generator for the faces of the first. The command is ``synth preview``.
"""

from synth.preview.files import (
    is_one_photo,
    picture_file,
    preview_files,
    refuse_taken,
    write_sheet,
)
from synth.preview.gallery import GalleryLayout, gallery_layout, gallery_sheet
from synth.preview.mesh import shaded_face
from synth.preview.photos import (
    PhotoSheet,
    Preview,
    draw_preview,
    preview_or_skip,
    render_size,
    shown_face,
)
from synth.preview.sheet import SheetLayout, circumplex_sheet, sheet_layout

__all__ = [
    "GalleryLayout",
    "PhotoSheet",
    "Preview",
    "SheetLayout",
    "circumplex_sheet",
    "draw_preview",
    "gallery_layout",
    "gallery_sheet",
    "is_one_photo",
    "picture_file",
    "preview_files",
    "preview_or_skip",
    "refuse_taken",
    "render_size",
    "shaded_face",
    "sheet_layout",
    "shown_face",
    "write_sheet",
]
