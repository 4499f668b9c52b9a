"""Downloads: files at URLs become files on the disk, whole or not at all."""

import os
import ssl
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _settings
from ._background import Stop, in_parallel, run, run_async
from ._download_rules import Rules, host_pattern, origin_of, without_secrets
from ._errors import ConfigurationError, DownloadError, DownloadFailure
from ._fetch import Failed, Limits, Transfer
from ._file_names import existing, sidecar_of, stem_of_job, stem_of_url, suffix_for
from ._pace import Deadline
from ._part_file import PartFile
from ._provenance import Provenance
from ._source import Source

if TYPE_CHECKING:
    from ._file_http import FileHttp

_DECODED = "it was still being decoded"

StrPath = str | os.PathLike[str]


def download(
    url: str,
    target: StrPath,
    *,
    overwrite: bool = False,
    max_bytes: int = 2 * 1024**3,
    timeout: float = 600.0,
    allowed_hosts: Sequence[str] = (),
    allow_http: bool = False,
    decode: bool = False,
    base_url: str | None = None,
    proxy: str | None = None,
    verify: bool | ssl.SSLContext | StrPath = True,
) -> Path:
    """Fetch one file: whole, or not at all. Cut connections are resumed; the token is never sent.

    Fetched are https URLs on ``*.runcomfy.net`` and ``*.runcomfy.com``, those on the origin of the base URL, and
    ``data:`` URLs. A redirect has to keep to the same rules, and leads to no private address.

    Args:
        url: The URL of the file.
        target: The file to make; or a folder, which exists or is written with a separator at its end: then the file is
            named after the URL, with the suffix of what is in it.
        overwrite: Whether a file that is there already is replaced.
        max_bytes: How many bytes a file may have.
        timeout: Seconds that the whole call may take. A server that sends nothing for a quarter of it, or for 60
            seconds, is asked again for the rest.
        allowed_hosts: Further hosts to fetch from, as ``"cdn.example.com"`` or ``"*.example.com"``. They may be on this
            machine or in its network.
        allow_http: Whether to fetch http URLs too.
        decode: Whether to decode the file, all of it, before it gets its name; needs the extra ``media``.
        base_url: The base URL, whose origin is allowed. Without one: ``RUNCOMFY_MODEL_API_BASE``, then production.
        proxy: As for `Client`.
        verify: As for `Client`.

    Returns:
        The file.

    Raises:
        DownloadError: the file could not be fetched; `DownloadError.failures` says why. Nothing is left of it.
        ConfigurationError: an option cannot be used; nothing was fetched.
    """
    source = _source(base_url, proxy, verify)
    options = Options(overwrite, max_bytes, timeout, allowed_hosts, allow_http, decode)
    return run(lambda stop: _Call(source, options, stop).all_of([_one(url, target)]))[0]


async def download_async(
    url: str,
    target: StrPath,
    *,
    overwrite: bool = False,
    max_bytes: int = 2 * 1024**3,
    timeout: float = 600.0,
    allowed_hosts: Sequence[str] = (),
    allow_http: bool = False,
    decode: bool = False,
    base_url: str | None = None,
    proxy: str | None = None,
    verify: bool | ssl.SSLContext | StrPath = True,
) -> Path:
    """Fetch one file, beside the event loop. As `download`; the cancellation of the task ends it at once."""
    source = _source(base_url, proxy, verify)
    options = Options(overwrite, max_bytes, timeout, allowed_hosts, allow_http, decode)
    return (await run_async(lambda stop: _Call(source, options, stop).all_of([_one(url, target)])))[0]


def saving(
    urls: list[str], body: dict[str, Any], folder: StrPath, source: Source, options: "Options"
) -> Callable[[Stop], list[Path]]:
    """The work of saving the files of an output, as `Output.save` says; `body` is the result that it was in."""
    wanted = [
        _Wanted(url, Path(folder), stem_of_job(source.request_id, position, url), keeps=True)
        for position, url in enumerate(urls, 1)
    ]
    provenance = Provenance(body, source) if options.sidecar else None
    return lambda stop: _Call(source, options, stop, provenance).all_of(wanted)


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asks for, as `download` and `Output.save` say."""

    overwrite: bool
    max_bytes: int
    timeout: float
    allowed_hosts: Sequence[str]
    allow_http: bool
    decode: bool
    parallel: int = 1
    sidecar: bool = False

    def __post_init__(self) -> None:
        _settings.positive("timeout", self.timeout)
        for name in ("max_bytes", "parallel"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name}: {value!r} is no whole number above zero")
        are_hosts = isinstance(self.allowed_hosts, Sequence | Set) and not isinstance(self.allowed_hosts, str)
        if not are_hosts or None in map(host_pattern, self.allowed_hosts):
            raise ConfigurationError(
                f"allowed_hosts: {self.allowed_hosts!r} is no list of hosts such as 'cdn.example.com', '*.example.com'"
            )
        if self.decode:
            from ._probe import missing

            if libraries := missing():
                raise ConfigurationError(
                    f"decode=True needs {' and '.join(libraries)}; type: pip install 'runcomfy[media]'"
                )


def _source(base_url: str | None, proxy: str | None, verify: bool | ssl.SSLContext | StrPath) -> Source:
    return Source(_settings.read_origin(base_url), _settings.read_proxy(proxy), _settings.read_verify(verify))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is asked for, and where it is to be."""

    url: str
    folder: Path
    name: str
    """Without the suffix, unless it is `exact`."""
    exact: bool = False
    keeps: bool = False
    """Whether a file that is there already is taken for it."""

    def target(self, suffix: str) -> Path:
        return self.folder / (self.name if self.exact else f"{self.name}{suffix}")


def _one(url: str, target: StrPath) -> _Wanted:
    if not isinstance(url, str):
        raise TypeError(f"expected a URL, got {url!r}")
    path = Path(target)
    # Path.is_dir would raise where a name is too long to be one.
    if os.path.isdir(target) or os.fspath(target).endswith(tuple(filter(None, (os.sep, os.altsep)))):  # noqa: PTH112  # see above
        return _Wanted(url, path, stem_of_url(url))
    return _Wanted(url, path.parent, path.name, exact=True)


class _Call:
    """One call: some files, some of them at a time."""

    def __init__(self, source: Source, options: Options, stop: Stop, provenance: Provenance | None = None) -> None:
        patterns = tuple(filter(None, map(host_pattern, options.allowed_hosts)))
        rules = Rules(origin_of(_settings.read_origin(source.origin)), patterns, options.allow_http)
        deadline = Deadline(_settings.positive("timeout", options.timeout))
        self._limits = Limits(rules, deadline, options.max_bytes, stop)
        self._source = source
        self._options = options
        self._provenance = provenance

    def all_of(self, wanted: list[_Wanted]) -> list[Path]:
        from ._file_http import FileHttp  # only what talks to the network pays for loading httpx

        http = FileHttp(self._source.proxy, self._source.verify, self._limits.stop)
        outcomes = in_parallel([partial(self._outcome, http, one) for one in wanted], self._options.parallel)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        parts = [part for outcome in outcomes if isinstance(outcome, tuple) for part in outcome]
        saved = [part for part in parts if isinstance(part, Path)]
        failures = [part for part in parts if isinstance(part, DownloadFailure)]
        if failures:
            ids = {"request_id": self._source.request_id, "model_id": self._source.model_id}
            raise DownloadError(failures, saved, **ids)
        return saved

    def _outcome(self, http: "FileHttp", wanted: _Wanted) -> tuple[Path | DownloadFailure, ...] | Exception:
        """The file, or why it is not there; both, where it is, but not what was to be told beside it."""
        part = PartFile(wanted.folder)
        transfer = Transfer(wanted.url, part, self._limits)
        file: Path | None = None
        try:
            file = kept = self._kept(wanted)
            if file is None:
                file = self._made(http, wanted, transfer, part)
            self._describe(file, wanted, overwrite=kept is None)
            return (file,)
        except Failed as failed:
            reason = str(failed)
        except OSError as error:
            reason = f"it cannot be written into {wanted.folder}: {error.strerror or error}"
        except Exception as error:  # not about this file alone
            return error
        finally:
            part.discard()
        failure = DownloadFailure(without_secrets(wanted.url), reason, transfer.received)
        return (failure,) if file is None else (file, failure)

    def _kept(self, wanted: _Wanted) -> Path | None:
        """The file, where it is there already and taken as it is."""
        if self._options.overwrite:
            return None
        if wanted.exact and os.path.lexists(wanted.target("")):
            raise _taken(wanted.target(""))
        kept = existing(wanted.folder, wanted.name, wanted.url) if wanted.keeps else None
        if kept is not None and self._options.decode:
            self._require_decodable(kept)
        return kept

    def _made(self, http: "FileHttp", wanted: _Wanted, transfer: Transfer, part: PartFile) -> Path:
        if wanted.url[:5].lower() == "data:":
            transfer.unpack()
        else:
            transfer.fetch(http)
        target = wanted.target(suffix_for(part.head(), transfer.media_type, wanted.url))
        part.close()
        if self._options.decode:
            self._require_decodable(part.path)
        self._limits.stop.check()
        try:
            part.publish(target, overwrite=self._options.overwrite)
        except FileExistsError:
            if not (wanted.keeps and part.equals(target)):
                raise _taken(target) from None
        return target

    def _describe(self, file: Path, wanted: _Wanted, *, overwrite: bool) -> None:
        """Write the sidecar of a file, where that is wished."""
        if self._provenance is None:
            return
        part = PartFile(file.parent)
        try:
            part.write(self._provenance.sidecar(file, wanted.url))
            part.close()
            part.publish(sidecar_of(file), overwrite=overwrite)
        except FileExistsError:
            if not sidecar_of(file).is_file():
                raise
        finally:
            part.discard()

    def _require_decodable(self, path: Path) -> None:
        from ._probe import Unreadable, decode

        try:
            with _Watched(path, self._limits) as file:
                decode(file, lambda: self._limits.check(_DECODED))
            self._limits.check(_DECODED)
        except Unreadable as error:
            self._limits.check(_DECODED)  # that may be why
            raise Failed(f"it cannot be decoded: {error}") from None


def _taken(target: Path) -> Failed:
    return Failed(f"{target} is there already (overwrite=True replaces it)")


class _Watched(FileIO):
    """A file whose reader is interrupted when the call is: decoding may take long."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path)
        self._limits = limits

    def read(self, size: int | None = -1) -> bytes:
        self._limits.check(_DECODED)
        return super().read(size)
