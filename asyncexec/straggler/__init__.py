"""Speculation: rules for backups of tasks that run long, the figures they decide from, and the monitor of attempts."""

from asyncexec.straggler.decision import BackupDecision, BackupVerdict, Ground
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.off import Off
from asyncexec.straggler.rule import Rule, StageView
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.two_phase import TwoPhase

__all__ = [
    "BackupDecision",
    "BackupVerdict",
    "DurationStatistics",
    "Ground",
    "Off",
    "Rule",
    "StageView",
    "TwoPhase",
    "as_rule",
]
