//! The second opinion: redact → remembered? → budget → ask → check. It judges nothing itself, and a model's word changes
//! nothing here: what it may do to an analysis is decided in `domain`.

mod check;
mod consultant;
mod no_model;
mod settings;

mod hidden;
mod mask;
mod question;
mod redact;

mod answer;
mod prompt;

mod breaker;
mod budget;
mod meters;

mod gemini;
mod openai_compatible;

#[doc(hidden)]
pub mod fuzzed;
mod provider;

pub use reqwest::header::HeaderName;

pub use self::{
    budget::{Price, Prices},
    check::{Check, check},
    consultant::Consultant,
    meters::describe as describe_meters,
    no_model::NoModel,
    provider::{ApiKey, InvalidApiKey},
    settings::{ProviderKind, Settings},
};
