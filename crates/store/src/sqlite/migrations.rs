//! The schema, as steps from one version to the next. A step that was released is never edited.

use rusqlite::Connection;

const STEPS: [&str; 1] = [include_str!("migrations/0001_first_tables.sql")];

/// The version that this binary writes.
pub(super) const NEWEST: i64 = STEPS.len().cast_signed() as i64;

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes every step that the database lacks, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let done = usize::try_from(version(connection)?).unwrap_or(0);
    for (step, number) in STEPS.iter().zip(1_i64..).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
