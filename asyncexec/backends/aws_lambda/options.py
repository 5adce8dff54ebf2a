"""The options of the executor ``aws-lambda``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from asyncexec.backends.aws_lambda.payloads import Bucket
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Address, Count, Memory, Seconds, bytes_of


def _bucket(value: object, _: str) -> str:
    Bucket.parse(value)
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaOptions:
    """Options of the executor ``aws-lambda``."""

    function_name: str
    """Name or ARN of the function."""

    qualifier: str | None = None
    """A version or alias of it."""

    region: str | None = None
    """As in AWS's own configuration, which it defaults to, like the credentials."""

    profile: str | None = None
    """As in AWS's own configuration, which it defaults to, like the credentials."""

    endpoint_url: Address | None = None
    """Of Lambda's API, where it is not AWS's."""

    max_workers: Count = 100
    """Invocations at once. When Lambda says that these are too many, there are fewer for a while."""

    bucket: Annotated[str, _bucket] | None = None
    """``"name"`` or ``"s3://name/prefix"``: where messages go that are larger than Lambda takes (6 MB). The driver and
    the function need to read and write objects there, the driver to delete them."""

    timeout: Seconds | None = None
    """Seconds that one task may run; the engine ends it then. The function's own timeout must not be shorter."""

    memory: Memory | None = None
    """Memory of the function (``"2GB"``, bytes); by default, what is configured is asked of Lambda."""

    start_timeout: Seconds = 60.0
    """Seconds that Lambda's API may take to answer on entering."""

    batch_limit: Count = 1000
    """How many tasks may go into one invocation."""

    def __post_init__(self) -> None:
        check_options(self, executor="aws-lambda")

    @property
    def memory_bytes(self) -> int | None:
        """The memory of the function in bytes, if it was given."""
        return bytes_of(self.memory)
