"""Fetches one list from outside, in a process of its own with bounds on time, memory and size."""

from __future__ import annotations

import os
import resource
import signal
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from .. import _core
from ..abuse import feed_formats
from ..config.lists import Feed, Feeds
from ..posix import kept_text

#: Memory that reading a list may take beyond what the process has.
_MEMORY: Final = 2 << 30

#: Pages of APIBAN that are read, 250 addresses each; it allows a few requests in two minutes.
_PAGES: Final = 5

#: A list that covers more of all IPv4 addresses, in thousandths, is a mistake or somebody's joke.
_MOST_SHARE: Final = 250

_CHUNK: Final = 1 << 16


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows only to the web, and never from TLS to none."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://") and (
            req.full_url.startswith("https://") or not newurl.startswith("http://")
        ):
            raise ValueError("it redirects to what is not HTTPS")
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and made.host != req.host:
            # The key is for the host that it was given for.
            made.remove_header("X-api-key")
        return made


def fetched(feed: Feed, bounds: Feeds, now: float) -> str:
    """The list's entries, one a line. Raises `ValueError` and OSError."""
    if not feed.is_url:
        return feed_formats.lines(_file(feed.source, bounds.max_bytes), feed, now)
    if feed.format != "apiban":
        return feed_formats.lines(_url(feed.source, feed, bounds), feed, now)
    text, number = "", ""
    for _ in range(_PAGES):
        address = f"{feed.source.rstrip('/')}/{number}" if number else feed.source
        try:
            page = _url(address, feed, bounds)
        except urllib.error.HTTPError as error:
            # It says so where nothing follows.
            if error.code == 400 and number:
                break
            raise
        text += feed_formats.lines(page, feed, now)
        number = feed_formats.apiban_next(page)
        if not number:
            break
    return text


def _file(path: str, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        return _bounded(file, most)


def _url(address: str, feed: Feed, bounds: Feeds) -> bytes:
    asked = urllib.request.Request(address, headers={"User-Agent": "sipsieve", "Accept": "*/*"})
    if feed.key_file:
        asked.add_header("X-Api-Key", Path(feed.key_file).read_text("ascii").strip())
    opener = urllib.request.build_opener(_Redirects, urllib.request.HTTPSHandler(context=_trusted(feed)))
    with opener.open(asked, timeout=min(bounds.timeout_seconds / 2, 30)) as answer:
        content = _bounded(answer, bounds.max_bytes)
        told = answer.headers.get("Content-Length", "")
        # http.client takes a connection that ends early for the end.
        if told.isdecimal() and len(content) < int(told):
            raise ValueError(f"it ended after {len(content)} of {told} bytes")
        return content


def _trusted(feed: Feed) -> ssl.SSLContext:
    """Whose certificates are believed. Raises `ValueError`."""
    try:
        return ssl.create_default_context(cafile=feed.ca_file or None)
    except OSError as error:
        # An error of OpenSSL's is one of these, too.
        raise ValueError(f"ca_file: {feed.ca_file}: can't be used: {error.strerror or error}") from error


def _untrusted(error: ssl.SSLError) -> str:
    """What is wrong with a server's certificate, for an operator."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"no TLS with its server: {error.reason or error}"
    return (
        f"the certificate of its server is not believed: {error.verify_message}; where an authority of your own made it, name that "
        "one's certificate in ca_file"
    )


def _bounded(file: IO[bytes], most: int) -> bytes:
    pieces, size = [], 0
    while piece := file.read(_CHUNK):
        size += len(piece)
        if size > most:
            raise ValueError(f"it has more than feeds.max_bytes, {most}")
        pieces.append(piece)
    return b"".join(pieces)


def checked(text: str, feed: Feed, bounds: Feeds, now: float) -> None:
    """Raises `ValueError` for a list that must not replace the last good one."""
    entries, invalid, first, _, _, expired, _, share = _core.read_feed(text, feed.private, int(now))
    if invalid > entries:
        raise ValueError(f"{invalid} of its lines are no addresses, the first is {first!r}")
    if not entries and not expired and feed.format != "crowdsec":
        raise ValueError("it has no entry that can be used")
    if entries > bounds.capacity:
        raise ValueError(f"it has {entries} entries, more than feeds.capacity, {bounds.capacity}")
    if share > _MOST_SHARE:
        raise ValueError(f"it covers {share / 10:g} % of all IPv4 addresses; allowed: {_MOST_SHARE / 10:g} %")


def refreshed(feed: Feed, bounds: Feeds, now: float) -> str:
    """Fetches, checks and keeps a list; what is wrong with it, "" for nothing. Keys in its address are never told."""
    try:
        text = fetched(feed, bounds, now)
        checked(text, feed, bounds, now)
        kept_text.keep(bounds.place(feed), text)
    except urllib.error.HTTPError as error:
        return f"the server answered {error.code}"
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return _untrusted(error.reason)[:300]
        return f"it can't be fetched: {getattr(error.reason, 'strerror', None) or error.reason}"[:300]
    except MemoryError:
        return "it takes too much memory"
    except OSError as error:
        said = error.strerror or str(error) or type(error).__name__
        # A file's path holds no key: its name helps, be it the list's, its key's or that of the last good copy.
        return (f"{error.filename}: {said}" if error.filename else f"it can't be fetched: {said}")[:300]
    except (ValueError, EOFError) as error:
        return f"{type(error).__name__}: {error}".replace(feed.source, feed.name)[:300]
    except Exception as error:
        # http.client has more of them than can be named.
        return f"{type(error).__name__}"
    return ""


def begin(work: Callable[[], str], seconds: int) -> tuple[int, int]:
    """Does `work` in a child process; its number, and a descriptor from which its answer can be read. Raises OSError."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    code = 1
    try:
        # Ends by itself, whatever the other side does, and whether or not the server still runs.
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(seconds)
        os.dup2(theirs, 3)
        # The server's sockets must not be held open by us.
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.nice(10)
        has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (has + _MEMORY, has + _MEMORY))
        os.write(3, work().encode("utf-8", "replace")[:2000] or b"\0")
        code = 0
    finally:
        os._exit(code)
