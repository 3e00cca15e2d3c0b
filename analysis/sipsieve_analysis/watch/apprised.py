"""Tells people, by mail and chat: what Apprise (https://github.com/caronc/apprise) has a service for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import apprise

from ..operate.harmless import harmless
from . import words
from .alerts import Posted

#: Seconds that one delivery may take; the next round tries again.
_TIMEOUT: Final = 30.0

_TYPES: Final = {
    "immediate": apprise.NotifyType.FAILURE,
    "high": apprise.NotifyType.WARNING,
    "medium": apprise.NotifyType.INFO,
    "review": apprise.NotifyType.INFO,
    "low": apprise.NotifyType.INFO,
}
_ORDER: Final = ("review", "low", "medium", "high", "immediate")


class _Rules(Protocol):
    """What a channel is told and when, see `channels.Rules`."""

    def wants(self, alert: dict[str, Any]) -> bool: ...

    def due(self, alert: dict[str, Any], now: datetime) -> bool: ...


class AppriseSink:
    """One channel. Alerts that wait are told in one message, the gravest in its title."""

    batch: int = words.MOST

    def __init__(self, name: str, url: str, rules: _Rules, attach: bool = False) -> None:
        """Raises ValueError where no service of Apprise takes the URL."""
        self.name = f"channel:{name}"
        self._rules = rules
        self._attach = attach
        # What a stranger may have written is shown as it is, and nothing is followed or kept on disk.
        asset = apprise.AppriseAsset(
            app_id="sipsieve",
            app_desc="sipsieve",
            app_url="",
            async_mode=False,
            http_redirects=0,
            interpret_escapes=False,
            interpret_emojis=False,
            allow_templates=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            plugin_paths=[],
        )
        self._apprise = apprise.Apprise(asset=asset)
        if not self._apprise.add(url):
            schema = url.partition("://")[0] if "://" in url else ""
            raise ValueError(
                f"no service of Apprise takes this URL{f' ({harmless(schema, 20)}://…)' if schema else ''}; "
                "https://github.com/caronc/apprise/wiki shows how each is written"
            )

    def wants(self, alert: dict[str, Any]) -> bool:
        """See `Sink`."""
        return self._rules.wants(alert)

    def due(self, alert: dict[str, Any], now: datetime) -> bool:
        """See `Sink`."""
        return self._rules.due(alert, now)

    def send(self, posted: Sequence[Posted]) -> str:
        """See `Sink`."""
        told = [alert for _, alert in posted]
        title, body = words.message(told)
        gravest = max((alert["tier"] for alert in told), key=_ORDER.index)
        pages = [alert["page"] for alert in told if self._attach and alert.get("page")]
        files = [page for page in pages if Path(page).is_file()]
        try:
            result = self._apprise.notify(
                body=body,
                title=title,
                notify_type=_TYPES[gravest],
                body_format=apprise.NotifyFormat.TEXT,
                attach=files or None,
                timeout=_TIMEOUT,
            )
        except Exception as error:  # a service's own code, and not one of them may end the watch
            return f"{self.name}: {type(error).__name__}"
        if result:
            return ""
        said = [harmless(str(entry.message), 200) for entry in result.logs()]
        return f"{self.name}: {said[-1] if said else 'not delivered'}"
