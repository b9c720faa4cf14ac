//! How many events, and how bad, over time.
#![expect(unused_qualifications, reason = "the macro that describes a call writes them")]

use axum::{Json, extract::State, http::Uri};
use sentinelflow_domain::{
    analysis::{Score, Severity},
    store::MinuteCounts,
    time::Timestamp,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::PathTenant,
    docs::ReadProblems,
    error::ApiError,
    extract::{Query, within},
};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stats))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; `Window` reads it")]
struct StatsQuery {
    /// How far back: minutes, or with a unit such as `30m`, `24h`, `7d`; at most 31 days.
    #[param(pattern = "^[1-9][0-9]{0,4}[mhd]?$", example = "30m")]
    window: Option<String>,
    /// Into how many buckets of whole minutes the window is cut.
    #[param(minimum = 1, maximum = 1000, default = 15)]
    buckets: Option<u16>,
}

const LONGEST_WINDOW_MINUTES: i64 = 31 * 24 * 60;

/// A time window cut into buckets of whole minutes; the last one includes the current minute.
struct Window {
    minutes: i64,
    buckets: i64,
}

impl Window {
    fn of(mut query: Query) -> Result<Self, ApiError> {
        let minutes = query.take("window", window_minutes).unwrap_or(30);
        let buckets = query.take("buckets", within(1, 1000)).unwrap_or(15);
        let buckets = i64::try_from(buckets).expect("at most 1000");
        if minutes % buckets != 0 {
            query.fault("buckets", format!("must cut the window of {minutes} minutes into whole minutes"));
        }
        query.finish().map(|()| Self { minutes, buckets })
    }

    fn bucket_minutes(&self) -> i64 {
        self.minutes / self.buckets
    }

    fn label(&self, bucket: i64) -> String {
        format!("-{}m", self.minutes - bucket * self.bucket_minutes())
    }
}

fn window_minutes(text: &str) -> Result<i64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'm') => (text.strip_suffix('m'), 1),
        Some(b'h') => (text.strip_suffix('h'), 60),
        Some(b'd') => (text.strip_suffix('d'), 24 * 60),
        _ => (Some(text), 1),
    };
    let minutes =
        number.and_then(|number| number.parse::<i64>().ok()).and_then(|number| number.checked_mul(unit));
    minutes
        .filter(|minutes| (1..=LONGEST_WINDOW_MINUTES).contains(minutes))
        .ok_or_else(|| "must be minutes, or a number with m, h or d, of at most 31 days".to_owned())
}

/// All arrays have one entry a bucket, the oldest first.
#[derive(Serialize, ToSchema)]
struct Stats {
    /// How long before the end of the current minute the bucket starts.
    #[schema(example = json!(["-30m", "-28m"]))]
    labels: Vec<String>,
    /// Events analysed, resolved ones included.
    counts: Vec<u64>,
    /// `Stable` (highest score below 40), `Elevated` (below 70), `High` (below 90) or `Critical`.
    #[schema(value_type = Vec<String>)]
    risks: Vec<&'static str>,
    /// Events with a score of 20 and more.
    threats: Vec<u64>,
    max_scores: Vec<u8>,
    bucket_seconds: i64,
    #[schema(format = DateTime)]
    generated_at: String,
}

impl Stats {
    fn new(window: &Window, minutes: &[MinuteCounts], now: Timestamp) -> Self {
        let buckets = usize::try_from(window.buckets).expect("1 to 1000");
        let first = now.as_minutes() + 1 - window.minutes;
        let (mut counts, mut threats) = (vec![0; buckets], vec![0; buckets]);
        let mut max_scores = vec![Score::default(); buckets];
        for minute in minutes {
            let bucket = usize::try_from((minute.minute - first) / window.bucket_minutes());
            let Some(bucket) = bucket.ok().filter(|bucket| *bucket < buckets) else { continue };
            counts[bucket] += minute.events;
            threats[bucket] += minute.threats;
            max_scores[bucket] = max_scores[bucket].max(minute.max_score);
        }
        Self {
            labels: (0..window.buckets).map(|bucket| window.label(bucket)).collect(),
            counts,
            risks: max_scores.iter().map(|score| risk(*score)).collect(),
            threats,
            max_scores: max_scores.into_iter().map(Score::value).collect(),
            bucket_seconds: window.bucket_minutes() * 60,
            generated_at: now.to_string(),
        }
    }
}

fn risk(highest: Score) -> &'static str {
    match highest.severity() {
        Severity::None | Severity::Low => "Stable",
        Severity::Medium => "Elevated",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// Count events and the highest scores over time; by default 15 buckets of two minutes.
#[utoipa::path(get, path = "/security/stats/{username}", tag = "Security",
    params(("username" = String, Path, description = "The tenant", example = "admin"), StatsQuery),
    responses((status = 200, body = Stats), ReadProblems))]
async fn stats(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    uri: Uri,
) -> Result<Json<Stats>, ApiError> {
    let window = Window::of(Query::of(&uri))?;
    let now = app.clock.now();
    let end = now.as_minutes() + 1;
    let minutes = app.store.per_minute(tenant.id, end - window.minutes, end).await?;
    Ok(Json(Stats::new(&window, &minutes, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(query: &str) -> Result<Window, ApiError> {
        Window::of(Query::of(&format!("/x?{query}").parse().unwrap()))
    }

    #[test]
    fn buckets_are_whole_minutes_and_the_last_includes_the_current_one() {
        let now = Timestamp::from_millis(1_000 * 60_000 + 30_000);
        let at = |minute, events, score| MinuteCounts {
            minute,
            events,
            threats: 0,
            max_score: Score::saturating(score),
        };
        let minutes = [at(971, 1, 0), at(972, 2, 39), at(973, 4, 40), at(999, 8, 70), at(1_000, 16, 90)];
        let stats = Stats::new(&window("").unwrap(), &minutes, now);
        assert_eq!(stats.labels.len(), 15);
        assert_eq!((stats.labels[0].as_str(), stats.labels[14].as_str()), ("-30m", "-2m"));
        assert_eq!((stats.counts[0], stats.counts[1], stats.counts[14]), (3, 4, 24));
        assert_eq!(
            (stats.risks[0], stats.risks[1], stats.risks[2], stats.risks[14]),
            ("Stable", "Elevated", "Stable", "Critical")
        );
    }

    #[test]
    fn windows_that_are_not_whole_minutes_are_refused() {
        for query in ["window=24h&buckets=24", "window=60", "window=7d&buckets=168"] {
            assert!(window(query).is_ok(), "{query}");
        }
        for query in [
            "window=30m&buckets=7",
            "window=0",
            "window=32d",
            "window=1y",
            "buckets=0",
            "window=9999999999999999h",
        ] {
            assert!(window(query).is_err(), "{query}");
        }
    }
}
