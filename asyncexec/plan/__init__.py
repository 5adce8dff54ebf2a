"""What to run: plans, stages, relations between stages, memory arithmetic, validation, fingerprint."""

from asyncexec.plan.plan import Plan, Plannable
from asyncexec.plan.stage import ChunkedOutput, Items, Read, Stage

__all__ = ["ChunkedOutput", "Items", "Plan", "Plannable", "Read", "Stage"]
