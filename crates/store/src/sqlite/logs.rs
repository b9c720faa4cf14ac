//! Logs: recorded once, listed newest first, resolved, raised by an opinion that came late, otherwise never changed.

use std::{borrow::Cow, fmt::Write, sync::Arc};

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};
use sentinelflow_domain::{
    analysis::{Analysis, Score},
    log_entry::{LogEntry, Message, Metadata, Source},
    store::{IdempotencyKey, LogFilter, LogRecord, NewLog, Page, Recorded, StatusFilter},
    tenant::TenantId,
    time::Timestamp,
};

use super::{
    errors::damaged,
    filing::{self, NEWEST_FILED},
    row_id::{Origins, second_of},
    writer::Batch,
};

/// How long a retry is recognised, at least.
const IDEMPOTENCY_HOURS: u32 = 24;

pub(super) const INSERT: &str =
    "INSERT INTO logs (id, tenant, received_at, timestamp, event_id, score, category, severity_level,
                       source, message, metadata, summary, analysis)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A log ready to be written.
pub(super) struct LogRow {
    tenant: i64,
    received_at: Timestamp,
    entry: LogEntry,
    analysis: AnalysisColumns,
}

/// What a log's row says of its analysis. It is already text, so that the one writing thread needn't make it.
pub(super) struct AnalysisColumns {
    score: Score,
    category: &'static str,
    summary: Cow<'static, str>,
    json: String,
}

impl AnalysisColumns {
    pub(super) fn new(analysis: &Analysis) -> Self {
        let mut json = Vec::with_capacity(1024);
        serde_json::to_writer(&mut json, analysis).expect("an analysis is plain data");
        Self {
            score: analysis.score,
            category: analysis.category.as_str(),
            summary: analysis.summary.clone(),
            json: String::from_utf8(json).expect("JSON is text"),
        }
    }
}

impl LogRow {
    pub(super) fn new(tenant: i64, log: NewLog) -> (Self, Option<IdempotencyKey>) {
        let NewLog { tenant: _, entry, analysis, received_at, idempotency_key } = log;
        let analysis = AnalysisColumns::new(&analysis);
        (Self { tenant, received_at, entry, analysis }, idempotency_key)
    }

    /// Adds the log and returns its row.
    pub(super) fn insert(&self, batch: &mut Batch<'_>) -> rusqlite::Result<i64> {
        let id = batch.mint(self.received_at);
        batch.insert_log()?.execute(params![
            id,
            self.tenant,
            self.received_at.as_millis(),
            self.entry.timestamp.map(Timestamp::as_millis),
            self.entry.event_id,
            self.analysis.score.value(),
            self.analysis.category,
            self.entry.severity_level.as_str(),
            self.entry.source.as_str(),
            self.entry.message.as_str(),
            self.entry.metadata.as_str(),
            self.analysis.summary,
            self.analysis.json,
        ])?;
        batch.unfiled.add_one();
        Ok(id)
    }

    /// Adds the log unless the tenant has used the key before.
    pub(super) fn insert_once(
        &self,
        batch: &mut Batch<'_>,
        key: &IdempotencyKey,
    ) -> rusqlite::Result<Recorded> {
        let connection = batch.connection;
        if let Some(record) = recorded_under(connection, batch.origins(), self.tenant, key)? {
            let is_same = record.entry == self.entry;
            return Ok(if is_same {
                Recorded::Before(Box::new(record))
            } else {
                Recorded::KeyOfAnotherEntry
            });
        }
        let id = self.insert(batch)?;
        connection
            .prepare_cached("INSERT INTO idempotency_keys (log, tenant, key) VALUES (?, ?, ?)")?
            .execute(params![id, self.tenant, key.as_str()])?;
        // Each new key makes room for itself and one more, so the table can't outgrow a day's keys for long.
        let expired = batch
            .origins()
            .first_row_of(second_of(self.received_at).saturating_sub(IDEMPOTENCY_HOURS * 3600));
        connection
            .prepare_cached(
                "DELETE FROM idempotency_keys WHERE log IN
                     (SELECT log FROM idempotency_keys WHERE log < ? ORDER BY log LIMIT 2)",
            )?
            .execute([expired])?;
        Ok(Recorded::New(batch.origins().id(id)))
    }
}

/// Returns the tenant's log that was recorded under a key.
pub(super) fn recorded_under(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    key: &IdempotencyKey,
) -> rusqlite::Result<Option<LogRecord>> {
    let before = connection
        .prepare_cached("SELECT log FROM idempotency_keys WHERE tenant = ? AND key = ?")?
        .query_row(params![tenant, key.as_str()], |row| row.get::<_, i64>(0))
        .optional()?;
    before.map_or(Ok(None), |id| find(connection, origins, tenant, id))
}

/// Puts an analysis in the place of that of the tenant's log; `false` if there is no such log or its score is higher.
pub(super) fn add_opinion(
    connection: &Connection,
    tenant: i64,
    id: i64,
    analysis: &AnalysisColumns,
) -> rusqlite::Result<bool> {
    let AnalysisColumns { score, category, summary, json } = analysis;
    let changed = connection
        .prepare_cached(
            "UPDATE logs SET score = ?1, category = ?2, summary = ?3, analysis = ?4
             WHERE id = ?5 AND tenant = ?6 AND score <= ?1",
        )?
        .execute(params![score.value(), category, summary, json, id, tenant])?;
    if changed == 0 {
        return Ok(false);
    }
    filing::raise(connection, id, *score)?;
    Ok(true)
}

/// Marks a log as resolved, only `owner`'s if one is given, and returns when that first happened.
pub(super) fn resolve(
    connection: &Connection,
    owner: Option<i64>,
    id: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let stored: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT tenant, resolved_at FROM logs WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((tenant, resolved_at)) = stored else { return Ok(None) };
    if owner.is_some_and(|owner| owner != tenant) {
        return Ok(None);
    }
    if let Some(resolved_at) = resolved_at {
        return Ok(Some(Timestamp::from_millis(resolved_at)));
    }
    // A log that is not filed yet will be filed as it is then.
    for update in
        ["UPDATE logs SET resolved_at = ? WHERE id = ?", "UPDATE filed_logs SET resolved_at = ? WHERE id = ?"]
    {
        connection.prepare_cached(update)?.execute([now.as_millis(), id])?;
    }
    Ok(Some(now))
}

const COLUMNS: &str = "logs.id, received_at, logs.resolved_at, timestamp, event_id, severity_level, \
                       source, message, metadata, summary, analysis";

pub(super) fn find(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    id: i64,
) -> rusqlite::Result<Option<LogRecord>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM logs WHERE id = ? AND tenant = ?"))?
        .query_row([id, tenant], |row| record(origins, row))
        .optional()
}

pub(super) fn recent(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    filter: &LogFilter,
) -> rusqlite::Result<Page<LogRecord>> {
    let most = filter.limit.saturating_add(1);
    // One snapshot for both, so that no log is filed in between.
    let snapshot = connection.unchecked_transaction()?;
    let mut items = Vec::new();
    for part in [Part::Unfiled, Part::Filed] {
        if items.len() < most {
            let Query { sql, values } = query(part, origins, tenant, filter, most - items.len());
            let mut select = snapshot.prepare_cached(&sql)?;
            for row in select.query_map(params_from_iter(values), |row| record(origins, row))? {
                items.push(row?);
            }
        }
    }
    let has_more = items.len() > filter.limit;
    items.truncate(filter.limit);
    let next = items.last().filter(|_| has_more).map(|last| last.id);
    Ok(Page { items, next })
}

/// Which of a tenant's logs a query walks: those that are not filed are the newest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Unfiled,
    Filed,
}

/// Once threats hold so much text, the next page begins: whoever reads them may be slow and hold many.
const THREATS_PAGE_BYTES: usize = 256 * 1024;

/// Returns a page of the tenant's threats in the rows above `after`, oldest first.
pub(super) fn threats_after(
    connection: &Connection,
    origins: &Origins,
    tenant: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Page<LogRecord>> {
    let snapshot = connection.unchecked_transaction()?;
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut select = snapshot.prepare_cached(&threats_query())?;
    let rows = select.query_map([tenant, after, most], |row| row.get(0))?;
    let rows: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    for row in rows.iter().take(limit) {
        if bytes >= THREATS_PAGE_BYTES {
            break;
        }
        if let Some(log) = find(&snapshot, origins, tenant, *row)? {
            bytes += log.entry.message.as_str().len() + log.entry.metadata.as_str().len();
            items.push(log);
        }
    }
    let has_more = items.len() < rows.len();
    let next = items.last().filter(|_| has_more).map(|last| last.id);
    Ok(Page { items, next })
}

/// Merges three lists that each stand in order: of what is filed the active and the resolved threats, and what is not.
fn threats_query() -> String {
    format!(
        "SELECT id FROM filed_logs INDEXED BY filed_active
         WHERE tenant = ?1 AND score >= 20 AND resolved_at IS NULL AND id > ?2
         UNION ALL
         SELECT id FROM filed_logs INDEXED BY filed_resolved
         WHERE tenant = ?1 AND score >= 20 AND resolved_at IS NOT NULL AND id > ?2
         UNION ALL
         SELECT id FROM logs WHERE tenant = ?1 AND score >= 20 AND id > max({NEWEST_FILED}, ?2)
         ORDER BY id LIMIT ?3"
    )
}

/// So many logs are replayed at once: each may be large.
const REPLAY_PAGE: i64 = 200;

/// Returns a page of all tenants' logs behind `after`; without it the beginning of the newest since a moment.
pub(super) fn replay(
    connection: &Connection,
    origins: &Origins,
    since: Timestamp,
    newest: usize,
    after: Option<i64>,
) -> rusqlite::Result<Vec<(TenantId, LogRecord)>> {
    let after = match after {
        Some(after) => after,
        None => connection
            .query_row(
                "SELECT id FROM logs ORDER BY id DESC LIMIT 1 OFFSET ?",
                [i64::try_from(newest).unwrap_or(i64::MAX)],
                |row| row.get(0),
            )
            .optional()?
            .unwrap_or(i64::MIN),
    };
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, tenant FROM logs WHERE id > ? AND id >= ? AND received_at >= ? ORDER BY id LIMIT ?"
    ))?;
    let bounds = params![after, origins.first_row_of(second_of(since)), since.as_millis(), REPLAY_PAGE];
    let rows = select.query_map(bounds, |row| Ok((origins.id(row.get("tenant")?), record(origins, row)?)))?;
    rows.collect()
}

pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Query {
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.push(value.into());
    }
}

/// Returns the query for the newest logs of a part that pass the filter, at most so many.
pub(super) fn query(part: Part, origins: &Origins, tenant: i64, filter: &LogFilter, most: usize) -> Query {
    let (index, status) = match filter.status {
        StatusFilter::Active => ("filed_active", " AND list.score >= 20 AND list.resolved_at IS NULL"),
        StatusFilter::Resolved => ("filed_resolved", " AND list.resolved_at IS NOT NULL"),
        StatusFilter::All => ("filed_of_tenant", ""),
    };
    let (list, from) = match part {
        Part::Unfiled => ("logs", "logs".to_owned()),
        Part::Filed => ("filed_logs", format!("filed_logs INDEXED BY {index} CROSS JOIN logs USING (id)")),
    };
    let status = status.replace("list", list);
    let sql = format!("SELECT {COLUMNS} FROM {from} WHERE {list}.tenant = ?{status}");
    let mut query = Query { sql, values: vec![Value::Integer(tenant)] };
    if let Part::Unfiled = part {
        query.sql.push_str(" AND logs.id > ");
        query.sql.push_str(NEWEST_FILED);
    }
    if let Some(before) = filter.before {
        query.and(&format!("{list}.id < ?"), origins.rows_before(before));
    }
    if let Some(since) = filter.since {
        // No id is behind its log's receipt, so the range of ids holds every log of the range of time.
        query.and(&format!("{list}.id >= ?"), origins.first_row_of(second_of(since)));
        query.and("received_at >= ?", since.as_millis());
    }
    if let Some(until) = filter.until {
        let ahead = format!("(SELECT value FROM meta WHERE key = 'id_lead_s') + 1 << {}", origins.shift());
        query.and(&format!("{list}.id < ? + ({ahead})"), origins.first_row_of(second_of(until)));
        query.and("received_at < ?", until.as_millis());
    }
    if let Some(min_score) = filter.min_score {
        query.and("logs.score >= ?", i64::from(min_score.value()));
    }
    if let Some(severity) = filter.severity {
        query.and("logs.score >= ?", i64::from(severity.lowest_score().value()));
        query.and("logs.score <= ?", i64::from(severity.highest_score().value()));
    }
    if let Some(category) = filter.category {
        query.and("category = ?", category.as_str().to_owned());
    }
    if let Some(source) = &filter.source {
        query.and("source = ?", source.clone());
    }
    if let Some(text) = &filter.text {
        // `lower` folds ASCII only, and unlike LIKE `instr` knows no wildcards and doesn't end at a NUL.
        let text = text.to_ascii_lowercase();
        query.and("(instr(lower(message), ?) > 0", text.clone());
        let parameter = query.values.len();
        write!(
            query.sql,
            " OR instr(lower(source), ?{parameter}) > 0 OR instr(lower(summary), ?{parameter}) > 0)"
        )
        .expect("writing to a string can't fail");
    }
    query.sql.push_str(" ORDER BY ");
    query.sql.push_str(list);
    query.sql.push_str(".id DESC LIMIT ?");
    query.values.push(Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
    query
}

fn record(origins: &Origins, row: &Row<'_>) -> rusqlite::Result<LogRecord> {
    let text = |column| row.get_ref(column)?.as_str().map_err(|error| damaged(column, error));
    let moment = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Timestamp::from_millis));
    let entry = LogEntry {
        timestamp: moment(3)?,
        event_id: row.get(4)?,
        severity_level: text(5)?.parse().map_err(|error| damaged(5, error))?,
        source: Source::try_from(text(6)?.to_owned()).map_err(|error| damaged(6, error))?,
        message: Message::try_from(text(7)?.to_owned()).map_err(|error| damaged(7, error))?,
        metadata: Metadata::parse(text(8)?).map_err(|error| damaged(8, error))?,
    };
    let mut analysis: Analysis = serde_json::from_str(text(10)?).map_err(|error| damaged(10, error))?;
    analysis.summary = row.get::<_, String>(9)?.into();
    Ok(LogRecord {
        id: origins.id(row.get(0)?),
        entry,
        analysis: Arc::new(analysis),
        received_at: Timestamp::from_millis(row.get(1)?),
        resolved_at: moment(2)?,
    })
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::id::ObjectId;

    use super::*;
    use crate::sqlite::{exchanges, migrations, retention, scans, stats};

    fn plan(sql: &str) -> String {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection).unwrap();
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![Value::Null; explain.parameter_count()];
        let steps =
            explain.query_map(params_from_iter(values), |row| row.get::<_, String>("detail")).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn queries_walk_indexes_and_sort_nothing() {
        let cursor = Some(ObjectId::from_parts(9, [1; 5], 9));
        let moment = Some(Timestamp::from_millis(9_000));
        let page = LogFilter::default();
        let filters = [
            (page.clone(), "INDEX filed_active (tenant=?)"),
            (LogFilter { before: cursor, ..page.clone() }, "INDEX filed_active (tenant=? AND rowid<?)"),
            (LogFilter { since: moment, ..page.clone() }, "INDEX filed_active (tenant=? AND rowid>?)"),
            (LogFilter { until: moment, ..page.clone() }, "INDEX filed_active (tenant=? AND rowid<?)"),
            (
                LogFilter { since: moment, until: moment, ..page.clone() },
                "INDEX filed_active (tenant=? AND rowid>? AND rowid<?)",
            ),
            (LogFilter { text: Some("x".into()), ..page.clone() }, "INDEX filed_active (tenant=?)"),
            (
                LogFilter { status: StatusFilter::All, ..page.clone() },
                "COVERING INDEX filed_of_tenant (tenant=?)",
            ),
            (LogFilter { status: StatusFilter::Resolved, ..page }, "INDEX filed_resolved (tenant=?)"),
        ];
        for (filter, index) in filters {
            for (part, search) in [
                (Part::Filed, format!("SEARCH filed_logs USING {index}")),
                (Part::Unfiled, "SEARCH logs USING INTEGER PRIMARY KEY (rowid>?".to_owned()),
            ] {
                let plan = plan(&query(part, &Origins::one([1; 5]), 1, &filter, 9).sql);
                assert!(plan.contains(&search), "{plan}");
                assert!(!plan.contains("SCAN logs") && !plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
        let others = [
            (
                format!("SELECT {COLUMNS} FROM logs WHERE id = ? AND tenant = ?"),
                "logs USING INTEGER PRIMARY KEY (rowid=?)",
            ),
            (scans::list_query(), "scans USING INDEX scans_of_tenant (tenant=? AND rowid<?)"),
        ];
        for (sql, search) in others {
            let plan = plan(&sql);
            assert_eq!(plan, format!("SEARCH {search}"));
        }
        let threats = plan(&threats_query());
        for search in [
            "filed_logs USING INDEX filed_active (tenant=? AND rowid>?)",
            "filed_logs USING INDEX filed_resolved (tenant=? AND rowid>?)",
            "logs USING INTEGER PRIMARY KEY (rowid>?)",
        ] {
            assert!(threats.contains(&format!("SEARCH {search}")), "{threats}");
        }
        assert!(!threats.contains("SCAN logs") && !threats.contains("TEMP B-TREE"), "{threats}");
        let expired = plan(exchanges::REMOVE_EXPIRED);
        assert!(expired.contains("INDEX verdicts_by_expiry (expires_at<?)"), "{expired}");
        assert!(!expired.contains("SCAN") && !expired.contains("TEMP B-TREE"), "{expired}");
        let [filed, unfiled] = retention::expired_logs(&Origins::one([1; 5])).map(|sql| plan(&sql));
        for (old, search) in [
            (filed, "filed_logs USING COVERING INDEX filed_of_tenant (tenant=? AND rowid<?)"),
            (unfiled, "logs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ] {
            assert!(old.contains(&format!("SEARCH {search}")), "{old}");
            assert!(!old.contains("SCAN logs") && !old.contains("TEMP B-TREE"), "{old}");
        }
        let old = plan(retention::EXCHANGES);
        assert!(old.contains("INDEX exchanges_by_age (tenant=? AND asked_at<?)"), "{old}");
        let plan = plan(&stats::query());
        for search in [
            "minute_counts USING PRIMARY KEY (tenant=? AND minute>? AND minute<?)",
            "logs USING INTEGER PRIMARY KEY (rowid>?)",
        ] {
            assert!(plan.contains(&format!("SEARCH {search}")) && !plan.contains("SCAN logs"), "{plan}");
        }
    }
}
