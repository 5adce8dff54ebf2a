"""The handler of functions deployed under its former name, ``asyncexec.backends.aws_lambda_worker.handler``."""

from asyncexec.backends.aws_lambda.worker_side import handler

__all__ = ["handler"]
