//! What is asked, of whom, and what becomes of the answer.

use std::{sync::Arc, time::Duration};

use sentinelflow_domain::{
    analysis::{Degraded, Judge},
    second_opinion::{Ask, Opinion, SecondOpinion as _},
};
use sentinelflow_fakes::{Answer, FakeModel, Mind};
use sentinelflow_llm::ProviderKind;
use serde_json::{Value, json};

use crate::given::*;

#[tokio::test]
async fn an_opinion_is_asked_for_and_what_was_sent_can_be_read_back() {
    for provider in ProviderKind::ALL {
        let room = Room::speaking(provider, FakeModel::start_with(Mind::says("high", 50)), |_| {});
        let entry = entry("the lamp is on");
        let analysis = room.local(&entry).raised_by(room.opinion(&entry).await);
        assert_eq!(
            (analysis.judge(), analysis.score.value(), analysis.degraded),
            (Judge::RulesAndModel, 79, None)
        );

        let opinion = analysis.opinion.unwrap();
        let exchanges = room.book.exchanges();
        let exchange =
            exchanges.iter().find(|exchange| exchange.id == opinion.verdict.asked.exchange).unwrap();
        let received = room.model.requests();
        assert_eq!(exchange.sent.as_bytes(), received[0].body, "every byte");
        assert_eq!(received[0].credential.as_deref(), Some(KEY));
        assert_eq!(received[0].records[0]["id"], *opinion.verdict.asked.record);
        assert!(
            exchange.url.starts_with(&room.model.url()) && !exchange.url.contains(KEY),
            "{}",
            exchange.url
        );
        assert!(exchange.spent.tokens > 100, "{:?}", exchange.spent);
        assert_eq!(room.book.total_spent(), exchange.spent);
    }
}

#[tokio::test]
async fn records_are_marked_as_data_and_the_answers_form_is_prescribed() {
    let room = Room::honest();
    room.opinion(&entry("a lamp ‹ip-1:private› went \u{e123} off\u{200b}")).await;
    let received = room.model.requests().remove(0);
    let message = received.records[0]["message"].as_str().unwrap();
    assert!(!message.contains(' '), "{message}");
    let marks: Vec<char> = message.chars().filter(|char| ('\u{e000}'..='\u{f8ff}').contains(char)).collect();
    assert!(marks.len() == 5 && marks.iter().all(|mark| *mark == marks[0]), "{message}");
    let unmarked = message.replace(marks[0], " ");
    assert_eq!(unmarked, "a lamp <ip-1:private> went ? off‹hidden›");
    let body: Value = received.json();
    assert_eq!(body["generationConfig"]["responseJsonSchema"]["required"], json!(["verdicts"]));
    assert_eq!(body["store"], json!(false));
}

#[tokio::test]
async fn events_of_a_moment_share_a_request_and_a_connection() {
    let room = Room::honest();
    let entries: Vec<_> = (0..8)
        .map(|n| entry(&format!("{} lamp is on", ["a", "b", "c", "d", "e", "f", "g", "h"][n])))
        .collect();
    let asked = entries.iter().map(|entry| room.opinion(entry));
    let opinions = join_all(asked).await;
    assert!(opinions.iter().all(is_fresh), "{opinions:?}");
    assert_eq!(room.model.request_count(), 1);
    for word in ["x", "y", "z"] {
        assert!(is_fresh(&room.opinion(&entry(&format!("{word} lamp is on"))).await));
    }
    assert_eq!((room.model.request_count(), room.model.connections()), (4, 1));
}

#[tokio::test]
async fn the_same_question_is_asked_once_however_many_ask_it() {
    let room = Room::honest();
    room.model.delay(Duration::from_millis(50));
    let entries: Vec<_> = (20..70).map(|n| entry(&format!("job {n} took {n}77 ms for 10.0.0.{n}"))).collect();
    let opinions = join_all(entries.iter().map(|entry| room.opinion(entry))).await;
    assert!(opinions.iter().all(|opinion| reason(opinion).is_none()), "{opinions:?}");
    let records: usize = room.model.requests().iter().map(|received| received.records.len()).sum();
    // Numbers of as many digits are of one class, and so are private addresses.
    assert_eq!(records, 1);
}

#[tokio::test]
async fn tenants_share_neither_requests_nor_answers() {
    let room = Room::honest();
    let entry = entry("the lamp is on");
    let local = room.local(&entry);
    let (ana, bob) = (tenant(1), tenant(2));
    let (first, second) = tokio::join!(
        room.consultant.consult(&ana, &entry, &local).in_time(),
        room.consultant.consult(&bob, &entry, &local).in_time()
    );
    assert!(is_fresh(&first.opinion) && is_fresh(&second.opinion));
    assert_eq!(room.model.request_count(), 2);
}

#[tokio::test]
async fn values_stand_in_a_models_words_where_people_read_them_but_secrets_do_not() {
    let quoting = |records: &[Value]| -> Vec<Value> {
        let verdict = |record: &Value| {
            let message = record["message"].as_str().unwrap_or_default();
            json!({"id": record["id"], "severity": "low", "confidence": 1, "technique": "none", "reason": message})
        };
        records.iter().map(verdict).collect()
    };
    let room = Room::of_mind(Mind::custom(Arc::new(quoting)));
    let Opinion::Given { verdict, .. } =
        room.opinion(&entry("user=ana from 198.51.100.7 password=correct-horse")).await
    else {
        panic!("an answer was given")
    };
    assert!(
        verdict.summary.contains("ana") && verdict.summary.contains("198.51.100.7"),
        "{}",
        verdict.summary
    );
    assert!(!verdict.summary.contains("horse"), "{}", verdict.summary);
    let sent = String::from_utf8(room.model.requests()[0].body.clone()).unwrap();
    for value in ["ana", "198.51.100.7", "horse"] {
        assert!(
            !sent.contains(&format!("={value}")) && !sent.contains("198.51") && !sent.contains("horse"),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn who_is_asked_less_sends_less() {
    let quiet = entry("the lamp is on");
    let failed = entry(FAILED_LOGIN);
    let grave = entry("GET /?q=1' UNION SELECT password FROM users-- HTTP/1.1");
    for (server, own, asked) in [
        (Ask::Always, Ask::Always, [true, true, true]),
        (Ask::Always, Ask::Uncertain, [false, true, false]),
        (Ask::Uncertain, Ask::Always, [false, true, false]),
        (Ask::Always, Ask::Never, [false, false, false]),
    ] {
        let room = Room::new(FakeModel::start(), |settings| settings.ask = server);
        let tenant = sentinelflow_domain::tenant::Tenant { ask: own, ..tenant(1) };
        for (entry, is_asked) in [&quiet, &failed, &grave].into_iter().zip(asked) {
            let local = room.local(entry);
            let opinion = room.consultant.consult(&tenant, entry, &local).in_time().await.opinion;
            let expected = match own {
                Ask::Never => matches!(opinion, Opinion::Unavailable { reason: Degraded::ModelOff, .. }),
                _ if is_asked => is_fresh(&opinion),
                _ => opinion == Opinion::NotAsked,
            };
            assert!(expected, "{server:?} {own:?} {} {opinion:?}", local.score.value());
        }
        assert_eq!(room.model.request_count(), asked.iter().filter(|asked| **asked).count());
    }
}

#[tokio::test]
async fn a_model_that_is_gone_has_a_successor() {
    for gone in [Answer::NoSuchModel, Answer::ModelRetired] {
        let room = Room::new(FakeModel::start(), |settings| {
            settings.fallback_models = vec!["gemini-3.6-flash".to_owned()];
        });
        room.model.script([gone]);
        let Opinion::Given { verdict, .. } = room.opinion(&entry("the lamp is on")).await else {
            panic!("the other model was asked")
        };
        assert_eq!(&*verdict.model, "gemini-3.6-flash");
        room.opinion(&entry("the door is shut")).await;
        let paths: Vec<String> = room.model.requests().into_iter().map(|received| received.path).collect();
        assert_eq!(paths.len(), 3);
        assert!(paths[1..].iter().all(|path| path.contains("gemini-3.6-flash")), "{paths:?}");
    }
}

/// Waits for all of them at once.
pub(crate) async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
