//! The schema, as steps from one version to the next. A step that was released is never edited.

use rusqlite::Connection;

const STEPS: [&str; 6] = [
    include_str!("migrations/0001_first_tables.sql"),
    include_str!("migrations/0002_filing.sql"),
    include_str!("migrations/0003_scans_as_jobs.sql"),
    include_str!("migrations/0004_second_opinions.sql"),
    include_str!("migrations/0005_copies.sql"),
    include_str!("migrations/0006_retention.sql"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_the_first_schema_are_listed_by_the_next() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO tenants VALUES (1, 'ana', 'ana', 'FREE', NULL, 0);
                 INSERT INTO logs VALUES (5, 1, 60000, NULL, NULL, 1, 80, '', '', '', '', '', '', ''),
                                         (7, 1, 60000, 70000, NULL, 1, 5, '', '', '', '', '', '', '');",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let filed: Vec<(i64, i64, i64, Option<i64>)> = connection
            .prepare("SELECT id, tenant, score, resolved_at FROM filed_logs ORDER BY id")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(filed, [(5, 1, 80, None), (7, 1, 5, Some(70_000))]);
        assert_eq!(version(&connection).unwrap(), NEWEST);
    }

    #[test]
    fn scans_of_the_second_schema_are_done_and_keep_their_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..2] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", 2).unwrap();
        let report = r#"{"total_scanned":400,"threats":[{"row":9,"score":0.30000000000000004,"record":{"a":"\u0000"}},
                                                        {"row":7,"score":0.1,"record":{"b":12345678901234567890.1}}]}"#;
        connection
            .execute_batch("INSERT INTO tenants VALUES (1, 'ana', 'ana', 'FREE', NULL, 0)")
            .and_then(|()| {
                let insert =
                    "INSERT INTO scans VALUES (5, 1, 60000, 412, 'statistical', 400, 3, 0.98, 'a.csv', ?1)";
                connection.execute(insert, [report])
            })
            .unwrap();
        migrate(&mut connection).unwrap();
        let scan: (String, i64, i64, i64, String) = connection
            .query_row(
                "SELECT status, created_at, finished_at, shown_rows, report FROM scans WHERE id = 5",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .unwrap();
        let without_rows = r#"{"total_scanned":400,"threats":[]}"#;
        assert_eq!(scan, ("done".to_owned(), 60_000, 60_000, 2, without_rows.to_owned()));
        let threats: Vec<(i64, String)> = connection
            .prepare("SELECT rank, threat FROM scan_threats WHERE scan = 5 ORDER BY rank")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let first = r#"{"row":9,"score":0.30000000000000004,"record":{"a":"\u0000"}}"#;
        let second = r#"{"row":7,"score":0.1,"record":{"b":12345678901234567890.1}}"#;
        assert_eq!(threats, [(0, first.to_owned()), (1, second.to_owned())]);
    }

    #[test]
    fn of_tenants_of_the_third_schema_a_model_is_always_asked() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..3] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", 3).unwrap();
        connection.execute("INSERT INTO tenants VALUES (1, 'Ana', 'ana', 'Free', '$', 7)", []).unwrap();
        migrate(&mut connection).unwrap();
        let tenant: (String, i64, String) = connection
            .query_row("SELECT username, created_at, ask FROM tenants WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(tenant, ("Ana".to_owned(), 7, "always".to_owned()));
    }
}
