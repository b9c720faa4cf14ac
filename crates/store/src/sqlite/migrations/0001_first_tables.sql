-- Ids are row numbers (see row_id.rs): seconds << 24 | counter, with the same origin for the whole database.

-- What the database knows about itself: 'origin', and 'id_lead_s', how far ids ever ran ahead of the time of receipt.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id         INTEGER PRIMARY KEY,
    username   TEXT NOT NULL,
    folded     TEXT NOT NULL UNIQUE,
    plan       TEXT NOT NULL,
    password   TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    hash       BLOB PRIMARY KEY,
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Small columns first: a filter then needn't follow the overflow pages of a long message.
CREATE TABLE logs (
    id             INTEGER PRIMARY KEY,
    tenant         INTEGER NOT NULL REFERENCES tenants (id),
    received_at    INTEGER NOT NULL,
    resolved_at    INTEGER,
    timestamp      INTEGER,
    event_id       INTEGER NOT NULL,
    score          INTEGER NOT NULL,
    category       TEXT NOT NULL,
    severity_level TEXT NOT NULL,
    source         TEXT NOT NULL,
    message        TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    -- The analysis as JSON with its summary left empty; the summary stands here, where a search can read it.
    summary        TEXT NOT NULL,
    analysis       TEXT NOT NULL
) STRICT;

-- Every index ends in the row number, so each of these lists a tenant's logs by age.
CREATE INDEX logs_of_tenant ON logs (tenant);
CREATE INDEX logs_active ON logs (tenant) WHERE score >= 20 AND resolved_at IS NULL;
CREATE INDEX logs_resolved ON logs (tenant) WHERE resolved_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    log    INTEGER PRIMARY KEY REFERENCES logs (id) ON DELETE CASCADE,
    tenant INTEGER NOT NULL,
    key    TEXT NOT NULL,
    UNIQUE (tenant, key)
) STRICT;

CREATE TABLE minute_counts (
    tenant    INTEGER NOT NULL,
    minute    INTEGER NOT NULL,
    events    INTEGER NOT NULL,
    threats   INTEGER NOT NULL,
    max_score INTEGER NOT NULL,
    PRIMARY KEY (tenant, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE scans (
    id               INTEGER PRIMARY KEY,
    tenant           INTEGER NOT NULL REFERENCES tenants (id),
    finished_at      INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL,
    engine           TEXT NOT NULL,
    total_scanned    INTEGER NOT NULL,
    threats_detected INTEGER NOT NULL,
    threshold_used   REAL NOT NULL,
    filename         TEXT NOT NULL,
    -- The whole report as JSON.
    report           TEXT NOT NULL
) STRICT;

CREATE INDEX scans_of_tenant ON scans (tenant);
