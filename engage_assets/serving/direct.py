"""Routes that somebody waits for: their handlers are called past the framework's search for routes and dependencies."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from engage_assets.serving.problems import write

Handler = Callable[[Request], Awaitable[Response]]


class Direct(NamedTuple):
    """A route under `path_format`, called by POST; its handler checks the key, or the token, itself.

    The application has the same route too: for its document, and for other methods.
    """

    path_format: str
    handler: Handler


class Directly:
    """ASGI application: serves some routes at once, and hands on what is for others.

    `routes` by path; by a path with `/` at its end, one that ends in a single name more. `around` puts the middleware
    about them that the others have.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, Direct],
        around: Callable[[ASGIApp], ASGIApp] = lambda served: served,
    ) -> None:
        self.app = app
        self._routes = routes
        self._served = around(_serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._route(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self.app(scope, receive, send)
        else:
            scope["route"] = route
            await self._served(scope, receive, send)

    def _route(self, path: str) -> Direct | None:
        head, slash, name = path.rpartition("/")
        return (self._routes.get(path) or self._routes.get(head + slash)) if name else None


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        answer = await scope["route"].handler(Request(scope, receive))
    except HTTPException as problem:
        answer = write(problem)
    await answer(scope, receive, send)
