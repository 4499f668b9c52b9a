"""How an origin is reached: the form its URL has on the wire, with which certificates, and through which proxy.

What goes over the connections is httpcore's work, which is the transport layer of httpx. httpx itself takes as long to
load as all the rest, so it is loaded where it is needed: for a proxy, a file, an answer that is compressed.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi  # comes with httpx, as do httpcore and idna
import httpcore

from ._connections import Backend
from ._errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

_UNRESERVED = "/%:@!$&'()*+,;=~"
"""What may stand in a path beside letters and digits; what is percent-encoded already stays so."""


class Address(NamedTuple):
    """A base URL as it goes over the wire."""

    scheme: bytes
    host: bytes
    port: int | None
    """None for that of the scheme."""
    path: bytes
    """Without a slash at its end."""

    @property
    def origin(self) -> httpcore.Origin:
        """The same without the path, as httpcore has it."""
        return httpcore.URL(scheme=self.scheme, host=self.host, port=self.port).origin

    @property
    def netloc(self) -> bytes:
        """Host and port, as a ``Host`` header has them."""
        host = b"[%b]" % self.host if b":" in self.host else self.host
        return host if self.port is None else b"%b:%d" % (host, self.port)


def address_of(url: str) -> Address:
    """Read a base URL.

    Raises:
        ConfigurationError: its host has no form that can be looked up.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    with configuring():
        if ":" in host:
            ip_address(host)
        elif not host.isascii() or "xn--" in host:
            import idna

            host = idna.encode(host).decode()
    is_default = port == {"http": 80, "https": 443}[parts.scheme]
    path = quote(parts.path, safe=_UNRESERVED).rstrip("/")
    return Address(parts.scheme.encode(), host.encode(), None if is_default else port, path.encode())


class Network(NamedTuple):
    """What is needed to connect to an origin."""

    certificates: ssl.SSLContext | None
    """How those of the origin are checked; None for http."""
    proxy: "httpx.Proxy | None"

    @property
    def is_direct(self) -> bool:
        """Whether there is no proxy."""
        return self.proxy is None

    @property
    def is_socks(self) -> bool:
        """Whether the proxy is one of SOCKS."""
        return self.proxy is not None and self.proxy.url.scheme.startswith("socks")

    def options(self) -> dict[str, Any]:
        """The same, as any pool of httpcore is told. Whoever uses the pool limits the connections."""
        options: dict[str, Any] = {
            "ssl_context": self.certificates,
            "max_connections": None,
            "max_keepalive_connections": None,
            "keepalive_expiry": 5.0,
        }
        if self.proxy is not None:
            options |= {"proxy_url": str(self.proxy.url), "proxy_auth": self.proxy.raw_auth}
        return options


def network_of(scheme: str, netloc: str, verify: bool | ssl.SSLContext | Path, proxy: str | None) -> Network:
    """How to reach an origin with the settings of a client.

    Raises:
        ConfigurationError: the proxy or the certificates cannot be used.
    """
    with configuring():
        return Network(_certificates(verify) if scheme == "https" else None, _proxy(scheme, netloc, proxy))


def pool_of(network: Network, backend: Backend) -> httpcore.ConnectionPool:
    """A pool of httpcore for threads."""
    kind: type[httpcore.ConnectionPool] = httpcore.ConnectionPool
    if not network.is_direct:
        kind = httpcore.SOCKSProxy if network.is_socks else httpcore.HTTPProxy
    return kind(**network.options(), network_backend=backend)


@contextmanager
def configuring() -> Iterator[None]:
    """Make whatever is wrong with a setting a `ConfigurationError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _unusable(error) from None  # its frames know a password


def _unusable(error: Exception) -> ConfigurationError:
    return ConfigurationError(f"base_url, account_url, proxy or verify: {error}")


def _certificates(verify: bool | ssl.SSLContext | Path) -> ssl.SSLContext:
    """How to check certificates: the argument, then ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, then certifi's bundle."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:
        return _context(None, 0)
    chosen = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or certifi.where()
    bundle = Path(chosen) if verify is True else verify
    return _context(bundle, bundle.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _context(bundle: Path | None, _: int) -> ssl.SSLContext:
    """One for all clients, since loading a bundle takes 30 ms; another one where the bundle has changed."""
    if bundle is not None:
        is_folder = bundle.is_dir()
        return ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(scheme: str, netloc: str, proxy: str | None) -> "httpx.Proxy | None":
    """The proxy to use: the argument, then that of the environment, which cannot reach a sandbox on this machine."""
    if proxy is None:
        if is_loopback(urlsplit(f"//{netloc}").hostname or "") or proxy_bypass(netloc):
            return None
        proxies = getproxies()
        proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy:
        return None
    import httpx

    try:
        found = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    except httpx.InvalidURL as error:
        raise _unusable(error) from None
    if found.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError("proxy: SOCKS needs one more library; type: pip install 'httpx[socks]'")
    return found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
