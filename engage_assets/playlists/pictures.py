"""A picture of a playlist's day: each track's place the day before and now, joined by a line."""

from html import escape
from typing import Final

import polars as pl

_ROW: Final = 18
_WIDTH: Final = 640
_LEFT: Final = 250
_RIGHT: Final = 390
_TOP: Final = 44
_INK: Final = "#1d2733"
_SOFT: Final = "#8a96a3"
_COLOURS: Final = {"up": "#1f5f8b", "down": "#d9a066", "same": "#c3ccd5", "came": "#4a8a5f", "went": "#b0413e"}


def slopes(before: pl.DataFrame, now: pl.DataFrame, names: dict[str, str], title: str) -> str:
    """An SVG of one playlist, PLAYLISTS rows of both days; `names` say what to call a track."""
    then = dict(before.select("track_id", "place").iter_rows())
    today = dict(now.select("track_id", "place").iter_rows())
    height = _TOP + _ROW * max([*then.values(), *today.values(), 1]) + 12
    marks = [_text(_LEFT, 18, title, "middle", _INK, dx=(_RIGHT - _LEFT) // 2)]
    marks += [_text(_LEFT - 8, 36, "the day before", "end", _SOFT), _text(_RIGHT + 8, 36, "now", "start", _SOFT)]
    for track in sorted({*then, *today}):
        marks += _mark(names.get(track, track), then.get(track), today.get(track))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" font-family="system-ui, sans-serif" font-size="12"><rect width="{_WIDTH}" height="{height}"'
        f' fill="#fff"/>{"".join(marks)}</svg>'
    )


def _mark(name: str, then: int | None, now: int | None) -> list[str]:
    colour = _COLOURS[_what(then, now)]
    marks = []
    if then is not None:
        marks += [_text(_LEFT - 8, _y(then) + 4, f"{_short(name)} · {then}", "end", _INK if now else colour)]
        marks += [_dot(_LEFT, _y(then), colour)]
    if now is not None:
        marks += [_text(_RIGHT + 8, _y(now) + 4, f"{now} · {_short(name)}", "start", _INK if then else colour)]
        marks += [_dot(_RIGHT, _y(now), colour)]
    if then is not None and now is not None:
        marks += [
            f'<line x1="{_LEFT}" y1="{_y(then)}" x2="{_RIGHT}" y2="{_y(now)}" stroke="{colour}" stroke-width="1.8"/>'
        ]
    return marks


def _what(then: int | None, now: int | None) -> str:
    if then is None or now is None:
        return "came" if then is None else "went"
    return "up" if now < then else "down" if now > then else "same"


def _y(place: int) -> int:
    return _TOP + _ROW * place - _ROW // 2


def _dot(x: int, y: int, colour: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'


def _text(x: int, y: int, text: str, anchor: str, colour: str, dx: int = 0) -> str:
    return f'<text x="{x + dx}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:33]}…"
