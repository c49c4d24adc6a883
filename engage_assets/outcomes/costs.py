"""What a message and an answer cost, out of the figures in the program file."""

from collections.abc import Iterator, Mapping

from engage_assets.domain.program import Program
from engage_assets.outcomes.rows import Figure, missing, ratio


def costs(
    program: Program, sent: Mapping[str, int] | None, responses: float | None, no_delivery: str, cause: str
) -> Iterator[Figure]:
    """Cost per sent message and per answer.

    `sent`: sent messages and prompts by channel; None: `no_delivery` says why. `responses`: answers; None: `cause`.
    Banners cost nothing of their own.
    """
    if program.cost is None or sent is None:
        note = no_delivery if program.cost else "the program file has no cost section"
        yield from (missing(metric, note) for metric in ("cost_per_message", "cost_per_response"))
        return
    prompts = sum(sent.get(channel, 0) for channel in program.prompt_channels)
    everything = sum(sent.values()) - sum(sent.get(channel, 0) for channel in program.banner_channels)
    cost = program.cost.per_batch + program.cost.per_message * (everything - prompts)
    cost = round(cost + program.cost.per_prompt * prompts, 6)
    spent = "perBatch + perMessage × sent"
    spent += " messages + perPrompt × prompts" if program.prompt_channels else ""
    formula = f"{program.cost.currency}: ({spent}) ÷ {{}}, from the program's cost section"
    yield ratio("cost_per_message", cost, everything, formula.format("sent"), "no message was sent")
    if responses is None:
        yield missing("cost_per_response", cause)
    else:
        yield ratio("cost_per_response", cost, responses, formula.format("answers"), "no answer is recorded")
