"""Which URLs a download may fetch. Nothing here does any I/O.

An output names the URLs, and a server where they lead to: neither is to decide what this machine asks whom. Allowed are
RunComfy's own hosts, the origin of the base URL, and hosts that the caller names; and a redirect leads to none that the
same rules would not allow, nor to a private address.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urljoin

_RUNCOMFY = ("*.runcomfy.net", "*.runcomfy.com")
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://(\[[^\]/?#@]*\]|[^:/?#@\[\]]*)(?::([0-9]{1,5}))?(?:[/?#].*)?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_USER = re.compile(r"^([a-z]*:[/\\]*)[^/?#\\]*@", re.ASCII | re.IGNORECASE)
_NAT64 = IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """A URL that may not be fetched, and why."""


class Origin(NamedTuple):
    """What a connection is opened to."""

    scheme: str
    host: str
    """In lower case, without a trailing dot; an address in its usual form, without brackets."""
    port: int


class Place(NamedTuple):
    """A URL that may be fetched."""

    url: str
    origin: Origin
    may_be_private: bool
    """Whether it may be on this machine or in its network."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the caller allows."""

    own: Origin | None
    """The origin of the base URL."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts as `host_pattern` gives them."""
    allow_http: bool = False

    def first(self, url: str) -> Place:
        """Allow the URL of a file, or raise `Refused`."""
        origin = _origin(url)
        own = origin == self.own
        if not own:
            self._require_allowed(origin)
        return _place(url, origin, may_be_private=own or _matches(origin.host, self.allowed_hosts))

    def redirected(self, place: Place, location: str) -> Place:
        """Allow where an answer leads to from an allowed place, or raise `Refused`.

        Args:
            place: What was asked.
            location: The answer's ``Location``, which may be relative.
        """
        url = location
        try:
            _require_plain(location)  # before it is joined, which leaves out some signs
            url = _joined(place.url, location)
            origin = _origin(url)
            if place.origin.scheme == "https" and origin.scheme == "http" and not self.allow_http:
                raise Refused("it leads from https to http (allow_http=True allows that)")
            if origin != self.own:
                self._require_allowed(origin)
            return _place(url, origin, may_be_private=origin == self.own == place.origin)
        except Refused as refused:
            raise Refused(f"it was redirected to {without_secrets(url)}: {refused}") from None

    def _require_allowed(self, origin: Origin) -> None:
        if not _matches(origin.host, (*_RUNCOMFY, *self.allowed_hosts)):
            raise Refused(
                f"its host {origin.host} is not one of RunComfy's (allowed_hosts=[{origin.host!r}] allows it)"
            )
        if origin.scheme == "http" and not self.allow_http:
            raise Refused("it is http, not https (allow_http=True allows that)")


def origin_of(url: str) -> Origin | None:
    """The origin of a base URL; None where no URL of a file can be on it."""
    try:
        return _origin(url)
    except Refused:
        return None


def host_pattern(text: object) -> str | None:
    """A host as the caller allows it: a name, an address, or all hosts below a name; None where it is none of these.

    >>> host_pattern("CDN.example.com."), host_pattern("*.example.com"), host_pattern("[::1]"), host_pattern("a/b")
    ('cdn.example.com', '*.example.com', '::1', None)
    """
    if not isinstance(text, str):
        return None
    below = text.startswith("*.")
    host = _host(f"[{text}]" if ":" in text and "[" not in text else text.removeprefix("*."))
    return f"*.{host}" if host and below else host


def require_public(address: str) -> None:
    """Refuse an IP address that is not one of the open Internet."""
    if not _is_public(ip_address(address.partition("%")[0])):
        raise Refused(f"it leads to {address}, which is no address of the open Internet")


def without_secrets(url: str) -> str:
    """A URL for texts: its query may be a signature, and what stands before the host a password.

    >>> without_secrets("https://user:word@example.com/a.png?sig=1#x"), without_secrets("data:image/png;base64,AAAA")
    ('https://example.com/a.png', 'data:image/png;base64')
    """
    if url[:5].lower() == "data:":
        shown = url.partition(",")[0]
    else:
        shown = _USER.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])
    shown = "".join(character if character.isprintable() else "\ufffd" for character in shown[:1000])
    return shown if len(shown) <= 300 else f"{shown[:299]}…"


def _place(url: str, origin: Origin, *, may_be_private: bool) -> Place:
    address = _address(origin.host)
    if address is not None and not may_be_private:
        require_public(origin.host)
    host = f"[{origin.host}]" if isinstance(address, IPv6Address) else origin.host
    port = "" if origin.port == _PORTS[origin.scheme] else f":{origin.port}"
    rest = re.sub(r"^[^/]*//[^/?#]*", "", url)
    return Place(f"{origin.scheme}://{host}{port}{rest}", origin, may_be_private)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Refused("its host or port cannot be one") from None


def _origin(url: str) -> Origin:
    _require_plain(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise Refused("it is no http or https URL without a user name")
    scheme, host = match[1].lower(), _host(match[2])
    port = _PORTS[scheme] if match[3] is None else int(match[3])
    if host is None or not 0 < port < 65_536:
        raise Refused("its host or port cannot be one")
    return Origin(scheme, host, port)


def _require_plain(url: str) -> None:
    """Refuse signs that parsers read differently, or leave out."""
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise Refused("it has signs that no URL has")


def _host(text: str) -> str | None:
    """A host in the form that is compared; None where it is none, or a number that systems take for an address."""
    if text.startswith("["):
        address = _address(text[1:-1])
        return str(address) if isinstance(address, IPv6Address) else None
    host = text.removesuffix(".").lower() if text.isascii() else ""
    if _NUMBER.fullmatch(host):
        return host if _address(host) else None
    return host if _NAME.fullmatch(host) else None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _matches(host: str, patterns: tuple[str, ...]) -> bool:
    return any(host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern for pattern in patterns)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:  # how networks without IPv4 reach the rest
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
