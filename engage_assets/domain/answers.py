"""How answers stood at an instant: a log of them holds every version."""

from datetime import datetime
from typing import Any

import narwhals as nw

Frame = nw.LazyFrame[Any]


def as_they_stood(responses: Frame, instant: datetime) -> Frame:
    """Of each answer in RESPONSES_LOG the last version that was received at or before `instant`; repeats are taken."""
    received = responses.filter(nw.col("received_at") <= instant)
    last = nw.col("version").max().over("response_id")
    return received.filter(nw.col("version") == last).unique(["response_id"], keep="any")
