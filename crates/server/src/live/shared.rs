//! The stream where several servers write: the store tells what any of them records.

use sentinelflow_domain::store::{FollowedThreats, Happened};
use tokio::time::sleep_until;

use super::{News, Retry};
use crate::listeners::Seat;

pub(super) struct Shared {
    seat: Seat,
    followed: Box<dyn FollowedThreats>,
    retry: Retry,
}

impl Shared {
    pub(super) fn new(seat: Seat, followed: Box<dyn FollowedThreats>) -> Self {
        Self { seat, followed, retry: Retry::new() }
    }

    pub(super) async fn next(&mut self) -> Option<News> {
        let closing = self.seat.closing();
        tokio::select! {
            biased;
            () = closing.cancelled() => None,
            news = self.news() => Some(news),
        }
    }

    async fn news(&mut self) -> News {
        sleep_until(self.retry.at).await;
        loop {
            match self.followed.next().await {
                Ok(happened) => {
                    self.retry.succeeded();
                    match happened {
                        Some(Happened::Recorded(log)) => return News::Threat(log),
                        Some(Happened::Raised(log)) => return News::Late(log),
                        Some(Happened::Unsure(from)) => return News::Missed(from),
                        None => {}
                    }
                }
                Err(error) => {
                    self.retry.failed();
                    return News::Trouble(error);
                }
            }
        }
    }
}
