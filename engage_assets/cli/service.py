"""Commands of the serving service: serve, keys, doctor."""

import os
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engage_assets.cli.desk import launcher, operator, plain_errors
from engage_assets.cli.explain import explanations_of
from engage_assets.cli.relay_process import RelayProcess

if TYPE_CHECKING:
    from engage_assets.domain.program import Program
    from engage_assets.domain.tokens import Signer
    from engage_assets.serving.services import AlexaSkill, Services

SECRETS = {
    "ses": "ENGAGE_WEBHOOK_SECRET_SES",
    "generic": "ENGAGE_WEBHOOK_SECRET_GENERIC",
    "attendance": "ENGAGE_WEBHOOK_SECRET_ATTENDANCE",
}
"""Where the secret of each form of events from outside stands."""


def build_services(environment: Mapping[str, str]) -> "Services":
    """What the service works with, as an environment names it."""
    from engage_assets.connectors.subject_names import SubjectNames  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.launch import Launcher  # noqa: PLC0415 - as in launcher
    from engage_assets.serving.registration_events import EventServices, WarehouseFacts  # noqa: PLC0415 - as in launcher
    from engage_assets.serving.services import PushServices, Services  # noqa: PLC0415 - as in launcher
    from engage_assets.signing_keys import read_signer  # noqa: PLC0415 - as in launcher

    desk = Launcher(environment)
    parts = desk.parts
    signer = read_signer(desk.home.signing_keys, environment)
    return Services(
        programs=desk.folder.programs,
        marketplaces=desk.folder.marketplaces,
        store=parts["store"],
        writer=parts["store"],
        contacts=parts["contacts"],
        signer=signer,
        clock=parts["clock"],
        photos=desk.home.photos,
        webhook_secrets={form: environment[name].encode() for form, name in SECRETS.items() if environment.get(name)},
        store_is_remote=environment.get("ENGAGE_STORE_URL", "").startswith("postgresql"),
        explain=partial(explanations_of, desk),
        instance=f"{os.uname().nodename}-{os.getpid()}",
        prompts=parts["prompts"],
        subject_name=SubjectNames(parts["warehouse"], _asking_by_voice(desk.folder.programs.values())),
        alexa=_alexa_skill(environment, signer),
        events=EventServices(
            parts["registrations"],
            parts["dietary"],
            WarehouseFacts(parts["warehouse"]),
            parts["surveys"],
            parts["attendances"],
        ),
        banners=parts["banners"],
        push=PushServices(parts["push_addresses"], parts["push_key"]),
        public_url=environment.get("ENGAGE_PUBLIC_URL", "").rstrip("/"),
    )


def _asking_by_voice(programs: "Iterable[Program]") -> "list[Program]":
    return [one for one in programs if any(channel.type == "voice" for channel in one.enabled_channels)]


def _alexa_skill(environment: Mapping[str, str], signer: "Signer") -> "AlexaSkill | None":
    """The Alexa skill that the environment names; None without one."""
    from engage_assets.serving.services import AlexaSkill  # noqa: PLC0415 - as in launcher
    from engage_assets.serving.voice_certificates import WebCertificates, trusted_roots  # noqa: PLC0415 - as in launcher
    from engage_assets.voice.alexa_signature import Verifier  # noqa: PLC0415 - as in launcher
    from engage_assets.voice.links import SignedLinks  # noqa: PLC0415 - as in launcher

    applications = frozenset(environment.get("ENGAGE_ALEXA_APPLICATIONS", "").replace(",", " ").split())
    if not applications:
        return None
    path = environment.get("ENGAGE_ALEXA_ROOTS")
    verifier = Verifier(WebCertificates(), trusted_roots(Path(path) if path else None))
    return AlexaSkill(applications, verifier, SignedLinks(signer))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, help="Processes on this machine.")
@click.option("--real-time", is_flag=True, help="Run before all else on this machine, where the system grants it.")
def serve(host: str, port: int, workers: int, *, real_time: bool) -> None:
    """Run the serving service: query API, tracking, pages, voice, provider events. Ends with Ctrl-C."""
    with plain_errors():
        from engage_assets.serving.run import serve as run  # noqa: PLC0415 - as in launcher

        desk = launcher()
        declared = f"; declared clock: {desk.clock.now():%Y-%m-%d %H:%M} UTC" if desk.clock.is_declared else ""
        click.echo(f"http://{host}:{port}/openapi.json  (health: /healthz, /readyz){declared}", err=True)
        with RelayProcess(os.environ):
            run(partial(build_services, dict(os.environ)), host, port, workers, real_time=real_time)


@click.command()
def doctor() -> None:
    """Check what a first send needs: files, databases, disk, clock, mail server, DNS records, service, keys, alerts."""
    from engage_assets.doctor.examine import examine  # noqa: PLC0415 - as in launcher
    from engage_assets.doctor.findings import exit_status, lines  # noqa: PLC0415 - as in launcher

    findings = examine(os.environ)
    for line in lines(findings):
        click.echo(line)
    sys.exit(exit_status(findings))


@click.group()
def keys() -> None:
    """Keys: of the query API, and those that sign links."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=["candidates:read"], show_default=True, help="Repeatable.")
@click.option("--per-minute", default=60_000, show_default=True, help="Requests a minute and process.")
def make(name: str, scopes: tuple[str, ...], per_minute: int) -> None:
    """Make a key of the query API; it is shown once, and kept as a hash."""
    from engage_assets.serving.access import make_key  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        key, text = make_key(name, scopes, desk.clock.now(), per_minute=per_minute)
        desk.parts["operations"].add_key(key, operator())
        click.echo(text)
        click.echo(f"key {key.key_id} ({name}): keep it now, it is not shown again", err=True)


@keys.command(name="list")
def list_keys() -> None:
    """List the keys of the query API."""
    with plain_errors():
        for key in launcher().parts["operations"].api_keys():
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else f"made {key.created_at:%Y-%m-%d}"
            click.echo(f"{key.key_id}  {state}  {key.name}  {' '.join(sorted(key.scopes))}")


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key of the query API; it is refused within five seconds."""
    with plain_errors():
        desk = launcher()
        done = desk.parts["operations"].revoke_key(key_id, operator(), desk.clock.now())
        click.echo("revoked" if done else f"there is no key {key_id} that could be revoked; see `engage keys list`")
        sys.exit(0 if done else 1)


@keys.command()
def rotate() -> None:
    """Sign links with a new key from now on; links of the key before it still work. Restart the service after it."""
    from engage_assets.signing_keys import rotate as make_new  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        new = make_new(desk.home.signing_keys, os.environ)
        desk.parts["operations"].note("rotate_keys", f"key {new}", "", operator(), desk.clock.now())
        click.echo(f"key {new} signs now; the one before it still reads")
