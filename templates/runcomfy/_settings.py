"""Where the client's settings come from: the argument, then the environment, then a default."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ._blot import SIGNS, forms_of
from ._errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

PRODUCTION = "https://model-api.runcomfy.net"
_PRODUCTION_ACCOUNT = "https://api.runcomfy.net/prod/v2"
_ACCOUNT_PATH = "/prod/v2"
TOKEN_VARIABLES = ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY")
BASE_URL_VARIABLE = "RUNCOMFY_MODEL_API_BASE"
_LONGEST = 86_400.0
_FOR_EVER = 1e9
_BY_CHANCE = 16
"""How long a token is that is in no text by chance."""
_SIGNS = [sign.encode() for sign in (*SIGNS, "\0")]  # the last one where a character has more than one byte
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = {"authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"}
_LABEL = r"(?=[^.]{1,63}(?:\.|$))\w(?:[\w-]*\w)?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|[0-9a-fA-F.]*:[0-9a-fA-F:.]*")


class Token:
    """The API token, kept out of every ``repr``, traceback and pickle. An empty one is falsy."""

    __slots__ = ("_forms", "_value")

    def __init__(self, value: object) -> None:
        self._value = value.strip() if isinstance(value, str) else "\0"
        self._forms: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._value)

    def problem(self) -> str | None:
        """What is wrong with it, if anything."""
        if not self._value:
            return "the token is empty"
        if self._value.lower().startswith("bearer "):
            return "give the token alone, without 'Bearer'"
        if not all("!" <= character <= "~" for character in self._value):
            return "a token is text of printable ASCII characters, without spaces"
        return None

    def reveal(self) -> str:
        return self._value

    def may_be_in(self, body: bytes) -> bool:
        """Whether it may be in a text, in any form and any encoding, and is too long to be there by chance."""
        if len(self._value) < _BY_CHANCE:
            return False
        return any(sign in body for sign in _SIGNS) or self._value.encode() in body

    def blotted(self, text: str) -> str:
        """A text without this token in any form, if it is too long to be there by chance."""
        if not _BY_CHANCE <= len(self._value) <= len(text):
            return text
        if self._value not in text and not any(sign in text for sign in SIGNS):
            return text
        if self._forms is None:  # made when it is needed, since that takes its time
            self._forms = forms_of(self._value)
        return self._forms.sub("[token]", text)

    def __repr__(self) -> str:
        return "Token(…)"

    def __reduce__(self) -> str:
        raise TypeError("a token cannot be pickled")


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides how a client talks to the API. Times are in seconds; `origin` is the base URL less ``/v1``."""

    token: Token
    origin: str
    account_url: str
    timeout: float
    wait_timeout: float
    poll_interval: float | None
    cancel_on_interrupt: bool
    max_request_bytes: int
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None = field(repr=False)
    verify: "bool | ssl.SSLContext | Path"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"


def resolve(
    *,
    token: Token | None,
    base_url: str | None,
    account_url: str | None,
    timeout: float,
    wait_timeout: float,
    poll_interval: float | None,
    cancel_on_interrupt: bool,
    max_request_bytes: int,
    headers: Mapping[str, str] | None,
    proxy: str | None,
    verify: "bool | ssl.SSLContext | str | os.PathLike[str]",
) -> Settings:
    """Settle every setting, or raise a `ConfigurationError` that says which one is wrong and why."""
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers: {headers!r} is no dict of names and values")
    if not isinstance(cancel_on_interrupt, bool):
        raise ConfigurationError(f"cancel_on_interrupt: {cancel_on_interrupt!r} is neither True nor False")
    extra = dict(headers or {})
    for name, value in extra.items():
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name) and _is_header_value(value)):
            raise ConfigurationError(f"headers: {name!r} is no name of a header, or its value is not printable ASCII")
        if name.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"headers: {name} is set by the client itself")
    if poll_interval is not None and not (isinstance(poll_interval, int | float) and 0 <= poll_interval <= _LONGEST):
        raise ConfigurationError(f"poll_interval: {poll_interval!r} is no number of seconds")
    if isinstance(max_request_bytes, bool) or not isinstance(max_request_bytes, int) or max_request_bytes <= 0:
        raise ConfigurationError(f"max_request_bytes: {max_request_bytes!r} is no number of bytes above zero")
    chosen_token, origin = _token(token), read_origin(base_url)
    return Settings(
        token=chosen_token,
        origin=origin,
        account_url=_account_url(account_url, origin),
        timeout=positive("timeout", timeout),
        wait_timeout=positive("wait_timeout", wait_timeout),
        poll_interval=poll_interval,
        cancel_on_interrupt=cancel_on_interrupt,
        max_request_bytes=max_request_bytes,
        headers=extra,
        proxy=read_proxy(proxy),
        verify=read_verify(verify),
    )


def positive(name: str, seconds: float) -> float:
    """A number of seconds above zero; infinity waits for ever."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise ConfigurationError(f"{name}: {seconds!r} is not a number of seconds above zero")
    return float(seconds) if seconds < _FOR_EVER else inf


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()


def read_proxy(url: str | None) -> str | None:
    """The URL of a proxy; None for that of the environment."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https", "socks5", "socks5h") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        usable = False
    if not usable:  # said without the URL: it may hold a password
        raise ConfigurationError("proxy: no URL of an http, https or socks5 proxy, such as http://127.0.0.1:8080")
    return url


def read_verify(verify: "bool | ssl.SSLContext | str | os.PathLike[str]") -> "bool | ssl.SSLContext | Path":
    """How to check certificates; a path has to be that of something."""
    if isinstance(verify, bool):
        return verify
    import ssl  # it takes its time to load: what is no context can be settled without

    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        bundle = Path(verify)
    except TypeError:
        raise ConfigurationError(f"verify: {verify!r} is neither a bool, an SSL context nor a path") from None
    if verify == "" or not bundle.exists():
        raise ConfigurationError(f"verify: there is no file or folder {os.fspath(verify)!r}")
    return bundle


def _token(argument: Token | None) -> Token:
    """The token to use. None of these frames holds it in the open when it raises."""
    if argument is not None:
        return _checked("the token argument", argument)
    for variable in TOKEN_VARIABLES:
        if found := Token(os.environ.get(variable, "")):
            return _checked(variable, found)
    for path in _token_files():
        if saved := _saved_token(path):
            return _checked(str(path), saved)
    raise ConfigurationError(
        "no API token: pass Client(token=…) or set RUNCOMFY_TOKEN. Your token is on the profile page of runcomfy.com."
    )


def _checked(source: str, token: Token) -> Token:
    if problem := token.problem():
        raise ConfigurationError(f"{source}: {problem}")
    return token


def _token_files() -> list[Path]:
    """Where the official command line keeps its token."""
    if folder := os.environ.get("RUNCOMFY_CONFIG_DIR"):
        return [Path(folder, "token.json")]
    try:
        home = Path.home()
    except RuntimeError:
        return []
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [config / "runcomfy/token.json", home / "Library/Application Support/runcomfy/token.json"]


def _saved_token(path: Path) -> Token | None:
    try:
        saved = json.loads(path.read_bytes())
    except OSError:
        return None
    except ValueError:
        raise ConfigurationError(f"{path}: not a JSON file; sign in again, or set RUNCOMFY_TOKEN") from None
    value = saved.get("access_token") if isinstance(saved, dict) else None
    return Token(value) if isinstance(value, str) else None


def read_origin(argument: str | None) -> str:
    """The base URL less ``/v1``: the argument, then the environment, then production."""
    source = "base_url" if argument is not None else BASE_URL_VARIABLE
    url = argument if argument is not None else os.environ.get(BASE_URL_VARIABLE, "").strip() or PRODUCTION
    origin, path = _origin_and_path(source, url)
    return origin + path.removesuffix("/v1")


def _account_url(argument: str | None, base: str) -> str:
    """Where account calls go: the argument, then production's for production, then the base URL's own origin."""
    if argument is not None:
        return "".join(_origin_and_path("account_url", argument))
    origin, _ = _origin_and_path("base_url", base)
    return _PRODUCTION_ACCOUNT if origin.removesuffix(":443") == PRODUCTION else origin + _ACCOUNT_PATH


def _origin_and_path(source: str, url: str) -> tuple[str, str]:
    """The scheme, host and port of a URL, and its path without a slash at its end."""
    if not isinstance(url, str):
        raise ConfigurationError(f"{source}: {url!r} is no http or https URL")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:  # said without the URL: it may hold a password
        raise ConfigurationError(f"{source}: a base URL has no user name, query or fragment")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or not parts.path.isprintable():
        raise ConfigurationError(f"{source}: {url!r} is no http or https URL")
    origin = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    return origin, parts.path.rstrip("/")
