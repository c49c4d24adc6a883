"""`engage explain`: the features of a stored candidate, and what each adds to its score."""

import math
import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from engage_assets.cli.explain import explain, explanations_of
from engage_assets.domain.errors import EngageError
from engage_assets_tests.defs.homes import DAY, PROGRAM, PROGRAMS, at, batch_instant


@pytest.fixture
def said(decided, monkeypatch):
    """What the command says on the decided home, and how it ends."""
    monkeypatch.setenv("ENGAGE_HOME", str(decided))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(PROGRAMS))
    monkeypatch.setenv("ENGAGE_NOW", batch_instant().isoformat())

    def invoke(*arguments: str) -> tuple[str, int]:
        result = CliRunner().invoke(explain, list(arguments))
        return result.output, result.exit_code

    return invoke


@pytest.fixture
def candidate(decided):
    store, now = at(decided).parts["store"], batch_instant()
    customer = store.of_partition(PROGRAM, DAY)["customer_id"][0]
    return store.of_customer(customer, PROGRAM, now)[0]


def test_a_stored_candidate_is_explained(decided, said, candidate):
    output, status = said(candidate["customer_id"], candidate["subject_id"])
    assert status == 0, output
    assert f"probability {candidate['probability']:.6f}, score {candidate['score']:.6f} ({candidate['band']})" in output
    assert f"review-propensity-v2 {candidate['model_version']}: probability {candidate['probability']:.6f}" in output
    added = [float(number) for number in re.findall(r"[+-]\d+\.\d{3}$", output, re.MULTILINE)]
    whole = math.log(candidate["probability"] / (1 - candidate["probability"]))
    assert sum(added) == pytest.approx(whole, abs=0.001 * len(added))
    for feature in at(decided).program(PROGRAM).scoring_models[0].features:
        assert re.search(rf"^  {feature} ", output, re.MULTILINE)


def test_what_is_not_there_is_said(said, candidate):
    output, status = said("nobody", "p-1")
    assert (status, "no candidate of nobody" in output) == (1, True)
    output, status = said(candidate["customer_id"], "no-such-subject")
    assert (status, candidate["subject_id"] in output) == (1, True)
    output, status = said(candidate["customer_id"], candidate["subject_id"], "--program", "no-such-program")
    assert (status, "no program 'no-such-program'" in output) == (1, True)


def test_a_candidate_whose_partition_was_scored_anew_is_not_explained_by_it(decided, candidate):
    desk = at(decided, batch_instant())
    with pytest.raises(EngageError, match=rf"scored_candidates of {DAY} has 0 rows .* run `engage run {PROGRAM}"):
        explanations_of(desk, candidate | {"score": 0.123})
    with pytest.raises(EngageError, match="has not been materialized"):
        explanations_of(desk, candidate | {"partition_date": DAY - timedelta(days=300)})
