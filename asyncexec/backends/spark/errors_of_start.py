"""The meaning of an error with which Spark does not start."""

from __future__ import annotations

import os
import shutil


def explained(error: BaseException) -> str:
    """Return the text of an error of Spark's start, and what to do about it."""
    text = first_lines(error)
    if "JAVA_GATEWAY_EXITED" not in text:
        return (
            f"{text}. Check the master and the settings (conf), and that its cluster can be reached"
        )
    if (java := _java()) is None:
        return f"there is no Java here, and Spark needs Java 17 or later: install it, or set JAVA_HOME. {text}"
    return (
        f"{text} Java is {java}: Spark needs version 17 or later. If it is, what Spark has printed above says which "
        f"setting (conf, or PYSPARK_SUBMIT_ARGS of the environment) it does not take"
    )


def first_lines(error: BaseException) -> str:
    """Return the beginning of a text, without the lines of a traceback in Java."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.lstrip().startswith("at ")]
    return " ".join(kept[:12])[:2000]


def _java() -> str | None:
    """Return the path of the Java that Spark takes; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=os.path.join(home, "bin")) if home else shutil.which("java")  # noqa: PTH118 - a search path is text
