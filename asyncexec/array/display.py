"""Text and HTML that represent an array."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np

from asyncexec.array.chunks import chunk_bytes, grid
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import format_bytes


def as_text(shape: Shape, dtype: np.dtype[Any], chunks: Shape) -> str:
    """Return one line about an array."""
    size = format_bytes(math.prod(shape) * dtype.itemsize)
    return f"<asyncexec.Array shape={shape} dtype={dtype} chunks={chunks} ({size})>"


def as_html(shape: Shape, dtype: np.dtype[Any], chunks: Shape, operation: str) -> str:
    """Return a table about an array and its chunks, for notebooks."""
    rows = [
        ("", "Array", "Chunk"),
        (
            "Bytes",
            format_bytes(math.prod(shape) * dtype.itemsize),
            format_bytes(chunk_bytes(shape, chunks, dtype.itemsize)),
        ),
        ("Shape", str(shape), str(chunks)),
        ("Count", operation, f"{math.prod(grid(shape, chunks))} chunks"),
        ("Type", str(dtype), ""),
    ]
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{body}</table>"
