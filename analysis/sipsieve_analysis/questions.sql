-- totals
SELECT
  "t0"."kind",
  "t0"."action",
  COALESCE("t0"."type" = 'reply', FALSE) AS "reply",
  SUM("t0"."messages") AS "messages",
  MIN("t0"."time_us") AS "first_us",
  MAX("t0"."end_us") AS "last_us"
FROM "seen" AS "t0"
GROUP BY
  1,
  2,
  3

-- servers
SELECT
  *
FROM (
  SELECT
    "t1"."ip",
    COUNT(*) AS "n"
  FROM (
    SELECT
      *
    FROM "seen" AS "t0"
    WHERE
      "t0"."type" = 'reply' AND "t0"."ip" IS NOT NULL
  ) AS "t1"
  GROUP BY
    1
) AS "t2"
ORDER BY
  "t2"."n" DESC,
  "t2"."ip" ASC
LIMIT 1000

-- busy
SELECT
  *
FROM (
  SELECT
    "t2"."ip",
    COUNT(*) AS "agents"
  FROM (
    SELECT
      "t1"."ip",
      "t1"."agent",
      SUM("t1"."messages") AS "n"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
    ) AS "t1"
    GROUP BY
      1,
      2
  ) AS "t2"
  GROUP BY
    1
) AS "t3"
WHERE
  "t3"."agents" > 16

-- profiles
SELECT
  *
FROM (
  SELECT
    "t19"."ip",
    "t19"."agent",
    "t19"."messages",
    "t19"."first_us",
    "t19"."last_us",
    "t19"."streams",
    "t19"."authorized",
    "t19"."flagged",
    "t19"."counted",
    "t19"."received",
    "t19"."n_REGISTER",
    "t19"."n_INVITE",
    "t19"."n_OPTIONS",
    "t19"."n_ACK",
    "t19"."n_BYE",
    "t19"."n_CANCEL",
    "t19"."n_SUBSCRIBE",
    "t19"."n_MESSAGE",
    "t19"."n_NOTIFY",
    "t19"."a_allow",
    "t19"."a_scrub",
    "t19"."a_reject",
    "t19"."a_drop",
    "t19"."a_error",
    "t19"."a_banned",
    "t25"."minutes",
    "t25"."hours",
    "t25"."peak",
    "t25"."peak_invites",
    "t9"."ports",
    "t21"."register_users",
    "t21"."invite_users",
    "t21"."option_users",
    "t17"."from_users",
    "t17"."from_low",
    "t17"."from_high",
    "t10"."hosts",
    "t24"."register_calls",
    "t24"."invite_calls",
    "t24"."calls",
    "t24"."dialogs",
    "t24"."call_low",
    "t24"."call_high",
    "t24"."llac_low",
    "t24"."llac_high"
  FROM (
    SELECT
      "t4"."ip",
      "t4"."agent",
      SUM("t4"."messages") AS "messages",
      MIN("t4"."time_us") AS "first_us",
      MAX("t4"."end_us") AS "last_us",
      BOOL_OR(CAST("t4"."transport" IN ('tcp', 'tls', 'ws', 'wss') AS BOOLEAN)) AS "streams",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."authorization") AS "authorized",
      COALESCE(SUM("t4"."messages") FILTER(WHERE
        ARRAY_LENGTH("t4"."findings") > 0), 0) AS "flagged",
      COALESCE(
        SUM("t4"."messages") FILTER(WHERE
          (
            "t4"."kind" = 'metric'
          ) AND (
            "t4"."action" = 'allow'
          )),
        0
      ) AS "counted",
      COALESCE(
        SUM("t4"."messages") FILTER(WHERE
          "t4"."action" IN ('allow', 'scrub') OR NOT (
            COALESCE("t4"."enforced", TRUE)
          )),
        0
      ) AS "received",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'REGISTER') AS "n_REGISTER",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'INVITE') AS "n_INVITE",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'OPTIONS') AS "n_OPTIONS",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'ACK') AS "n_ACK",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'BYE') AS "n_BYE",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'CANCEL') AS "n_CANCEL",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'SUBSCRIBE') AS "n_SUBSCRIBE",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'MESSAGE') AS "n_MESSAGE",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."method" = 'NOTIFY') AS "n_NOTIFY",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'allow') AS "a_allow",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'scrub') AS "a_scrub",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'reject') AS "a_reject",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'drop') AS "a_drop",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'error') AS "a_error",
      SUM("t4"."messages") FILTER(WHERE
        "t4"."action" = 'banned') AS "a_banned"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
    ) AS "t4"
    GROUP BY
      1,
      2
  ) AS "t19"
  LEFT OUTER JOIN (
    SELECT
      "t18"."ip",
      "t18"."agent",
      COUNT("t18"."minute") AS "minutes",
      COUNT(DISTINCT CAST(FLOOR((
        "t18"."minute"
      ) / (
        60
      )) AS BIGINT)) AS "hours",
      MAX("t18"."n") AS "peak",
      MAX("t18"."invites") AS "peak_invites"
    FROM (
      SELECT
        "t11"."ip",
        "t11"."agent",
        "t11"."minute",
        COALESCE(SUM("t11"."share") FILTER(WHERE
          "t11"."action" <> 'banned'), 0) AS "n",
        COALESCE(SUM("t11"."share") FILTER(WHERE
          "t11"."method" = 'INVITE'), 0) AS "invites"
      FROM (
        SELECT
          "t0"."time_us",
          "t0"."end_us",
          "t0"."input",
          "t0"."kind",
          "t0"."action",
          "t0"."enforced",
          "t0"."messages",
          COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
          "t0"."port",
          "t0"."transport",
          "t0"."type",
          COALESCE("t0"."method", '') AS "method",
          "t0"."status",
          "t0"."uri",
          "t0"."from_uri",
          "t0"."to_uri",
          "t0"."call_id",
          "t0"."cseq",
          COALESCE("t0"."agent", '') AS "agent",
          "t0"."authorization",
          "t0"."bytes",
          "t0"."field",
          "t0"."excerpt",
          "t0"."findings",
          "t0"."indicators",
          "t0"."client",
          "t0"."home",
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
          NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
          COALESCE(
            NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
          ) AS "user_uri",
          CAST(FLOOR((
            "t0"."time_us"
          ) / (
            60000000
          )) AS BIGINT) AS "minute",
          CAST(FLOOR(
            "t0"."messages" * 100.0 * LEAST(1.0, 60000000 / GREATEST("t0"."end_us" - "t0"."time_us", 1))
          ) AS BIGINT) AS "share"
        FROM "seen" AS "t0"
        WHERE
          "t0"."kind" IN ('event', 'metric')
          AND (
            (
              "t0"."type" <> 'reply'
            ) OR (
              "t0"."type" IS NULL
            )
          )
      ) AS "t11"
      GROUP BY
        1,
        2,
        3
    ) AS "t18"
    GROUP BY
      1,
      2
  ) AS "t25"
    ON "t19"."ip" = "t25"."ip" AND "t19"."agent" = "t25"."agent"
  LEFT OUTER JOIN (
    SELECT
      "t1"."ip",
      "t1"."agent",
      COUNT(*) AS "ports"
    FROM (
      SELECT DISTINCT
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."port"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
        AND "t0"."port" IS NOT NULL
    ) AS "t1"
    GROUP BY
      1,
      2
  ) AS "t9"
    ON "t19"."ip" = "t9"."ip" AND "t19"."agent" = "t9"."agent"
  LEFT OUTER JOIN (
    SELECT
      "t13"."ip",
      "t13"."agent",
      COUNT("t13"."user") FILTER(WHERE
        "t13"."asks" = 'REGISTER') AS "register_users",
      COUNT("t13"."user") FILTER(WHERE
        "t13"."asks" = 'INVITE') AS "invite_users",
      COUNT("t13"."user") FILTER(WHERE
        "t13"."asks" = '') AS "option_users"
    FROM (
      SELECT DISTINCT
        "t6"."ip",
        "t6"."agent",
        "t6"."asks",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t6"."first", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t6"."second", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user"
      FROM (
        SELECT DISTINCT
          COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
          COALESCE("t0"."agent", '') AS "agent",
          CASE
            WHEN COALESCE("t0"."method", '') IN ('REGISTER', 'INVITE')
            THEN COALESCE("t0"."method", '')
            ELSE ''
          END AS "asks",
          CASE
            WHEN COALESCE("t0"."method", '') = 'REGISTER'
            THEN "t0"."to_uri"
            ELSE "t0"."uri"
          END AS "first",
          CASE
            WHEN COALESCE("t0"."method", '') = 'REGISTER'
            THEN "t0"."from_uri"
            ELSE "t0"."to_uri"
          END AS "second"
        FROM "seen" AS "t0"
        WHERE
          "t0"."kind" IN ('event', 'metric')
          AND (
            (
              "t0"."type" <> 'reply'
            ) OR (
              "t0"."type" IS NULL
            )
          )
          AND NOT (
            COALESCE("t0"."method", '') IN ('ACK', 'BYE', 'CANCEL')
          )
      ) AS "t6"
    ) AS "t13"
    GROUP BY
      1,
      2
  ) AS "t21"
    ON "t19"."ip" = "t21"."ip" AND "t19"."agent" = "t21"."agent"
  LEFT OUTER JOIN (
    SELECT
      "t12"."ip",
      "t12"."agent",
      COUNT("t12"."user") AS "from_users",
      MIN("t12"."user") AS "from_low",
      MAX("t12"."user") AS "from_high"
    FROM (
      SELECT DISTINCT
        "t3"."ip",
        "t3"."agent",
        NULLIF(REGEXP_EXTRACT("t3"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user"
      FROM (
        SELECT DISTINCT
          COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
          COALESCE("t0"."agent", '') AS "agent",
          "t0"."from_uri"
        FROM "seen" AS "t0"
        WHERE
          "t0"."kind" IN ('event', 'metric')
          AND (
            (
              "t0"."type" <> 'reply'
            ) OR (
              "t0"."type" IS NULL
            )
          )
      ) AS "t3"
    ) AS "t12"
    GROUP BY
      1,
      2
  ) AS "t17"
    ON "t19"."ip" = "t17"."ip" AND "t19"."agent" = "t17"."agent"
  LEFT OUTER JOIN (
    SELECT
      "t2"."ip",
      "t2"."agent",
      COUNT(*) AS "hosts"
    FROM (
      SELECT DISTINCT
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."uri"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
        AND COALESCE("t0"."method", '') = 'OPTIONS'
        AND "t0"."uri" IS NOT NULL
    ) AS "t2"
    GROUP BY
      1,
      2
  ) AS "t10"
    ON "t19"."ip" = "t10"."ip" AND "t19"."agent" = "t10"."agent"
  LEFT OUTER JOIN (
    SELECT
      "t14"."ip",
      "t14"."agent",
      SUM(CAST("t14"."registers" AS BIGINT)) AS "register_calls",
      SUM(CAST("t14"."invites" AS BIGINT)) AS "invite_calls",
      COUNT(*) AS "calls",
      SUM(CAST("t14"."began" AND "t14"."went_on" AS BIGINT)) AS "dialogs",
      MIN("t14"."call_id") AS "call_low",
      MAX("t14"."call_id") AS "call_high",
      MIN(REVERSE("t14"."call_id")) AS "llac_low",
      MAX(REVERSE("t14"."call_id")) AS "llac_high"
    FROM (
      SELECT
        "t5"."ip",
        "t5"."agent",
        "t5"."call_id",
        BOOL_OR(CAST("t5"."method" = 'REGISTER' AS BOOLEAN)) AS "registers",
        BOOL_OR(CAST("t5"."method" = 'INVITE' AS BOOLEAN)) AS "invites",
        BOOL_OR(
          CAST(COALESCE("t5"."action" = 'allow', FALSE) AND (
            "t5"."method" = 'INVITE'
          ) AS BOOLEAN)
        ) AS "began",
        BOOL_OR(
          CAST(COALESCE("t5"."action" = 'allow', FALSE) AND (
            "t5"."method" = 'BYE'
          ) AS BOOLEAN)
        ) AS "went_on"
      FROM (
        SELECT
          "t0"."time_us",
          "t0"."end_us",
          "t0"."input",
          "t0"."kind",
          "t0"."action",
          "t0"."enforced",
          "t0"."messages",
          COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
          "t0"."port",
          "t0"."transport",
          "t0"."type",
          COALESCE("t0"."method", '') AS "method",
          "t0"."status",
          "t0"."uri",
          "t0"."from_uri",
          "t0"."to_uri",
          "t0"."call_id",
          "t0"."cseq",
          COALESCE("t0"."agent", '') AS "agent",
          "t0"."authorization",
          "t0"."bytes",
          "t0"."field",
          "t0"."excerpt",
          "t0"."findings",
          "t0"."indicators",
          "t0"."client",
          "t0"."home",
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
          NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
          COALESCE(
            NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
          ) AS "user_uri",
          CAST(FLOOR((
            "t0"."time_us"
          ) / (
            60000000
          )) AS BIGINT) AS "minute"
        FROM "seen" AS "t0"
        WHERE
          "t0"."kind" IN ('event', 'metric')
          AND (
            (
              "t0"."type" <> 'reply'
            ) OR (
              "t0"."type" IS NULL
            )
          )
          AND "t0"."call_id" IS NOT NULL
      ) AS "t5"
      GROUP BY
        1,
        2,
        3
    ) AS "t14"
    GROUP BY
      1,
      2
  ) AS "t24"
    ON "t19"."ip" = "t24"."ip" AND "t19"."agent" = "t24"."agent"
) AS "t26"
ORDER BY
  "t26"."flagged" DESC,
  "t26"."messages" DESC,
  "t26"."ip" ASC,
  "t26"."agent" ASC
LIMIT 200000

-- clients
SELECT
  "t4"."ip",
  "t4"."agent",
  ARRAY_AGG("t4"."client") FILTER(WHERE
    "t4"."client" IS NOT NULL) AS "clients"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t2"."ip",
      "t2"."agent",
      "t2"."client",
      "t2"."n",
      ROW_NUMBER() OVER (
        PARTITION BY "t2"."ip", "t2"."agent"
        ORDER BY "t2"."n" DESC, "t2"."client" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) - 1 AS "rank"
    FROM (
      SELECT
        "t1"."ip",
        "t1"."agent",
        "t1"."client",
        SUM("t1"."messages") AS "n"
      FROM (
        SELECT
          "t0"."time_us",
          "t0"."end_us",
          "t0"."input",
          "t0"."kind",
          "t0"."action",
          "t0"."enforced",
          "t0"."messages",
          COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
          "t0"."port",
          "t0"."transport",
          "t0"."type",
          COALESCE("t0"."method", '') AS "method",
          "t0"."status",
          "t0"."uri",
          "t0"."from_uri",
          "t0"."to_uri",
          "t0"."call_id",
          "t0"."cseq",
          COALESCE("t0"."agent", '') AS "agent",
          "t0"."authorization",
          "t0"."bytes",
          "t0"."field",
          "t0"."excerpt",
          "t0"."findings",
          "t0"."indicators",
          "t0"."client",
          "t0"."home",
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
          NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
          COALESCE(
            NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
          ) AS "user_uri",
          CAST(FLOOR((
            "t0"."time_us"
          ) / (
            60000000
          )) AS BIGINT) AS "minute"
        FROM "seen" AS "t0"
        WHERE
          "t0"."kind" IN ('event', 'metric')
          AND (
            (
              "t0"."type" <> 'reply'
            ) OR (
              "t0"."type" IS NULL
            )
          )
          AND "t0"."client" IS NOT NULL
      ) AS "t1"
      GROUP BY
        1,
        2,
        3
    ) AS "t2"
  ) AS "t3"
  WHERE
    "t3"."rank" < 4
) AS "t4"
GROUP BY
  1,
  2

-- credentials
SELECT
  COUNT(*) AS "n"
FROM (
  SELECT
    "t0"."time_us",
    "t0"."end_us",
    "t0"."input",
    "t0"."kind",
    "t0"."action",
    "t0"."enforced",
    "t0"."messages",
    COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
    "t0"."port",
    "t0"."transport",
    "t0"."type",
    COALESCE("t0"."method", '') AS "method",
    "t0"."status",
    "t0"."uri",
    "t0"."from_uri",
    "t0"."to_uri",
    "t0"."call_id",
    "t0"."cseq",
    COALESCE("t0"."agent", '') AS "agent",
    "t0"."authorization",
    "t0"."bytes",
    "t0"."field",
    "t0"."excerpt",
    "t0"."findings",
    "t0"."indicators",
    "t0"."client",
    "t0"."home",
    NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
    NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
    COALESCE(
      NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
      NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
    ) AS "user_uri",
    CAST(FLOOR((
      "t0"."time_us"
    ) / (
      60000000
    )) AS BIGINT) AS "minute"
  FROM "seen" AS "t0"
  WHERE
    "t0"."kind" IN ('event', 'metric')
    AND (
      (
        "t0"."type" <> 'reply'
      ) OR (
        "t0"."type" IS NULL
      )
    )
    AND "t0"."authorization"
  LIMIT 1
) AS "t2"

-- exchanges
SELECT
  "t9"."ip",
  "t9"."agent",
  "t9"."method",
  "t9"."call_id",
  "t9"."cseq",
  "t9"."user",
  "t9"."number",
  "t9"."time_us",
  "t9"."credentials",
  "t9"."client",
  "t9"."good",
  "t9"."status",
  "t9"."answered_us",
  "t9"."asked_login",
  "t9"."challenges",
  (
    "t9"."challenges" > 0
  )
  AND NOT (
    "t9"."good"
  )
  AND "t9"."status" IN (401, 403, 407) AS "refused_login",
  (
    "t9"."challenges" > 0
  ) AND (
    "t9"."challenges" > 0
  ) AS "returned"
FROM (
  SELECT
    "t8"."ip",
    "t8"."agent",
    "t8"."method",
    "t8"."call_id",
    "t8"."cseq",
    "t8"."user",
    "t8"."number",
    "t8"."time_us",
    "t8"."credentials",
    "t8"."client",
    "t8"."good",
    "t8"."status",
    "t8"."answered_us",
    "t8"."asked_login",
    SUM(CAST("t8"."asked_login" AS BIGINT)) OVER (
      PARTITION BY "t8"."ip", "t8"."call_id"
      ORDER BY "t8"."time_us" ASC, "t8"."cseq" ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) - CAST("t8"."asked_login" AS BIGINT) AS "challenges"
  FROM (
    SELECT
      "t7"."ip",
      "t7"."agent",
      "t7"."method",
      "t7"."call_id",
      "t7"."cseq",
      "t7"."user",
      "t7"."number",
      "t7"."time_us",
      "t7"."credentials",
      "t7"."client",
      "t7"."good",
      "t7"."status",
      "t7"."answered_us",
      "t7"."status" IN (401, 407) AND NOT (
        "t7"."good"
      ) AS "asked_login"
    FROM (
      SELECT
        "t6"."ip",
        "t6"."agent",
        "t6"."method",
        "t6"."call_id",
        "t6"."cseq",
        MIN("t6"."user") AS "user",
        MIN("t6"."user_uri") AS "number",
        MIN("t6"."time_us") AS "time_us",
        BOOL_OR(CAST(COALESCE("t6"."authorization", FALSE) AS BOOLEAN)) AS "credentials",
        MIN("t6"."client") AS "client",
        BOOL_OR(CAST("t6"."good" AS BOOLEAN)) AS "good",
        MAX("t6"."status_right") AS "status",
        MIN("t6"."answered_us") AS "answered_us"
      FROM (
        SELECT
          "t3"."time_us",
          "t3"."end_us",
          "t3"."input",
          "t3"."kind",
          "t3"."action",
          "t3"."enforced",
          "t3"."messages",
          "t3"."ip",
          "t3"."port",
          "t3"."transport",
          "t3"."type",
          "t3"."method",
          "t3"."status",
          "t3"."uri",
          "t3"."from_uri",
          "t3"."to_uri",
          "t3"."call_id",
          "t3"."cseq",
          "t3"."agent",
          "t3"."authorization",
          "t3"."bytes",
          "t3"."field",
          "t3"."excerpt",
          "t3"."findings",
          "t3"."indicators",
          "t3"."client",
          "t3"."home",
          "t3"."user_to",
          "t3"."user_from",
          "t3"."user_uri",
          "t3"."minute",
          "t3"."user",
          "t5"."good",
          "t5"."status" AS "status_right",
          "t5"."answered_us"
        FROM (
          SELECT
            "t0"."time_us",
            "t0"."end_us",
            "t0"."input",
            "t0"."kind",
            "t0"."action",
            "t0"."enforced",
            "t0"."messages",
            COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
            "t0"."port",
            "t0"."transport",
            "t0"."type",
            COALESCE("t0"."method", '') AS "method",
            "t0"."status",
            "t0"."uri",
            "t0"."from_uri",
            "t0"."to_uri",
            "t0"."call_id",
            COALESCE("t0"."cseq", '') AS "cseq",
            COALESCE("t0"."agent", '') AS "agent",
            "t0"."authorization",
            "t0"."bytes",
            "t0"."field",
            "t0"."excerpt",
            "t0"."findings",
            "t0"."indicators",
            "t0"."client",
            "t0"."home",
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
            NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
            COALESCE(
              NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
              NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
            ) AS "user_uri",
            CAST(FLOOR((
              "t0"."time_us"
            ) / (
              60000000
            )) AS BIGINT) AS "minute",
            CASE
              WHEN COALESCE("t0"."method", '') = 'REGISTER'
              THEN COALESCE(
                NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
                NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
              )
              ELSE NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
            END AS "user"
          FROM "seen" AS "t0"
          WHERE
            "t0"."kind" IN ('event', 'metric')
            AND (
              (
                "t0"."type" <> 'reply'
              ) OR (
                "t0"."type" IS NULL
              )
            )
            AND COALESCE("t0"."method", '') IN ('INVITE', 'REGISTER', 'SUBSCRIBE', 'MESSAGE')
            AND "t0"."call_id" IS NOT NULL
        ) AS "t3"
        INNER JOIN (
          SELECT
            "t1"."call_id",
            COALESCE("t1"."cseq", '') AS "cseq",
            BOOL_OR(CAST("t1"."status" < 300 AS BOOLEAN)) AS "good",
            MAX("t1"."status") AS "status",
            MIN("t1"."time_us") AS "answered_us"
          FROM (
            SELECT
              *
            FROM "seen" AS "t0"
            WHERE
              "t0"."type" = 'reply'
              AND "t0"."call_id" IS NOT NULL
              AND "t0"."status" >= 200
              AND "t0"."method" IN ('INVITE', 'REGISTER', 'SUBSCRIBE', 'MESSAGE')
          ) AS "t1"
          GROUP BY
            1,
            2
        ) AS "t5"
          ON "t3"."call_id" = "t5"."call_id" AND "t3"."cseq" = "t5"."cseq"
      ) AS "t6"
      GROUP BY
        1,
        2,
        3,
        4,
        5
    ) AS "t7"
  ) AS "t8"
) AS "t9"

-- exchanges_exact
SELECT
  "t9"."ip",
  "t9"."agent",
  "t9"."method",
  "t9"."call_id",
  "t9"."cseq",
  "t9"."user",
  "t9"."number",
  "t9"."time_us",
  "t9"."credentials",
  "t9"."client",
  "t9"."good",
  "t9"."status",
  "t9"."answered_us",
  "t9"."asked_login",
  "t9"."challenges",
  "t9"."credentials" AND NOT (
    "t9"."good"
  ) AND "t9"."status" IN (401, 403, 407) AS "refused_login",
  "t9"."credentials" AND (
    "t9"."challenges" > 0
  ) AS "returned"
FROM (
  SELECT
    "t8"."ip",
    "t8"."agent",
    "t8"."method",
    "t8"."call_id",
    "t8"."cseq",
    "t8"."user",
    "t8"."number",
    "t8"."time_us",
    "t8"."credentials",
    "t8"."client",
    "t8"."good",
    "t8"."status",
    "t8"."answered_us",
    "t8"."asked_login",
    SUM(CAST("t8"."asked_login" AS BIGINT)) OVER (
      PARTITION BY "t8"."ip", "t8"."call_id"
      ORDER BY "t8"."time_us" ASC, "t8"."cseq" ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) - CAST("t8"."asked_login" AS BIGINT) AS "challenges"
  FROM (
    SELECT
      "t7"."ip",
      "t7"."agent",
      "t7"."method",
      "t7"."call_id",
      "t7"."cseq",
      "t7"."user",
      "t7"."number",
      "t7"."time_us",
      "t7"."credentials",
      "t7"."client",
      "t7"."good",
      "t7"."status",
      "t7"."answered_us",
      "t7"."status" IN (401, 407) AND NOT (
        "t7"."good"
      ) AS "asked_login"
    FROM (
      SELECT
        "t6"."ip",
        "t6"."agent",
        "t6"."method",
        "t6"."call_id",
        "t6"."cseq",
        MIN("t6"."user") AS "user",
        MIN("t6"."user_uri") AS "number",
        MIN("t6"."time_us") AS "time_us",
        BOOL_OR(CAST(COALESCE("t6"."authorization", FALSE) AS BOOLEAN)) AS "credentials",
        MIN("t6"."client") AS "client",
        BOOL_OR(CAST("t6"."good" AS BOOLEAN)) AS "good",
        MAX("t6"."status_right") AS "status",
        MIN("t6"."answered_us") AS "answered_us"
      FROM (
        SELECT
          "t3"."time_us",
          "t3"."end_us",
          "t3"."input",
          "t3"."kind",
          "t3"."action",
          "t3"."enforced",
          "t3"."messages",
          "t3"."ip",
          "t3"."port",
          "t3"."transport",
          "t3"."type",
          "t3"."method",
          "t3"."status",
          "t3"."uri",
          "t3"."from_uri",
          "t3"."to_uri",
          "t3"."call_id",
          "t3"."cseq",
          "t3"."agent",
          "t3"."authorization",
          "t3"."bytes",
          "t3"."field",
          "t3"."excerpt",
          "t3"."findings",
          "t3"."indicators",
          "t3"."client",
          "t3"."home",
          "t3"."user_to",
          "t3"."user_from",
          "t3"."user_uri",
          "t3"."minute",
          "t3"."user",
          "t5"."good",
          "t5"."status" AS "status_right",
          "t5"."answered_us"
        FROM (
          SELECT
            "t0"."time_us",
            "t0"."end_us",
            "t0"."input",
            "t0"."kind",
            "t0"."action",
            "t0"."enforced",
            "t0"."messages",
            COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
            "t0"."port",
            "t0"."transport",
            "t0"."type",
            COALESCE("t0"."method", '') AS "method",
            "t0"."status",
            "t0"."uri",
            "t0"."from_uri",
            "t0"."to_uri",
            "t0"."call_id",
            COALESCE("t0"."cseq", '') AS "cseq",
            COALESCE("t0"."agent", '') AS "agent",
            "t0"."authorization",
            "t0"."bytes",
            "t0"."field",
            "t0"."excerpt",
            "t0"."findings",
            "t0"."indicators",
            "t0"."client",
            "t0"."home",
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
            NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
            COALESCE(
              NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
              NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
            ) AS "user_uri",
            CAST(FLOOR((
              "t0"."time_us"
            ) / (
              60000000
            )) AS BIGINT) AS "minute",
            CASE
              WHEN COALESCE("t0"."method", '') = 'REGISTER'
              THEN COALESCE(
                NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
                NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
              )
              ELSE NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
            END AS "user"
          FROM "seen" AS "t0"
          WHERE
            "t0"."kind" IN ('event', 'metric')
            AND (
              (
                "t0"."type" <> 'reply'
              ) OR (
                "t0"."type" IS NULL
              )
            )
            AND COALESCE("t0"."method", '') IN ('INVITE', 'REGISTER', 'SUBSCRIBE', 'MESSAGE')
            AND "t0"."call_id" IS NOT NULL
        ) AS "t3"
        INNER JOIN (
          SELECT
            "t1"."call_id",
            COALESCE("t1"."cseq", '') AS "cseq",
            BOOL_OR(CAST("t1"."status" < 300 AS BOOLEAN)) AS "good",
            MAX("t1"."status") AS "status",
            MIN("t1"."time_us") AS "answered_us"
          FROM (
            SELECT
              *
            FROM "seen" AS "t0"
            WHERE
              "t0"."type" = 'reply'
              AND "t0"."call_id" IS NOT NULL
              AND "t0"."status" >= 200
              AND "t0"."method" IN ('INVITE', 'REGISTER', 'SUBSCRIBE', 'MESSAGE')
          ) AS "t1"
          GROUP BY
            1,
            2
        ) AS "t5"
          ON "t3"."call_id" = "t5"."call_id" AND "t3"."cseq" = "t5"."cseq"
      ) AS "t6"
      GROUP BY
        1,
        2,
        3,
        4,
        5
    ) AS "t7"
  ) AS "t8"
) AS "t9"

-- answers
SELECT
  "t1"."ip",
  "t1"."agent",
  COUNT(*) AS "answered",
  SUM("t1"."accepted") AS "accepted",
  SUM("t1"."registered") AS "registered",
  SUM("t1"."called") AS "called",
  SUM("t1"."challenged") AS "challenged",
  SUM(GREATEST("t1"."wrong" - "t1"."accepted", 0)) AS "refused_login",
  SUM("t1"."refused") AS "refused",
  SUM(GREATEST("t1"."round_trips" - "t1"."accepted", 0)) AS "round_trips"
FROM (
  SELECT
    "t0"."ip",
    "t0"."agent",
    "t0"."call_id",
    SUM(CAST("t0"."good" AS BIGINT)) AS "accepted",
    SUM(CAST("t0"."good" AND (
      "t0"."method" = 'REGISTER'
    ) AS BIGINT)) AS "registered",
    SUM(CAST("t0"."good" AND (
      "t0"."method" = 'INVITE'
    ) AS BIGINT)) AS "called",
    SUM(CAST("t0"."asked_login" AS BIGINT)) AS "challenged",
    SUM(CAST("t0"."refused_login" AS BIGINT)) AS "wrong",
    SUM(
      CAST(NOT (
        "t0"."good"
      )
      AND NOT (
        "t0"."refused_login"
      )
      AND (
        "t0"."status" >= 400
      )
      AND NOT (
        "t0"."status" IN (401, 407, 408, 480, 486, 487, 491)
      ) AS BIGINT)
    ) AS "refused",
    SUM(CAST("t0"."returned" AND NOT (
      "t0"."good"
    ) AS BIGINT)) AS "round_trips"
  FROM "exchanged" AS "t0"
  GROUP BY
    1,
    2,
    3
) AS "t1"
GROUP BY
  1,
  2

-- logins
WITH "t1" AS (
  SELECT
    *
  FROM "exchanged" AS "t0"
  WHERE
    "t0"."user" IS NOT NULL
    AND "t0"."method" IN ('REGISTER', 'INVITE')
    AND (
      "t0"."refused_login"
      OR (
        "t0"."good" AND (
          "t0"."method" = 'REGISTER'
        )
      )
    )
)
SELECT
  *
FROM (
  SELECT
    "t6"."ip",
    "t6"."user",
    SUM(CAST("t6"."refused_login" AS BIGINT)) AS "wrong",
    SUM(
      CAST("t6"."refused_login"
      AND (
        (
          "t6"."first_right_us" IS NULL
        )
        OR (
          "t6"."time_us" < "t6"."first_right_us"
        )
      ) AS BIGINT)
    ) AS "before",
    SUM(CAST("t6"."good" AS BIGINT)) AS "right",
    COALESCE(MIN("t6"."time_us") FILTER(WHERE
      "t6"."refused_login"), 0) AS "first_wrong_us",
    COALESCE(MIN("t6"."first_right_us"), 0) AS "first_right_us",
    COUNT(DISTINCT "t6"."agent") FILTER(WHERE
      "t6"."refused_login"
      AND (
        (
          "t6"."first_right_us" IS NULL
        )
        OR (
          "t6"."time_us" < "t6"."first_right_us"
        )
      )) AS "agents_wrong",
    COUNT(DISTINCT "t6"."agent") FILTER(WHERE
      (
        "t6"."refused_login"
        AND (
          (
            "t6"."first_right_us" IS NULL
          )
          OR (
            "t6"."time_us" < "t6"."first_right_us"
          )
        )
      )
      OR (
        "t6"."time_us" = "t6"."first_right_us"
      )) AS "agents"
  FROM (
    SELECT
      "t3"."ip",
      "t3"."agent",
      "t3"."method",
      "t3"."call_id",
      "t3"."cseq",
      "t3"."user",
      "t3"."number",
      "t3"."time_us",
      "t3"."credentials",
      "t3"."client",
      "t3"."good",
      "t3"."status",
      "t3"."answered_us",
      "t3"."asked_login",
      "t3"."challenges",
      "t3"."refused_login",
      "t3"."returned",
      "t5"."first_right_us"
    FROM "t1" AS "t3"
    INNER JOIN (
      SELECT
        "t2"."ip",
        "t2"."user",
        MIN("t2"."time_us") FILTER(WHERE
          "t2"."good") AS "first_right_us"
      FROM "t1" AS "t2"
      GROUP BY
        1,
        2
    ) AS "t5"
      ON "t3"."ip" = "t5"."ip" AND "t3"."user" = "t5"."user"
  ) AS "t6"
  GROUP BY
    1,
    2
) AS "t7"
WHERE
  (
    "t7"."wrong" + "t7"."right"
  ) > 0
ORDER BY
  "t7"."wrong" DESC,
  "t7"."right" DESC,
  "t7"."ip" ASC,
  "t7"."user" ASC
LIMIT 20000

-- calls
SELECT
  *
FROM (
  SELECT
    "t2"."ip",
    "t2"."user",
    SUM("t2"."n") AS "messages",
    SUM("t2"."abroad") AS "abroad",
    MIN("t2"."first_us") AS "first_us",
    MAX("t2"."last_us") AS "last_us",
    MAX("t2"."abroad") AS "peak",
    ARRAY_AGG("t2"."numbers") FILTER(WHERE
      "t2"."numbers" IS NOT NULL) AS "numbers"
  FROM (
    SELECT
      "t1"."ip",
      "t1"."user",
      "t1"."hour",
      COUNT(*) AS "n",
      SUM(CAST("t1"."abroad" AS BIGINT)) AS "abroad",
      MIN("t1"."time_us") AS "first_us",
      MAX("t1"."time_us") AS "last_us",
      ARRAY_AGG("t1"."number") FILTER(WHERE
        "t1"."number" IS NOT NULL AND "t1"."abroad") AS "numbers"
    FROM (
      SELECT
        "t0"."ip",
        "t0"."agent",
        "t0"."method",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."user", '') AS "user",
        "t0"."number",
        "t0"."time_us",
        "t0"."credentials",
        "t0"."client",
        "t0"."good",
        "t0"."status",
        "t0"."answered_us",
        "t0"."asked_login",
        "t0"."challenges",
        "t0"."refused_login",
        "t0"."returned",
        REGEXP_MATCHES(
          "t0"."number",
          '^(?:\+|[0-9*#]{0,3}?(?:00|011)[1-9]|[0-9*#]{0,2}?(?:0900|1900|0906|0190|0899))[0-9]{5,}'
        ) AS "abroad",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          3600000000
        )) AS BIGINT) AS "hour"
      FROM "exchanged" AS "t0"
      WHERE
        "t0"."good" AND "t0"."method" = 'INVITE' AND "t0"."number" IS NOT NULL
    ) AS "t1"
    GROUP BY
      1,
      2,
      3
  ) AS "t2"
  GROUP BY
    1,
    2
) AS "t3"
WHERE
  "t3"."abroad" >= 5
ORDER BY
  "t3"."abroad" DESC,
  "t3"."ip" ASC,
  "t3"."user" ASC
LIMIT 20000

-- dialled
SELECT
  "t2"."ip",
  "t2"."user",
  "t2"."number",
  "t2"."calls",
  "t2"."first_us",
  0 AS "answered"
FROM (
  SELECT
    "t1"."ip",
    "t1"."user",
    "t1"."number",
    GREATEST(COUNT(DISTINCT "t1"."call_id"), 1) AS "calls",
    MIN("t1"."time_us") AS "first_us"
  FROM (
    SELECT
      "t0"."time_us",
      "t0"."end_us",
      "t0"."input",
      "t0"."kind",
      "t0"."action",
      "t0"."enforced",
      "t0"."messages",
      COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
      "t0"."port",
      "t0"."transport",
      "t0"."type",
      COALESCE("t0"."method", '') AS "method",
      "t0"."status",
      "t0"."uri",
      "t0"."from_uri",
      "t0"."to_uri",
      "t0"."call_id",
      "t0"."cseq",
      COALESCE("t0"."agent", '') AS "agent",
      "t0"."authorization",
      "t0"."bytes",
      "t0"."field",
      "t0"."excerpt",
      "t0"."findings",
      "t0"."indicators",
      "t0"."client",
      "t0"."home",
      NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
      NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
      COALESCE(
        NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
      ) AS "user_uri",
      CAST(FLOOR((
        "t0"."time_us"
      ) / (
        60000000
      )) AS BIGINT) AS "minute",
      COALESCE(NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), ''), '') AS "user",
      COALESCE(
        NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
      ) AS "number"
    FROM "seen" AS "t0"
    WHERE
      "t0"."kind" IN ('event', 'metric')
      AND (
        (
          "t0"."type" <> 'reply'
        ) OR (
          "t0"."type" IS NULL
        )
      )
      AND COALESCE("t0"."method", '') = 'INVITE'
      AND COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') <> ''
      AND REGEXP_MATCHES(
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ),
        '^[+0-9*#][0-9*#.()\-]{6,31}$'
      )
  ) AS "t1"
  GROUP BY
    1,
    2,
    3
) AS "t2"
ORDER BY
  "t2"."calls" DESC,
  "t2"."ip" ASC,
  "t2"."user" ASC,
  "t2"."number" ASC
LIMIT 200000

-- dialled_answered
SELECT
  *
FROM (
  SELECT
    "t7"."ip",
    "t7"."user",
    "t7"."number",
    "t7"."calls",
    "t7"."first_us",
    COALESCE("t5"."n", 0) AS "answered"
  FROM (
    SELECT
      "t3"."ip",
      "t3"."user",
      "t3"."number",
      GREATEST(COUNT(DISTINCT "t3"."call_id"), 1) AS "calls",
      MIN("t3"."time_us") AS "first_us"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute",
        COALESCE(NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), ''), '') AS "user",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "number"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
        AND COALESCE("t0"."method", '') = 'INVITE'
        AND COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') <> ''
        AND REGEXP_MATCHES(
          COALESCE(
            NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
          ),
          '^[+0-9*#][0-9*#.()\-]{6,31}$'
        )
    ) AS "t3"
    GROUP BY
      1,
      2,
      3
  ) AS "t7"
  LEFT OUTER JOIN (
    SELECT
      "t2"."ip",
      "t2"."user",
      "t2"."number",
      COUNT(DISTINCT "t2"."call_id") AS "n"
    FROM (
      SELECT
        "t1"."ip",
        "t1"."agent",
        "t1"."method",
        "t1"."call_id",
        "t1"."cseq",
        COALESCE("t1"."user", '') AS "user",
        "t1"."number",
        "t1"."time_us",
        "t1"."credentials",
        "t1"."client",
        "t1"."good",
        "t1"."status",
        "t1"."answered_us",
        "t1"."asked_login",
        "t1"."challenges",
        "t1"."refused_login",
        "t1"."returned"
      FROM "exchanged" AS "t1"
      WHERE
        "t1"."good" AND "t1"."method" = 'INVITE' AND "t1"."number" IS NOT NULL
    ) AS "t2"
    GROUP BY
      1,
      2,
      3
  ) AS "t5"
    ON "t7"."ip" = "t5"."ip"
    AND "t7"."user" = "t5"."user"
    AND "t7"."number" = "t5"."number"
) AS "t8"
ORDER BY
  "t8"."calls" DESC,
  "t8"."ip" ASC,
  "t8"."user" ASC,
  "t8"."number" ASC
LIMIT 200000

-- hits
SELECT
  "t6"."ip",
  "t6"."agent",
  "t6"."rule",
  "t6"."family",
  "t6"."place",
  "t6"."method",
  "t6"."text",
  MAX("t6"."score") AS "score",
  SUM("t6"."messages") AS "messages",
  SUM("t6"."received") AS "received",
  MIN("t6"."first_us") AS "first_us",
  MAX("t6"."last_us") AS "last_us",
  BOOL_AND(CAST("t6"."streams" AS BOOLEAN)) AS "streams"
FROM (
  SELECT
    "t5"."ip",
    "t5"."agent",
    "t5"."rule",
    "t5"."family",
    "t5"."place",
    "t5"."method",
    CASE WHEN "t5"."rank" < 12 THEN "t5"."text" ELSE '' END AS "text",
    "t5"."score",
    "t5"."messages",
    "t5"."received",
    "t5"."first_us",
    "t5"."last_us",
    "t5"."streams",
    "t5"."rank"
  FROM (
    SELECT
      "t4"."ip",
      "t4"."agent",
      "t4"."rule",
      "t4"."family",
      "t4"."place",
      "t4"."method",
      "t4"."text",
      "t4"."score",
      "t4"."messages",
      "t4"."received",
      "t4"."first_us",
      "t4"."last_us",
      "t4"."streams",
      ROW_NUMBER() OVER (
        PARTITION BY "t4"."ip", "t4"."agent", "t4"."rule", "t4"."place"
        ORDER BY "t4"."messages" DESC, "t4"."first_us" ASC, "t4"."text" ASC, "t4"."method" ASC, "t4"."family" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) - 1 AS "rank"
    FROM (
      SELECT
        "t3"."ip",
        "t3"."agent",
        "t3"."rule",
        "t3"."family",
        "t3"."place",
        "t3"."method",
        "t3"."text",
        MAX("t3"."score") AS "score",
        SUM("t3"."messages") AS "messages",
        SUM("t3"."reached") AS "received",
        MIN("t3"."time_us") AS "first_us",
        MAX("t3"."time_us") AS "last_us",
        BOOL_AND(CAST("t3"."connected" AS BOOLEAN)) AS "streams"
      FROM (
        SELECT
          "t2"."ip",
          "t2"."agent",
          "t2"."method",
          "t2"."messages",
          "t2"."action",
          "t2"."enforced",
          "t2"."time_us",
          "t2"."transport",
          "t2"."finding",
          "t2"."transport" IN ('tcp', 'tls', 'ws', 'wss') AS "connected",
          "t2"."finding"."rule" AS "rule",
          "t2"."finding"."family" AS "family",
          "t2"."finding"."field" AS "place",
          SUBSTRING(
            "t2"."finding"."excerpt",
            CASE
              WHEN (
                0 + 1
              ) >= 1
              THEN 0 + 1
              ELSE 0 + 1 + LENGTH("t2"."finding"."excerpt")
            END,
            300
          ) AS "text",
          "t2"."finding"."score" AS "score",
          "t2"."messages" * CAST("t2"."action" IN ('allow', 'scrub') OR NOT (
            COALESCE("t2"."enforced", TRUE)
          ) AS BIGINT) AS "reached"
        FROM (
          SELECT
            "t1"."ip",
            "t1"."agent",
            "t1"."method",
            "t1"."messages",
            "t1"."action",
            "t1"."enforced",
            "t1"."time_us",
            "t1"."transport",
            UNNEST("t1"."findings") AS "finding"
          FROM (
            SELECT
              "t0"."time_us",
              "t0"."end_us",
              "t0"."input",
              "t0"."kind",
              "t0"."action",
              "t0"."enforced",
              "t0"."messages",
              COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
              "t0"."port",
              "t0"."transport",
              "t0"."type",
              COALESCE("t0"."method", '') AS "method",
              "t0"."status",
              "t0"."uri",
              "t0"."from_uri",
              "t0"."to_uri",
              "t0"."call_id",
              "t0"."cseq",
              COALESCE("t0"."agent", '') AS "agent",
              "t0"."authorization",
              "t0"."bytes",
              "t0"."field",
              "t0"."excerpt",
              "t0"."findings",
              "t0"."indicators",
              "t0"."client",
              "t0"."home",
              NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
              NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
              COALESCE(
                NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
                NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
              ) AS "user_uri",
              CAST(FLOOR((
                "t0"."time_us"
              ) / (
                60000000
              )) AS BIGINT) AS "minute"
            FROM "seen" AS "t0"
            WHERE
              "t0"."kind" IN ('event', 'metric')
              AND (
                (
                  "t0"."type" <> 'reply'
                ) OR (
                  "t0"."type" IS NULL
                )
              )
              AND ARRAY_LENGTH("t0"."findings") > 0
          ) AS "t1"
        ) AS "t2"
      ) AS "t3"
      GROUP BY
        1,
        2,
        3,
        4,
        5,
        6,
        7
    ) AS "t4"
  ) AS "t5"
) AS "t6"
GROUP BY
  1,
  2,
  3,
  4,
  5,
  6,
  7

-- targets
SELECT
  "t11"."ip",
  "t11"."method",
  "t11"."rank",
  "t11"."user",
  "t11"."n"
FROM (
  SELECT
    "t10"."ip",
    "t10"."method",
    "t10"."user",
    "t10"."n",
    "t10"."named",
    ROW_NUMBER() OVER (
      PARTITION BY "t10"."ip", "t10"."method"
      ORDER BY "t10"."n" DESC, "t10"."user" ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) - 1 AS "rank"
  FROM (
    SELECT
      *
    FROM (
      SELECT
        "t8"."ip",
        "t8"."method",
        "t8"."user",
        SUM("t8"."n") AS "n",
        COUNT("t8"."user") AS "named"
      FROM (
        SELECT
          "t7"."ip",
          "t7"."method",
          "t7"."first",
          "t7"."second",
          "t7"."n",
          COALESCE(
            NULLIF(REGEXP_EXTRACT("t7"."first", '^[A-Za-z]+:([^@>]*)@', 1), ''),
            NULLIF(REGEXP_EXTRACT("t7"."second", '^[A-Za-z]+:([^@>]*)@', 1), '')
          ) AS "user"
        FROM (
          SELECT
            "t6"."ip",
            "t6"."method",
            "t6"."first",
            "t6"."second",
            SUM("t6"."messages") AS "n"
          FROM (
            SELECT
              "t5"."time_us",
              "t5"."end_us",
              "t5"."input",
              "t5"."kind",
              "t5"."action",
              "t5"."enforced",
              "t5"."messages",
              "t5"."ip",
              "t5"."port",
              "t5"."transport",
              "t5"."type",
              "t5"."method",
              "t5"."status",
              "t5"."uri",
              "t5"."from_uri",
              "t5"."to_uri",
              "t5"."call_id",
              "t5"."cseq",
              "t5"."agent",
              "t5"."authorization",
              "t5"."bytes",
              "t5"."field",
              "t5"."excerpt",
              "t5"."findings",
              "t5"."indicators",
              "t5"."client",
              "t5"."home",
              "t5"."user_to",
              "t5"."user_from",
              "t5"."user_uri",
              "t5"."minute",
              CASE WHEN "t5"."method" = 'REGISTER' THEN "t5"."to_uri" ELSE "t5"."uri" END AS "first",
              CASE WHEN "t5"."method" = 'REGISTER' THEN "t5"."from_uri" ELSE "t5"."to_uri" END AS "second"
            FROM (
              SELECT
                "t4"."time_us",
                "t4"."end_us",
                "t4"."input",
                "t4"."kind",
                "t4"."action",
                "t4"."enforced",
                "t4"."messages",
                "t4"."ip",
                "t4"."port",
                "t4"."transport",
                "t4"."type",
                "t4"."method",
                "t4"."status",
                "t4"."uri",
                "t4"."from_uri",
                "t4"."to_uri",
                "t4"."call_id",
                "t4"."cseq",
                "t4"."agent",
                "t4"."authorization",
                "t4"."bytes",
                "t4"."field",
                "t4"."excerpt",
                "t4"."findings",
                "t4"."indicators",
                "t4"."client",
                "t4"."home",
                "t4"."user_to",
                "t4"."user_from",
                "t4"."user_uri",
                "t4"."minute"
              FROM (
                SELECT
                  "t0"."time_us",
                  "t0"."end_us",
                  "t0"."input",
                  "t0"."kind",
                  "t0"."action",
                  "t0"."enforced",
                  "t0"."messages",
                  COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
                  "t0"."port",
                  "t0"."transport",
                  "t0"."type",
                  COALESCE("t0"."method", '') AS "method",
                  "t0"."status",
                  "t0"."uri",
                  "t0"."from_uri",
                  "t0"."to_uri",
                  "t0"."call_id",
                  "t0"."cseq",
                  COALESCE("t0"."agent", '') AS "agent",
                  "t0"."authorization",
                  "t0"."bytes",
                  "t0"."field",
                  "t0"."excerpt",
                  "t0"."findings",
                  "t0"."indicators",
                  "t0"."client",
                  "t0"."home",
                  NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
                  NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
                  COALESCE(
                    NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
                    NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
                  ) AS "user_uri",
                  CAST(FLOOR((
                    "t0"."time_us"
                  ) / (
                    60000000
                  )) AS BIGINT) AS "minute"
                FROM "seen" AS "t0"
                WHERE
                  "t0"."kind" IN ('event', 'metric')
                  AND (
                    (
                      "t0"."type" <> 'reply'
                    ) OR (
                      "t0"."type" IS NULL
                    )
                  )
              ) AS "t4"
              SEMI JOIN "chosen_ips" AS "t2"
                ON "t4"."ip" = "t2"."ip"
            ) AS "t5"
          ) AS "t6"
          GROUP BY
            1,
            2,
            3,
            4
        ) AS "t7"
      ) AS "t8"
      GROUP BY
        1,
        2,
        3
    ) AS "t9"
    WHERE
      "t9"."named" > 0
  ) AS "t10"
) AS "t11"
WHERE
  "t11"."rank" < 512
ORDER BY
  "t11"."ip" ASC,
  "t11"."method" ASC,
  "t11"."rank" ASC

-- ports
SELECT
  "t8"."ip",
  "t8"."rank",
  "t8"."port",
  "t8"."method",
  "t8"."n"
FROM (
  SELECT
    "t7"."ip",
    "t7"."port",
    "t7"."method",
    "t7"."n",
    ROW_NUMBER() OVER (
      PARTITION BY "t7"."ip"
      ORDER BY "t7"."n" DESC, "t7"."port" ASC, "t7"."method" ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) - 1 AS "rank"
  FROM (
    SELECT
      "t6"."ip",
      "t6"."port",
      "t6"."method",
      SUM("t6"."messages") AS "n"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t4"."time_us",
          "t4"."end_us",
          "t4"."input",
          "t4"."kind",
          "t4"."action",
          "t4"."enforced",
          "t4"."messages",
          "t4"."ip",
          "t4"."port",
          "t4"."transport",
          "t4"."type",
          "t4"."method",
          "t4"."status",
          "t4"."uri",
          "t4"."from_uri",
          "t4"."to_uri",
          "t4"."call_id",
          "t4"."cseq",
          "t4"."agent",
          "t4"."authorization",
          "t4"."bytes",
          "t4"."field",
          "t4"."excerpt",
          "t4"."findings",
          "t4"."indicators",
          "t4"."client",
          "t4"."home",
          "t4"."user_to",
          "t4"."user_from",
          "t4"."user_uri",
          "t4"."minute"
        FROM (
          SELECT
            "t0"."time_us",
            "t0"."end_us",
            "t0"."input",
            "t0"."kind",
            "t0"."action",
            "t0"."enforced",
            "t0"."messages",
            COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
            "t0"."port",
            "t0"."transport",
            "t0"."type",
            COALESCE("t0"."method", '') AS "method",
            "t0"."status",
            "t0"."uri",
            "t0"."from_uri",
            "t0"."to_uri",
            "t0"."call_id",
            "t0"."cseq",
            COALESCE("t0"."agent", '') AS "agent",
            "t0"."authorization",
            "t0"."bytes",
            "t0"."field",
            "t0"."excerpt",
            "t0"."findings",
            "t0"."indicators",
            "t0"."client",
            "t0"."home",
            NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
            NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
            COALESCE(
              NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
              NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
            ) AS "user_uri",
            CAST(FLOOR((
              "t0"."time_us"
            ) / (
              60000000
            )) AS BIGINT) AS "minute"
          FROM "seen" AS "t0"
          WHERE
            "t0"."kind" IN ('event', 'metric')
            AND (
              (
                "t0"."type" <> 'reply'
              ) OR (
                "t0"."type" IS NULL
              )
            )
        ) AS "t4"
        SEMI JOIN "chosen_ips" AS "t2"
          ON "t4"."ip" = "t2"."ip"
      ) AS "t5"
      WHERE
        "t5"."port" IS NOT NULL
    ) AS "t6"
    GROUP BY
      1,
      2,
      3
  ) AS "t7"
) AS "t8"
WHERE
  "t8"."rank" < 256
ORDER BY
  "t8"."ip" ASC,
  "t8"."rank" ASC

-- hours
SELECT
  *
FROM (
  SELECT
    "t5"."ip",
    CAST(FLOOR((
      "t5"."time_us"
    ) / (
      3600000000
    )) AS BIGINT) AS "step",
    SUM("t5"."messages") AS "n"
  FROM (
    SELECT
      "t4"."time_us",
      "t4"."end_us",
      "t4"."input",
      "t4"."kind",
      "t4"."action",
      "t4"."enforced",
      "t4"."messages",
      "t4"."ip",
      "t4"."port",
      "t4"."transport",
      "t4"."type",
      "t4"."method",
      "t4"."status",
      "t4"."uri",
      "t4"."from_uri",
      "t4"."to_uri",
      "t4"."call_id",
      "t4"."cseq",
      "t4"."agent",
      "t4"."authorization",
      "t4"."bytes",
      "t4"."field",
      "t4"."excerpt",
      "t4"."findings",
      "t4"."indicators",
      "t4"."client",
      "t4"."home",
      "t4"."user_to",
      "t4"."user_from",
      "t4"."user_uri",
      "t4"."minute"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
    ) AS "t4"
    SEMI JOIN "chosen_ips" AS "t2"
      ON "t4"."ip" = "t2"."ip"
  ) AS "t5"
  GROUP BY
    1,
    2
) AS "t6"
ORDER BY
  "t6"."ip" ASC,
  "t6"."step" ASC

-- busiest
SELECT
  MAX("t6"."n") AS "n"
FROM (
  SELECT
    CAST(FLOOR((
      "t5"."time_us"
    ) / (
      60000000
    )) AS BIGINT) AS "step",
    SUM("t5"."messages") AS "n"
  FROM (
    SELECT
      "t4"."time_us",
      "t4"."end_us",
      "t4"."input",
      "t4"."kind",
      "t4"."action",
      "t4"."enforced",
      "t4"."messages",
      "t4"."ip",
      "t4"."port",
      "t4"."transport",
      "t4"."type",
      "t4"."method",
      "t4"."status",
      "t4"."uri",
      "t4"."from_uri",
      "t4"."to_uri",
      "t4"."call_id",
      "t4"."cseq",
      "t4"."agent",
      "t4"."authorization",
      "t4"."bytes",
      "t4"."field",
      "t4"."excerpt",
      "t4"."findings",
      "t4"."indicators",
      "t4"."client",
      "t4"."home",
      "t4"."user_to",
      "t4"."user_from",
      "t4"."user_uri",
      "t4"."minute"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
    ) AS "t4"
    SEMI JOIN "chosen_ips" AS "t2"
      ON "t4"."ip" = "t2"."ip"
  ) AS "t5"
  GROUP BY
    1
) AS "t6"

-- homes
SELECT
  "t6"."ip",
  FIRST("t6"."home" ORDER BY "t6"."time_us" DESC) AS "home"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t4"."time_us",
      "t4"."end_us",
      "t4"."input",
      "t4"."kind",
      "t4"."action",
      "t4"."enforced",
      "t4"."messages",
      "t4"."ip",
      "t4"."port",
      "t4"."transport",
      "t4"."type",
      "t4"."method",
      "t4"."status",
      "t4"."uri",
      "t4"."from_uri",
      "t4"."to_uri",
      "t4"."call_id",
      "t4"."cseq",
      "t4"."agent",
      "t4"."authorization",
      "t4"."bytes",
      "t4"."field",
      "t4"."excerpt",
      "t4"."findings",
      "t4"."indicators",
      "t4"."client",
      "t4"."home",
      "t4"."user_to",
      "t4"."user_from",
      "t4"."user_uri",
      "t4"."minute"
    FROM (
      SELECT
        "t0"."time_us",
        "t0"."end_us",
        "t0"."input",
        "t0"."kind",
        "t0"."action",
        "t0"."enforced",
        "t0"."messages",
        COALESCE(NULLIF("t0"."ip", '0.0.0.0'), '') AS "ip",
        "t0"."port",
        "t0"."transport",
        "t0"."type",
        COALESCE("t0"."method", '') AS "method",
        "t0"."status",
        "t0"."uri",
        "t0"."from_uri",
        "t0"."to_uri",
        "t0"."call_id",
        "t0"."cseq",
        COALESCE("t0"."agent", '') AS "agent",
        "t0"."authorization",
        "t0"."bytes",
        "t0"."field",
        "t0"."excerpt",
        "t0"."findings",
        "t0"."indicators",
        "t0"."client",
        "t0"."home",
        NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_to",
        NULLIF(REGEXP_EXTRACT("t0"."from_uri", '^[A-Za-z]+:([^@>]*)@', 1), '') AS "user_from",
        COALESCE(
          NULLIF(REGEXP_EXTRACT("t0"."uri", '^[A-Za-z]+:([^@>]*)@', 1), ''),
          NULLIF(REGEXP_EXTRACT("t0"."to_uri", '^[A-Za-z]+:([^@>]*)@', 1), '')
        ) AS "user_uri",
        CAST(FLOOR((
          "t0"."time_us"
        ) / (
          60000000
        )) AS BIGINT) AS "minute"
      FROM "seen" AS "t0"
      WHERE
        "t0"."kind" IN ('event', 'metric')
        AND (
          (
            "t0"."type" <> 'reply'
          ) OR (
            "t0"."type" IS NULL
          )
        )
    ) AS "t4"
    SEMI JOIN "chosen_ips" AS "t2"
      ON "t4"."ip" = "t2"."ip"
  ) AS "t5"
  WHERE
    "t5"."home" IS NOT NULL
) AS "t6"
GROUP BY
  1

-- indicators
SELECT
  *
FROM (
  SELECT
    *
  FROM (
    SELECT
      COALESCE("t1"."ip", '') AS "ip",
      "t1"."indicators" AS "text",
      SUM("t1"."messages") AS "n",
      MIN("t1"."time_us") AS "first_us",
      MAX("t1"."time_us") AS "last_us"
    FROM (
      SELECT
        *
      FROM "seen" AS "t0"
      WHERE
        "t0"."indicators" IS NOT NULL
    ) AS "t1"
    GROUP BY
      1,
      2
  ) AS "t2"
  ORDER BY
    "t2"."n" DESC,
    "t2"."text" ASC,
    "t2"."ip" ASC
  LIMIT 10000
) AS "t4"
