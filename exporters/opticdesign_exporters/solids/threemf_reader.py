"""A strict reader of 3MF packages that hold one mesh, with a vertex or a triangle in each line of its XML."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError
from opticdesign_exporters.text_reader import fail_line, numbers
from opticdesign_exporters.zip_reader import read_members

__all__ = ["read_mesh"]

_MODEL = "3D/3dmodel.model"
_SHELL = re.compile(  # what stands before and behind the numbers
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>\n<model unit="micron" xml:lang="en-US" '
    rb'xmlns="http://schemas\.microsoft\.com/3dmanufacturing/core/2015/02">\n'
    rb'<metadata name="Title">[\w ]+</metadata>\n<resources><object id="1" type="model"><mesh>\n'
    rb'</mesh></object></resources>\n<build><item objectid="1"/></build>\n</model>\n'
)
_VERTEX = (b'<vertex x="', b'" y="', b'" z="', b'" />')
_TRIANGLE = (b'<triangle v1="', b'" v2="', b'" v3="', b'"/>')
_NUMERIC = b"0123456789.e+-"
_PIXEL_BYTES = 2000  # of XML, more than a pixel with all its walls takes


def read_mesh(data: bytes, path: str, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The corners of all triangles (m, 3, 3) of a package, in micrometres.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shape: rows and columns of the mask, which bound what is unpacked.

    Raises:
        VerificationError: a damaged package, or another kind; says where.
    """
    limit = 4096 + _PIXEL_BYTES * (shape[0] + 1) * (shape[1] + 1)
    parts = read_members(data, path, {"[Content_Types].xml": 4096, "_rels/.rels": 4096, _MODEL: limit})
    place = f"{path}: {_MODEL}"
    head, _, rest = parts[_MODEL].partition(b"<vertices>\n")
    vertices, _, rest = rest.partition(b"</vertices>\n<triangles>\n")
    triangles, _, tail = rest.partition(b"</triangles>\n")
    if _SHELL.fullmatch(head + tail) is None:
        raise VerificationError(f"{place}: not a model of one mesh in micrometres", remedy="export again")
    first = head.count(b"\n") + 2
    points = _table(vertices, _VERTEX, place, first)
    first += len(points) + 2
    corners = _table(triangles, _TRIANGLE, place, first)
    bad = ~((corners >= 0) & (corners < len(points)) & (corners % 1 == 0)).all(axis=1)
    if bad.any():
        fail_line(place, first + int(np.argmax(bad)), f"a vertex that is none of the {len(points)}")
    mesh: npt.NDArray[np.float64] = points[corners.astype(np.int64)]
    return mesh


def _table(text: bytes, parts: tuple[bytes, ...], place: str, first: int) -> npt.NDArray[np.float64]:
    """The three numbers of each line (lines, 3); `parts` is what stands around them, `first` the number of a line."""
    bare = b"".join(parts).translate(None, _NUMERIC)
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    if text.translate(None, _NUMERIC) != (bare + b"\n") * len(lines):
        wrong = [number for number, line in enumerate(lines) if line.translate(None, _NUMERIC) != bare]
        fail_line(place, first + (wrong or [len(lines)])[0], f"expected {b'0'.join(parts).decode()}")
    for part, instead in zip(parts, (b"", b",", b",", b""), strict=True):
        text = text.replace(part, instead)
    return numbers(text.removesuffix(b"\n").split(b"\n") if text else [], place, 3, b",", first)
