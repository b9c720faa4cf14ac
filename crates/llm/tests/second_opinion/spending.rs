//! A tenant's day ends when its tokens or its money do.

use sentinelflow_domain::{analysis::Degraded, second_opinion::SecondOpinion as _};
use sentinelflow_fakes::FakeModel;

use crate::given::*;

#[tokio::test]
async fn what_is_spent_is_what_the_provider_counted() {
    let room = Room::honest();
    room.opinion(&entry("the lamp is on")).await;
    let body = room.model.requests()[0].json();
    let texts = ["/systemInstruction/parts/0/text", "/contents/0/parts/0/text"];
    let prompt: u64 = texts
        .iter()
        .map(|pointer| body.pointer(pointer).unwrap().as_str().unwrap().chars().count() as u64)
        .sum();
    let spent = room.book.total_spent();
    let answer = room.book.exchanges()[0].answer.clone().unwrap().chars().count() as u64;
    let (prompt, answer) = (prompt.div_ceil(4), answer.div_ceil(4));
    assert!(spent.tokens.abs_diff(prompt + answer) <= 1, "{spent:?} {prompt} {answer}");
    assert!(spent.nano_usd.abs_diff(prompt * 300 + answer * 2_500) <= 3_000, "{spent:?}");
}

#[tokio::test]
async fn a_spent_budget_ends_the_asking_until_tomorrow() {
    for is_money in [false, true] {
        let room = Room::new(FakeModel::start(), |settings| {
            if is_money {
                settings.nano_usd_per_day = 3_000_000;
            } else {
                settings.tokens_per_day = 3_000;
            }
        });
        let mut asked = 0;
        let reason = loop {
            match room.reason(&entry(&"x".repeat(asked + 1))).await {
                None => asked += 1,
                Some(reason) => break reason,
            }
        };
        assert_eq!(reason, Degraded::Budget);
        assert!((1..20).contains(&asked), "{asked}");
        let spent = room.book.total_spent();
        assert!(spent.tokens <= 3_000 || is_money && spent.nano_usd <= 3_000_000, "{spent:?}");
        // What is remembered costs nothing, and another tenant has a budget of its own.
        assert!(is_remembered(&room.opinion(&entry("x")).await));
        let line = entry("the lamp is on");
        let other = room.consultant.consult(&tenant(2), &line, &room.local(&line)).in_time().await.opinion;
        assert!(is_fresh(&other));
        room.clock.set(86_400_000);
        assert!(is_fresh(&room.opinion(&entry(&"x".repeat(99))).await));
    }
}

#[tokio::test]
async fn a_restart_forgets_no_cost() {
    let room = Room::honest();
    room.opinion(&entry("the lamp is on")).await;
    let spent = room.book.total_spent();
    let room = room.restarted(|settings| settings.tokens_per_day = spent.tokens);
    assert_eq!(room.reason(&entry("the door is shut")).await, Some(Degraded::Budget));
    assert!(is_remembered(&room.opinion(&entry("the lamp is on")).await));
}
