//! Every way in which a provider fails: named rightly, never in anybody's way, never more than three calls an event.

use std::time::{Duration, Instant};

use sentinelflow_domain::{analysis::Degraded, second_opinion::Opinion};
use sentinelflow_fakes::{Answer, FakeModel};
use sentinelflow_llm::ProviderKind;

use crate::{asking::join_all, given::*};

fn faults() -> Vec<(Answer, Degraded, usize)> {
    vec![
        (Answer::TextNotJson, Degraded::ModelAnswerInvalid, 1),
        (Answer::WrongSchema, Degraded::ModelAnswerInvalid, 1),
        (Answer::MissingIds, Degraded::ModelAnswerInvalid, 1),
        (Answer::ExtraIds, Degraded::ModelAnswerInvalid, 1),
        (Answer::DuplicateIds, Degraded::ModelAnswerInvalid, 1),
        (Answer::OutOfRange, Degraded::ModelAnswerInvalid, 1),
        (Answer::EmptyCandidates, Degraded::ModelAnswerInvalid, 1),
        (Answer::Huge { bytes: 10_000_000 }, Degraded::ModelAnswerInvalid, 1),
        (Answer::MaxTokens, Degraded::ModelTruncated, 1),
        (Answer::PromptBlocked, Degraded::ModelBlocked, 1),
        (Answer::AnswerBlocked, Degraded::ModelBlocked, 1),
        (Answer::RateLimited { retry_delay: None, retry_after: None }, Degraded::ModelRateLimited, 3),
        (Answer::RateLimited { retry_delay: Some("47s"), retry_after: None }, Degraded::ModelRateLimited, 1),
        (Answer::RateLimited { retry_delay: None, retry_after: Some("30") }, Degraded::ModelRateLimited, 1),
        (Answer::DailyQuota, Degraded::ModelQuota, 1),
        (Answer::Unpaid, Degraded::ModelUnpaid, 1),
        (Answer::BadRequest, Degraded::ModelRefused, 1),
        (Answer::BadKey, Degraded::ModelUnauthorized, 1),
        (Answer::Unauthenticated, Degraded::ModelUnauthorized, 1),
        (Answer::Forbidden, Degraded::ModelUnauthorized, 1),
        (Answer::NoSuchModel, Degraded::ModelNotFound, 1),
        (Answer::ModelRetired, Degraded::ModelNotFound, 1),
        (Answer::Internal, Degraded::ModelUnavailable, 3),
        (Answer::Overloaded, Degraded::ModelUnavailable, 3),
        (Answer::DeadlineExceeded, Degraded::ModelUnavailable, 3),
        (Answer::HtmlBadGateway, Degraded::ModelUnavailable, 3),
        (Answer::DropMidBody, Degraded::ModelUnavailable, 3),
    ]
}

const TIMEOUT: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn each_fault_alone_has_its_name_and_is_not_asked_for_again_and_again() {
    for provider in ProviderKind::ALL {
        for (fault, expected, calls) in faults() {
            let expected = match (provider, &fault) {
                // Its API tells an empty balance and a full day by the same code.
                (ProviderKind::OpenAiCompatible, Answer::DailyQuota) => Degraded::ModelUnpaid,
                _ => expected,
            };
            let calls = match (provider, &fault) {
                // It tells how long to wait in a sentence.
                (ProviderKind::OpenAiCompatible, Answer::RateLimited { retry_delay: Some(_), .. }) => 3,
                _ => calls,
            };
            let room = Room::speaking(provider, FakeModel::start(), |_| {});
            room.model.script(vec![fault.clone(); 3]);
            let started = Instant::now();
            let opinion = room.opinion(&entry("the lamp is on")).await;
            assert_eq!(reason(&opinion), Some(expected), "{provider:?} {fault:?}");
            assert_eq!(room.model.request_count(), calls, "{provider:?} {fault:?}");
            assert!(started.elapsed() < TIMEOUT + Duration::from_millis(100), "{fault:?}");
            let Opinion::Unavailable { asked: Some(asked), .. } = opinion else {
                panic!("it was asked: {fault:?}")
            };
            let exchange = room.book.exchanges().into_iter().find(|exchange| exchange.id == asked.exchange);
            assert_eq!(exchange.unwrap().failure.as_deref(), Some(expected.as_str()), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for fault in [
        Answer::Overloaded,
        Answer::DropMidBody,
        Answer::RateLimited { retry_delay: Some("0.1s"), retry_after: None },
    ] {
        let room = Room::honest();
        room.model.script([fault.clone(), Answer::Ok]);
        assert!(is_fresh(&room.opinion(&entry("the lamp is on")).await), "{fault:?}");
        assert_eq!(room.model.request_count(), 2);
    }
}

#[tokio::test]
async fn a_late_opinion_comes_later_and_nobody_waits_for_it() {
    for slow in [Answer::Hang(Duration::from_millis(400)), Answer::SlowDrip { bytes_per_second: 1_500 }] {
        let room = Room::new(FakeModel::start(), |settings| settings.timeout = Duration::from_millis(100));
        room.model.script([slow.clone()]);
        let started = Instant::now();
        let consultation = room.consult(&entry("the lamp is on")).await;
        assert!(started.elapsed() < Duration::from_millis(200), "{slow:?}");
        assert_eq!(reason(&consultation.opinion), Some(Degraded::ModelTimeout));
        let later = consultation.later.expect("it is still asked").await;
        assert!(is_fresh(&later), "{slow:?} {later:?}");
        assert!(is_remembered(&room.opinion(&entry("the lamp is on")).await));
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let room = Room::new(FakeModel::start(), |settings| {
        settings.timeout = Duration::from_millis(100);
        settings.request_timeout = Duration::from_millis(300);
    });
    room.model.script([Answer::Hang(Duration::from_mins(10))]);
    let consultation = room.consult(&entry("the lamp is on")).await;
    let later = consultation.later.expect("it is still asked").await;
    assert_eq!(reason(&later), Some(Degraded::ModelTimeout));
    assert_eq!(room.model.request_count(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_is_left_alone_and_found_again() {
    let room = Room::honest();
    let address = room.model.url().trim_start_matches("http://").parse().unwrap();
    room.model.stop();
    let mut number = 0;
    let mut lines = || {
        number += 1;
        entry(&"x".repeat(number))
    };
    for _ in 0..5 {
        assert_eq!(room.reason(&lines()).await, Some(Degraded::ModelUnavailable));
    }
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(room.reason(&lines()).await, Some(Degraded::ModelUnavailable));
    }
    assert!(started.elapsed() < Duration::from_millis(500), "nobody knocks: {:?}", started.elapsed());
    let again = FakeModel::start_on(address, sentinelflow_fakes::Mind::honest()).unwrap();
    let is_back = async {
        while room.reason(&lines()).await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_back).await.expect("it is found again");
    assert!(again.request_count() >= 1);
}

#[tokio::test]
async fn a_record_that_is_blocked_costs_no_other_its_opinion() {
    let cases = [
        (Answer::PromptBlocked, 5),
        (Answer::ExtraIds, 5),
        (Answer::BadRequest, 5),
        (Answer::MissingIds, 2),
        (Answer::MaxTokens, 3),
    ];
    for (fault, requests) in cases {
        let room = Room::honest();
        room.model.script([fault.clone()]);
        let entries: Vec<_> = ["a", "b", "c", "d"].map(|word| entry(&format!("{word} lamp is on"))).into();
        let opinions = join_all(entries.iter().map(|entry| room.opinion(entry))).await;
        assert!(opinions.iter().all(is_fresh), "{fault:?} {opinions:?}");
        assert_eq!(room.model.request_count(), requests, "{fault:?}");
    }
}

#[tokio::test]
async fn with_faults_at_random_every_event_has_an_opinion_or_a_reason_in_time() {
    const EVENTS: usize = 400;
    let room = Room::new(FakeModel::start(), |settings| settings.batch = 1);
    let mut list: Vec<Answer> = faults().into_iter().map(|(fault, ..)| fault).collect();
    // These close the door for longer; they are shown alone.
    list.retain(|fault| {
        !matches!(
            fault,
            Answer::DailyQuota
                | Answer::Unpaid
                | Answer::BadKey
                | Answer::Unauthenticated
                | Answer::Forbidden
                | Answer::NoSuchModel
                | Answer::ModelRetired
                | Answer::RateLimited { retry_delay: Some(_), .. }
                | Answer::RateLimited { retry_after: Some(_), .. }
        )
    });
    room.model.at_random(7, 0.3, list);
    let entries: Vec<_> = (1..=EVENTS).map(|length| entry(&"x".repeat(length))).collect();
    let started = Instant::now();
    let ask = |entry| {
        let asked = room.opinion(entry);
        async move {
            let opinion = asked.await;
            (opinion, started.elapsed())
        }
    };
    let mut given = 0;
    for some in entries.chunks(16) {
        let since = started.elapsed();
        for (opinion, at) in join_all(some.iter().map(ask)).await {
            let took = at.saturating_sub(since);
            assert!(took < TIMEOUT + Duration::from_millis(100), "{took:?}");
            assert!(reason(&opinion).is_none_or(|reason| reason != Degraded::ModelOff), "{opinion:?}");
            given += usize::from(is_fresh(&opinion));
        }
    }
    assert!(given * 10 >= EVENTS * 7, "{given} of {EVENTS}");
    assert!(room.model.request_count() <= EVENTS * 3);
}
