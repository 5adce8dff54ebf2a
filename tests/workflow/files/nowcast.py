"""Functions of the workflows in these tests, as users write them for Flowdapt."""

from __future__ import annotations

from typing import Any

import asyncexec as ax


def cities(country: str = "NL", **kwargs: Any) -> list[str]:
    return [f"{country}-{i}" for i in range(int(kwargs.get("count", 3)))]


def fetch(city: str, *others: Any) -> str:
    return city.lower()


async def fetch_later(city: str) -> str:
    return city.upper()


def train(fetched: list[str], all_cities: list[str]) -> dict[str, Any]:
    return {"fetched": fetched, "cities": all_cities}


def fails(city: str) -> str:
    if city.endswith("-1"):
        raise ValueError(f"{city} is closed")
    return city


def first(*results: Any) -> Any:
    return results


def only_one(result: Any) -> Any:
    return result


def nothing() -> str:
    return "nothing"


def wants_context(context: Any) -> None: ...


def where() -> tuple[str, Any, Any]:
    context = ax.get_run_context()
    return context.workflow, dict(context.input), dict(context.config)


VALUE = 1
