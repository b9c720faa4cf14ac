//! From files to rules: YAML is parsed by `rsigma-parser`, everything after that is ours.

use std::{collections::HashSet, fmt, sync::Arc};

use rsigma_parser::{CorrelationRule, FilterRule, FilterRuleTarget, SigmaRule, parse_sigma_yaml};
use sentinelflow_domain::analysis::{Category, Level};
use serde::{Deserialize, Deserializer};

use super::{
    Rule, RuleFileError,
    bounds::{self, Allowance},
    compile::{Refusal, Trust, compile, refuse},
    condition::Condition,
    correlation::{self, Correlation, Over, References},
    placeholders::Placeholders,
    source::RuleSource,
    view::FieldNames,
};

/// What rule files hold, ready to be indexed.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) rules: Vec<Rule>,
    /// So many of them, the first, come with the program.
    pub(super) built_in: usize,
    pub(super) conditions: Vec<Condition>,
    pub(super) sources: Vec<RuleSource>,
    pub(super) names: FieldNames,
    pub(super) correlations: Vec<Correlation>,
    pub(super) errors: Vec<RuleFileError>,
    references: References,
    placeholders: Placeholders,
    allowance: Allowance,
    trust: Trust,
    /// What speaks of other rules, until all are known.
    pending_correlations: Vec<Pending<CorrelationRule>>,
    pending_filters: Vec<Pending<FilterRule>>,
}

/// A document of a rule file, with what it takes to report a fault in it.
struct Pending<T> {
    file: String,
    yaml: Arc<str>,
    stated: T,
}

/// Our own member of a rule file. Rules from elsewhere have none and get defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    category: Option<Category>,
    summary: Option<String>,
    advice: Option<String>,
    /// The rule is there to be counted.
    #[serde(default)]
    silent: bool,
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

/// So many correlations may count one another.
const LAYERS_MAX: usize = 32;
/// So many faults of a file are told.
const FAULTS_TOLD: usize = 100;
/// A fault quotes so much of what the parser says.
const FAULT_MAX_CHARS: usize = 500;

const DEFAULT_ADVICE: &str =
    "Find out whether this activity was expected. If not, isolate the host or account and keep its logs.";

impl Loaded {
    /// Adds what a file says that placeholders stand for; returns whether it could be used.
    pub(super) fn add_placeholders(&mut self, file: &str, yaml: &str) -> bool {
        if !self.is_bounded(file, yaml) {
            return false;
        }
        let added = self.placeholders.add_file(yaml);
        let report = |Refusal { what, near }| {
            self.report(file, yaml, what, Some(near.as_str()).filter(|near| !near.is_empty()));
        };
        added.map_err(report).is_ok()
    }

    /// Adds the rules of a file; returns whether any could be used.
    pub(super) fn add_file(&mut self, trust: Trust, file: &str, yaml: &str) -> bool {
        if !self.is_bounded(file, yaml) {
            return false;
        }
        self.trust = trust;
        self.allowance = Allowance::default();
        let before = self.rules.len();
        match parse_sigma_yaml(yaml) {
            Ok(collection) => {
                for what in &collection.errors {
                    self.report(file, yaml, what.clone(), None);
                }
                for rule in &collection.rules {
                    if let Err(refusal) = self.add_rule(file, rule) {
                        self.refuse(file, yaml, refusal, &rule.title);
                    }
                }
                let waiting = self.pending_correlations.len() + self.pending_filters.len();
                let text: Arc<str> = yaml.into();
                let pending = |yaml: &Arc<str>| (file.to_owned(), Arc::clone(yaml));
                for mut stated in collection.correlations {
                    correlation::list_rules(&mut stated);
                    let (file, yaml) = pending(&text);
                    self.pending_correlations.push(Pending { file, yaml, stated });
                }
                for stated in collection.filters {
                    let (file, yaml) = pending(&text);
                    self.pending_filters.push(Pending { file, yaml, stated });
                }
                let is_waiting = self.pending_correlations.len() + self.pending_filters.len() > waiting;
                is_waiting || self.rules.len() > before
            }
            Err(error) => {
                self.report(file, yaml, error.to_string(), None);
                false
            }
        }
    }

    fn is_bounded(&mut self, file: &str, yaml: &str) -> bool {
        match bounds::check(yaml) {
            Ok(()) => true,
            Err((what, line)) => {
                self.push(file, line.unwrap_or(1), what);
                false
            }
        }
    }

    /// Settles what speaks of other rules, now that all files were added.
    pub(super) fn finish(&mut self) {
        self.allowance = Allowance::default();
        for Pending { file, yaml, stated } in std::mem::take(&mut self.pending_filters) {
            if let Err(refusal) = self.add_filter(&stated) {
                self.refuse(&file, &yaml, refusal, &stated.title);
            }
        }
        let mut waiting = std::mem::take(&mut self.pending_correlations);
        // Those that others count come first; what is left at the end counts itself, or what is not there.
        for _ in 0..LAYERS_MAX {
            let is_ready = |pending: &Pending<CorrelationRule>| {
                pending.stated.rules.iter().all(|name| self.references.contains_key(name.as_str()))
            };
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
            waiting = later;
            if ready.is_empty() {
                break;
            }
            for Pending { file, yaml, stated } in ready {
                if let Err(refusal) = self.add_correlation(&file, &stated) {
                    self.refuse(&file, &yaml, refusal, &stated.title);
                }
            }
        }
        let names: HashSet<String> = (waiting.iter())
            .flat_map(|pending| [&pending.stated.id, &pending.stated.name])
            .flatten()
            .cloned()
            .collect();
        for Pending { file, yaml, stated } in waiting {
            let unknown = stated.rules.iter().find(|name| !self.references.contains_key(name.as_str()));
            let name = unknown.map_or("", String::as_str);
            let what = if unknown.is_none() {
                format!("over {LAYERS_MAX} correlations count one another")
            } else if names.contains(name) {
                format!(
                    "'{name}' counts this correlation, was refused itself, or counts too many others that count"
                )
            } else {
                format!("no rule is called '{name}'")
            };
            self.refuse(&file, &yaml, Refusal { what, near: name.to_owned() }, &stated.title);
        }
        self.silence_what_is_only_counted();
    }

    /// Sigma lets a rule that a correlation counts speak for itself only where the correlation says `generate`.
    fn silence_what_is_only_counted(&mut self) {
        let counted = |generates: bool, correlations: &[Correlation]| -> HashSet<Over> {
            let of = correlations.iter().filter(|correlation| correlation.lets_members_speak == generates);
            of.flat_map(|correlation| correlation.members.iter().map(|member| member.over)).collect()
        };
        let silent = &counted(false, &self.correlations) - &counted(true, &self.correlations);
        for over in silent {
            match over {
                Over::Rule(number) => self.rules[number].is_silent = true,
                Over::Correlation(number) => self.correlations[number].rule.is_silent = true,
            }
        }
    }

    fn add_correlation(&mut self, file: &str, stated: &CorrelationRule) -> Result<(), Refusal> {
        let rule = told(Told {
            file,
            id: stated.id.as_deref(),
            title: &stated.title,
            level: stated.level,
            tags: &stated.tags,
            description: stated.description.as_deref(),
            false_positives: &stated.falsepositives,
            version: stated.sigma_version,
            extension: extension(stated.custom_attributes.get("sentinelflow"))?,
        })?;
        let id = Arc::clone(&rule.id);
        let compiled = correlation::compile(stated, rule, &self.references)?;
        self.refer(&id, stated.name.as_deref(), Over::Correlation(self.correlations.len()))?;
        self.correlations.push(compiled);
        Ok(())
    }

    /// Adds a filter's condition to the rules that it names.
    fn add_filter(&mut self, stated: &FilterRule) -> Result<(), Refusal> {
        let condition =
            compile(&stated.detection, &mut self.names, &self.placeholders, &mut self.allowance, self.trust)?;
        let source = stated.logsource.as_ref().map(RuleSource::from);
        let numbers: Vec<usize> = match &stated.rules {
            FilterRuleTarget::Any => (0..self.rules.len()).collect(),
            FilterRuleTarget::Specific(names) => {
                let number = |name: &String| match self.references.get(name.as_str()) {
                    Some(Over::Rule(number)) => Ok(*number),
                    Some(Over::Correlation(_)) => Err("is a correlation, which no filter can change"),
                    None => {
                        let titled = self.rules.iter().position(|rule| *rule.title == **name);
                        titled.ok_or("is not the id, name or title of any rule")
                    }
                };
                let number = |name: &String| {
                    number(name)
                        .map_err(|what| Refusal { what: format!("'{name}' {what}"), near: name.clone() })
                };
                names.iter().map(number).collect::<Result<_, _>>()?
            }
        };
        for number in numbers {
            if source.as_ref().is_none_or(|source| source.concerns(&self.sources[number])) {
                let rest = std::mem::replace(&mut self.conditions[number], Condition::All(Vec::new()));
                self.conditions[number] = Condition::All(vec![rest, condition.clone()]);
            }
        }
        Ok(())
    }

    /// Lets a rule be named by its id and, if it has one, by its name; by neither if another rule has one of them.
    fn refer(&mut self, id: &Arc<str>, name: Option<&str>, over: Over) -> Result<(), Refusal> {
        let references = [("id", Some(&**id)), ("name", name)];
        let references = references.iter().filter_map(|(kind, reference)| Some((kind, (*reference)?)));
        let mut taken = references.clone().filter(|(_, reference)| self.references.contains_key(*reference));
        if let Some((kind, reference)) = taken.next() {
            return refuse(reference, format!("another rule has the {kind} {reference}"));
        }
        self.references.extend(references.map(|(_, reference)| (reference.into(), over)));
        Ok(())
    }

    fn add_rule(&mut self, file: &str, stated: &SigmaRule) -> Result<(), Refusal> {
        let rule = told(Told {
            file,
            id: stated.id.as_deref(),
            title: &stated.title,
            level: stated.level,
            tags: &stated.tags,
            description: stated.description.as_deref(),
            false_positives: &stated.falsepositives,
            version: stated.sigma_version,
            extension: extension(stated.custom_attributes.get("sentinelflow"))?,
        })?;
        let condition =
            compile(&stated.detection, &mut self.names, &self.placeholders, &mut self.allowance, self.trust)?;
        self.refer(&rule.id, stated.name.as_deref(), Over::Rule(self.rules.len()))?;
        self.built_in += usize::from(self.trust == Trust::BuiltIn);
        self.conditions.push(condition);
        self.sources.push(RuleSource::from(&stated.logsource));
        self.rules.push(rule);
        Ok(())
    }

    fn refuse(&mut self, file: &str, yaml: &str, refusal: Refusal, title: &str) {
        let Refusal { what, near } = refusal;
        if !self.is_told(file) {
            return;
        }
        // A file may hold several rules; each begins with its title.
        let (before, own) = yaml.split_at(yaml.find(&format!("title: {title}")).unwrap_or(0));
        let near = if own.contains(&near) { near.as_str() } else { title };
        let line = before.matches('\n').count() + line_of(near, own);
        self.push(file, line, what);
    }

    /// Says whether another fault of a file is told. To find its line takes a look through the whole file.
    fn is_told(&mut self, file: &str) -> bool {
        let told = self.errors.iter().rev().take_while(|error| error.file == file).count();
        if told == FAULTS_TOLD {
            self.push(file, 1, format!("has more faults than the {FAULTS_TOLD} that are told"));
        }
        told < FAULTS_TOLD
    }

    fn push(&mut self, file: &str, line: usize, mut what: String) {
        if let Some((end, _)) = what.char_indices().nth(FAULT_MAX_CHARS) {
            what.truncate(end);
            what.push('…');
        }
        self.errors.push(RuleFileError { file: file.to_owned(), line, what });
    }

    fn report(&mut self, file: &str, yaml: &str, what: String, near: Option<&str>) {
        if !self.is_told(file) {
            return;
        }
        let line = near.map_or_else(|| line_told_by(&what, yaml), |near| line_of(near, yaml));
        // Of a text that breaks off the parser names the line after its end.
        let line = line.clamp(1, yaml.lines().count().max(1));
        self.push(file, line, what);
    }
}

/// What detection rules and correlations state alike.
struct Told<'a> {
    file: &'a str,
    id: Option<&'a str>,
    title: &'a str,
    level: Option<rsigma_parser::Level>,
    tags: &'a [String],
    description: Option<&'a str>,
    false_positives: &'a [String],
    version: Option<u32>,
    extension: Extension,
}

/// Reads our member of a rule.
fn extension<'a>(value: Option<impl Deserializer<'a, Error: fmt::Display>>) -> Result<Extension, Refusal> {
    let refusal =
        |error: &dyn fmt::Display| Refusal { what: error.to_string(), near: "sentinelflow".to_owned() };
    value.map_or_else(
        || Ok(Extension::default()),
        |value| Extension::deserialize(value).map_err(|error| refusal(&error)),
    )
}

fn told(stated: Told<'_>) -> Result<Rule, Refusal> {
    if rsigma_parser::is_unsupported(stated.version) {
        let what = "this version of Sigma is not supported".to_owned();
        return Err(Refusal { what, near: "sigma-version".to_owned() });
    }
    let extension = stated.extension;
    Ok(Rule {
        id: stated.id.unwrap_or(stated.file).into(),
        level: level_of(stated.level),
        category: extension.category.unwrap_or_else(|| category_of(stated.tags)),
        techniques: techniques_of(stated.tags),
        description: stated.description.unwrap_or_default().trim().to_owned(),
        false_positives: stated.false_positives.to_vec(),
        summary: extension.summary.unwrap_or_else(|| format!("{}.", stated.title)).into(),
        advice: extension.advice.as_deref().unwrap_or(DEFAULT_ADVICE).into(),
        examples: extension.examples,
        title: stated.title.into(),
        is_silent: extension.silent,
    })
}

fn level_of(stated: Option<rsigma_parser::Level>) -> Level {
    match stated {
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
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let as_word = |line: &str| {
        line.match_indices(near).any(|(at, _)| {
            let (before, after) = (line.get(..at).unwrap_or(""), line.get(at + near.len()..).unwrap_or(""));
            !before.ends_with(is_part) && !after.starts_with(is_part)
        })
    };
    let keyed = yaml.lines().position(as_key).or_else(|| yaml.lines().position(as_word));
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
