"""Notes of all that a fingerprint takes in, made while it is worked out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """All that was taken in, by name.

    Attributes
    ----------
    functions, classes : dict of str to None
        The user's, whose code was followed.
    packages : dict of str to str
        Installed packages, with their versions.
    whole_modules : dict of str to str
        The user's modules whose whole source counts, with the reason.
    variables : dict of str to None
        Environment variables.
    unseen : dict of str to None
        What cannot be seen, in words.
    """

    functions: dict[str, None] = field(default_factory=dict)
    classes: dict[str, None] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    whole_modules: dict[str, str] = field(default_factory=dict)
    variables: dict[str, None] = field(default_factory=dict)
    unseen: dict[str, None] = field(default_factory=dict)
