//! Stands where no language model is to be asked, and says so.

use metrics::Counter;
use sentinelflow_domain::{
    analysis::{Analysis, Degraded},
    log_entry::LogEntry,
    second_opinion::{Consultation, Opinion, SecondOpinion},
    tenant::Tenant,
};

use crate::meters;

/// Nobody to ask.
pub struct NoModel(Counter);

impl Default for NoModel {
    fn default() -> Self {
        Self(meters::off())
    }
}

impl SecondOpinion for NoModel {
    fn consult(&self, _: &Tenant, _: &LogEntry, _: &Analysis) -> Consultation {
        self.0.increment(1);
        Consultation::Known(Opinion::unavailable(Degraded::ModelOff))
    }
}
