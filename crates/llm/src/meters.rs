//! What is counted of asking: outcomes, calls, cost. Labels are names of ours, never text from outside.

use std::time::Duration;

use metrics::{Counter, counter, describe_counter, describe_histogram, histogram};
use sentinelflow_domain::{analysis::Degraded, second_opinion::Spend};

use crate::{answer::Unusable, provider::Fault};

const OPINIONS: &str = "sentinelflow_llm_opinions_total";
const DEGRADED: &str = "sentinelflow_llm_degraded_total";
const CALLS: &str = "sentinelflow_llm_calls_total";
const CALL_SECONDS: &str = "sentinelflow_llm_call_seconds";
const TOKENS: &str = "sentinelflow_llm_tokens_total";
const NANO_USD: &str = "sentinelflow_llm_cost_nano_usd_total";
const RECHECKS: &str = "sentinelflow_llm_rechecks_total";
const UNUSABLE: &str = "sentinelflow_llm_unusable_answers_total";

/// Tells what the meters measure.
pub fn describe() {
    describe_counter!(
        OPINIONS,
        "Opinions given, by whether the question was asked for this event or its answer was remembered"
    );
    describe_counter!(
        DEGRADED,
        "Events that were answered for without an opinion, by reason; one that comes later counts as given, too"
    );
    describe_counter!(CALLS, "Requests to the provider, by outcome");
    describe_histogram!(CALL_SECONDS, "How long requests to the provider took");
    describe_counter!(TOKENS, "Tokens used");
    describe_counter!(NANO_USD, "Cost in billionths of a US dollar");
    describe_counter!(
        RECHECKS,
        "Remembered verdicts that were asked for again, by whether the severity was the same"
    );
    describe_counter!(UNUSABLE, "Answers that were not used, by what was wrong with their form");
}

/// Counts opinions that were given before.
pub(crate) fn remembered() -> Counter {
    counter!(OPINIONS, "from" => "memory")
}

pub(crate) fn given() {
    counter!(OPINIONS, "from" => "model").increment(1);
}

/// Counts events about which nobody is asked.
pub(crate) fn off() -> Counter {
    counter!(DEGRADED, "reason" => Degraded::ModelOff.as_str())
}

pub(crate) fn unavailable(reason: Degraded) {
    counter!(DEGRADED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn called(took: Duration, fault: Option<&Fault>) {
    counter!(CALLS, "outcome" => fault.map_or("answered", |fault| fault.degraded().as_str())).increment(1);
    histogram!(CALL_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn spent(spent: Spend) {
    counter!(TOKENS).increment(spent.tokens);
    counter!(NANO_USD).increment(spent.nano_usd);
}

pub(crate) fn rechecked(agrees: bool) {
    counter!(RECHECKS, "agrees" => if agrees { "true" } else { "false" }).increment(1);
}

pub(crate) fn unusable(unusable: Unusable) {
    let what = match unusable {
        Unusable::Malformed => "malformed",
        Unusable::StrangeId => "strange_id",
        Unusable::Repeated => "repeated",
        Unusable::Canary => "canary",
        Unusable::OutOfRange => "out_of_range",
        Unusable::Nothing => "nothing",
    };
    counter!(UNUSABLE, "what" => what).increment(1);
}
