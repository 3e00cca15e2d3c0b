"""A bouncer for CrowdSec: reads the decisions of its local API, and bans and frees on the running server."""

from __future__ import annotations

import ipaddress
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sipsieve
from sipsieve.abuse import bans, sources
from sipsieve.abuse.bans import Entry
from sipsieve.config.policy import Policy

from ..operate.banlist import BANS

#: The rule of bans that come from here; only these are lifted.
RULE: Final = "crowdsec"

_TIMEOUT: Final = 10.0
_LARGEST: Final = 64 * 1024 * 1024

#: Addresses that a range may be taken apart into.
_WIDE: Final = 256

#: Seconds by which the end of a ban may differ from its decision's.
_OFF: Final = 5

_DURATION: Final = re.compile(
    r"(-)?(?:(\d{1,7})h)?(?:(\d{1,7})m)?(?:(\d{1,10})(?:\.\d{1,12})?s)?(?:\d{1,10}(?:\.\d{1,12})?(?:ms|us|µs|ns))?"
)


class ApiError(Exception):
    """The local API does not answer as it should; says what to do. `hopeless`: not before something is changed."""

    def __init__(self, text: str, hopeless: bool = False) -> None:
        super().__init__(text)
        self.hopeless = hopeless


class Table(Protocol):
    """What of the server's RPC is used."""

    def table(self, name: str) -> Mapping[str, str]: ...

    def call(self, method: str, *parameters: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on the addresses of `keys`, until then (seconds since the epoch)."""

    keys: tuple[str, ...]
    until: int
    scenario: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes where it was sent, or nowhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """The local API (CrowdSec's `/v1/decisions/stream`)."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    def stream(self, everything: bool) -> dict[str, Any]:
        """What is new and what is gone since the last call, or all that there is. Raises `ApiError`."""
        request = urllib.request.Request(
            f"{self._url}/v1/decisions/stream?startup={'true' if everything else 'false'}",
            headers={"X-Api-Key": self._key, "User-Agent": f"sipsieve-bouncer/v{sipsieve.__version__}"},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                body = answer.read(_LARGEST + 1)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise ApiError(f"{self._url}: refuses the key; make one: cscli bouncers add sipsieve", True) from None
            raise ApiError(f"{self._url}: answered {error.code}") from None
        except (OSError, ValueError) as error:
            raise ApiError(f"{self._url}: {error}") from None
        if len(body) > _LARGEST:
            raise ApiError(f"{self._url}: an answer of more than {_LARGEST} bytes")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ApiError(f"{self._url}: answered no list of decisions; is this CrowdSec's local API?")
        return found


class Bouncer:
    """Follows the decisions. `own`: take those, too, that CrowdSec made of this guard's own bans."""

    def __init__(
        self, api: Api, table: Table, policy: Policy, own: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._api = api
        self._table = table
        self._networks = sources.Networks(policy)
        # The guard's own bans need room, too.
        self._most = max(1, policy.bans.capacity // 2)
        self._own = own
        self._clock = clock
        self._known: dict[int, Decision] = {}
        self._behind = True
        #: Decisions that can't be carried out here, by reason.
        self.left_out: dict[str, int] = {}

    def once(self) -> tuple[int, int]:
        """One look. How many bans were put in and lifted. Raises `ApiError`, `RpcError`."""
        try:
            news = self._api.stream(self._behind)
        except ApiError:
            # Something may be missed: all is asked for again.
            self._behind = True
            raise
        if self._behind:
            self._known.clear()
            self.left_out.clear()
        self._behind = False
        now = self._clock()
        for item in _items(news, "deleted"):
            self._known.pop(item["id"], None)
        for item in _items(news, "new"):
            if (decision := self._decision(item, now)) is not None:
                self._known[item["id"]] = decision
        return self._reconcile(now)

    def _decision(self, item: dict[str, Any], now: float) -> Decision | None:
        scenario = str(item.get("scenario", ""))
        if str(item.get("type")) != "ban" or item.get("simulated") is True:
            return self._leave("other than bans")
        if scenario.startswith("sipsieve/") and not self._own:
            return self._leave("this guard's own")
        try:
            network = ipaddress.ip_network(str(item.get("value", ""))[:64], strict=False)
        except ValueError:
            return self._leave("no address")
        found = _DURATION.fullmatch(str(item.get("duration", ""))[:64])
        if found is None or found[1] or not any(found.groups()):
            return self._leave("over")
        seconds = int(found[2] or 0) * 3600 + int(found[3] or 0) * 60 + int(found[4] or 0)
        keys = self._keys(network)
        if keys is None:
            return self._leave(f"wider than {_WIDE} sources")
        return Decision(keys, int(now) + min(seconds, 31_536_000), scenario) if seconds else self._leave("over")

    def _leave(self, why: str) -> Decision | None:
        self.left_out[why] = self.left_out.get(why, 0) + 1
        return None

    def _keys(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[str, ...] | None:
        """What the guard knows these addresses by; None where they are too many."""
        first = self._key(network.network_address)
        around = bans.network(first)
        if around is None or around.prefixlen <= network.prefixlen:
            # A single IPv6 address stands for its whole /64 here, as everywhere in the guard.
            return (first,)
        if 2 ** (around.prefixlen - network.prefixlen) > _WIDE:
            return None
        return tuple(self._key(part.network_address) for part in network.subnets(new_prefix=around.prefixlen))

    def _key(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
        return self._networks.source(str(address), 0, "udp").key

    def _reconcile(self, now: float) -> tuple[int, int]:
        """Makes the server's table say what the decisions say; a server that was restarted gets all of them again."""
        self._known = {number: one for number, one in self._known.items() if one.until > now}
        wanted: dict[str, Decision] = {}
        for one in self._known.values():
            for key in one.keys:
                if (key not in wanted or wanted[key].until < one.until) and not self._networks.never_banned(key):
                    wanted[key] = one
        if len(wanted) > self._most:
            self.left_out["beyond half of bans.capacity"] = len(wanted) - self._most
            wanted = dict(sorted(wanted.items(), key=lambda pair: (-pair[1].until, pair[0]))[: self._most])
        table = self._table.table(BANS)
        put = lifted = 0
        for key, value in table.items():
            standing = bans.entry(key, value)
            if standing is not None and standing.rule == RULE and key not in wanted:
                self._table.call("htable.delete", BANS, key)
                lifted += 1
        for key, one in wanted.items():
            standing = bans.entry(key, table.get(key, ""))
            if standing is not None and (standing.rule != RULE or abs(standing.until - one.until) <= _OFF):
                continue
            ban = Entry(key, RULE, int(now), one.until, reason=one.scenario)
            self._table.call("htable.setxs", BANS, key, ban.value, max(1, one.until - int(now)))
            put += 1
        return put, lifted


def _items(news: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = news.get(name)
    items = listed if isinstance(listed, list) else []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("id"), int)]
