//! The one definition of the records' fields: the schema and the tables of the documentation are made from it.

/// One field of one kind of record.
pub struct Field {
    /// `event`, `metric` or `state`.
    pub record: &'static str,
    /// Its name, as in `sip.from`; `[]` behind the name of a list, `*` for any name.
    pub path: &'static str,
    /// `string`, `integer`, `boolean`, `time`, `version`, `rule`, `address`, `port`; `a|b` for one of these words,
    /// `=a` for this word; `array` or `object` for what has members.
    pub kind: &'static str,
    /// When it is there: empty for always, else in words.
    pub when: &'static str,
    /// What it holds, in a sentence.
    pub holds: &'static str,
    pub example: &'static str,
}

const fn field(
    record: &'static str,
    path: &'static str,
    kind: &'static str,
    when: &'static str,
    holds: &'static str,
    example: &'static str,
) -> Field {
    Field {
        record,
        path,
        kind,
        when,
        holds,
        example,
    }
}

/// All fields, in the order in which they are written.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    field("event", "@timestamp", "time", "", "When it was decided, UTC, to the microsecond.", "2026-11-28T03:04:05.678901Z"),
    field("event", "source.ip", "address", "", "Where it came from: IPv4, or IPv6 as RFC 5952 writes it.", "192.0.2.7"),
    field("event", "source.port", "port", "", "The port that it came from.", "5060"),
    field("event", "network.transport", "udp|tcp|tls|sctp|ws|wss", "", "What carried it.", "udp"),
    field("event", "event.kind", "=event", "", "One message.", "event"),
    field("event", "event.action", "allow|scrub|reject|drop|error", "", "What was decided; error: the guard itself failed, and [failure] decided.", "reject"),
    field("event", "event.id", "string", "", "Names this decision: start, process and a serial number, in hexadecimal; sipsieve explain takes it.", "6928f3a1-2f-1c"),
    field("event", "event.reason", "string", "", "Why, in a sentence; empty where there is nothing to say.", "SQL in a display name"),
    field("event", "rule.id", "array:8", "", "The rules that fired, at most eight.", ""),
    field("event", "rule.id[]", "rule", "", "A rule's name.", "sql-union"),
    field("event", "rule.version", "version", "", "Changes with the contents of the rules.", "0123456789ab"),
    field("event", "policy.version", "version", "", "Changes with the contents of the policy.", "0123456789ab"),
    field("event", "policy.mode", "enforce|observe", "", "Whether decisions are carried out at all.", "enforce"),
    field("event", "policy.enforced", "boolean", "", "Whether the action was carried out.", "true"),
    field("event", "counters", "object", "", "What was counted of this source in this window, by class, this message included.", ""),
    field("event", "counters.*", "integer", "where the class is counted", "How many of the class.", "3"),
    field("event", "ban", "object", "where the message led to a ban", "The ban that this message led to.", ""),
    field("event", "ban.source", "string", "", "The address, or the first groups of an IPv6 address, that is banned.", "192.0.2.7"),
    field("event", "ban.seconds", "integer", "", "How long.", "600"),
    field("event", "ban.rule", "rule", "", "The rule that led to it.", "sql-union"),
    field("event", "sip", "object", "", "The message; everything that its sender wrote is escaped and cut.", ""),
    field("event", "sip.type", "request|reply|malformed", "", "What its first line makes it.", "request"),
    field("event", "sip.method", "string", "", "Of a reply the CSeq's; empty where it can't be read.", "INVITE"),
    field("event", "sip.status", "integer", "of a reply, and where there was an answer", "The answer that was given, or of a reply its own status.", "403"),
    field("event", "sip.field", "string", "with findings", "Where the weightiest finding stands.", "from.display_name"),
    field("event", "sip.excerpt", "string", "with findings", "The value that stands there, cut at log.excerpt_bytes; empty in credentials.", "' or 1=1--"),
    field("event", "sip.bytes", "integer", "", "Length of the message.", "712"),
    field("event", "sip.uri", "string", "of a request", "The Request-URI.", "sip:bob@example.com"),
    field("event", "sip.call_id", "string", "where it has one", "The Call-ID.", "a84b4c76e66710@192.0.2.7"),
    field("event", "sip.cseq", "string", "where it has one", "The CSeq's number.", "314159"),
    field("event", "sip.from", "string", "where it has one", "The URI in From, with its parameters, as Kamailio's $fu shows it.", "sip:alice@example.com"),
    field("event", "sip.to", "string", "where it has one", "The URI in To, with its parameters, as Kamailio's $tu shows it.", "sip:bob@example.com"),
    field("event", "sip.authorization", "boolean", "where it carries credentials", "That it has an Authorization or Proxy-Authorization; their contents are never written.", "true"),
    field("event", "sip.client", "string:26", "of what is no reply and has header fields", "How its client writes, whatever it calls itself: header order and forms of Via, tags and Call-ID, hashed. Two that are equal come from the same program.", "1i09_5f0c9a1b22_03bd41c6e7"),
    field("event", "sip.raw", "string", "where log.raw_bytes asks for it", "The message itself.", ""),
    field("event", "user_agent", "object", "where it names one", "What sent it.", ""),
    field("event", "user_agent.original", "string", "", "User-Agent or Server.", "Example/1.0"),
    field("event", "findings", "array:8", "with findings", "All findings, at most eight, in message order.", ""),
    field("event", "findings[].rule", "rule", "", "The rule that fired.", "sql-union"),
    field("event", "findings[].family", "string", "", "The rule's family.", "sql"),
    field("event", "findings[].score", "integer", "", "What it adds to the message's score.", "10"),
    field("event", "findings[].field", "string", "", "Where it stands.", "via[1].host"),
    field("event", "findings[].reason", "string", "", "Why, in a sentence.", "SQL in a display name"),
    field("event", "findings[].excerpt", "string", "where it is another than sip.excerpt", "The value, cut at log.excerpt_bytes; empty in credentials.", "' or 1=1--"),
    field("event", "indicators", "array:8:1", "where findings point at something", "What the values of the findings point at, at most eight, as it was written.", ""),
    field("event", "indicators[].type", "url|host-port|ip|domain|email|file", "", "host-port: an address or domain with its port.", "host-port"),
    field("event", "indicators[].value", "string:512", "", "As it was sent.", "192.0.2.1:4444"),
    field("metric", "@timestamp", "time", "", "When it was written, UTC, to the microsecond.", "2026-11-28T03:04:05.678901Z"),
    field("metric", "source.ip", "string", "", "The address; 0.0.0.0 where an interval had more sources than fit; the banned key of what was dropped natively.", "192.0.2.7"),
    field("metric", "event.kind", "=metric", "", "A count.", "metric"),
    field("metric", "event.action", "string", "", "As in a decision; banned: dropped natively because of a ban; off: passed while inspection was switched off.", "allow"),
    field("metric", "event.count", "integer:1", "", "How many messages.", "41"),
    field("metric", "event.start", "time", "", "The first of them.", "2026-11-28T03:04:05.678901Z"),
    field("metric", "event.end", "time", "", "The last of them.", "2026-11-28T03:04:06.678901Z"),
    field("metric", "rule.id", "array", "where a flood of like records was folded", "The rule of the folded records.", ""),
    field("metric", "rule.id[]", "rule", "", "A rule's name.", "sql-union"),
    field("metric", "rule.version", "version", "", "Changes with the contents of the rules.", "0123456789ab"),
    field("metric", "policy.version", "version", "", "Changes with the contents of the policy.", "0123456789ab"),
    field("metric", "policy.mode", "enforce|observe", "", "Whether decisions are carried out at all.", "enforce"),
    field("metric", "sip.method", "string", "", "Empty for what was dropped before it was parsed.", "OPTIONS"),
    field("state", "@timestamp", "time", "", "When it happened, UTC, to the microsecond.", "2026-11-28T03:04:05.678901Z"),
    field("state", "event", "object:open", "", "What happened, with details of its own.", ""),
    field("state", "event.kind", "=state", "", "Something about the guard itself.", "state"),
    field("state", "event.action", "string", "", "start, off, on, ban, unban, clock, lost, shed, or a change of policy or rules.", "start"),
    field("state", "rule", "object:open", "", "The rules.", ""),
    field("state", "rule.version", "version", "", "Changes with the contents of the rules.", "0123456789ab"),
    field("state", "policy", "object:open", "", "The policy.", ""),
    field("state", "policy.version", "version", "", "Changes with the contents of the policy.", "0123456789ab"),
    field("state", "policy.mode", "enforce|observe", "", "Whether decisions are carried out at all.", "enforce"),
];
