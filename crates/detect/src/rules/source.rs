//! Which rules concern an event at all, by Sigma's `logsource`.

use crate::event::LogSource;

/// The log source that a rule states; a part that it leaves out may be anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleSource {
    category: Option<String>,
    product: Option<String>,
    service: Option<String>,
}

/// Our word for rules that read text wherever it comes from.
const ANY: &str = "any";

impl From<&rsigma_parser::LogSource> for RuleSource {
    fn from(stated: &rsigma_parser::LogSource) -> Self {
        let lower = |part: &Option<String>| part.as_deref().map(str::to_ascii_lowercase);
        let category = lower(&stated.category).filter(|category| category != ANY);
        Self { category, product: lower(&stated.product), service: lower(&stated.service) }
    }
}

impl RuleSource {
    /// Says whether the event comes from where the rule looks: every part that the rule states must be the event's.
    pub(super) fn covers(&self, event: LogSource) -> bool {
        let same = |stated: &Option<String>, part: Option<&str>| {
            stated.as_deref().is_none_or(|stated| part == Some(stated))
        };
        same(&self.category, event.category)
            && same(&self.product, event.product)
            && (same(&self.service, event.service) || self.is_auth_log_of(event.service))
    }

    /// Says whether a filter for this source concerns a rule for another one: no part that both state may differ.
    pub(super) fn concerns(&self, rule: &Self) -> bool {
        let fits = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        fits(&self.category, &rule.category)
            && fits(&self.product, &rule.product)
            && fits(&self.service, &rule.service)
    }

    /// Linux keeps what these programs say in one file, which Sigma calls the service `auth`.
    fn is_auth_log_of(&self, service: Option<&str>) -> bool {
        self.service.as_deref() == Some("auth") && matches!(service, Some("sshd" | "sudo" | "su" | "pam"))
    }
}
