//! From files to rules: YAML is parsed by `rsigma-parser`, everything after that is ours.

use std::{collections::HashSet, sync::Arc};

use rsigma_parser::{SigmaRule, parse_sigma_yaml};
use sentinelflow_domain::analysis::{Category, Level};
use serde::Deserialize;

use super::{
    Rule, RuleFileError,
    compile::{Refusal, Trust, compile},
    condition::Condition,
    source::RuleSource,
    view::FieldNames,
};

/// What rule files hold, ready to be indexed.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) rules: Vec<Rule>,
    pub(super) conditions: Vec<Condition>,
    pub(super) sources: Vec<RuleSource>,
    pub(super) names: FieldNames,
    pub(super) errors: Vec<RuleFileError>,
    ids: HashSet<Arc<str>>,
    trust: Trust,
}

/// Our own member of a rule file. Rules from elsewhere have none and get defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    category: Option<Category>,
    summary: Option<String>,
    advice: Option<String>,
    #[serde(default)]
    examples: Examples,
}

/// Log entries as JSON, by which a rule is tested.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Entries that the rule must find.
    #[serde(rename = "match")]
    pub hits: Vec<serde_json::Value>,
    /// Entries that look alike and that it must not find.
    #[serde(rename = "ignore")]
    pub misses: Vec<serde_json::Value>,
}

const DEFAULT_ADVICE: &str =
    "Find out whether this activity was expected. If not, isolate the host or account and keep its logs.";

impl Loaded {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust, ..Self::default() }
    }

    /// Adds the rules of a file; returns whether any could be used.
    pub(super) fn add_file(&mut self, file: &str, yaml: &str) -> bool {
        let before = self.rules.len();
        match parse_sigma_yaml(yaml) {
            Ok(collection) => {
                for what in &collection.errors {
                    self.report(file, yaml, what.clone(), None);
                }
                for correlation in &collection.correlations {
                    let what = "correlation rules are not supported yet".to_owned();
                    self.report(file, yaml, what, Some(&correlation.title));
                }
                for filter in &collection.filters {
                    self.report(file, yaml, "filters are not supported yet".to_owned(), Some(&filter.title));
                }
                for rule in collection.rules {
                    let title = rule.title.clone();
                    if let Err(Refusal { what, near }) = self.add_rule(file, rule) {
                        let is_near_there = yaml.contains(&near);
                        self.report(file, yaml, what, Some(if is_near_there { &near } else { &title }));
                    }
                }
            }
            Err(error) => self.report(file, yaml, error.to_string(), None),
        }
        self.rules.len() > before
    }

    fn add_rule(&mut self, file: &str, rule: SigmaRule) -> Result<(), Refusal> {
        let refusal = |what: String, near: &str| Refusal { what, near: near.to_owned() };
        if rsigma_parser::is_unsupported(rule.sigma_version) {
            return Err(refusal("this version of Sigma is not supported".to_owned(), "sigma-version"));
        }
        let extension = match rule.custom_attributes.get("sentinelflow") {
            None => Extension::default(),
            Some(value) => {
                Extension::deserialize(value).map_err(|error| refusal(error.to_string(), "sentinelflow"))?
            }
        };
        let condition = compile(&rule.detection, &mut self.names, self.trust)?;
        let id: Arc<str> = rule.id.as_deref().unwrap_or(file).into();
        if !self.ids.insert(Arc::clone(&id)) {
            return Err(refusal(format!("another rule has the id {id}"), &id));
        }
        self.conditions.push(condition);
        self.sources.push(RuleSource::from(&rule.logsource));
        self.rules.push(Rule {
            id,
            level: level_of(&rule),
            category: extension.category.unwrap_or_else(|| category_of(&rule.tags)),
            techniques: techniques_of(&rule.tags),
            description: rule.description.unwrap_or_default().trim().to_owned(),
            false_positives: rule.falsepositives,
            summary: extension.summary.unwrap_or_else(|| format!("{}.", rule.title)).into(),
            advice: extension.advice.as_deref().unwrap_or(DEFAULT_ADVICE).into(),
            examples: extension.examples,
            title: rule.title.into(),
        });
        Ok(())
    }

    fn report(&mut self, file: &str, yaml: &str, what: String, near: Option<&str>) {
        let line = near.map_or_else(|| line_told_by(&what, yaml), |near| line_of(near, yaml));
        // Of a text that breaks off the parser names the line after its end.
        let line = line.clamp(1, yaml.lines().count().max(1));
        self.errors.push(RuleFileError { file: file.to_owned(), line, what });
    }
}

fn level_of(rule: &SigmaRule) -> Level {
    match rule.level {
        Some(rsigma_parser::Level::Informational) => Level::Informational,
        Some(rsigma_parser::Level::Low) => Level::Low,
        Some(rsigma_parser::Level::Medium) | None => Level::Medium,
        Some(rsigma_parser::Level::High) => Level::High,
        Some(rsigma_parser::Level::Critical) => Level::Critical,
    }
}

/// Returns the ATT&CK techniques among the tags: `attack.t1110.001` is `T1110.001`.
fn techniques_of(tags: &[String]) -> Vec<Arc<str>> {
    let names = tags.iter().filter_map(|tag| tag.strip_prefix("attack."));
    let techniques = names.filter(|name| {
        name.strip_prefix(['t', 'T'])
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    });
    techniques.map(|name| name.to_ascii_uppercase().into()).collect()
}

/// Returns the category that a foreign rule's ATT&CK tactics speak of, the most telling tactic first.
fn category_of(tags: &[String]) -> Category {
    const TACTICS: [(&str, Category); 14] = [
        ("attack.privilege-escalation", Category::PrivilegeEscalation),
        ("attack.reconnaissance", Category::Scanner),
        ("attack.discovery", Category::Scanner),
        ("attack.credential-access", Category::Malware),
        ("attack.impact", Category::Malware),
        ("attack.exfiltration", Category::Malware),
        ("attack.command-and-control", Category::Malware),
        ("attack.persistence", Category::Malware),
        ("attack.lateral-movement", Category::Malware),
        ("attack.collection", Category::Malware),
        ("attack.defense-evasion", Category::Malware),
        ("attack.stealth", Category::Malware),
        ("attack.execution", Category::RemoteCodeExecution),
        ("attack.initial-access", Category::RemoteCodeExecution),
    ];
    let has = |tactic: &str| tags.iter().any(|tag| tag.replace('_', "-").eq_ignore_ascii_case(tactic));
    TACTICS.iter().find(|(tactic, _)| has(tactic)).map_or(Category::Other, |(_, category)| *category)
}

fn line_of(near: &str, yaml: &str) -> usize {
    let as_key = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ").trim_start_matches(['\'', '"']);
        line.strip_prefix(near).is_some_and(|rest| rest.starts_with([':', '|', '\'', '"']))
    };
    let keyed = yaml.lines().position(as_key);
    keyed.or_else(|| yaml.lines().position(|line| line.contains(near))).map_or(1, |index| index + 1)
}

/// Finds the line by what the parser says: it names a line, or quotes what it stumbled over.
fn line_told_by(what: &str, yaml: &str) -> usize {
    let named = what.split("at line ").nth(1).and_then(|rest| rest.split([' ', ',']).next()?.parse().ok());
    if let Some(line) = named {
        return line;
    }
    if what.starts_with("Condition") {
        return line_of("condition", yaml);
    }
    what.split('\'').nth(1).map_or(1, |quoted| line_of(quoted, yaml))
}
