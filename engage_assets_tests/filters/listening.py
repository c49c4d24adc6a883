"""One good play and all that is known around it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_snake

from engage_assets.domain.filter_specs import TrustParameters
from engage_assets.domain.program import Program
from engage_assets.programs import read_program
from engage_assets_tests.filters.worlds import BEFORE, GOOD, INSTANT, Scene, judged

MUSIC: Program = read_program(Path(__file__).parent.parent.parent / "programs" / "music-feedback.yaml")
DAY = INSTANT - timedelta(hours=8)
PLAY = Scene(
    MUSIC,
    {
        "record_id": "r-1",
        "subject_type": "track",
        "subject_id": "t-1",
        "engagement_score": 0.6,
        "genre": "folk",
        "artist_id": "a-1",
    },
    {
        **{name: GOOD[name] for name in ("customers", "customer_trust", "opt_outs", "send_events", "given_opt_outs")},
        "track_plays": [
            {
                "listener_id": "c-1",
                "track_id": "t-1",
                "played_at": DAY,
                "play_count": 1,
                "completion_rate": 1.0,
                "device_id": "phone",
                "engagement_score": 0.6,
            }
        ],
        "tracks": [{"track_id": "t-1", "name": "Song", "is_open_for_feedback": True}],
        "feedback": [],
        "plays": [],
    },
    {
        "feedback": {"listener_id": "c-1", "track_id": "t-1", "given_at": BEFORE},
        "opt_outs": {"customer_id": "c-1", "at": BEFORE},
        "plays": {
            "listener_id": "c-1",
            "track_id": "t-1",
            "device_id": "phone",
            "started_at": DAY,
            "ended_at": DAY + timedelta(minutes=3),
        },
    },
)


def refused(**changes: Any) -> str | None:
    """The reason for which the listener is not asked about the track once some facts differ; None: accepted."""
    verdict = judged(scene=PLAY, **changes)
    assert verdict["rows"] == 1, "a candidate stays one row, whatever the tables hold"
    return verdict["reason"]


def with_trust(**parameters: float) -> Program:
    """The program with other thresholds of its trust filter."""
    limits = TrustParameters(**{to_snake(name): value for name, value in parameters.items()})
    chain = [spec.model_copy(update={"parameters": limits}) if spec.type == "trust" else spec for spec in MUSIC.filters]
    return MUSIC.model_copy(update={"filter_chain": tuple(chain)})


def in_a_row(gaps: list[float], **changes: Any) -> list[dict[str, Any]]:
    """Plays of a minute whose starts lie `gaps` seconds apart."""
    starts = [DAY]
    for gap in gaps:
        starts.append(starts[-1] + timedelta(seconds=gap))
    return [{"started_at": at, "ended_at": at + timedelta(minutes=1), **changes} for at in starts]


def on_devices(*spans: tuple[str, int, int]) -> list[dict[str, Any]]:
    """Plays by device, from minute to minute, each of a track of its own."""
    return [
        {
            "device_id": device,
            "track_id": f"t-{place}",
            "started_at": DAY + timedelta(minutes=start),
            "ended_at": DAY + timedelta(minutes=end),
        }
        for place, (device, start, end) in enumerate(spans)
    ]
