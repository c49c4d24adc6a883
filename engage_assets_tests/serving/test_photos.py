from io import BytesIO
from itertools import count

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engage_assets.serving.photos import LONGEST, PhotoRefused, Photos, draw
from engage_assets_tests.serving.visits import a_photo

SECRET = b"Somewhere 12"


def hidden_details():
    details = Image.Exif()
    details[0x010F] = SECRET.decode()
    details[0x0112] = 6  # lies on its side
    details.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    return details


def with_details(kind):
    noted = PngInfo()
    noted.add_text("Comment", SECRET.decode())
    extra = {"JPEG": {"comment": SECRET, "xmp": SECRET}, "PNG": {"pnginfo": noted}, "WEBP": {"xmp": SECRET}}
    return a_photo(kind, exif=hidden_details(), icc_profile=SECRET, **extra[kind]) + SECRET


def opened(content):
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_the_pixels_is_kept(kind):
    sent = with_details(kind)
    assert SECRET in sent
    kept = draw(sent)
    assert SECRET not in kept
    assert b"Exif" not in kept
    assert opened(kept).format == "JPEG"
    assert dict(opened(kept).getexif()) == {}


def test_a_photo_is_turned_upright_before_its_details_go():
    kept = opened(draw(a_photo(exif=hidden_details())))
    assert kept.size == (30, 40)
    red, _, blue = kept.getpixel((15, 2))
    assert red > 200 > blue


def test_large_photos_are_made_smaller_and_what_is_see_through_becomes_white():
    assert opened(draw(a_photo(size=(3 * LONGEST, LONGEST)))).size == (LONGEST, round(LONGEST / 3))
    file = BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(file, "PNG")
    assert min(opened(draw(file.getvalue())).getpixel((4, 4))) > 250


@pytest.mark.parametrize(
    ("mode", "kind"), [("1", "PNG"), ("L", "JPEG"), ("P", "PNG"), ("LA", "WEBP"), ("I;16", "PNG"), ("CMYK", "JPEG")]
)
def test_every_kind_of_pixel_is_drawn(mode, kind):
    file = BytesIO()
    Image.new("L", (8, 8), 9).convert(mode).save(file, kind)
    assert opened(draw(file.getvalue())).mode == "RGB"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<script>alert(1)</script>",
        b"\xff\xd8\xff\xe0" + b"\x00" * 100,
        a_photo("GIF"),
        a_photo("TIFF"),
        a_photo()[:-200],
        a_photo("PNG")[:60],
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
    ids=["empty", "html", "head only", "gif", "tiff", "cut jpeg", "cut png", "svg"],
)
def test_what_is_no_whole_photo_of_ours_is_refused(content):
    with pytest.raises(PhotoRefused):
        draw(content)


def test_a_picture_that_would_fill_the_memory_is_refused_unread(monkeypatch):
    file = BytesIO()
    Image.new("1", (8_000, 8_000)).save(file, "PNG")
    assert len(file.getvalue()) < 20_000
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(PhotoRefused, match="8000 x 8000"):
        draw(file.getvalue())


def test_photos_are_written_all_or_none(tmp_path):
    photos = Photos(tmp_path / "photos", map("{:032x}".format, count()).__next__)
    assert photos.keep([b"one", b"two"]) == ("0" * 32 + ".jpg", "0" * 31 + "1.jpg")
    assert len(list(photos.folder.iterdir())) == 2
    with pytest.raises(TypeError):
        photos.keep([b"three", None])
    assert len(list(photos.folder.iterdir())) == 2
