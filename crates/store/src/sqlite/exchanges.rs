//! What is remembered of a language model: exchanges to be read, verdicts that answer again, the cost of each day.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sentinelflow_domain::{
    second_opinion::{Exchange, ExchangeId, QuestionKey, RememberedVerdict, Spend},
    store::{ExchangeBook, StoreError},
    tenant::TenantId,
    time::Timestamp,
};

use super::{SqliteStore, errors::damaged, writer::Batch};

const DAY_MS: i64 = 86_400_000;

#[async_trait]
impl ExchangeBook for SqliteStore {
    async fn keep_exchange(
        &self,
        tenant: TenantId,
        exchange: Exchange,
        verdicts: Vec<RememberedVerdict>,
    ) -> Result<(), StoreError> {
        let tenant = self.origins.row(tenant).ok_or(StoreError::Conflict)?;
        let verdicts: Vec<_> = verdicts.iter().map(VerdictRow::new).collect();
        let keep = move |batch: &mut Batch<'_>| {
            batch.all_or_nothing(|batch| keep(batch.connection, tenant, &exchange, &verdicts))
        };
        self.writer.run(keep).await
    }

    async fn exchange(&self, tenant: TenantId, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(None) };
        self.readers
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT asked_at, duration_ms, tokens, nano_usd, model, failure, url, sent, answer
                         FROM exchanges WHERE id = ? AND tenant = ?",
                    )?
                    .query_row(params![id.0, tenant], |row| exchange(id, row))
                    .optional()
            })
            .await
    }

    async fn verdicts(
        &self,
        tenant: TenantId,
        keys: Vec<QuestionKey>,
        now: Timestamp,
    ) -> Result<Vec<RememberedVerdict>, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(Vec::new()) };
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT expires_at, verdict FROM verdicts WHERE tenant = ? AND key = ? AND expires_at > ?",
                )?;
                let found = keys.into_iter().map(|key| {
                    let row = |row: &Row<'_>| remembered(key, row);
                    statement.query_row(params![tenant, key.0, now.as_millis()], row).optional()
                });
                found.filter_map(Result::transpose).collect()
            })
            .await
    }

    async fn spent(&self, tenant: TenantId, day: i64) -> Result<Spend, StoreError> {
        let Some(tenant) = self.origins.row(tenant) else { return Ok(Spend::default()) };
        let spent = self
            .readers
            .run(move |connection| {
                connection
                    .prepare_cached("SELECT tokens, nano_usd FROM spends WHERE tenant = ? AND day = ?")?
                    .query_row([tenant, day], |row| Ok(Spend { tokens: row.get(0)?, nano_usd: row.get(1)? }))
                    .optional()
            })
            .await?;
        Ok(spent.unwrap_or_default())
    }
}

/// A verdict that is already text, so that the one writing thread needn't make it.
struct VerdictRow {
    key: QuestionKey,
    expires_at: Timestamp,
    verdict: String,
}

impl VerdictRow {
    fn new(remembered: &RememberedVerdict) -> Self {
        let verdict = serde_json::to_string(&remembered.verdict).expect("a verdict is plain data");
        Self { key: remembered.key, expires_at: remembered.expires_at, verdict }
    }
}

fn keep(
    connection: &Connection,
    tenant: i64,
    exchange: &Exchange,
    verdicts: &[VerdictRow],
) -> rusqlite::Result<()> {
    insert(connection, tenant, exchange)?;
    add_to_day(connection, tenant, exchange)?;
    for verdict in verdicts {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO verdicts (tenant, key, expires_at, verdict) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![tenant, verdict.key.0, verdict.expires_at.as_millis(), verdict.verdict])?;
    }
    // Each exchange makes room for its verdicts and two more, so the table can't outgrow what still counts for long.
    let room = verdicts.len().saturating_add(2);
    connection
        .prepare_cached(REMOVE_EXPIRED)?
        .execute([exchange.asked_at.as_millis(), i64::try_from(room).unwrap_or(i64::MAX)])
        .map(drop)
}

pub(super) const REMOVE_EXPIRED: &str = "DELETE FROM verdicts WHERE rowid IN
         (SELECT rowid FROM verdicts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";

fn insert(connection: &Connection, tenant: i64, exchange: &Exchange) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO exchanges (id, tenant, asked_at, duration_ms, tokens, nano_usd, model, failure, url,
                                    sent, answer)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            exchange.id.0,
            tenant,
            exchange.asked_at.as_millis(),
            at_most_i64(exchange.duration_ms),
            at_most_i64(exchange.spent.tokens),
            at_most_i64(exchange.spent.nano_usd),
            exchange.model,
            exchange.failure,
            exchange.url,
            exchange.sent,
            exchange.answer,
        ])
        .map(drop)
}

fn add_to_day(connection: &Connection, tenant: i64, exchange: &Exchange) -> rusqlite::Result<()> {
    let day = exchange.asked_at.as_millis().div_euclid(DAY_MS);
    // A sum stops at the greatest integer: beyond it SQLite would go on with a number that isn't whole.
    connection
        .prepare_cached(
            "INSERT INTO spends (tenant, day, tokens, nano_usd) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, day) DO UPDATE SET
                 tokens = min(tokens, 9223372036854775807 - ?3) + ?3,
                 nano_usd = min(nano_usd, 9223372036854775807 - ?4) + ?4",
        )?
        .execute([tenant, day, at_most_i64(exchange.spent.tokens), at_most_i64(exchange.spent.nano_usd)])
        .map(drop)
}

/// SQLite's integers have a sign.
fn at_most_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn exchange(id: ExchangeId, row: &Row<'_>) -> rusqlite::Result<Exchange> {
    Ok(Exchange {
        id,
        asked_at: Timestamp::from_millis(row.get(0)?),
        duration_ms: row.get(1)?,
        spent: Spend { tokens: row.get(2)?, nano_usd: row.get(3)? },
        model: row.get(4)?,
        failure: row.get(5)?,
        url: row.get(6)?,
        sent: row.get(7)?,
        answer: row.get(8)?,
    })
}

fn remembered(key: QuestionKey, row: &Row<'_>) -> rusqlite::Result<RememberedVerdict> {
    let verdict = row.get_ref(1)?.as_str().map_err(|error| damaged(1, error))?;
    Ok(RememberedVerdict {
        key,
        verdict: serde_json::from_str(verdict).map_err(|error| damaged(1, error))?,
        expires_at: Timestamp::from_millis(row.get(0)?),
    })
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::{
        analysis::Score,
        second_opinion::{AskedIn, ModelVerdict},
        store::{NewTenant, TenantBook as _},
        tenant::Plan,
    };

    use super::*;

    async fn store_with_ana() -> (tempfile::TempDir, SqliteStore, TenantId) {
        let place = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(place.path()).unwrap();
        let ana = NewTenant {
            username: "ana".parse().unwrap(),
            plan: Plan::Free,
            password: None,
            api_key: None,
            created_at: Timestamp::from_millis(0),
        };
        let ana = store.sign_up(ana).await.unwrap().id;
        (place, store, ana)
    }

    fn exchange(id: u8, asked_at: i64) -> Exchange {
        Exchange {
            id: ExchangeId([id; 16]),
            asked_at: Timestamp::from_millis(asked_at),
            url: "https://model.test".into(),
            sent: "{}".into(),
            answer: None,
            failure: None,
            model: None,
            duration_ms: 1,
            spent: Spend::default(),
        }
    }

    fn verdict(key: u8, expires_at: i64) -> RememberedVerdict {
        let verdict = ModelVerdict {
            model: "m".into(),
            score: Score::MAX,
            summary: "words".into(),
            prevention_measures: None,
            technique: None,
            asked: AskedIn { exchange: ExchangeId([1; 16]), record: "r1".into() },
        };
        let key = QuestionKey([key; 32]);
        RememberedVerdict { key, verdict, expires_at: Timestamp::from_millis(expires_at) }
    }

    #[tokio::test]
    async fn expired_verdicts_make_room_a_few_at_a_time() {
        let (_place, store, ana) = store_with_ana().await;
        let short = (0..10).map(|key| verdict(key, 100)).collect();
        store.keep_exchange(ana, exchange(1, 0), short).await.unwrap();
        let count = |batch: &mut Batch<'_>| {
            batch.connection.query_row("SELECT count(*) FROM verdicts", [], |row| row.get::<_, i64>(0))
        };
        for (id, asked_at, added, kept) in
            [(2, 99, 0, 10), (3, 100, 0, 8), (4, 100, 3, 6), (5, 100, 0, 4), (6, 100, 0, 3), (7, 100, 0, 3)]
        {
            let long = (0..added).map(|key| verdict(100 + key, 200)).collect();
            store.keep_exchange(ana, exchange(id, asked_at), long).await.unwrap();
            assert_eq!(store.writer.run(count).await.unwrap(), kept, "after exchange {id}");
        }
    }

    #[tokio::test]
    async fn an_exchange_whose_verdicts_cannot_be_kept_leaves_nothing_behind() {
        let (_place, store, ana) = store_with_ana().await;
        let failure = "CREATE TRIGGER failure BEFORE INSERT ON verdicts
                       BEGIN SELECT RAISE(ABORT, 'as this test wants it'); END";
        store.writer.run(move |batch| batch.connection.execute_batch(failure)).await.unwrap();
        let costly = Exchange { spent: Spend { tokens: 7, nano_usd: 9 }, ..exchange(1, 0) };
        assert!(store.keep_exchange(ana, costly.clone(), vec![verdict(1, 100)]).await.is_err());
        assert_eq!(store.exchange(ana, costly.id).await.unwrap(), None);
        assert_eq!(store.spent(ana, 0).await.unwrap(), Spend::default());
    }

    #[tokio::test]
    async fn a_number_beyond_sqlites_is_the_greatest_it_has() {
        let (_place, store, ana) = store_with_ana().await;
        let greatest = i64::MAX.cast_unsigned();
        let spent = Spend { tokens: u64::MAX, nano_usd: 3 };
        let first = Exchange { duration_ms: u64::MAX, spent, ..exchange(1, 0) };
        store.keep_exchange(ana, first.clone(), Vec::new()).await.unwrap();
        let kept = store.exchange(ana, first.id).await.unwrap().unwrap();
        let spent = Spend { tokens: greatest, nano_usd: 3 };
        assert_eq!((kept.duration_ms, kept.spent), (greatest, spent));
        let second = Exchange { spent: Spend { tokens: 1, nano_usd: u64::MAX }, ..exchange(2, 0) };
        store.keep_exchange(ana, second, Vec::new()).await.unwrap();
        assert_eq!(store.spent(ana, 0).await.unwrap(), Spend { tokens: greatest, nano_usd: greatest });
    }

    #[tokio::test]
    async fn a_row_that_is_not_what_was_stored_is_damage() {
        let (_place, store, ana) = store_with_ana().await;
        let (kept, answer) = (exchange(1, 0), verdict(1, 100));
        store.keep_exchange(ana, kept.clone(), vec![answer.clone()]).await.unwrap();
        let damage = "UPDATE verdicts SET verdict = '{}'; UPDATE exchanges SET tokens = -1";
        store.writer.run(move |batch| batch.connection.execute_batch(damage)).await.unwrap();
        let verdicts = store.verdicts(ana, vec![answer.key], Timestamp::from_millis(0)).await;
        assert!(matches!(verdicts, Err(StoreError::Damaged(_))), "{verdicts:?}");
        let exchange = store.exchange(ana, kept.id).await;
        assert!(matches!(exchange, Err(StoreError::Damaged(_))), "{exchange:?}");
    }
}
