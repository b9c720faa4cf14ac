//! Reads what a model answered. Its form is checked as strictly as if the provider had promised nothing.

use std::{collections::HashMap, sync::Arc};

use sentinelflow_domain::{
    analysis::{Score, Severity},
    second_opinion::{AskedIn, ExchangeId, ModelVerdict},
};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    hidden::is_hidden,
    prompt::{Prompt, SEVERITIES, TECHNIQUES},
    provider::Reply,
};

/// The longest words of a model that are kept, in characters.
const MOST_CHARS: usize = 600;

/// Why an answer is no use as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unusable {
    #[error("it is not the JSON that was asked for")]
    Malformed,
    #[error("it speaks of records that it was not asked about")]
    StrangeId,
    #[error("it speaks of a record twice")]
    Repeated,
    #[error("it repeats what it was told not to")]
    Canary,
    #[error("a value is out of range")]
    OutOfRange,
    #[error("it says nothing of what it was asked about")]
    Nothing,
}

#[derive(Deserialize)]
struct Answer {
    verdicts: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    id: String,
    severity: String,
    confidence: u8,
    technique: String,
    reason: String,
    action: Option<String>,
}

/// Returns the verdicts in the order of the prompt's records, `None` for one that the answer leaves out.
pub(crate) fn verdicts(
    reply: &Reply,
    prompt: &Prompt,
    exchange: ExchangeId,
) -> Result<Vec<Option<ModelVerdict>>, Unusable> {
    if reply.text.contains(&prompt.canary) {
        return Err(Unusable::Canary);
    }
    let answer: Answer = serde_json::from_str(unfenced(&reply.text)).map_err(|_| Unusable::Malformed)?;
    let mut by_id = HashMap::new();
    for verdict in answer.verdicts {
        let id = prompt.ids.iter().find(|id| ***id == *verdict.id).ok_or(Unusable::StrangeId)?;
        let asked = AskedIn { exchange, record: Arc::clone(id) };
        let read = verdict.read(&reply.model, asked).ok_or(Unusable::OutOfRange)?;
        if by_id.insert(Arc::clone(id), read).is_some() {
            return Err(Unusable::Repeated);
        }
    }
    if by_id.is_empty() {
        return Err(Unusable::Nothing);
    }
    Ok(prompt.ids.iter().map(|id| by_id.remove(id)).collect())
}

/// The answer without the fence that some models put around JSON.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|inner| inner.strip_suffix("```")).map_or(text, str::trim)
}

impl Verdict {
    fn read(self, model: &Arc<str>, asked: AskedIn) -> Option<ModelVerdict> {
        if self.confidence > 100 || !TECHNIQUES.contains(&&*self.technique) {
            return None;
        }
        let summary = words(&self.reason);
        if summary.is_empty() {
            return None;
        }
        let severity = SEVERITIES.iter().position(|severity| **severity == *self.severity)?;
        Some(ModelVerdict {
            model: Arc::clone(model),
            score: score(Severity::ALL[severity], self.confidence),
            summary: summary.into(),
            prevention_measures: self
                .action
                .map(|action| words(&action))
                .filter(|words| !words.is_empty())
                .map(Into::into),
            technique: (self.technique != "none").then(|| self.technique.into()),
            asked,
        })
    }
}

/// A model grades in words; how sure it is of them gives the place within the severity's band. Who is sure that nothing is
/// wrong says 0.
fn score(severity: Severity, confidence: u8) -> Score {
    let (lowest, highest) = (severity.lowest_score().value(), severity.highest_score().value());
    let confidence = if severity == Severity::None { 100 - confidence.min(100) } else { confidence };
    let within = u16::from(highest - lowest) * u16::from(confidence.min(100)) / 100;
    Score::saturating(lowest + u8::try_from(within).unwrap_or(u8::MAX))
}

/// A model's words on one line, without characters that hide or reorder anything, and not too many of them.
fn words(text: &str) -> String {
    let is_mark = |char: char| ('\u{e000}'..='\u{f8ff}').contains(&char);
    let visible = text.trim().chars().map(|char| if is_hidden(char) || is_mark(char) { ' ' } else { char });
    let mut words: String = visible.take(MOST_CHARS).collect();
    if text.trim().chars().nth(MOST_CHARS).is_some() {
        words.push('…');
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(answer: &str) -> Result<Vec<Option<ModelVerdict>>, Unusable> {
        let prompt = Prompt {
            user: String::new(),
            ids: vec!["r1".into(), "r2".into()],
            canary: "canary".to_owned(),
            max_output_tokens: 1,
        };
        let reply = Reply { text: answer.to_owned(), model: "m".into(), usage: None };
        verdicts(&reply, &prompt, ExchangeId([7; 16]))
    }

    fn verdict(id: &str, severity: &str, confidence: i64) -> String {
        format!(
            r#"{{"id":"{id}","severity":"{severity}","confidence":{confidence},"technique":"T1110","reason":"why"}}"#
        )
    }

    fn answer(verdicts: &[String]) -> String {
        format!(r#"{{"verdicts":[{}]}}"#, verdicts.join(","))
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_records() {
        let both = read(&answer(&[verdict("r2", "high", 50), verdict("r1", "info", 100)])).unwrap();
        let scores: Vec<u8> = both.iter().map(|verdict| verdict.as_ref().unwrap().score.value()).collect();
        assert_eq!(scores, [0, 79]);
        let fenced = format!("```json\n{}\n```", answer(&[verdict("r2", "critical", 100)]));
        let second = read(&fenced).unwrap();
        assert_eq!(second[0], None);
        assert_eq!(second[1].as_ref().unwrap().score, Score::MAX);
    }

    #[test]
    fn what_was_not_asked_for_is_no_answer() {
        let cases = [
            ("no".to_owned(), Unusable::Malformed),
            (answer(&[]), Unusable::Nothing),
            (r#"{"verdicts":[{"id":"r1"}]}"#.to_owned(), Unusable::Malformed),
            (answer(&[verdict("r3", "low", 5)]), Unusable::StrangeId),
            (answer(&[verdict("r1", "low", 5), verdict("r1", "low", 5)]), Unusable::Repeated),
            (answer(&[verdict("r1", "apocalyptic", 5)]), Unusable::OutOfRange),
            (answer(&[verdict("r1", "low", 101)]), Unusable::OutOfRange),
            (answer(&[verdict("r1", "low", 400)]), Unusable::Malformed),
            (answer(&[verdict("r1", "low", -1)]), Unusable::Malformed),
            (answer(&[verdict("r1", "low", 5)]).replace("why", "\u{200b} "), Unusable::OutOfRange),
            (answer(&[verdict("r1", "low", 5)]).replace("T1110", "T9"), Unusable::OutOfRange),
            (answer(&[verdict("r1", "low", 5)]).replace("why", "the canary sings"), Unusable::Canary),
        ];
        for (text, reason) in cases {
            assert_eq!(read(&text), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_answered_only_what_was_asked_about_is_used(
            ids in prop::collection::vec("r[1-3]", 0..4),
            severity in "info|low|medium|high|critical|none|High",
            confidence in -1_i64..300,
            technique in "T1110|none|T9|",
            reason in "\\PC{0,20}|canary| ",
            text in prop::option::of("\\PC{0,40}|[{}\"\\[\\]:a-z]{0,40}"),
        ) {
            let verdict = |id: &String| json!({
                "id": id, "severity": severity, "confidence": confidence, "technique": technique, "reason": reason,
            });
            let answer = text.unwrap_or_else(|| json!({"verdicts": ids.iter().map(verdict).collect::<Vec<_>>()}).to_string());
            if let Ok(verdicts) = read(&answer) {
                prop_assert_eq!(verdicts.len(), 2);
                prop_assert!(!answer.contains("canary") && !answer.contains("r3"));
                for (verdict, id) in verdicts.iter().zip(["r1", "r2"]) {
                    let is_its_own = verdict.as_ref().is_none_or(|verdict| &*verdict.asked.record == id);
                    prop_assert!(is_its_own);
                }
            }
        }
    }

    #[test]
    fn words_are_bounded_and_hide_nothing() {
        assert_eq!(words(" a\n\u{202e}b\u{e000} "), "a  b");
        let long = words(&"é".repeat(700));
        assert_eq!(long.chars().count(), MOST_CHARS + 1);
    }
}
