"""The addresses of files in an output, and what the files are."""

import re
from collections.abc import Iterator

from ._formats import MediaKind

_ADDRESS = re.compile(r"https?://\S+|data:(?:[\w.+-]+/[\w.+-]+)?(?:;[^,\s]*)?,.*", re.ASCII | re.IGNORECASE | re.DOTALL)
_SUFFIXES: dict[str, MediaKind] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "avif", "bmp", "tif", "tiff"), "image"),
    **dict.fromkeys(("mp4", "webm", "mov", "mkv", "m4v"), "video"),
    **dict.fromkeys(("mp3", "wav", "ogg", "opus", "flac", "m4a", "aac"), "audio"),
}
_NAMES: dict[str, MediaKind] = {
    **dict.fromkeys(("image", "images"), "image"),
    **dict.fromkeys(("video", "videos"), "video"),
    **dict.fromkeys(("audio", "audios"), "audio"),
}


def media_urls(output: object) -> list[str]:
    """Every http, https and data URL in an output, however deep, in the order of the document and each once."""
    return list(dict.fromkeys(url for _, url in named_urls(output)))


def named_urls(output: object) -> Iterator[tuple[str, str]]:
    """The same, each time that it stands there, with the name of the field it belongs to."""
    ahead = [("output", output)]  # what is still to be read, last first: a document may be nested without measure
    while ahead:
        name, value = ahead.pop()
        if isinstance(value, str) and _ADDRESS.fullmatch(value):
            yield name, value
        elif isinstance(value, dict):
            # An object with a "url" stands for the URL, as in {"image": {"url": …}}.
            ahead += reversed([(name if key == "url" else str(key), item) for key, item in value.items()])
        elif isinstance(value, list):
            ahead += [(name, item) for item in reversed(value)]


def kind_of(name: str, url: str) -> MediaKind | None:
    """What a file is: by the suffix of its URL, or what a data URL declares, else by the name of its field."""
    return kind_of_url(url) or _NAMES.get(name.lower())


def kind_of_url(url: str) -> MediaKind | None:
    """What a URL tells of its file.

    >>> kind_of_url("https://example.com/a.PNG?sign=1.mp4"), kind_of_url("data:audio/wav;base64,AAAA")
    ('image', 'audio')
    """
    if url[:5].lower() == "data:":
        return _NAMES.get(url[5:].partition("/")[0].lower())
    path = url.partition("?")[0].partition("#")[0]
    return _SUFFIXES.get(path.rpartition("/")[2].rpartition(".")[2].lower())
