"""The API for apps: the banners of a customer, and what happened to each."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from engage_assets.domain.program import Program
from engage_assets.serving import answers
from engage_assets.serving.access import BANNERS, Gate
from engage_assets.serving.banners import Banner, BannerDesk, Happened, in_app_of
from engage_assets.serving.documents import BannerEvent, CustomerBanners, Key, operation, problems
from engage_assets.serving.names import ProgramId, program_of
from engage_assets.serving.problems import Problem, ask, unknown
from engage_assets.serving.services import Services

Customer = Annotated[Key, Query(alias="customerId", description="Whose banners.", examples=["c-1042"])]
BannerId = Annotated[str, Path(alias="bannerId", pattern="^[0-9a-f]{32}$", description="As the banner says.")]


@dataclass(frozen=True)
class BannerHandlers:
    """Handlers of an app's requests."""

    services: Services

    async def banners(self, program: ProgramId, customer_id: Customer) -> Response:
        """The banners that a customer's app may show at this moment, the latest first.

        Ask at each start of the app: who has answered, or opted out, gets none from then on.
        """
        known, desk = self._program(program), BannerDesk(self.services)
        shown = await ask(desk.shown, known, customer_id)
        items = [_item(one, self.services.public_url) for one in shown]
        now = self.services.clock.now()
        return answers.as_json({"asOf": now, "customerId": customer_id, "items": items})

    async def displayed(self, program: ProgramId, banner_id: BannerId) -> Response:
        """An app has shown a banner: report each display. Counted once, but for how often a day it may be shown."""
        return await self._record(program, banner_id, "displayed")

    async def clicked(self, program: ProgramId, banner_id: BannerId) -> Response:
        """A person has tapped a banner; counted once, also where its link counts the click too."""
        return await self._record(program, banner_id, "clicked")

    async def _record(self, program: str, banner_id: str, what: Happened) -> Response:
        known = self._program(program)
        is_new = await ask(BannerDesk(self.services).happened, known, banner_id, what)
        if is_new is None:
            raise Problem(404, "no such banner, or it has not opened")
        return answers.as_json({"asOf": self.services.clock.now(), "isNew": is_new})

    def _program(self, program: str) -> Program:
        known = program_of(self.services.programs, program)
        if in_app_of(known) is None:
            raise unknown("channel in an app", [])
        return known


def _item(banner: Banner, public_url: str) -> dict[str, Any]:
    send, config = banner.send, banner.channel.config
    return {
        "bannerId": send.send_id,
        "program": send.program,
        "marketplace": send.marketplace,
        "subjectType": send.subject_type,
        "subjectId": send.subject_id,
        "bannerType": config.banner_type,
        "placement": config.placement,
        "frequency": {"perDay": config.displays_per_day},
        "language": banner.words.language,
        "title": banner.words.title,
        "call": {"label": banner.words.call, "url": f"{public_url}/c/{banner.token}"},
        "startsAt": banner.starts_at,
        "endsAt": banner.ends_at,
    }


def banners_router(services: Services, gate: Gate) -> APIRouter:
    """Routes of apps; keys need the scope banners."""
    router = APIRouter(prefix="/v1/programs/{program}/banners", tags=["banners"], dependencies=[gate.needs(BANNERS)])
    handlers = BannerHandlers(services)
    router.add_api_route(
        "",
        handlers.banners,
        responses={200: {"model": CustomerBanners}, **problems(404)},
        **operation("GetBannersForCustomer"),
    )
    for path, handler, name in (
        ("/{bannerId}/displayed", handlers.displayed, "RecordBannerDisplayed"),
        ("/{bannerId}/clicked", handlers.clicked, "RecordBannerClicked"),
    ):
        router.add_api_route(
            path,
            handler,
            methods=["POST"],
            responses={200: {"model": BannerEvent}, **problems(404)},
            **operation(name),
        )
    return router
