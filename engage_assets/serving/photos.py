"""Photos of reviews: read as strangers' files, drawn anew without their hidden details, kept under random names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from PIL import Image, ImageOps

from engage_assets.domain.errors import EngageError
from engage_assets.lake import replacing

FORMATS: Final = ("JPEG", "PNG", "WEBP")
LONGEST: Final = 2048
"""Pixels of a kept photo's longer side, at most."""
MOST_PIXELS: Final = 50_000_000
"""A photo that claims more is refused before it is decoded."""
QUALITY: Final = 85

_AT_ONCE = BoundedSemaphore(2)  # a decoded photo takes up to 200 MB


class PhotoRefused(EngageError):
    """The bytes are no photo that we read: another format, damaged, or too many pixels."""


@dataclass(frozen=True)
class Photos:
    """The photos in `folder`. `random_name` gives a name that nobody can guess, without a suffix."""

    folder: Path
    random_name: Callable[[], str]

    def keep(self, photos: Sequence[bytes]) -> tuple[str, ...]:
        """Write drawn photos, all of them or none; returns their names. Raises OSError where the disk refuses."""
        names = tuple(f"{self.random_name()}.jpg" for _ in photos)
        try:
            for name, content in zip(names, photos, strict=True):
                with replacing(self.folder / name) as aside:
                    aside.write_bytes(content)
        except BaseException:
            self.remove(names)
            raise
        return names

    def remove(self, names: Sequence[str]) -> None:
        """Remove photos of an answer that was not kept; those not there are passed over."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


def draw(content: bytes) -> bytes:
    """The photo as a JPEG of its pixels alone: upright, on white, its longer side at most LONGEST.

    What a file may carry beside its pixels (place, camera, comments, profiles, more frames, appended bytes) is gone.
    Raises PhotoRefused.
    """
    try:
        with _AT_ONCE, Image.open(BytesIO(content), formats=FORMATS) as photo:
            _check_size(photo)
            photo.thumbnail((LONGEST, LONGEST))
            return _encode(_flat(ImageOps.exif_transpose(photo)))
    except PhotoRefused:
        raise
    except Exception as fault:  # noqa: BLE001 - damaged files make decoders raise whatever comes to hand
        raise PhotoRefused(f"not a readable photo ({type(fault).__name__}); send {', '.join(FORMATS)}") from None


def _check_size(photo: Image.Image) -> None:
    """Refuse a picture by the size that its header states, before anything is decoded."""
    if photo.width * photo.height > MOST_PIXELS:
        raise PhotoRefused(f"a photo of {photo.width} x {photo.height} pixels; at most {MOST_PIXELS} are read")


def _flat(photo: Image.Image) -> Image.Image:
    """Its pixels on white in a new picture, so that nothing else comes along."""
    paper = Image.new("RGB", photo.size, "white")
    if photo.has_transparency_data:
        layer = photo.convert("RGBA")
        paper.paste(layer, mask=layer.getchannel("A"))
    else:
        paper.paste(photo.convert("RGB"))
    return paper


def _encode(picture: Image.Image) -> bytes:
    written = BytesIO()
    picture.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
