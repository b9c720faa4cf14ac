//! What the model is told to answer: a queue, then luck, then its own mind.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

/// One way to answer a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What the mind says.
    Ok,

    /// Prose instead of JSON.
    TextNotJson,
    /// JSON whose verdicts have wrong types and lack members.
    WrongSchema,
    /// The last record has no verdict.
    MissingIds,
    /// One verdict more, of an id that nobody asked about.
    ExtraIds,
    /// A second, contrary verdict of the first record.
    DuplicateIds,
    /// Every confidence is 400 and every severity "apocalyptic".
    OutOfRange,
    /// Exactly this as the JSON text of the answer.
    Verdicts(Value),

    /// The text ends in its middle, as out of tokens.
    MaxTokens,
    /// 200 without candidates. `OpenAI`'s form: content null, `content_filter`.
    PromptBlocked,
    /// 200 with a candidate without content. `OpenAI`'s form: half a text, `content_filter`.
    AnswerBlocked,
    /// 200 with an empty list of candidates, and no reason why.
    EmptyCandidates,
    /// Another model answers than the one that was asked.
    Rerouted { model: &'static str },

    /// 429 for this minute.
    RateLimited {
        /// A duration such as "47s": `RetryInfo`, or a sentence in `OpenAI`'s form.
        retry_delay: Option<&'static str>,
        /// The header of that name.
        retry_after: Option<&'static str>,
    },
    /// 429 for this day, with the same `RetryInfo` that invites to a retry.
    DailyQuota,
    /// 402: the prepaid balance is empty.
    Unpaid,
    /// 400 without a reason.
    BadRequest,
    /// 400 with the reason `API_KEY_INVALID`; 401 in `OpenAI`'s form.
    BadKey,
    /// 401.
    Unauthenticated,
    /// 403.
    Forbidden,
    /// 404: never heard of the model.
    NoSuchModel,
    /// 404: the model was switched off.
    ModelRetired,
    /// 500.
    Internal,
    /// 503.
    Overloaded,
    /// 504.
    DeadlineExceeded,
    /// 502 with a page in HTML, as a gateway sends it.
    HtmlBadGateway,

    /// What the mind says, after this long a silence.
    Hang(Duration),
    /// The connection breaks after half of the body.
    DropMidBody,
    /// What the mind says, this slowly.
    SlowDrip { bytes_per_second: u32 },
    /// 200 with a JSON body of exactly this size, nearly all of it one text.
    Huge { bytes: usize },
}

#[derive(Default)]
pub(crate) struct Script {
    queue: VecDeque<Answer>,
    luck: Option<Luck>,
    pub(crate) latency: Duration,
}

impl Script {
    pub(crate) fn append(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.queue.extend(answers);
    }

    pub(crate) fn trust_to_luck(&mut self, seed: u64, share: f64, faults: Vec<Answer>) {
        self.luck = Some(Luck { state: seed, share, faults });
    }

    pub(crate) fn next(&mut self) -> Answer {
        if let Some(answer) = self.queue.pop_front() {
            return answer;
        }
        self.luck.as_mut().and_then(Luck::draw).unwrap_or(Answer::Ok)
    }
}

struct Luck {
    state: u64,
    share: f64,
    faults: Vec<Answer>,
}

impl Luck {
    fn draw(&mut self) -> Option<Answer> {
        let zero_to_one = f64::from((self.next() >> 32) as u32) / (f64::from(u32::MAX) + 1.0);
        if self.faults.is_empty() || zero_to_one >= self.share {
            return None;
        }
        let index = self.next() % self.faults.len() as u64;
        self.faults.get(usize::try_from(index).ok()?).cloned()
    }

    /// Splitmix64, as in Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, share: f64) -> Vec<Answer> {
        let mut script = Script::default();
        script.trust_to_luck(seed, share, vec![Answer::Internal, Answer::Overloaded]);
        (0..1000).map(|_| script.next()).collect()
    }

    #[test]
    fn the_queue_goes_before_luck() {
        let mut script = Script::default();
        script.append([Answer::Unpaid]);
        script.trust_to_luck(1, 1.0, vec![Answer::Internal]);
        assert_eq!([script.next(), script.next()], [Answer::Unpaid, Answer::Internal]);
    }

    #[test]
    fn luck_keeps_its_share_and_its_seed() {
        let faults = draws(7, 0.3).into_iter().filter(|answer| *answer != Answer::Ok).count();
        assert!((250..350).contains(&faults), "{faults} of 1000");
        assert_eq!(draws(7, 0.3), draws(7, 0.3));
        assert_ne!(draws(7, 0.3), draws(8, 0.3));
        assert!(draws(7, 0.0).iter().all(|answer| *answer == Answer::Ok));
    }
}
