//! Waiting for what another process does.

use std::time::Duration;

use tokio::time::{sleep, timeout};

// A start takes a second or two on an idle machine; a machine that runs all tests at once is not idle.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer and returns it. Panics with the log when patience ends.
pub(crate) async fn wait_for<T>(
    what: &str,
    log: impl Fn() -> String,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let answered = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(PAUSE).await;
        }
    };
    let in_vain = |_| panic!("waited {} s in vain for {what}\n{}", PATIENCE.as_secs(), log());
    timeout(PATIENCE, answered).await.unwrap_or_else(in_vain)
}
