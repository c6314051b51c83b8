"""What an output file says about itself: marked as synthetic, with its own record inside.

The encoders return bare PNG, JPEG and WebP files; `embed` inserts an XMP packet
with ``Iptc4xmpExt:DigitalSourceType`` [1]_ and the record as JSON by splicing
chunks, which costs microseconds where a metadata library would encode again.

======  =============================  ======================================
format  XMP packet                     record
======  =============================  ======================================
PNG     iTXt ``XML:com.adobe.xmp``     iTXt ``synth:record``
JPEG    APP1                           COM segments starting ``synth:record``
WebP    chunk ``XMP``                  chunk ``SYNR``
======  =============================  ======================================

References
----------
.. [1] IPTC Photo Metadata Standard 2023.2, "Digital Source Type"; Adobe, "XMP
   Specification Part 3: Storage in Files", 2020.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["embed", "read_record", "xmp_packet"]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
KEY = b"synth:record"
XMP_KEY = b"XML:com.adobe.xmp"
XMP_APP1 = b"http://ns.adobe.com/xap/1.0/\0"
SEGMENT = 65533  # bytes of payload in one JPEG segment (16-bit length, itself counted)
WEBP_XMP, WEBP_ALPHA = 0x04, 0x10  # VP8X feature flags


@lru_cache(maxsize=8)
def xmp_packet(digital_source_type: str) -> bytes:
    """The XMP packet that names the kind of source, UTF-8.

    Parameters
    ----------
    digital_source_type : str
        URI of the IPTC NewsCodes vocabulary ``digitalsourcetype``.
    """
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{escape(digital_source_type)}"
        "</Iptc4xmpExt:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def embed(
    data: bytes, record_json: str | None, digital_source_type: str | None, size: tuple[int, int]
) -> bytes:
    """The encoded file `data` with its record and XMP packet inside.

    Parameters
    ----------
    data : bytes
        A PNG, JPEG or WebP file without metadata of these kinds.
    record_json : str or None
        Any JSON object.
    digital_source_type : str or None
        See `xmp_packet`.
    size : (width, height) of int
        Pixels; WebP's extended header needs them.
    """
    record = None if record_json is None else record_json.encode()
    xmp = None if digital_source_type is None else xmp_packet(digital_source_type)
    if record is None and xmp is None:
        return data
    if data.startswith(PNG_MAGIC):
        return _embed_png(data, record, xmp)
    if data.startswith(JPEG_MAGIC):
        return _embed_jpeg(data, record, xmp)
    return _embed_webp(data, record, xmp, size)


def _embed_png(data: bytes, record: bytes | None, xmp: bytes | None) -> bytes:
    chunks = [
        _png_chunk(b"iTXt", key + b"\0\0\0\0\0" + text)  # uncompressed, no language
        for key, text in ((XMP_KEY, xmp), (KEY, record))
        if text is not None
    ]
    end = len(PNG_MAGIC) + 25  # IHDR is always first and 25 bytes long
    return b"".join([data[:end], *chunks, data[end:]])


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _embed_jpeg(data: bytes, record: bytes | None, xmp: bytes | None) -> bytes:
    # After SOI and, when there is one, the JFIF header, which must come first.
    start = 2
    if data[2:4] == b"\xff\xe0":
        start += 2 + struct.unpack(">H", data[4:6])[0]
    segments = []
    if xmp is not None:
        segments.append(_jpeg_segment(0xE1, XMP_APP1 + xmp))
    if record is not None:
        room = SEGMENT - len(KEY) - 1
        for i in range(0, len(record), room):
            segments.append(_jpeg_segment(0xFE, KEY + b"\0" + record[i : i + room]))
    return b"".join([data[:start], *segments, data[start:]])


def _jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _embed_webp(
    data: bytes, record: bytes | None, xmp: bytes | None, size: tuple[int, int]
) -> bytes:
    chunks = list(_webp_chunks(data))
    kinds = [kind for kind, _ in chunks]
    flags = WEBP_XMP if xmp is not None else 0
    if kinds[0] == b"VP8X":
        header = bytearray(chunks.pop(0)[1])
        header[0] |= flags
    else:
        # VP8L says in bit 28 of its header whether alpha is used.
        if kinds[0] == b"VP8L" and chunks[0][1][4] & 0x10:
            flags |= WEBP_ALPHA
        width, height = size
        header = bytearray(struct.pack("<I", flags))
        header += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunks.insert(0, (b"VP8X", bytes(header)))
    if xmp is not None:
        chunks.append((b"XMP ", xmp))
    if record is not None:
        chunks.append((b"SYNR", record))
    body = b"".join(
        kind + struct.pack("<I", len(text)) + text + b"\0" * (len(text) & 1)
        for kind, text in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def read_record(source: str | Path | bytes) -> dict[str, Any] | None:
    """The record inside an output file, or None when there is none.

    Parameters
    ----------
    source : path or bytes
        A PNG, JPEG or WebP file, or its content.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        text = _find_record(data)
        record = None if not text else json.loads(text)
    except (struct.error, IndexError, ValueError):
        return None  # a cut-off or foreign file has no record
    return record if isinstance(record, dict) else None


def _find_record(data: bytes) -> bytes:
    if data.startswith(PNG_MAGIC):
        for kind, body in _png_chunks(data):
            if kind == b"iTXt" and body.startswith(KEY + b"\0"):
                return body[len(KEY) + 5 :]
    elif data.startswith(JPEG_MAGIC):
        parts = (
            body[len(KEY) + 1 :]
            for marker, body in _jpeg_segments(data)
            if marker == 0xFE and body.startswith(KEY + b"\0")
        )
        return b"".join(parts)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        for kind, body in _webp_chunks(data):
            if kind == b"SYNR":
                return body
    return b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_MAGIC)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at < len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:  # up to the scan
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
