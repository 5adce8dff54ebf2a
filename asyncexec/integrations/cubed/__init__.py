"""Cubed plans on this engine: ``cubed.Spec(executor=AsyncexecExecutor(executor="threads"))``."""

from asyncexec.errors import MissingExtraError

try:
    from asyncexec.integrations.cubed.executor import AsyncexecExecutor
    from asyncexec.integrations.cubed.from_async import compute
    from asyncexec.integrations.cubed.names import register_name, unregister_name
    from asyncexec.integrations.cubed.translation import plan_of
except ModuleNotFoundError as error:
    if error.name != "cubed":
        raise
    raise MissingExtraError.of("running Cubed plans", "Cubed", extra="cubed") from error

__all__ = ["AsyncexecExecutor", "compute", "plan_of", "register_name", "unregister_name"]
