"""Successive rechunkings: chunks that nobody but the next rechunking reads are never made."""

from __future__ import annotations

from dataclasses import replace

from asyncexec.array.nodes import Node, Rechunk

NAME = "rechunks"


def without_passing_chunks(node: Node) -> Node:
    """Return a rechunking as one of what its input rechunks, where nobody else reads that; any other node as it is."""
    if not isinstance(node, Rechunk) or not isinstance(node.inputs[0], Rechunk):
        return node
    source = node.inputs[0].inputs[0]
    return source if source.chunks == node.chunks else replace(node, inputs=(source,))
