"""Counts the Call-IDs of each source and client."""

from __future__ import annotations

from ibis.expr.types import Table


def counted(asked: Table) -> Table:
    """How many Call-IDs a source used, for what, and the ends of their order.

    Each is one row before they are counted: to tell them apart for each count anew takes three times as long.
    """
    t = asked.filter(asked.call_id.notnull())
    each = t.group_by("ip", "agent", "call_id").aggregate(
        registers=(t.method == "REGISTER").any(), invites=(t.method == "INVITE").any()
    )
    mirrored = each.call_id.reverse()
    return each.group_by("ip", "agent").aggregate(
        register_calls=each.registers.cast("int64").sum(),
        invite_calls=each.invites.cast("int64").sum(),
        calls=each.count(),
        call_low=each.call_id.min(),
        call_high=each.call_id.max(),
        llac_low=mirrored.min(),
        llac_high=mirrored.max(),
    )
