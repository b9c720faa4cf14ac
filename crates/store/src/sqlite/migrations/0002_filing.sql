-- What lists need of a log, filed for hundreds of logs at once (see filing.rs). An index entry costs a commit the whole
-- page that it stands on, and with many tenants that is a page for every one of them. The logs whose ids are above the
-- highest here are not filed yet: they stand in no list, and no minute counts them.
CREATE TABLE filed_logs (
    id          INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    score       INTEGER NOT NULL,
    resolved_at INTEGER
) STRICT;

INSERT INTO filed_logs SELECT id, tenant, score, resolved_at FROM logs ORDER BY id;

DROP INDEX logs_of_tenant;
DROP INDEX logs_active;
DROP INDEX logs_resolved;

-- Every index ends in the row number, so each of these lists a tenant's logs by age.
CREATE INDEX filed_of_tenant ON filed_logs (tenant);
CREATE INDEX filed_active ON filed_logs (tenant) WHERE score >= 20 AND resolved_at IS NULL;
CREATE INDEX filed_resolved ON filed_logs (tenant) WHERE resolved_at IS NOT NULL;
