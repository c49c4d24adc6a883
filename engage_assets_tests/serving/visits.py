"""The pages, tracking addresses and webhooks of one service, visited as a browser, a scanner or a provider would."""

from io import BytesIO

from fastapi import FastAPI
from PIL import Image

from engage_assets.serving.banners_page import banners_page
from engage_assets.serving.pages import pages_router
from engage_assets.serving.push import push_router
from engage_assets.serving.services import Services
from engage_assets.serving.tracking import tracking_router
from engage_assets.serving.webhooks import webhook_router
from engage_assets_tests.serving.clients import Client


def an_app(services: Services) -> FastAPI:
    """All routers of people and providers, and nothing around them."""
    app = FastAPI()
    for router in (pages_router, banners_page, push_router, tracking_router, webhook_router):
        app.include_router(router(services))
    return app


def a_visitor(services: Services, **headers: str) -> Client:
    """A client that follows no redirect and comes with these headers (`user_agent="…"`)."""
    return Client(an_app(services), {name.replace("_", "-"): value for name, value in headers.items()})


def a_photo(kind: str = "JPEG", size: tuple[int, int] = (40, 30), **written: object) -> bytes:
    """A photo as a file of `kind`, red on the left and blue on the right."""
    picture = Image.new("RGB", size, "blue")
    picture.paste("red", (0, 0, size[0] // 2, size[1]))
    file = BytesIO()
    picture.save(file, kind, **written)
    return file.getvalue()
