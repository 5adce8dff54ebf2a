"""The handlers of functions that were deployed under their former names, ``asyncexec.backends.http_worker``."""

from asyncexec.backends.http.worker_side import app, handle

__all__ = ["app", "handle"]
