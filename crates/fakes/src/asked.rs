//! What a caller asked and what the model says to it, whichever API carries it.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Instruction,
    User,
    Model,
}

/// A prompt that passed the checks of its API.
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) instruction: String,
    pub(crate) user_text: String,
    /// The lines of the user's text that are records.
    pub(crate) records: Vec<Value>,
    pub(crate) max_output_tokens: Option<usize>,
    pub(crate) prompt_tokens: usize,
}

impl Asked {
    pub(crate) fn new(model: &str, texts: &[(Speaker, &str)], max_output_tokens: Option<usize>) -> Self {
        let of = |speaker| {
            let spoken = texts.iter().filter(|(other, _)| *other == speaker).map(|(_, text)| *text);
            spoken.collect::<Vec<_>>().join("\n")
        };
        let user_text = of(Speaker::User);
        let prompt_chars: usize = texts.iter().map(|(_, text)| text.chars().count()).sum();
        Self {
            model: model.to_owned(),
            instruction: of(Speaker::Instruction),
            records: user_text.lines().filter_map(record).collect(),
            user_text,
            max_output_tokens,
            prompt_tokens: prompt_chars.div_ceil(CHARS_PER_TOKEN),
        }
    }

    /// Returns the lines of the user's text that are no records.
    pub(crate) fn header(&self) -> impl Iterator<Item = &str> {
        self.user_text.lines().filter(|line| record(line).is_none())
    }
}

fn record(line: &str) -> Option<Value> {
    let looks_like_an_object = line.trim_start().starts_with('{');
    let value: Value = if looks_like_an_object { serde_json::from_str(line).ok()? } else { return None };
    value.get("id")?.is_string().then_some(value)
}

/// Both APIs of the fake count like this, so that tests of budgets are exact.
const CHARS_PER_TOKEN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    OutOfTokens,
    PromptBlocked,
    AnswerBlocked,
    NoCandidates,
}

/// What the model says.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) ending: Ending,
    pub(crate) model: String,
}

impl Said {
    pub(crate) fn tokens(&self) -> usize {
        self.text.chars().count().div_ceil(CHARS_PER_TOKEN)
    }

    /// Ends the text where the caller's limit of tokens ends it.
    pub(crate) fn within(mut self, max_output_tokens: Option<usize>) -> Self {
        if let Some(limit) = max_output_tokens
            && self.tokens() > limit
        {
            self.text = self.text.chars().take(limit * CHARS_PER_TOKEN).collect();
            self.ending = Ending::OutOfTokens;
        }
        self
    }

    /// Keeps the first half of the text.
    pub(crate) fn half(self, ending: Ending) -> Self {
        let half = self.text.chars().count() / 2;
        Self { text: self.text.chars().take(half).collect(), ending, ..self }
    }
}
