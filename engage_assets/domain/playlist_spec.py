"""What a program file may say about playlists: when they are made, what stands in them, whose answers count."""

from datetime import date, datetime, time, timedelta

from pydantic import Field

from engage_assets.domain.channel_specs import ClockTime
from engage_assets.domain.spec import Spec


class Playlists(Spec):
    """Playlists that are filled from people's answers, one per marketplace and genre."""

    update_time: ClockTime = Field(time(18), description="When they are made (UTC), on the day after the partition's.")
    size: int = Field(50, ge=1, description="Most tracks of a playlist.")
    released_within_days: int = Field(90, ge=0, description="A track leaves so many days after its release.")
    minimum_answers: int = Field(5, ge=0, description="A track with fewer counted answers stands in no playlist.")
    most_per_artist: int = Field(2, ge=1, description="Most tracks of one artist in a playlist.")
    prior_weight: float = Field(10, gt=0, description="Answers that the genre's approval stands for in a score.")
    newcomer_days: int = Field(
        7, ge=0, description="An answer from an account that was known for fewer days counts nothing; 0: all count."
    )
    reported_newcomers: int = Field(
        20, ge=1, description="So many answers of newcomers about one track in a day are reported."
    )
    most_answers_per_day: int = Field(
        30, ge=1, description="Who answers about more tracks in a day: none of that day's answers counts."
    )
    surge_answers: int = Field(
        50, ge=1, description="More answers about one track in a day are a surge, if they are many for it."
    )
    surge_factor: float = Field(
        10, ge=1, description="Many is more than so many times the mean of its days in `usualDays`."
    )
    usual_days: int = Field(28, ge=1, description="Days before a day that say what is usual for a track.")
    improvement_days: int = Field(
        7, ge=1, le=14, description="Listening is compared over so many whole days before and after an update."
    )

    def instant(self, partition: date) -> datetime:
        """When the playlists of `partition` are made: they know what was known by then."""
        return datetime.combine(partition + timedelta(days=1), self.update_time)
