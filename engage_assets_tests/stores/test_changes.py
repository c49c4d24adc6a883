"""Changes of a status add up the same, whatever their order."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.statuses import RANK
from engage_assets.stores.changes import Standing, by_candidate, standing_after
from engage_assets_tests.builders import instant

NOW = instant("2026-11-20 02:45")
KEY = CandidateKey("c-1", "product-reviews", "DE", "product", "p-1")

_changes = st.lists(
    st.builds(
        lambda status, minute: StatusChange(KEY, status, NOW + timedelta(minutes=minute)),
        st.sampled_from(list(RANK)),
        st.integers(0, 9),
    ),
    max_size=8,
)
_standings = st.builds(
    lambda status, minute: Standing(status, NOW + timedelta(minutes=minute)),
    st.sampled_from(list(RANK)),
    st.integers(0, 9),
)


def after(standing, changes):
    return standing_after(standing, by_candidate(changes)[KEY]) if changes else standing


@given(standing=_standings, changes=_changes)
def test_twice_is_once(standing, changes):
    once = after(standing, changes)

    assert after(once, changes) == once


@given(changes=_changes, order=st.randoms(use_true_random=False))
def test_once_counted_a_change_that_comes_again_alone_changes_nothing_unless_it_is_later(changes, order):
    once = after(Standing("active"), changes)
    order.shuffle(changes)

    for change in changes:
        again = after(once, [change])
        assert again == once or change.at > once.since


@given(changes=_changes)
def test_without_registrations_only_the_furthest_counts(changes):
    changes = [change for change in changes if change.status not in ("registered", "wait_listed", "cancelled")]

    reached = after(Standing("active"), changes).status

    assert RANK[reached] == max((RANK[change.status] for change in changes), default=0)
