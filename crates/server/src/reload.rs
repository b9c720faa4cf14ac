//! The story of a reload: rules and lists are read again on a blocking thread, one reading at a time, while events are
//! judged by the former ones. What can't be read leaves those in force.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use sentinelflow_detect::{
    Engine,
    indicators::ListFault,
    rules::{RuleFileError, RuleSet},
};
use sentinelflow_domain::clock::Clock;
use thiserror::Error;
use tokio::{
    sync::Mutex,
    task::{JoinError, spawn_blocking},
};
use tracing::{error, info, warn};

use crate::{
    indicator_files::{self, Lists},
    rule_files,
};

#[derive(Clone)]
pub struct Reload {
    pub engine: Arc<Engine>,
    pub clock: Arc<dyn Clock>,
    /// Where the rules besides those of the program are read from.
    pub rules: Option<PathBuf>,
    pub indicators: Option<PathBuf>,
    /// When the latest reading began, and what it came to.
    pub latest: Arc<Mutex<Option<(Instant, InForce)>>>,
}

/// What events are judged by after a reading.
#[derive(Debug, Clone)]
pub struct InForce {
    pub rule_set: Arc<str>,
    pub rule_count: usize,
    pub indicator_count: u64,
    pub told: Told,
}

/// What a reading has to tell of the files.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What stays as it was.
    pub kept: Vec<Kept>,
    /// The first of what is not used, of rules and of lists each.
    pub faults: Vec<FileFault>,
    /// How many more there are.
    pub more_faults: u64,
}

#[derive(Debug, Clone)]
pub struct Kept {
    /// `rules` or `indicators`.
    pub what: &'static str,
    pub why: String,
}

/// Why a file, or something in it, is not used.
#[derive(Debug, Clone, Error)]
#[error("{file}:{line}: {what}")]
pub struct FileFault {
    pub file: String,
    pub line: usize,
    pub what: String,
}

#[derive(Debug, Error)]
pub enum ReloadError {
    #[error("the former {} stay in force", names(&.0.kept))]
    Kept(Told),
    #[error("the reading broke off")]
    BrokeOff(#[source] JoinError),
}

impl Reload {
    /// Reads rules and indicators again. The log says who asked for it.
    pub async fn run(&self, asked_by: String) -> Result<InForce, ReloadError> {
        let in_force = self.read_in_turn(asked_by).await.map_err(ReloadError::BrokeOff)?;
        if in_force.told.kept.is_empty() { Ok(in_force) } else { Err(ReloadError::Kept(in_force.told)) }
    }

    async fn read_in_turn(&self, asked_by: String) -> Result<InForce, JoinError> {
        let asked = Instant::now();
        let mut latest = Arc::clone(&self.latest).lock_owned().await;
        // Of all who waited, the first reads for the others.
        if let Some((began, in_force)) = &*latest
            && *began > asked
        {
            return Ok(in_force.clone());
        }
        let reload = self.clone();
        // The turn goes along: whoever hangs up does not end it.
        let reading = spawn_blocking(move || {
            let began = Instant::now();
            let in_force = reload.read(&asked_by);
            *latest = Some((began, in_force.clone()));
            in_force
        });
        reading.await
    }

    fn read(&self, asked_by: &str) -> InForce {
        let mut told = Told::default();
        if let Some(folder) = &self.indicators {
            match self.read_indicators(folder, &mut told) {
                Ok(count) => info!("{asked_by}: looking for {count} indicators from now on"),
                Err(error) => told.keep(asked_by, "indicators", &error),
            }
        }
        match self.read_rules(&mut told) {
            Ok(count) => info!("{asked_by}: judging by {count} rules from now on"),
            Err(error) => told.keep(asked_by, "rules", &error),
        }
        InForce {
            rule_set: self.engine.rule_set(),
            rule_count: self.engine.rule_count(),
            indicator_count: self.engine.indicator_count(),
            told,
        }
    }

    /// A file of which nothing can be used, such as a page of an error in place of a list, leaves all lists as they are.
    fn read_indicators(&self, folder: &Path, told: &mut Told) -> anyhow::Result<u64> {
        let lists = load_indicators(folder, &*self.clock)?;
        let faults = lists.reports.iter().flat_map(|report| report.faults.iter().cloned());
        told.add(faults.map(FileFault::from), lists.fault_count());
        self.engine.use_indicators(lists.whole()?);
        Ok(self.engine.indicator_count())
    }

    fn read_rules(&self, told: &mut Told) -> anyhow::Result<usize> {
        let (rules, errors) = load_rules(self.rules.as_deref())?;
        let count = errors.len() as u64;
        told.add(errors.into_iter().map(FileFault::from), count);
        self.engine.use_rules(rules);
        Ok(self.engine.rule_count())
    }
}

impl Told {
    fn keep(&mut self, asked_by: &str, what: &'static str, why: &anyhow::Error) {
        error!("{asked_by}: the {what} stay as they are: {why:#}");
        self.kept.push(Kept { what, why: format!("{why:#}") });
    }

    fn add(&mut self, faults: impl Iterator<Item = FileFault>, count: u64) {
        const MOST_TOLD: usize = 50;
        let before = self.faults.len();
        self.faults.extend(faults.take(MOST_TOLD));
        self.more_faults += count - (self.faults.len() - before) as u64;
    }
}

impl From<RuleFileError> for FileFault {
    fn from(RuleFileError { file, line, what }: RuleFileError) -> Self {
        Self { file, line, what }
    }
}

impl From<ListFault> for FileFault {
    fn from(ListFault { file, line, what }: ListFault) -> Self {
        Self { file, line, what }
    }
}

fn names(kept: &[Kept]) -> String {
    kept.iter().map(|kept| kept.what).collect::<Vec<_>>().join(" and ")
}

/// How many faults the log tells.
const MOST_LOGGED: usize = 20;

/// Returns the rules to judge by. A file that can't be used is told and costs only itself.
pub fn load_rules(folder: Option<&Path>) -> anyhow::Result<(RuleSet, Vec<RuleFileError>)> {
    let (rules, errors) = rule_files::load(folder)?;
    for error in errors.iter().take(MOST_LOGGED) {
        warn!("A rule is not used: {error}");
    }
    if errors.len() > MOST_LOGGED {
        warn!("{} more are not used: see `sentinelflow rules check`", errors.len() - MOST_LOGGED);
    }
    Ok((rules, errors))
}

/// Returns the lists to look in. What can't be used is told and costs only itself.
pub fn load_indicators(folder: &Path, clock: &dyn Clock) -> anyhow::Result<Lists> {
    let lists = indicator_files::load(folder, clock.now())?;
    for report in lists.reports.iter().filter(|report| report.is_unusable()) {
        warn!("Nothing of the list {} can be used", report.file);
    }
    for fault in lists.reports.iter().flat_map(|report| &report.faults).take(MOST_LOGGED) {
        warn!("Not used as an indicator: {fault}");
    }
    let count = lists.fault_count();
    if count > MOST_LOGGED as u64 {
        warn!("{} more are not used: see `sentinelflow indicators check`", count - MOST_LOGGED as u64);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sentinelflow_domain::time::Timestamp;
    use tempfile::TempDir;
    use tokio::task::JoinSet;

    use super::*;

    /// Is asked once a reading.
    #[derive(Debug, Default)]
    struct ReadingsCounted(AtomicUsize);

    impl Clock for ReadingsCounted {
        fn now(&self) -> Timestamp {
            self.0.fetch_add(1, Ordering::Relaxed);
            Timestamp::from_millis(0)
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_a_reading_that_began_after_they_asked() {
        let lists = TempDir::new().unwrap();
        let clock = Arc::new(ReadingsCounted::default());
        let reload = Reload {
            engine: Arc::new(Engine::built_in()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rules: None,
            indicators: Some(lists.path().to_owned()),
            latest: Arc::default(),
        };
        let asking = (0..20).map(|number| {
            let reload = reload.clone();
            async move { reload.run(number.to_string()).await.map(|in_force| in_force.indicator_count) }
        });
        let answers = asking.collect::<JoinSet<_>>().join_all().await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(0))), "{answers:?}");
        // The first may begin before the others have asked.
        assert!((1..=2).contains(&clock.0.load(Ordering::Relaxed)), "{clock:?}");

        std::fs::write(lists.path().join("feed.txt"), "203.0.113.4\n").unwrap();
        assert_eq!(reload.run("last".to_owned()).await.unwrap().indicator_count, 1);
    }
}
