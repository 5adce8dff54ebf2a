"""The catalogue of edits of kernels, which is in `edits.txt` as it would be in a user's files."""

import re
from pathlib import Path

type Files = dict[str, str]

KERNEL = "kernel.py"


def read(text: str) -> dict[str, tuple[Files, Files]]:
    """Return every edit by its name: the files before it and after it."""
    edits = {}
    for section in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("\n")
        before, _, after = body.rstrip().partition("\n+++\n")
        files = read_files(before)
        edited = read_files(after) if after else files
        edits[name] = filled(files, "1"), filled(edited, "2")
    return edits


def read_files(text: str) -> Files:
    """Return the files of one edit, by their paths."""
    first, *others = re.split(r"^--- (.+)\n?", text, flags=re.MULTILINE)
    return {KERNEL: first} if not others else dict(zip(others[::2], others[1::2], strict=True))


def filled(files: Files, step: str) -> Files:
    """Return the files with the step in its places."""
    return {path: text.replace("STEP", step) for path, text in files.items()}


EDITS = read(Path(__file__).with_suffix(".txt").read_text())
KINDS = sorted({name.partition(":")[0] for name in EDITS})
