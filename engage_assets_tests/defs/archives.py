"""A demand archive below a folder, its sensor and its jobs, on a clock of the test's own."""

from contextlib import closing
from datetime import UTC, timedelta
from functools import cached_property

import dagster as dg

from engage_assets.archive import worker
from engage_assets.defs.archive_build import archive_definitions
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.home import Home
from engage_assets_tests.archive.workers import Clock, an_archive, write_stream
from engage_assets_tests.builders import instant

START = instant("2026-11-20 09:00")


class Alerts:
    """Operations, as far as alerts go: causes and their texts, each once."""

    def __init__(self):
        self.raised = {}

    def raise_alert(self, cause, text, now):
        is_new = cause not in self.raised
        self.raised.setdefault(cause, text)
        return is_new

    def kinds(self):
        return [cause.split(":")[1] for cause in self.raised]


class FixedClock:
    is_declared = False

    def __init__(self):
        self.time = START

    def now(self):
        return self.time

    def pass_by(self, **time):
        self.time += timedelta(**time)


class Works:
    """An archive with everything that watches it."""

    def __init__(self, root, **spec):
        self.root = root
        self.spec = DemandArchive(root="root", errors_root="errors", state="state.sqlite", **spec)
        self.clock, self.alerts = FixedClock(), Alerts()
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None
        self.resources = {"home": Home(root), "clock": self.clock, "operations": self.alerts}

    @property
    def desk(self):
        return ArchiveDesk(self.spec, Home(self.root))

    @cached_property
    def definitions(self):
        return dg.Definitions.merge(
            archive_definitions(self.spec), dg.Definitions(resources=self.resources, executor=dg.in_process_executor)
        )

    @property
    def seconds(self):
        return self.clock.time.replace(tzinfo=UTC).timestamp()

    def write(self, **shards):
        write_stream(self.root / "changes", shards)

    def work(self, **options):
        """One worker until the source has no more."""
        opened = an_archive(self.root, clock=Clock(self.seconds), **options)
        with closing(opened.state):
            return worker.run(opened)

    def tick(self):
        """One evaluation; the cursor is kept and partitions are registered, as the daemon would."""
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=self.resources, definitions=self.definitions
        )
        with context:
            result = self.definitions.resolve_sensor_def("archive_sensor").evaluate_tick(context)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return result

    def run(self, job, **options):
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )
