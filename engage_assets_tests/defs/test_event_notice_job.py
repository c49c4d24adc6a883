"""The job that tells, the sensor that sees when, and what both say of people: nothing."""

from collections.abc import Iterator

import dagster as dg
import pytest

from engage_assets.defs.event_notice_job import notice_definitions
from engage_assets_tests.defs.homes import PROGRAM as REVIEWS
from engage_assets_tests.defs.small_notices import NOW, Town, emptied, programs
from engage_assets_tests.serving.gatherings import a_ledger

CONFIRMED = {"engage/deliver": "confirmed"}


class NoStore:
    """The relay has candidates' statuses to carry, and there are no candidates."""

    def advance(self, changes):
        return 0


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def town(tmp_path, database) -> Iterator[Town]:
    town = Town(tmp_path, emptied(database))
    town.event()
    return town


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def resources(town: Town) -> dict[str, object]:
    bureau = town.bureau
    return {
        "warehouse": town.warehouse, "ledger": town.ledger, "operations": town.operations, "outbox": town.outbox,
        "registrations": town.registrations, "notices": town.notices, "push_addresses": town.addresses,
        "sender": town.mail, "push_sender": town.push, "clock": town.clock, "links": bureau.links,
        "watermark": bureau.watermark, "store": NoStore(),
    }  # fmt: skip


def run(town: Town, instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    (job,) = definitions(town).jobs
    return job.execute_in_process(resources=resources(town), tags=tags, instance=instance, raise_on_error=False)


def definitions(town: Town) -> dg.Definitions:
    return notice_definitions(town.program, programs().marketplaces)


def test_a_run_reports_counts_and_names_nobody(town, instance):
    town.register("ada")
    result = run(town, instance, CONFIRMED)
    (event,) = [one.materialization for one in result.get_asset_materialization_events()]
    assert event.asset_key == dg.AssetKey(["event_invitations", "notices"])
    assert (event.description, event.metadata["notices"].value) == ("1 confirmation sent", 1)
    assert "| confirmation | email | sent |" in event.metadata["outcomes"].value.replace('"', "")
    said = "".join(str(one.event_log_entry) for one in instance.get_records_for_run(result.run_id).records)
    assert "canary" not in said.casefold()
    assert "canary" in town.mail.letters[0].content.decode().casefold()


@pytest.mark.parametrize("tags", [{}, CONFIRMED | {"dagster/backfill": "b"}])
def test_nobody_is_told_unconfirmed_or_in_a_backfill(town, instance, tags):
    town.register("ada")
    assert not run(town, instance, tags).success
    assert town.told() == []
    assert run(town, instance, {"dagster/sensor_name": "s"}).success
    assert town.told() == [("ada", "confirmation")]


def see(town: Town, instance: dg.DagsterInstance) -> str | dict[str, str]:
    """What the sensor says, or with which tags it asks for a run."""
    (sensor,) = definitions(town).sensors
    context = dg.build_sensor_context(instance=instance, resources=resources(town))
    found = sensor.evaluate_tick(context)
    return found.skip_message or found.run_requests[0].tags["engage/due"]


def test_the_sensor_asks_for_a_run_when_something_is_due(town, instance):
    assert see(town, instance) == "nothing is due"
    town.register("ada")
    assert see(town, instance) == "1 confirmation"
    run(town, instance, CONFIRMED)
    assert see(town, instance) == "nothing is due"
    town.clock.time = NOW.replace(day=8)
    assert see(town, instance) == "1 reminder"


def test_the_sensor_waits_for_a_run_that_is_on_its_way(town, instance):
    town.register("ada")
    (job,) = definitions(town).jobs
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert see(town, instance) == "1 confirmation: a run is on its way"


def test_other_programs_have_no_notices(town):
    found = notice_definitions(programs().programs[REVIEWS], programs().marketplaces)
    assert [*(found.jobs or ()), *(found.sensors or ()), *(found.assets or ())] == []
