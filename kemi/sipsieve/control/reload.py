"""Changes policy and rules of a running server: reloads the files, sets single values for a time, takes them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ..config import overrides, policy
from ..decision import revision as revisions
from ..decision.revision import Revision
from ..detection import ruleset
from .broadcast import Broadcast, TooLarge
from .geo_files import GeoFiles, Unusable

#: Keys that hold since the start: memory and files were laid out by them.
AT_START: Final = ("log.path", "log.summary_seconds", "limits.capacity", "bans.capacity", "feeds.capacity")

#: Values set at a time; more are a policy file.
MAX_SET: Final = 64

_SELF: Final = "sipsieve"


class Setting(NamedTuple):
    """One value set on the running server: as it was typed, until when (0: the restart), by whom."""

    text: str
    until: float
    user: str


class Answer(NamedTuple):
    """What to tell the caller, and what to write into the decision log: (action, detail) each."""

    content: dict[str, Any]
    notices: tuple[tuple[str, dict[str, Any]], ...] = ()


class Control:
    """Holds what is in force. One process has it; `broadcast` tells the others."""

    def __init__(
        self,
        revision: Revision,
        load: Callable[[], tuple[policy.Policy, ruleset.Ruleset]],
        broadcast: Broadcast,
        clock: Callable[[], float],
        geo: GeoFiles,
    ) -> None:
        """`load` reads the files and raises `PolicyError` or `RuleError`; `clock` gives seconds since the epoch; `geo` is what
        is in force of the files that know where addresses are at home."""
        self.revision = revision
        self._load = load
        self._broadcast = broadcast
        self._clock = clock
        self._geo = geo
        self._file = revision.policy
        self.set: dict[str, Setting] = {}

    def handle(self, request: Mapping[str, Any], now: float) -> Answer:
        """Does what a request asks: `do` is `reload`, `set` or `unset`; `user` says who asks."""
        what = request.get("do")
        user = str(request.get("user") or "unknown")[:64]
        if what == "reload":
            return self._reload(user)
        if what == "set":
            return self._set(request, user, now)
        if what == "unset":
            return self._unset(str(request.get("key", "")), user)
        return Answer({"ok": False, "error": f"{what!r} is nothing that this server can do"})

    def expire(self, now: float) -> Answer | None:
        """Takes back what was set for a time that is over."""
        over = [key for key, setting in self.set.items() if 0 < setting.until <= now]
        if not over:
            return None
        left = {key: setting for key, setting in self.set.items() if key not in over}
        answer = self._change("unset", _SELF, f"the time of {', '.join(over)} is over", self._file, left, None)
        if not answer.content["ok"]:
            # Can't be taken back now (the file needs it): tried again in a minute, not at every look.
            self.set |= {key: self.set[key]._replace(until=now + 60) for key in over}
        return answer

    def _reload(self, user: str) -> Answer:
        try:
            loaded, rules = self._load()
        except (policy.PolicyError, ruleset.RuleError) as error:
            return self._refused("reload", user, str(error))
        kept = {
            key: value
            for key in AT_START
            if (value := overrides.value_of(self._file, key)) != overrides.value_of(loaded, key)
        }
        try:
            loaded = overrides.changed(loaded, kept)
        except policy.PolicyError as error:
            return self._refused("reload", user, str(error))
        answer = self._change("reload", user, "", loaded, self.set, rules)
        if kept and answer.content["ok"]:
            answer.content["needs_restart"] = sorted(kept)
        return answer

    def _set(self, request: Mapping[str, Any], user: str, now: float) -> Answer:
        key, text, seconds = str(request.get("key", "")), str(request.get("value", "")), request.get("seconds", 0)
        if key in AT_START:
            return self._refused("set", user, f"{key}: holds since the start; change the policy file and restart")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= 31_536_000:
            return self._refused("set", user, f"{key}: a time of {seconds!r} s; allowed: up to a year")
        wanted = {**self.set, key: Setting(text, now + seconds if seconds else 0.0, user)}
        if len(wanted) > MAX_SET:
            return self._refused("set", user, f"{key}: {MAX_SET} values are set already; write a policy file")
        return self._change("set", user, f"{key} = {text}", self._file, wanted, None)

    def _unset(self, key: str, user: str) -> Answer:
        if key not in self.set:
            known = ", ".join(self.set) or "nothing is set"
            return self._refused("unset", user, f"{key}: was not set; set are: {known}")
        left = {name: setting for name, setting in self.set.items() if name != key}
        return self._change("unset", user, key, self._file, left, None)

    def _change(
        self,
        action: str,
        user: str,
        what: str,
        file: policy.Policy,
        wanted: dict[str, Setting],
        rules: ruleset.Ruleset | None,
    ) -> Answer:
        """Builds, publishes and only then holds the new state; on any error the old one stays."""
        old = self.revision
        number = old.number + 1
        try:
            values = {key: overrides.value_from(setting.text) for key, setting in wanted.items()}
            effective = overrides.changed(file, values)
            new = revisions.build(number, effective, rules or old.ruleset, geo=old.networks.geo)
            # Read before anything is changed. Who names a file now is told at once that it can't be used; a reload, and the
            # end of what was set, go on without.
            files = None
            if rules is not None or effective.geo != old.policy.geo:
                files = self._geo.read(effective.geo, self._clock(), must=action == "set")
            self._broadcast.publish(number, revisions.pack(new), self._clock())
        except (policy.PolicyError, ruleset.RuleError, TooLarge, Unusable) as error:
            return self._refused(action, user, str(error))
        said = [] if files is None else self._geo.put(files, self._clock())
        self.revision, self._file, self.set = new, file, dict(wanted)
        detail: dict[str, Any] = {"user": user, "old": old.versions, "new": new.versions}
        if what:
            detail["reason"] = what
        content: dict[str, Any] = {"ok": True, "old": old.versions, "new": new.versions}
        if said:
            content["geo"] = said
        notices = ((action, detail), *(("geo", {"reason": text[:500]}) for text in said))
        return Answer(content, notices)

    def _refused(self, action: str, user: str, reason: str) -> Answer:
        detail = {"user": user, "outcome": "failure", "reason": reason[:500], "old": self.revision.versions}
        return Answer({"ok": False, "error": reason, "old": self.revision.versions}, ((action, detail),))
