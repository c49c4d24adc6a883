"""New processes in no time: forked from a server that has imported what they need once."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "engage_assets_tests.archive.dying",
        "engage_assets_tests.archive.workers",
        "engage_assets_tests.campaigns",
        "engage_assets_tests.defs.crash",
        "engage_assets_tests.defs.event_crash",
        "engage_assets_tests.mailbox",
    ]
)
