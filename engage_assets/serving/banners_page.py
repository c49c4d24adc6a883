"""An app's home screen as a page, to see banners in a demonstration: there under a declared clock alone."""

from dataclasses import replace

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from engage_assets.serving import words
from engage_assets.serving.banners import Banner, BannerDesk
from engage_assets.serving.names import CustomerId, ProgramId
from engage_assets.serving.page_documents import SHOWN
from engage_assets.serving.services import Services


def banners_page(services: Services) -> APIRouter:
    """GET /app/{program}/{customer}: shows what an app would, and reports each display as an app would."""
    router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)

    @router.get("/app/{program}/{customer}", responses=SHOWN)
    def app_screen(program: ProgramId, customer: CustomerId) -> Response:
        """The screen of a customer's app. 404 where the clock is real: whoever asks need not be the customer."""
        known = services.programs.get(program)
        if not services.clock.is_declared or known is None:
            return words.lost()
        desk = BannerDesk(services)
        shown = desk.shown(known, customer)
        for banner in shown:
            desk.happened(known, banner.send.send_id, "displayed")
        return _screen(services, shown)

    return router


def _screen(services: Services, shown: list[Banner]) -> Response:
    first = shown[0].send if shown else None
    market = services.marketplaces.get(first.marketplace) if first else None
    language = words.language_of(first.locale if first else None, market.locale if market else None)
    banners = [replace(one, words=replace(one.words, title=one.words.title.strip())) for one in shown]
    shop = market.sender_name if market else ""
    return words.show("app", language, shop=shop, place="", address="", banners=banners, now=services.clock.now())
