"""The command line: thin words over programs, the sample world, Dagster's jobs and the service."""

import click

from engage_assets.cli.archive import archive
from engage_assets.cli.archive_upkeep import erase
from engage_assets.cli.batch import backfill, run, sample, show, train, why
from engage_assets.cli.demo import demo
from engage_assets.cli.event_audience import audience, survey
from engage_assets.cli.event_forecast import forecast
from engage_assets.cli.events import events
from engage_assets.cli.explain import explain
from engage_assets.cli.models import models
from engage_assets.cli.operate import (
    approve,
    audit,
    deliver,
    ledger,
    opt_out,
    preview,
    resume,
    sends,
    stop,
    suppress,
)
from engage_assets.cli.playlists import playlists
from engage_assets.cli.program_files import programs
from engage_assets.cli.relay_process import relay
from engage_assets.cli.service import doctor, keys, serve
from engage_assets.cli.simulate import simulate_responses
from engage_assets.cli.sql import sql
from engage_assets.cli.summaries import summaries


@click.group()
@click.version_option(package_name="engage-assets")
def main() -> None:
    """Decide whom to contact about what, when, through which channel; prove it; measure it."""


for command in (
    programs, sample, train, models, run, backfill, deliver, show, why, explain, preview, approve, stop, resume, sends,
    opt_out, suppress, ledger, audit, serve, relay, keys, doctor, demo, simulate_responses,
    archive, erase, sql, summaries, playlists, events,
):  # fmt: skip
    main.add_command(command)
for command in (audience, survey, forecast):
    events.add_command(command)
