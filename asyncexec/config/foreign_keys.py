"""Keys of Flowdapt's configuration that asyncexec has not: each is accepted with a notice, or refused with a reason.

None is passed over in silence. A key is accepted where leaving it out changes nothing that a run does or returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.config.layers import Layer

TINYDB = "flowdapt.lib.database.storage.tdb.TinyDBStorage"
"""The default of Flowdapt's ``database.target``, which its own files hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A key of Flowdapt's, with what is below it.

    Attributes
    ----------
    path : tuple of str
    accepted : sequence or None
        The values with which it is accepted; None where it is with any, empty where it is refused.
    why : str
        What a message says of it.
    """

    path: tuple[str, ...]
    accepted: Sequence[Any] | None
    why: str

    def accepts(self, value: Any) -> bool:
        """Return whether the key may have this value."""
        return self.accepted is None or value in self.accepted


def _key(dotted: str, accepted: Sequence[Any] | None, why: str) -> ForeignKey:
    return ForeignKey(path=tuple(dotted.split(".")), accepted=accepted, why=why)


FOREIGN_KEYS = (
    _key("name", None, "asyncexec has no name of an installation"),
    _key(
        "app_dir",
        None,
        "there is no application directory; storage.base_path says where data is kept",
    ),
    _key(
        "config_file", None, "the file is given to the command (--config) or to Engine.from_config"
    ),
    _key("rpc", None, "asyncexec serves no HTTP and has no event bus"),
    _key(
        "telemetry.enabled",
        (False, None),
        "nothing is sent: observers receive the events of a run (ax.History)",
    ),
    _key("telemetry", None, "nothing is sent: observers receive the events of a run (ax.History)"),
    _key(
        "drain_on_sigterm",
        (False, None),
        "there is no service to drain: leaving an engine stops what runs",
    ),
    _key(
        "drain_timeout_seconds",
        None,
        "there is no service to drain: leaving an engine stops what runs",
    ),
    _key(
        "database.target",
        (TINYDB, None),
        "run records are in SQLite or PostgreSQL: say where in database.url",
    ),
    _key("logging.include_trace_id", (False, None), "there are no traces"),
)
"""The longest path that fits decides."""


def take_foreign_keys(layer: Layer) -> tuple[list[str], list[str]]:
    """Remove foreign keys from ``layer``; return notices of those accepted, and problems with those refused."""
    notices: list[str] = []
    problems: list[str] = []
    for key in sorted(FOREIGN_KEYS, key=lambda each: -len(each.path)):
        if key.path not in layer.origins:
            continue
        origin, dotted = layer.origins[key.path], ".".join(key.path)
        if key.accepts(layer.at(key.path)):
            notices.append(f"{origin}: {dotted} has no effect here: {key.why}")
        else:
            problems.append(f"{origin}: {dotted} is refused: {key.why}")
        layer.remove(key.path)
    return notices, problems
