//! What a tenant may spend on a model in a day: reserved before a call, corrected after it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sentinelflow_domain::{second_opinion::Spend, tenant::TenantId, time::Timestamp};

use crate::provider::Usage;

/// What a million tokens cost, in thousandths of a US dollar: so many billionths a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub input: u64,
    pub cached_input: u64,
    pub output: u64,
}

/// Prices by the beginning of a model's name; the longest beginning counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices(Vec<(String, Price)>);

impl Prices {
    /// The list prices of November 2026, from ai.google.dev/gemini-api/docs/pricing.
    pub fn listed() -> Self {
        let listed = [
            ("gemini-3.5-flash-lite", 300, 30, 2_500),
            ("gemini-2.5-flash-lite", 100, 25, 400),
            ("gemini-3.6-flash", 1_500, 1_500, 7_500),
            ("gemini-3.8-flash", 1_500, 1_500, 7_500),
            ("gemini-4", 4_000, 4_000, 20_000),
            // What is not listed costs no more than the dearest that is.
            ("gemini-", 4_000, 4_000, 20_000),
        ];
        let price = |(model, input, cached_input, output): (&str, u64, u64, u64)| {
            (model.to_owned(), Price { input, cached_input, output })
        };
        Self(listed.into_iter().map(price).collect())
    }

    /// Sets the price of models whose names begin so.
    pub fn set(&mut self, model: String, price: Price) {
        self.0.retain(|(known, _)| *known != model);
        self.0.push((model, price));
    }

    fn of(&self, model: &str) -> Option<Price> {
        let known = self.0.iter().filter(|(known, _)| model.starts_with(known.as_str()));
        known.max_by_key(|(known, _)| known.len()).map(|(_, price)| *price)
    }

    /// Returns what a call has cost; a model without a price, such as one on the premises, costs nothing but tokens.
    pub(crate) fn spend(&self, answering: &str, asked: &str, usage: Usage) -> Spend {
        let Usage { prompt, cached, output } = usage;
        // A gateway may call a model by another name than it is asked for.
        let nano_usd = self.of(answering).or_else(|| self.of(asked)).map_or(0, |price| {
            let cached = cached.min(prompt);
            let fresh = (prompt - cached).saturating_mul(price.input);
            fresh
                .saturating_add(cached.saturating_mul(price.cached_input))
                .saturating_add(output.saturating_mul(price.output))
        });
        Spend { tokens: prompt.saturating_add(output), nano_usd }
    }
}

/// The days of all tenants that asked lately.
pub(crate) struct Budget {
    limit: Spend,
    days: Mutex<HashMap<TenantId, Day>>,
}

#[derive(Debug, Clone, Copy)]
struct Day {
    /// Since 1970.
    number: i64,
    spent: Spend,
    reserved: Spend,
}

/// What a call may cost at most, put aside until it is known what it did cost.
#[must_use]
#[derive(Debug)]
pub(crate) struct Reservation {
    tenant: TenantId,
    day: i64,
    reserved: Spend,
}

impl Budget {
    pub(crate) fn new(limit: Spend) -> Self {
        Self { limit, days: Mutex::default() }
    }

    /// Whether it is known what the tenant has spent today.
    pub(crate) fn knows(&self, tenant: TenantId, now: Timestamp) -> bool {
        self.with_days(|days| days.get(&tenant).is_some_and(|day| day.number == day_of(now)))
    }

    /// Says what the tenant had spent today before this process asked for it.
    pub(crate) fn recall(&self, tenant: TenantId, now: Timestamp, spent: Spend) {
        let number = day_of(now);
        self.with_days(|days| {
            let known = days.get(&tenant).is_some_and(|day| day.number == number);
            if !known {
                days.insert(tenant, Day { number, spent, reserved: Spend::default() });
            }
        });
    }

    /// Whether nothing is left of the tenant's day, as far as that is known.
    pub(crate) fn is_spent(&self, tenant: TenantId, now: Timestamp) -> bool {
        let is_spent = |day: &Day| {
            let is_over = day.spent.tokens >= self.limit.tokens || day.spent.nano_usd >= self.limit.nano_usd;
            day.number == day_of(now) && is_over
        };
        self.with_days(|days| days.get(&tenant).is_some_and(is_spent))
    }

    /// Puts aside what a call may cost; `None` if the tenant's day has not so much left.
    pub(crate) fn reserve(&self, tenant: TenantId, now: Timestamp, most: Spend) -> Option<Reservation> {
        self.with_days(|days| {
            let day = days.get_mut(&tenant).filter(|day| day.number == day_of(now))?;
            let mut total = day.spent;
            total += day.reserved;
            total += most;
            if total.tokens > self.limit.tokens || total.nano_usd > self.limit.nano_usd {
                return None;
            }
            day.reserved += most;
            Some(Reservation { tenant, day: day_of(now), reserved: most })
        })
    }

    /// Puts what a call did cost in the place of what was put aside.
    #[expect(clippy::needless_pass_by_value, reason = "what was put aside is settled once")]
    pub(crate) fn settle(&self, reservation: Reservation, spent: Spend) {
        self.with_days(|days| {
            if let Some(day) = days.get_mut(&reservation.tenant).filter(|day| day.number == reservation.day) {
                day.reserved.tokens = day.reserved.tokens.saturating_sub(reservation.reserved.tokens);
                day.reserved.nano_usd = day.reserved.nano_usd.saturating_sub(reservation.reserved.nano_usd);
                day.spent += spent;
            }
        });
    }

    fn with_days<T>(&self, look: impl FnOnce(&mut HashMap<TenantId, Day>) -> T) -> T {
        look(&mut self.days.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The day of a moment, counted from 1970; it begins at midnight UTC.
pub(crate) fn day_of(moment: Timestamp) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    moment.as_millis().div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::id::ObjectId;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn tokens(tokens: u64) -> Spend {
        Spend { tokens, nano_usd: tokens * 10 }
    }

    #[test]
    fn the_longest_beginning_of_a_name_has_the_price() {
        let mut prices = Prices::listed();
        let usage = Usage { prompt: 1_000, cached: 400, output: 10 };
        // 600 x 0.30, 400 x 0.03 and 10 x 2.50 dollars a million.
        assert_eq!(prices.spend("gemini-3.5-flash-lite-001", "x", usage).nano_usd, 180_000 + 12_000 + 25_000);
        assert_eq!(prices.spend("llama", "x", usage), Spend { tokens: 1_010, nano_usd: 0 });
        prices.set("gemini-3.5-flash-lite".to_owned(), Price { input: 1, cached_input: 1, output: 0 });
        assert_eq!(prices.spend("x", "gemini-3.5-flash-lite", usage).nano_usd, 1_000);
    }

    #[test]
    fn what_is_put_aside_counts_until_it_is_settled() {
        let tenant = ObjectId::from_parts(1, [1; 5], 1);
        let budget = Budget::new(Spend { tokens: 100, nano_usd: 10_000 });
        assert!(!budget.knows(tenant, now()) && budget.reserve(tenant, now(), tokens(1)).is_none());
        budget.recall(tenant, now(), tokens(40));
        let first = budget.reserve(tenant, now(), tokens(60)).expect("there is just enough");
        assert!(budget.reserve(tenant, now(), tokens(1)).is_none());
        budget.settle(first, tokens(20));
        let second = budget.reserve(tenant, now(), tokens(40)).expect("the rest");
        budget.settle(second, tokens(41));
        assert!(budget.reserve(tenant, now(), tokens(0)).is_none(), "overdrawn");
        budget.recall(tenant, now(), tokens(0));
        assert!(budget.reserve(tenant, now(), tokens(0)).is_none(), "a day is recalled once");
        let tomorrow = Timestamp::from_millis(86_400_000);
        assert!(!budget.knows(tenant, tomorrow));
        budget.recall(tenant, tomorrow, tokens(0));
        assert!(budget.reserve(tenant, tomorrow, tokens(100)).is_some());
    }

    #[test]
    fn money_ends_a_day_as_tokens_do() {
        let tenant = ObjectId::from_parts(1, [1; 5], 1);
        let budget = Budget::new(Spend { tokens: 1_000_000, nano_usd: 5 });
        budget.recall(tenant, now(), Spend::default());
        assert!(budget.reserve(tenant, now(), Spend { tokens: 1, nano_usd: 6 }).is_none());
    }
}
