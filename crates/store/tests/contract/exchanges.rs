//! Promises about what is remembered of a language model.

use sentinelflow_domain::{
    id::ObjectId,
    second_opinion::{Exchange, ExchangeId, QuestionKey, RememberedVerdict, Spend},
    store::StoreError,
    tenant::TenantId,
    time::Timestamp,
};

use crate::given::{AnyStore, at, tenant, verdict};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn exchange(id: u8, asked_at: Timestamp) -> Exchange {
    Exchange {
        id: ExchangeId([id; 16]),
        asked_at,
        url: "https://model.test/v1/chat".into(),
        sent: "{\"text\": \"\0 \u{202e}ß€𝄞\r\n\"}".into(),
        answer: Some("[\"\0 ß\"]\n".into()),
        failure: Some("answer_invalid".into()),
        model: Some("gemini-flash".into()),
        duration_ms: 812,
        spent: Spend { tokens: 1_234, nano_usd: 5_678 },
    }
}

pub(crate) fn remembered(key: u8, expires_at: Timestamp) -> RememberedVerdict {
    RememberedVerdict { key: QuestionKey([key; 32]), verdict: verdict(key), expires_at }
}

/// Returns what answers one question.
pub(crate) async fn verdict_on(
    store: &AnyStore,
    tenant: TenantId,
    key: QuestionKey,
    now: Timestamp,
) -> Option<RememberedVerdict> {
    let mut found = store.verdicts(tenant, vec![key], now).await.unwrap();
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

/// The day since 1970 as a calendar in UTC has it.
pub(crate) fn day_of(moment: Timestamp) -> i64 {
    moment.as_millis().div_euclid(DAY_MS)
}

pub(crate) async fn what_was_sent_comes_back_byte_for_byte(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let whole = exchange(0xFE, at(1));
    let large = Exchange { sent: "ß\0".repeat(1 << 19), ..exchange(2, at(2)) };
    let unanswered = Exchange { answer: None, failure: None, model: None, ..exchange(3, at(3)) };
    let empty = Exchange { sent: String::new(), answer: Some(String::new()), ..exchange(4, at(4)) };
    let exchanges = [whole, large, unanswered, empty];
    for exchange in &exchanges {
        store.keep_exchange(ana, exchange.clone(), Vec::new()).await.unwrap();
    }
    for exchange in exchanges {
        assert_eq!(store.exchange(ana, exchange.id).await.unwrap(), Some(exchange));
    }
    assert_eq!(store.exchange(ana, ExchangeId([9; 16])).await.unwrap(), None);
}

pub(crate) async fn another_tenant_sees_nothing(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let nobody = ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter());
    let (sent, hers) = (exchange(1, at(0)), remembered(1, at(9)));
    store.keep_exchange(ana, sent.clone(), vec![hers.clone()]).await.unwrap();
    for other in [bob, nobody] {
        assert_eq!(store.exchange(other, sent.id).await.unwrap(), None);
        assert_eq!(verdict_on(&store, other, hers.key, at(0)).await, None);
        assert_eq!(store.spent(other, day_of(at(0))).await.unwrap(), Spend::default());
    }
    let his = RememberedVerdict { verdict: verdict(80), ..remembered(1, at(5)) };
    store.keep_exchange(bob, exchange(2, at(0)), vec![his.clone()]).await.unwrap();
    assert_eq!(verdict_on(&store, ana, hers.key, at(0)).await, Some(hers));
    assert_eq!(verdict_on(&store, bob, his.key, at(0)).await, Some(his));
}

pub(crate) async fn a_verdict_answers_until_it_expires(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let (short, long) = (remembered(1, at(10)), remembered(2, at(20)));
    store.keep_exchange(ana, exchange(1, at(0)), vec![short.clone(), long.clone()]).await.unwrap();
    for (now, of_short, of_long) in [(0, true, true), (9, true, true), (10, false, true), (20, false, false)]
    {
        for (verdict, answers) in [(&short, of_short), (&long, of_long)] {
            let expected = answers.then(|| verdict.clone());
            assert_eq!(verdict_on(&store, ana, verdict.key, at(now)).await, expected, "at {now}");
        }
    }
    // Whatever makes room for later ones leaves those that still answer.
    for id in 2..9 {
        store.keep_exchange(ana, exchange(id, at(19)), Vec::new()).await.unwrap();
    }
    assert_eq!(verdict_on(&store, ana, short.key, at(19)).await, None);
    assert_eq!(verdict_on(&store, ana, long.key, at(19)).await, Some(long));
}

pub(crate) async fn several_questions_are_answered_at_once(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let verdicts: Vec<_> = [(1, 9), (2, 3), (3, 9)].map(|(key, end)| remembered(key, at(end))).into();
    store.keep_exchange(ana, exchange(1, at(0)), verdicts.clone()).await.unwrap();
    let keys = [3, 4, 2, 1].map(|key| QuestionKey([key; 32])).into();
    let mut found = store.verdicts(ana, keys, at(5)).await.unwrap();
    found.sort_by_key(|verdict| verdict.key.0);
    assert_eq!(found, [verdicts[0].clone(), verdicts[2].clone()]);
    assert_eq!(store.verdicts(ana, Vec::new(), at(5)).await.unwrap(), []);
}

pub(crate) async fn a_verdict_for_a_known_key_takes_the_formers_place(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let first = remembered(1, at(10));
    let second = RememberedVerdict { verdict: verdict(77), expires_at: at(30), ..first.clone() };
    let third = RememberedVerdict { verdict: verdict(3), expires_at: at(5), ..first.clone() };
    for (id, verdict) in [(1, &first), (2, &second), (3, &third)] {
        store.keep_exchange(ana, exchange(id, at(0)), vec![verdict.clone()]).await.unwrap();
        assert_eq!(verdict_on(&store, ana, first.key, at(0)).await.as_ref(), Some(verdict));
    }
    assert_eq!(verdict_on(&store, ana, first.key, at(5)).await, None);
}

pub(crate) async fn a_day_costs_what_its_exchanges_cost_together(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    let millis = Timestamp::from_millis;
    let asked = [
        (ana, -1, 1),
        (ana, 0, 10),
        (ana, DAY_MS - 1, 100),
        (bob, 5, 1_000),
        (ana, DAY_MS, 10_000),
        (ana, -DAY_MS, 100_000),
    ];
    for (id, (owner, ms, tokens)) in (0..).zip(asked) {
        let spent = Spend { tokens, nano_usd: 2 * tokens };
        store.keep_exchange(owner, Exchange { spent, ..exchange(id, millis(ms)) }, Vec::new()).await.unwrap();
    }
    for (owner, day, tokens) in
        [(ana, -1, 100_001), (ana, 0, 110), (ana, 1, 10_000), (ana, 2, 0), (bob, 0, 1_000), (bob, 1, 0)]
    {
        let spent = Spend { tokens, nano_usd: 2 * tokens };
        assert_eq!(store.spent(owner, day).await.unwrap(), spent, "on day {day}");
    }
}

pub(crate) async fn an_exchange_is_kept_whole_or_not_at_all(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let (first, answer) = (exchange(1, at(0)), remembered(1, at(9)));
    store.keep_exchange(ana, first.clone(), vec![answer.clone()]).await.unwrap();
    let same_id = Exchange { sent: "other".into(), ..first.clone() };
    let other = RememberedVerdict { verdict: verdict(90), ..answer.clone() };
    let refused = store.keep_exchange(ana, same_id, vec![other, remembered(2, at(9))]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(store.exchange(ana, first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(verdict_on(&store, ana, answer.key, at(0)).await, Some(answer.clone()));
    assert_eq!(verdict_on(&store, ana, QuestionKey([2; 32]), at(0)).await, None);
    assert_eq!(store.spent(ana, day_of(at(0))).await.unwrap(), first.spent);

    let never = ObjectId::from_parts(ana.seconds() - 1, ana.origin(), 5);
    for nobody in [never, ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter())] {
        let refused = store.keep_exchange(nobody, exchange(2, at(0)), vec![answer.clone()]).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        assert_eq!(verdict_on(&store, nobody, answer.key, at(0)).await, None);
        assert_eq!(store.spent(nobody, day_of(at(0))).await.unwrap(), Spend::default());
    }
}
