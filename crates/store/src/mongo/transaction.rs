//! Writes that happen all together or not at all, tried again while a new primary is elected.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::{
    Client, ClientSession,
    bson::Document,
    error::{Error, UNKNOWN_TRANSACTION_COMMIT_RESULT},
    options::{Acknowledgment, ReadConcern, TransactionOptions, WriteConcern},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    deadline::{ATTEMPT, PATIENCE},
    errors::{is_conflict, is_duplicate, may_pass},
};

/// What is written in one transaction. It may run several times, also after it was committed without anybody hearing
/// of it: then it must find its own traces and change nothing.
#[async_trait]
pub(super) trait Writes: Send {
    type Done: Send;

    /// `is_again` says that an attempt before may have been committed.
    async fn write(&mut self, session: &mut ClientSession, is_again: bool) -> Result<Self::Done, Error>;

    /// Whether all of this may have been committed in a transaction before.
    fn is_again(&self) -> bool {
        false
    }

    /// Whether to try again while another transaction, not an attempt of this, has written the same.
    fn waits_for_others(&self) -> bool {
        true
    }
}

/// Runs writes in one transaction.
pub(super) async fn all_or_nothing<W: Writes>(client: &Client, writes: &mut W) -> Result<W::Done, Error> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    let mut is_again = writes.is_again();
    let mut may_meet_itself = false;
    loop {
        let attempt = timeout(ATTEMPT, attempt(client, writes, is_again)).await;
        let failure = match attempt {
            Ok(Ok(done)) => return Ok(done),
            // What an attempt before has written may only now be there: the next attempt finds it.
            Ok(Err(error)) if is_again && is_duplicate(&error) => error,
            Ok(Err(error)) if !may_pass(&error) => return Err(error),
            Ok(Err(error)) if is_conflict(&error) && !may_meet_itself && !writes.waits_for_others() => {
                return Err(error);
            }
            Ok(Err(error)) => error,
            Err(_) => Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut)),
        };
        // The server may still be at work on it.
        may_meet_itself |= !is_conflict(&failure);
        if Instant::now() + pause > give_up {
            return Err(failure);
        }
        sleep(pause).await;
        pause = (2 * pause).min(Duration::from_millis(500));
        is_again = true;
    }
}

async fn attempt<W: Writes>(client: &Client, writes: &mut W, is_again: bool) -> Result<W::Done, Error> {
    let mut session = client.start_session().await?;
    let options =
        TransactionOptions::builder().write_concern(durable()).read_concern(ReadConcern::snapshot()).build();
    session.start_transaction().with_options(options).await?;
    // When the session is dropped without a commit, the server forgets what was written.
    let done = writes.write(&mut session, is_again).await?;
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                sleep(Duration::from_millis(50)).await;
            }
            result => return result.map(|()| done),
        }
    }
}

/// On a majority of the members and in their journals.
pub(super) fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// Returns the first fault that the answer to a command of writes tells of.
pub(super) fn checked(answer: &Document) -> Result<(), Error> {
    match answer.get_array("writeErrors") {
        Ok(faults) if !faults.is_empty() => Err(Error::custom(format!("a write failed: {}", faults[0]))),
        _ => Ok(()),
    }
}
