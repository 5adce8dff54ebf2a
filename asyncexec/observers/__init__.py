"""Observers of runs: progress, history, summary, logs. Each is an object that is passed in, never registered."""

from asyncexec.observers.history import History
from asyncexec.observers.logs import Logs
from asyncexec.observers.progress import Progress
from asyncexec.observers.summary import Summary

__all__ = ["History", "Logs", "Progress", "Summary"]
