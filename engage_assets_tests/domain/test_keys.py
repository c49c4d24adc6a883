import re
from datetime import date

from hypothesis import example, given
from hypothesis import strategies as st

from engage_assets.domain.keys import campaign_id, is_part_of, partition_of, segment

PARTITION = date(2026, 11, 20)
LONG = "Post-" * 40


def test_a_segment_reads_like_its_value():
    assert [segment(value) for value in ("Indie Rock", "indie-rock", "R&B / Soul", "ポップ", "", "a:b")] == [
        "Indie_Rock",
        "indie-rock",
        "R~26B_~2F_Soul",
        "~E3~83~9D~E3~83~83~E3~83~97",
        "~",
        "a~3Ab",
    ]
    assert len(segment(LONG)) == 80


@given(st.text(), st.text())
@example("Indie Rock", "Indie_Rock")
@example("a b", "a_b")
@example("", "~")
@example("R&B", "R~26B")
@example(LONG, LONG + "x")
@example("Pop", "pop")
def test_two_values_never_share_a_segment_and_none_breaks_an_id(one, other):
    assert (segment(one) == segment(other)) == (one == other)
    assert re.fullmatch(r"[A-Za-z0-9_~-]{1,80}", segment(one))
    campaign = campaign_id("music-feedback", "email", PARTITION, "US", segment(one))
    assert partition_of(campaign) == PARTITION
    assert campaign.count(":") == 4


def test_a_campaign_belongs_to_all_that_its_id_begins_with():
    campaign = "music-feedback:email:2026-11-20:US:Pop"
    for target in ("music-feedback", "music-feedback:email:2026-11-20:US", campaign):
        assert is_part_of(campaign, target)
    for target in ("music", "music-feedback:email:2026-11-20:U", f"{campaign}:x", "product-reviews", ""):
        assert not is_part_of(campaign, target)
