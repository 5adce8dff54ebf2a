"""Plans, and what they consist of: stages, relations between stages, memory arithmetic, validation, fingerprint.

The names load when they are first used: workers need the arithmetic of index spaces and nothing else,
and must not wait for NumPy and networkx.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan as Plan, Plannable as Plannable
    from asyncexec.plan.stage import (
        ChunkedOutput as ChunkedOutput,
        Items as Items,
        Read as Read,
        Stage as Stage,
    )
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "ChunkedOutput": "stage",
            "Items": "stage",
            "Plan": "plan",
            "Plannable": "plan",
            "Read": "stage",
            "Stage": "stage",
        },
    )
