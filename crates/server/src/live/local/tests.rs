use std::sync::Mutex;

use async_trait::async_trait;
use sentinelflow_domain::{
    analysis::{Analysis, Category, Score},
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    store::{IdempotencyKey, LogRecord, NewLog, Owner, Page, Recorded},
    time::Timestamp,
};
use tokio::sync::Notify;

use super::*;

/// What a stream asks of a store, and how often that fails.
#[derive(Default)]
struct Shelf {
    logs: Mutex<Vec<LogRecord>>,
    failures_to_come: Mutex<usize>,
    is_read: Notify,
}

impl Shelf {
    fn put(&self, number: u32, score: u8) -> LogId {
        let log = log(number, score);
        let id = log.id;
        self.logs.lock().unwrap().push(log);
        id
    }

    fn fail(&self, times: usize) {
        *self.failures_to_come.lock().unwrap() = times;
    }

    fn answer(&self) -> Result<Vec<LogRecord>, StoreError> {
        let mut failures_to_come = self.failures_to_come.lock().unwrap();
        if *failures_to_come > 0 {
            *failures_to_come -= 1;
            return Err(StoreError::Unavailable("as this test wants it".into()));
        }
        Ok(self.logs.lock().unwrap().clone())
    }
}

#[async_trait]
impl LogBook for Shelf {
    async fn threats_after(
        &self,
        _: TenantId,
        after: LogId,
        limit: usize,
    ) -> Result<Page<LogRecord>, StoreError> {
        let mut items = self.answer()?;
        // What others do now is not in the answer.
        self.is_read.notify_waiters();
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        items.retain(|log| log.id > after && log.analysis.score.is_threat());
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { next: items.last().filter(|_| has_more).map(|log| log.id), items })
    }

    async fn find(&self, _: TenantId, id: LogId) -> Result<Option<LogRecord>, StoreError> {
        Ok(self.answer()?.into_iter().find(|log| log.id == id))
    }

    async fn recent(&self, _: TenantId, filter: LogFilter) -> Result<Page<LogRecord>, StoreError> {
        let items = self.answer()?.into_iter().rev().take(filter.limit).collect();
        Ok(Page { items, next: None })
    }

    async fn record(&self, _: NewLog) -> Result<Recorded, StoreError> {
        unreachable!("a stream only reads")
    }

    async fn recorded_under(&self, _: TenantId, _: &IdempotencyKey) -> Result<Option<LogRecord>, StoreError> {
        unreachable!("a stream knows no keys")
    }

    async fn replay(
        &self,
        _: Timestamp,
        _: usize,
        _: Option<LogId>,
    ) -> Result<Vec<(TenantId, LogRecord)>, StoreError> {
        unreachable!("a stream is one tenant's")
    }

    async fn add_opinion(&self, _: TenantId, _: LogId, _: Arc<Analysis>) -> Result<bool, StoreError> {
        unreachable!("a stream only reads")
    }

    async fn resolve(&self, _: Owner, _: LogId, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("a stream only reads")
    }
}

fn id(number: u32) -> LogId {
    LogId::from_parts(9, [1; 5], number)
}

fn log(number: u32, score: u8) -> LogRecord {
    let entry = LogEntry {
        source: Source::try_from("sshd".to_owned()).unwrap(),
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from("x".to_owned()).unwrap(),
        metadata: Metadata::default(),
        timestamp: None,
    };
    let analysis = Analysis {
        score: Score::saturating(score),
        category: Category::Other,
        summary: "".into(),
        prevention_measures: "".into(),
        techniques: Vec::new(),
        detections: Vec::new(),
        opinion: None,
        degraded: None,
        asked: None,
        engine_version: "0".into(),
        rule_set: "0".into(),
    };
    let received_at = Timestamp::from_millis(0);
    LogRecord { id: id(number), entry, analysis: Arc::new(analysis), received_at, resolved_at: None }
}

const TENANT: u32 = 1;

struct Scene {
    shelf: Arc<Shelf>,
    listeners: Listeners,
}

impl Scene {
    fn new() -> Self {
        Self { shelf: Arc::default(), listeners: Listeners::default() }
    }

    async fn open(&self, after: Option<LogId>) -> Local {
        Local::open(self.shelf.clone(), &self.listeners, id(TENANT), after).await.unwrap()
    }

    fn record(&self, number: u32, score: u8) {
        let log = self.shelf.put(number, score);
        self.listeners.recorded(id(TENANT), log, Score::saturating(score));
    }

    /// Makes a threat of a log as a late opinion does.
    async fn raise(&self, number: u32) {
        let raising = async {
            let mut logs = self.shelf.logs.lock().unwrap();
            *logs.iter_mut().find(|log| log.id == id(number)).unwrap() = log(number, 80);
            Ok::<_, ()>(true)
        };
        self.listeners.raise(id(TENANT), id(number), raising).await.unwrap();
    }
}

/// Returns the numbers of what is told next: `(true, …)` where the log is a place to go on from.
async fn told(live: &mut Local, count: usize) -> Vec<(bool, u32)> {
    let mut told = Vec::new();
    while told.len() < count {
        match live.next().await {
            Some(News::Threat(log)) => told.push((true, log.id.counter())),
            Some(News::Late(log)) => told.push((false, log.id.counter())),
            other => panic!("{other:?}"),
        }
    }
    told
}

/// What else is told would come before this.
async fn nothing_else(scene: &Scene, live: &mut Local) {
    let next = u32::try_from(scene.shelf.logs.lock().unwrap().len()).unwrap() + 1_000;
    scene.record(next, 50);
    assert_eq!(told(live, 1).await, [(true, next)]);
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_and_nothing_is_skipped() {
    let scene = Scene::new();
    scene.record(1, 50);
    let mut live = scene.open(Some(LogId::LOWEST)).await;
    scene.shelf.fail(2);
    scene.record(2, 50);
    for _ in 0..2 {
        assert!(matches!(live.next().await, Some(News::Trouble(_))));
    }
    assert_eq!(told(&mut live, 2).await, [(true, 1), (true, 2)]);
    // Nor what came behind.
    scene.record(3, 0);
    scene.record(4, 50);
    assert_eq!(told(&mut live, 1).await, [(true, 4)]);
    scene.raise(3).await;
    scene.shelf.fail(1);
    assert!(matches!(live.next().await, Some(News::Trouble(_))));
    assert_eq!(told(&mut live, 1).await, [(false, 3)]);
    nothing_else(&scene, &mut live).await;
}

#[tokio::test]
async fn a_store_that_fails_at_the_start_refuses_the_stream() {
    let scene = Scene::new();
    scene.shelf.fail(1);
    let refused = Local::open(scene.shelf.clone(), &scene.listeners, id(TENANT), None).await;
    assert!(matches!(refused, Err(LiveError::Store(_))));
}

#[tokio::test]
async fn a_threat_that_was_stored_before_the_start_and_answered_after_it_is_told() {
    let scene = Scene::new();
    let stored = scene.shelf.put(1, 50);
    scene.record(2, 50);
    let mut live = scene.open(None).await;
    assert_eq!(live.position(), id(2));
    scene.listeners.recorded(id(TENANT), stored, Score::THREAT);
    scene.record(3, 50);
    let mut all = told(&mut live, 2).await;
    all.sort_unstable();
    assert_eq!(all, [(false, 1), (true, 3)]);
    nothing_else(&scene, &mut live).await;
}

#[tokio::test]
async fn a_raised_log_is_told_once_whether_it_was_passed_or_not() {
    let scene = Scene::new();
    let mut live = scene.open(None).await;
    for (number, score) in [(1, 0), (2, 50), (3, 0)] {
        scene.record(number, score);
    }
    assert_eq!(told(&mut live, 1).await, [(true, 2)]);
    scene.raise(1).await;
    scene.raise(3).await;
    let mut all = told(&mut live, 2).await;
    all.sort_unstable();
    assert_eq!(all, [(false, 1), (true, 3)]);
    nothing_else(&scene, &mut live).await;
}

#[tokio::test]
async fn a_log_that_is_raised_while_the_store_is_read_is_told() {
    let scene = Scene::new();
    let mut live = scene.open(None).await;
    scene.record(1, 0);
    scene.record(2, 50);
    let raise_meanwhile = async {
        scene.shelf.is_read.notified().await;
        scene.raise(1).await;
    };
    let (first, ()) = tokio::join!(told(&mut live, 1), raise_meanwhile);
    assert_eq!(first, [(true, 2)]);
    assert_eq!(told(&mut live, 1).await, [(false, 1)]);
    nothing_else(&scene, &mut live).await;
}

#[tokio::test]
async fn many_threats_come_in_order_whatever_a_page_holds() {
    let scene = Scene::new();
    let mut live = scene.open(None).await;
    let count = u32::try_from(PAGE).unwrap() * 5 / 2;
    for number in 1..=count {
        scene.record(number, 50);
    }
    let expected: Vec<_> = (1..=count).map(|number| (true, number)).collect();
    assert_eq!(told(&mut live, expected.len()).await, expected);
    nothing_else(&scene, &mut live).await;
}

#[tokio::test]
async fn the_end_of_the_server_ends_the_stream_whatever_there_is_to_tell() {
    let scene = Scene::new();
    scene.record(1, 50);
    let mut live = scene.open(Some(LogId::LOWEST)).await;
    scene.listeners.close();
    assert!(live.next().await.is_none());
    assert!(scene.open(None).await.next().await.is_none());
}
