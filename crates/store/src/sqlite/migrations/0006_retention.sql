-- The exchanges of a tenant are removed by their age.
CREATE INDEX exchanges_by_age ON exchanges (tenant, asked_at);
