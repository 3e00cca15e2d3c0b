"""Makes `questions.sql`: what the analysis asks DuckDB, of the expressions that any Ibis engine can run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ibis.expr.types import Table

from . import census, pace, prepared
from .attribution import destinations, exchanges
from .events import Store


def expressions(store: Store) -> dict[str, Table]:
    """What each prepared question asks, by name."""
    store.choose(())
    store.con.execute(f"CREATE OR REPLACE TEMP VIEW {prepared.SEEN} AS SELECT * FROM events")  # noqa: S608 (ours)
    seen, chosen = store.table(prepared.SEEN), store.chosen
    asked = census.requests(seen)
    store.keep("exchanged", "", lambda: exchanges.exchanges(seen, asked, exact=True))
    exchanged = store.table("exchanged")
    return {
        "totals": census.totals(seen),
        "servers": census.servers_of(seen),
        "busy": census.busy_of(asked),
        "profiles": census.profiles_of(asked),
        "clients": census.clients(asked),
        "credentials": census.credentials(asked),
        "exchanges": exchanges.exchanges(seen, asked, exact=False),
        "exchanges_exact": exchanges.exchanges(seen, asked, exact=True),
        "answers": exchanges.answers(exchanged),
        "logins": exchanges.tried(exchanged),
        "calls": exchanges.called(exchanged),
        "dialled": destinations.numbers(asked, None),
        "dialled_answered": destinations.numbers(asked, exchanged),
        "hits": census.hits(asked),
        "targets": census.wanted(asked, chosen),
        "ports": census.used(asked, chosen),
        "hours": census.steps(asked, chosen, census.HOUR_US),
        "busiest": pace.peak(asked, chosen, census.MINUTE_US),
        "homes": census.last_homes(asked, chosen),
        "indicators": census.named(seen),
    }


def text() -> str:
    """What `questions.sql` holds."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), small=True)
        made = {name: store.connection.compile(one, pretty=True) for name, one in expressions(store).items()}
        store.close()
    return "\n".join(f"-- {name}\n{sql}\n" for name, sql in made.items())


if __name__ == "__main__":
    prepared.PLACE.write_text(text())
