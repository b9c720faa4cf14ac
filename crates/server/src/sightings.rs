//! The security engine over the texts of a scanned file: what its rules see stands beside the rows' scores.
//! Each engine judges alone; only here they meet.

use std::{collections::HashMap, io};

use sentinelflow_detect::Engine;
use sentinelflow_domain::{
    analysis::{Analysis, Score},
    log_entry::{LogEntry, MESSAGE_MAX_BYTES, Message, Metadata, SeverityLevel, Source},
    scan::{ColumnKind, ColumnProfile, Sighting, Sightings},
};
use sentinelflow_forensic::{SeenRows, Witness};

/// Reads the texts of every row with the security engine's decoders and rules; passes the rows on to another witness.
pub struct Sighter<'a> {
    engine: &'a Engine,
    next: &'a mut dyn Witness,
    columns: Vec<Watched>,
    /// How many sightings are kept.
    most: usize,
    found: Sightings,
}

struct Watched {
    place: usize,
    name: String,
    /// What was said of words that come again.
    known: HashMap<String, Option<Seen>>,
}

/// What the security engine says of a text.
#[derive(Clone)]
struct Seen {
    score: Score,
    category: &'static str,
    summary: String,
    rules: Vec<String>,
}

/// Below this the security engine itself raises no alert.
const LEAST_SCORE: u8 = 40;
/// Words are remembered up to this length, and so many for each column.
const LONGEST_KNOWN_BYTES: usize = 256;
const MOST_KNOWN: usize = 16_384;
/// Shorter texts without a sign of any syntax are names and numbers, in which no rule finds anything.
const SHORTEST_PLAIN_BYTES: usize = 24;

impl<'a> Sighter<'a> {
    pub fn new(engine: &'a Engine, most: usize, next: &'a mut dyn Witness) -> Self {
        Self { engine, next, columns: Vec::new(), most, found: Sightings::default() }
    }

    /// Returns what was seen, the gravest first.
    pub fn finish(mut self) -> Sightings {
        self.trim();
        self.found
    }

    fn trim(&mut self) {
        self.found.listed.sort_by(|a, b| b.score.cmp(&a.score).then(a.row.cmp(&b.row)));
        self.found.listed.truncate(self.most);
    }

    fn look(&mut self, column: usize, text: &str) -> Option<Seen> {
        let Watched { known, name, .. } = &mut self.columns[column];
        if let Some(seen) = known.get(text) {
            return seen.clone();
        }
        let seen = entry(name, text).and_then(|entry| seen(&self.engine.analyze(&entry)));
        if text.len() <= LONGEST_KNOWN_BYTES && known.len() < MOST_KNOWN {
            known.insert(text.to_owned(), seen.clone());
        }
        seen
    }
}

impl Witness for Sighter<'_> {
    fn begin(&mut self, columns: &[ColumnProfile]) {
        let has_texts = |profile: &ColumnProfile| {
            matches!(profile.kind, ColumnKind::Text | ColumnKind::Nominal | ColumnKind::Identifier)
        };
        let columns_with_texts = columns.iter().enumerate().filter(|(_, profile)| has_texts(profile));
        self.columns = columns_with_texts
            .map(|(place, profile)| Watched { place, name: profile.name.clone(), known: HashMap::new() })
            .collect();
        self.found.columns = self.columns.iter().map(|column| column.name.clone()).collect();
        self.next.begin(columns);
    }

    fn see(&mut self, rows: &SeenRows<'_>) -> io::Result<()> {
        for (place, row_score) in rows.scores().iter().enumerate() {
            let mut is_seen = false;
            for column in 0..self.columns.len() {
                let Some(text) = rows.text(place, self.columns[column].place) else { continue };
                if is_plain(&text) {
                    continue;
                }
                let Some(Seen { score, category, summary, rules }) = self.look(column, &text) else {
                    continue;
                };
                is_seen = true;
                self.found.listed.push(Sighting {
                    row: rows.number(place),
                    column: self.columns[column].name.clone(),
                    score,
                    severity: score.severity(),
                    category: category.to_owned(),
                    summary,
                    rules,
                    row_score: *row_score,
                });
            }
            self.found.rows += u64::from(is_seen);
        }
        if self.found.listed.len() > self.most.saturating_mul(2) {
            self.trim();
        }
        self.next.see(rows)
    }
}

/// A short word of letters, digits and the signs of names.
fn is_plain(text: &str) -> bool {
    let is_of_names =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@' | b' ');
    text.len() < SHORTEST_PLAIN_BYTES && text.bytes().all(is_of_names)
}

fn entry(column: &str, text: &str) -> Option<LogEntry> {
    let mut end = text.len().min(MESSAGE_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let source: String = column.chars().take(64).collect();
    Some(LogEntry {
        source: Source::try_from(source).or_else(|_| Source::try_from("column".to_owned())).ok()?,
        event_id: 0,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(text.get(..end)?.to_owned()).ok()?,
        metadata: Metadata::default(),
        timestamp: None,
    })
}

fn seen(analysis: &Analysis) -> Option<Seen> {
    (analysis.score.value() >= LEAST_SCORE).then(|| Seen {
        score: analysis.score,
        category: analysis.category.as_str(),
        summary: analysis.summary.clone().into_owned(),
        rules: analysis.detections.iter().map(|detection| detection.id.to_string()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use sentinelflow_domain::scan::{ScanOptions, Unwatched};
    use sentinelflow_forensic::{Limits, NoWitness, scan};

    use super::*;

    #[test]
    fn an_attack_in_a_text_is_seen_whatever_its_row_scores() {
        let line = |row: u32| format!("{},/shop/item?id={row}&page={}\n", row * 37 % 101, row * 7 % 50);
        let mut table: String = std::iter::once("bytes,url\n".to_owned()).chain((0..200).map(line)).collect();
        table += "50,/shop/item?id=1' UNION SELECT username%2C password FROM users--\n";
        let file = tempfile::NamedTempFile::new().expect("room for a file");
        std::fs::write(file.path(), table).expect("room for a table");
        let engine = Engine::built_in();
        let mut nobody = NoWitness;
        let mut sighter = Sighter::new(&engine, 10, &mut nobody);
        let options = ScanOptions::default();
        scan(file.path(), "log.csv", &options, None, &Limits::default(), &Unwatched, &mut sighter)
            .expect("a table");
        let found = sighter.finish();
        assert_eq!((found.rows, found.columns.as_slice()), (1, ["url".to_owned()].as_slice()));
        let sighting = &found.listed[0];
        assert_eq!((sighting.row, sighting.category.as_str()), (201, "sql_injection"));
        assert!(!sighting.rules.is_empty() && !sighting.summary.is_empty());
    }
}
