"""What a program's file says about a claim: its cap, and which of its channels ask about a subject only once."""

from datetime import timedelta

from engage_assets.domain.channel_specs import ChannelSection, VoiceChannel
from engage_assets.domain.program import Program
from engage_assets.domain.sends import Cap, ClaimRules


def claim_rules(program: Program, channel: ChannelSection) -> ClaimRules:
    """The rules of a claim of `channel`. Who was asked by voice is not asked through another channel."""
    spoken = {one.channel_id for one in program.channels if isinstance(one, VoiceChannel)}
    types = {one.channel_id: one.type for one in program.channels}
    return ClaimRules(cap=_cap(program), once_with=frozenset(spoken - {channel.channel_id}), types=types)


def _cap(program: Program) -> Cap | None:
    cap = program.cap
    return Cap(cap.parameters.maximum, timedelta(days=cap.parameters.window_days)) if cap else None
