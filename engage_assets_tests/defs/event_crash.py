"""The service and the deliveries of a week of events, in processes that die where they are told to."""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import engage_assets.serving.run  # noqa: F401 - paid once, before the forks
from engage_assets.cli.service import build_services
from engage_assets.defs.batch import Batch
from engage_assets.defs.delivery import Postman, deliver_due
from engage_assets.dispatch.relay import Relay
from engage_assets.domain.sends import Answer, Letter
from engage_assets.serving.run import serve as run_service
from engage_assets.watermark import Watermark
from engage_assets_tests.campaigns import _die_soon, _Mortal, _MortalSender, die
from engage_assets_tests.defs.event_worlds import KEY
from engage_assets_tests.defs.homes import at
from engage_assets_tests.defs.test_banner_delivery import MONDAY, PROGRAM

SENDING = ("after_claim", "inside_hand_over", "after_answer", "inside_status_update")
"""Where a delivery, of invitations or of notices, may be told to die."""
SERVING = ("before_registration", "inside_registration", "after_registration")
"""Where the service may be told to die."""


def deliver(
    home: Path,
    environment: Mapping[str, str],
    jobs: Sequence[str],
    fault: str | None = None,
    after: int = 1,
    seed: int = 0,
) -> None:
    """Run jobs of the program; with a fault this process kills itself there."""
    launcher = at(home, None, **environment)
    vars(launcher)["parts"] = _mortal(launcher.parts, home, fault, after, seed)
    for job in jobs:
        launcher.run(f"{KEY}_{job}", tags={"engage/deliver": "confirmed"})


def deliver_alone(home: Path, environment: Mapping[str, str], fault: str | None, seed: int) -> None:
    """Deliver what is due of MONDAY's lists, unchecked and without Dagster; with a fault this process kills itself."""
    launcher = at(home, None, **environment)
    parts, marketplaces = _mortal(launcher.parts, home, fault, 1, seed), launcher.folder.marketplaces
    postman = Postman(
        PROGRAM, marketplaces, launcher.lake, parts["ledger"], parts["operations"], parts["store"],
        SimpleNamespace(findings=lambda *_: []), parts["sender"], parts["clock"], Watermark(launcher.home.watermark),
        banners=parts["banners"],
    )  # fmt: skip
    deliver_due(postman, Batch(PROGRAM, MONDAY, marketplaces, parts["warehouse"]))


def _mortal(given: Mapping[str, Any], home: Path, fault: str | None, after: int, seed: int) -> dict[str, Any]:
    """The parts of a home that send: each hand-over is noted, and a fault kills this process."""
    parts = dict(given)
    for name in ("sender", "push_sender"):
        counted = _CountingSender(parts[name], home / "handed-over.txt")
        parts[name] = _MortalSender(counted, fault, after, seed) if fault else counted
    if fault:
        parts["ledger"] = _Mortal(parts["ledger"], fault, after, seed)
        parts["banners"] = _MortalBanners(parts["banners"], fault, after)
    return parts


class _CountingSender:
    """A sender that notes each hand-over before it begins, so that a second one cannot hide."""

    def __init__(self, sender: Any, log: Path) -> None:
        self._sender, self._log = sender, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def open(self) -> "_CountingLine":
        return _CountingLine(self._sender.open(), self._log)


class _CountingLine:
    def __init__(self, line: Any, log: Path) -> None:
        self._line, self._log = line, log

    def close(self) -> None:
        self._line.close()

    def hand_over(self, letter: Letter) -> Answer:
        with self._log.open("a") as file:
            file.write(f"{letter.send_id}\n")
        answer: Answer = self._line.hand_over(letter)
        return answer


class _MortalBanners:
    """Banners whose process dies once some are open."""

    def __init__(self, banners: Any, fault: str, after: int) -> None:
        self._banners, self._fault, self._left = banners, fault, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._banners, name)

    def open(self, *arguments: Any) -> Any:
        claims = self._banners.open(*arguments)
        self._left -= len(claims.won)
        if self._fault == "after_claim" and self._left <= 0:
            die()
        return claims


def serve(environment: Mapping[str, str], port: int, fault: str | None = None, seed: int = 0) -> None:
    """Run the service; with a fault this process kills itself at the first registration."""
    os.environ.update(environment)
    services = build_services(environment)
    if fault:
        assert services.events is not None
        mortal = _MortalRegistrations(services.events.registrations, fault, seed)
        services = replace(services, events=replace(services.events, registrations=mortal))
    from engage_assets.defs.launch import Launcher

    parts = Launcher(environment).parts
    with Relay(parts["outbox"], parts["store"], parts["clock"]):
        run_service(lambda: services, "127.0.0.1", port)


class _MortalRegistrations:
    def __init__(self, registrations: Any, fault: str, seed: int) -> None:
        self._registrations, self._fault, self._chance = registrations, fault, random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registrations, name)

    def take(self, *arguments: Any) -> Any:
        if self._fault == "before_registration":
            die()
        if self._fault == "inside_registration":
            _die_soon(self._chance, 0.004)
        applied = self._registrations.take(*arguments)
        if self._fault == "after_registration":
            die()
        return applied
