"""Opening media files: whole ones decode, cut or damaged ones do not, whatever their format."""

from io import BytesIO

import pytest
from media_files import CLIPS, PICTURES, SOUNDS, clip, picture, sound
from runcomfy._probe import Unreadable, decode, frame_size

FILES = {
    **{media_type: picture(media_type, (320, 180)) for media_type in PICTURES},
    **{media_type: clip(media_type) for media_type in CLIPS},
    **{media_type: sound(media_type) for media_type in SOUNDS},
}
WITHOUT_AN_END = {"video/mpeg", "video/mp2t", "video/x-flv", "audio/mpeg", "audio/aac"}


@pytest.mark.parametrize("media_type", FILES)
def test_a_whole_file_decodes(media_type: str) -> None:
    decode(BytesIO(FILES[media_type]))


@pytest.mark.parametrize("media_type", sorted(FILES.keys() - WITHOUT_AN_END))
@pytest.mark.parametrize("part", [0.1, 0.4, 0.66])
def test_a_file_that_was_cut_off_does_not(media_type: str, part: float) -> None:
    content = FILES[media_type]

    with pytest.raises(Unreadable):
        decode(BytesIO(content[: int(len(content) * part)]))


def test_what_is_no_media_is_not_opened() -> None:
    for content in (b"", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd", b"%!PS-Adobe", b"<svg/>", b"ffconcat version 1.0"):
        with pytest.raises(Unreadable, match="its format is not known"):
            decode(BytesIO(content))
    with pytest.raises(Unreadable, match="image/jxl cannot be opened"):
        decode(BytesIO(b"\xff\x0a"))


def test_a_sound_has_no_size() -> None:
    with pytest.raises(Unreadable, match="it has no picture"):
        frame_size(BytesIO(sound()))
