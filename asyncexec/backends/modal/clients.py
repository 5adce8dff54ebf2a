"""The client of Modal: one for each backend, so that it can be closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from asyncexec.errors import ConfigurationError

_SETUP = (
    "Run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET "
    "(MODAL_PROFILE chooses a profile of ~/.modal.toml)"
)


@asynccontextmanager
async def connected_client(client: Any) -> AsyncGenerator[Any]:
    """Yield the given client, or one made of the user's configuration, which is closed at the end.

    Raises ConfigurationError if there are no credentials.
    """
    if client is not None:
        yield client
        return
    own_client = await _client()
    try:
        yield own_client
    finally:
        await own_client.close.aio()


async def _client() -> Any:
    import modal
    from modal.config import config

    try:
        if config.get("token_id") and config.get("token_secret"):
            return await modal.Client.from_credentials.aio(
                config.get("token_id"), config.get("token_secret")
            )
        if config.get("oauth_refresh_token"):
            return await modal.Client.from_oauth_credentials.aio(
                config.get("oauth_refresh_token"),
                oauth_client_id=config.get("oauth_client_id"),
                oauth_client_secret=config.get("oauth_client_secret"),
                oauth_jwt_key=config.get("oauth_jwt_key"),
            )
    except (modal.exception.AuthError, modal.exception.InvalidError) as error:
        raise ConfigurationError(f"executor 'modal': {error}. {_SETUP}") from None
    raise ConfigurationError(f"executor 'modal' finds no credentials. {_SETUP}")
