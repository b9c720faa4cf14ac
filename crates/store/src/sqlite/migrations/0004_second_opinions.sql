-- When a model is to be asked about a tenant's entries.
ALTER TABLE tenants ADD COLUMN ask TEXT NOT NULL DEFAULT 'always';

-- Requests to a language model, byte for byte, and what came of them. Large columns last.
CREATE TABLE exchanges (
    id          BLOB PRIMARY KEY NOT NULL,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    asked_at    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    tokens      INTEGER NOT NULL,
    nano_usd    INTEGER NOT NULL,
    model       TEXT,
    failure     TEXT,
    url         TEXT NOT NULL,
    sent        TEXT NOT NULL,
    answer      TEXT
) STRICT;

-- What a model said of a question, as JSON: it answers the same question again until it expires.
CREATE TABLE verdicts (
    tenant     INTEGER NOT NULL,
    key        BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    verdict    TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;

CREATE INDEX verdicts_by_expiry ON verdicts (expires_at);

-- What a tenant's exchanges of a day have cost; days since 1970, in UTC.
CREATE TABLE spends (
    tenant   INTEGER NOT NULL,
    day      INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;
