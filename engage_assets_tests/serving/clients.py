"""A client of an application, without a server between: keys, requests, lifespan."""

import asyncio
from collections.abc import Collection
from typing import Any

import httpx
from fastapi import FastAPI

from engage_assets.domain.responses import ApiKey
from engage_assets.serving.access import SCOPES, make_key
from engage_assets_tests.serving.fakes import NOW


def a_key(scopes: Collection[str] = SCOPES, **changes: Any) -> tuple[ApiKey, dict[str, str]]:
    """A key and the header that shows it."""
    key, text = make_key("shop", scopes, NOW, **changes)
    return key, {"Authorization": f"Bearer {text}"}


class Client:
    """Sends requests with some headers; redirects are not followed."""

    def __init__(self, app: FastAPI, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self.headers = headers or {}

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.send("POST", path, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.send("DELETE", path, **more)

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """One request in an event loop of its own."""
        return asyncio.run(self._send(method, path, headers=self.headers | (headers or {}), **more))

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as client:
            return await client.request(method, path, **more)
