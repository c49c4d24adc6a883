"""How several workers share the suite (`pytest -n 2`): a file is one piece, and so are files that need the same dear
things; the longest pieces come first, so that all workers end at about the same time.
"""

from typing import Any

from xdist.scheduler import LoadScopeScheduling

PIECES = {
    "the decided world": ["defs/"],
    "PostgreSQL": ["contracts/test_c", "contracts/test_l", "contracts/test_o", "ledger/", "stores/", "doctor/"],
    "PySpark": [
        "contracts/test_engines",
        "summaries/test_table_engines",
        "scoring/test_bands",
        "outcomes/test_metrics",
    ],
    "change streams": [
        "archive/test_sources",
        "archive/test_streams",
        "archive/test_roots",
        "archive/test_crash_streams",
    ],
    "Chromium": ["serving/test_browser", "summaries/test_dashboard", "outcomes/test_report"],
    "worlds": ["test_decisions", "sample/"],
    "models": ["scoring/"],
    "real data": ["test_olist", "test_meetup", "summaries/test_real_logs"],
    "summaries": ["summaries/test_against_naive", "summaries/test_naive"],
    "the document": ["serving/test_openapi"],
}
"""Pieces of several files, and long ones: how the paths of their files begin. Other files follow, one by one."""


class Sharing(LoadScopeScheduling):
    """Hands out pieces in their order."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((piece for piece, starts in PIECES.items() if _is_in(file, starts)), file)


def place(nodeid: str) -> int:
    """Where a test's piece comes in the order."""
    file = nodeid.split("::", 1)[0]
    return next((at for at, starts in enumerate(PIECES.values()) if _is_in(file, starts)), len(PIECES))


def _is_in(file: str, starts: list[str]) -> bool:
    return file.partition("engage_assets_tests/")[2].startswith(tuple(starts))
