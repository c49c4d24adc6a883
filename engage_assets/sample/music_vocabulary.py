"""Words of the synthetic world's music: genres, and what invented artists and tracks are called."""

from typing import Final

GENRES: Final = ("Indie Rock", "Electronic", "Hip-Hop", "R&B / Soul", "Pop", "Folk")
"""The genres, in the order of a listener's taste."""

BAND_FIRST: Final = (
    "Paper", "Silver", "Late", "Northern", "Velvet", "Little", "Broken", "Golden", "Quiet", "Electric", "Hollow",
    "Wild",
)  # fmt: skip
BAND_SECOND: Final = (
    "Lanterns", "Harbour", "Foxes", "Atlas", "Parade", "Satellites", "Gardens", "Motel", "Tides", "Choir", "Engines",
)  # fmt: skip
TRACK_FIRST: Final = (
    "Midnight", "Slow", "Glass", "Summer", "Neon", "Empty", "Distant", "Seven", "Static", "Amber", "Borrowed", "Blue",
    "Falling",
)  # fmt: skip
TRACK_SECOND: Final = (
    "Rain", "Motion", "Letters", "Highway", "Hearts", "Echo", "Fever", "Rooms", "Signals", "Weather", "Light", "Ghosts",
    "Anthem", "Rivers", "Skyline", "Windows", "Dust",
)  # fmt: skip
COMMENTS: Final = {
    True: ("On repeat all day.", "The chorus is great 🎶", "More like this, please", "Perfect for the way home."),
    False: ("Not for me.", "The mix is too loud", "Sounds like the last one", "Too long."),
}
"""What people write, by whether they liked it."""
