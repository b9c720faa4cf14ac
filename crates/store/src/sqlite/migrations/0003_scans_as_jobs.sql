-- A scan is remembered from the moment it is asked for. Small columns first: a list needn't follow the overflow pages.
CREATE TABLE new_scans (
    id               INTEGER PRIMARY KEY,
    tenant           INTEGER NOT NULL REFERENCES tenants (id),
    -- queued, running, done, failed or cancelled
    status           TEXT NOT NULL,
    -- How often the scan was started; one that ends the process each time must end too.
    attempts         INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    duration_ms      INTEGER NOT NULL,
    engine           TEXT,
    total_scanned    INTEGER,
    threats_detected INTEGER,
    threshold_used   REAL,
    -- How many rows its answer shows.
    shown_rows       INTEGER NOT NULL,
    filename         TEXT NOT NULL,
    baseline         TEXT,
    -- Why it failed.
    error            TEXT,
    -- What was asked for, as JSON; NULL for scans from before this version, which have ended.
    options          TEXT,
    -- The report as JSON without its flagged rows.
    report           TEXT
) STRICT;

INSERT INTO new_scans
SELECT id, tenant, 'done', 1, finished_at, finished_at, duration_ms, engine, total_scanned, threats_detected,
       threshold_used, json_array_length(report, '$.threats'), filename, NULL, NULL, NULL,
       json_set(report, '$.threats', json('[]'))
FROM scans;

-- The flagged rows of a scan, the highest score first. They count once their scan is done: what a process left behind
-- that was killed before is removed at the next start.
CREATE TABLE scan_threats (
    scan   INTEGER NOT NULL,
    rank   INTEGER NOT NULL,
    threat TEXT NOT NULL,
    PRIMARY KEY (scan, rank)
) STRICT, WITHOUT ROWID;

INSERT INTO scan_threats
SELECT scans.id, threat.key, threat.value FROM scans, json_each(scans.report, '$.threats') AS threat;

DROP TABLE scans;
ALTER TABLE new_scans RENAME TO scans;

CREATE INDEX scans_of_tenant ON scans (tenant);
CREATE INDEX scans_unfinished ON scans (status) WHERE status IN ('queued', 'running');

CREATE TABLE baselines (
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    filename   TEXT NOT NULL,
    bytes      BLOB NOT NULL,
    UNIQUE (tenant, name)
) STRICT;
