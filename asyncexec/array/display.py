"""Text and HTML that represent an array."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np

from asyncexec.array.block_drawing import drawing_of
from asyncexec.array.chunks import chunk_bytes, grid
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import format_bytes


def as_text(shape: Shape, dtype: np.dtype[Any], chunks: Shape) -> str:
    """Return one line about an array."""
    size = format_bytes(math.prod(shape) * dtype.itemsize)
    return f"<asyncexec.Array shape={shape} dtype={dtype} chunks={chunks} ({size})>"


def as_html(shape: Shape, dtype: np.dtype[Any], chunks: Shape, *, operation: str, work: str) -> str:
    """Return a table about an array and its chunks, and a drawing of them, for notebooks.

    ``operation`` is the last one, and ``work`` says in words what computing takes.
    """
    blocks = grid(shape, chunks)
    rows = [
        ("", "Array", "Chunk"),
        (
            "Bytes",
            format_bytes(math.prod(shape) * dtype.itemsize),
            format_bytes(chunk_bytes(shape, chunks, dtype.itemsize)),
        ),
        ("Shape", str(shape), str(chunks)),
        ("Count", f"{math.prod(blocks):,} chunks", " by ".join(f"{n:,}" for n in blocks)),
        ("Type", str(dtype), ""),
        ("Made by", operation, work),
    ]
    body = "".join(_row(row, "th" if not number else "td") for number, row in enumerate(rows))
    table = f'<table style="border-collapse:collapse">{body}</table>'
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:center">{table}'
        f"{drawing_of(shape, chunks)}</div>"
    )


def _row(cells: tuple[str, str, str], kind: str) -> str:
    first, *others = map(html.escape, cells)
    rest = "".join(f'<{kind} style="text-align:left">{cell}</{kind}>' for cell in others)
    return f'<tr><th style="text-align:left">{first}</th>{rest}</tr>'
