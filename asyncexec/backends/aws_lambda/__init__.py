"""The ``aws-lambda`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.aws_lambda.backend import LambdaBackend as LambdaBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"LambdaBackend": "backend"})
