//! The story of a scan: table → sample → model → every row's score → flags → reasons.

use std::path::Path;

use sentinelflow_domain::scan::{
    Anomaly, ColumnKind, ColumnProfile, Cutoff, ScanOptions, ScanProgress, ScanReport, Sightings,
};
use serde_json::Map;

use crate::{
    Baseline, Limits, ScanError,
    counterfactual::Search,
    detectors::still_wanted,
    flags::{Flagged, FlaggedRow, Flags},
    model::{Learned, Model, Rows},
    reasons::Explainer,
    table::{KeptRecord, Reading, Records, Sample, Table, Tally, as_json},
    threshold::method,
    witness::{SeenRows, Witness},
};

/// Rows that are judged together, and a bound on what they may take.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 32 << 20;
/// Rows for which is looked for a change that would let them pass.
const MOST_COUNTERFACTUALS: usize = 1_000;

/// Returns what is anomalous in a file; the witness sees every row in the order of the file.
///
/// The same file, options and version give the same answer, bit for bit, on any number of cores. With a baseline its
/// rows say what is ordinary; without, the file's own do. The file is read twice, unless it is a
/// workbook whose cells fit into a fixed memory, and memory does not grow with it.
pub fn scan(
    file: &Path,
    name: &str,
    options: &ScanOptions,
    baseline: Option<&Baseline>,
    limits: &Limits,
    progress: &dyn ScanProgress,
    witness: &mut dyn Witness,
) -> Result<ScanReport, ScanError> {
    let table = Table::open(file, name, options, limits, progress)?;
    let report = if let Some(baseline) = baseline {
        let columns = baseline.columns_in(&table.names, options)?;
        let judge = Judge { table: &table, model: baseline.model(), columns, known: None };
        ScanReport { baseline: Some(baseline.source().to_owned()), ..judge.report(options, witness)? }
    } else {
        let sample = Sample::take(&table, None)?;
        let Learned { model, scores } = Model::learn(&sample, &table.names, options, progress)?;
        let columns = (0..table.names.len()).map(Some).collect();
        let known = Some(Known::new(sample, scores));
        Judge { table: &table, model: &model, columns, known }.report(options, witness)?
    };
    progress.advance("done", 1.0);
    Ok(report)
}

/// Judges the rows of a table by a model.
struct Judge<'a> {
    table: &'a Table<'a>,
    model: &'a Model,
    /// For each of the model's columns where the table has it.
    columns: Vec<Option<usize>>,
    known: Option<Known>,
}

/// What the rows that were learned from came to: none of them was compared with itself.
struct Known {
    rows: Vec<u64>,
    scores: Vec<f64>,
    /// What all cells came to, where every row was learned from.
    tallies: Option<Vec<Tally>>,
}

/// What all rows came to.
struct Judged {
    flagged: Flagged,
    tallies: Vec<Tally>,
    reading: Reading,
}

impl Known {
    fn new(sample: Sample, scores: Vec<f64>) -> Self {
        let is_whole = sample.is_whole();
        let tallies = sample.columns.into_iter().map(|column| column.tally);
        Self { rows: sample.rows, scores, tallies: is_whole.then(|| tallies.collect()) }
    }
}

impl Judge<'_> {
    fn report(&self, options: &ScanOptions, witness: &mut dyn Witness) -> Result<ScanReport, ScanError> {
        let Judged { flagged, tallies, reading } = self.judge(options, witness)?;
        let schema = &self.model.schema;
        let mut notes = self.table.notes(&reading);
        notes.extend(schema.notes(&tallies));
        notes.extend(self.notes_on_learning(flagged.rows));
        let threats = self.explain(&flagged)?;
        Ok(ScanReport {
            total_scanned: flagged.rows,
            threats_detected: flagged.count,
            threshold_used: flagged.threshold,
            threshold_method: method(options.cutoff, self.model.held_back),
            expected_false_alarms: match options.cutoff {
                Cutoff::FalseAlarms(share) => share,
                Cutoff::Score(_) | Cutoff::Top(_) => 1.0 - flagged.threshold,
            },
            engine: self.model.engine(),
            engine_reason: self.model.engine_reason.clone(),
            columns: self.profiles(&tallies),
            notes,
            threats,
            scores: flagged.scores,
            places: flagged.places,
            baseline: None,
            sightings: Sightings::default(),
        })
    }

    fn judge(&self, options: &ScanOptions, witness: &mut dyn Witness) -> Result<Judged, ScanError> {
        let mut flags = Flags::new(options.cutoff, options.limit);
        let mut tallies = vec![Tally::default(); self.model.schema.columns.len()];
        let mut records = Records::new(self.table.names.len());
        witness.begin(&self.profiles(&tallies));
        let reading = self.table.visit("scoring", &mut |row, cells| {
            records.push(row, cells);
            if records.len() >= BATCH_ROWS || records.bytes() >= BATCH_BYTES {
                self.settle(&mut records, &mut flags, &mut tallies, witness)?;
            }
            Ok(())
        })?;
        self.settle(&mut records, &mut flags, &mut tallies, witness)?;
        if let Some(known) = self.known.as_ref().and_then(|known| known.tallies.clone()) {
            tallies = known;
        }
        Ok(Judged { flagged: flags.finish(), tallies, reading })
    }

    fn settle(
        &self,
        records: &mut Records,
        flags: &mut Flags,
        tallies: &mut [Tally],
        witness: &mut dyn Witness,
    ) -> Result<(), ScanError> {
        let scores = self.scores(records, tallies)?;
        for (place, score) in scores.iter().enumerate() {
            flags.see(records.rows[place], *score, || records.record(place));
        }
        witness.see(&SeenRows { records, scores: &scores }).map_err(ScanError::Unwritten)?;
        records.clear();
        Ok(())
    }

    fn scores(&self, records: &Records, tallies: &mut [Tally]) -> Result<Vec<f64>, ScanError> {
        if let Some(Known { scores, tallies: Some(_), .. }) = &self.known {
            let known = records.rows.iter().map(|row| scores.get(usize::try_from(*row).ok()?).copied());
            return known.collect::<Option<_>>().ok_or_else(changed);
        }
        let (mut scores, counted) = self.model.judge(records, &self.columns);
        tallies.iter_mut().zip(&counted).for_each(|(tally, later)| tally.merge(later));
        if let Some(Known { rows, scores: known, .. }) = &self.known {
            for (score, row) in scores.iter_mut().zip(&records.rows) {
                if let Ok(place) = rows.binary_search(row) {
                    *score = known[place];
                }
            }
        }
        Ok(scores)
    }

    fn explain(&self, flagged: &Flagged) -> Result<Vec<Anomaly>, ScanError> {
        let explainer = Explainer::new(self.model, flagged.kept.len());
        let mut anomalies = Vec::with_capacity(flagged.kept.len());
        for (done, FlaggedRow { row, score, record }) in flagged.kept.iter().enumerate() {
            still_wanted(self.table.progress(), "explaining", done, flagged.kept.len())?;
            let mut encoded = Rows { are_known: self.known.is_some(), ..Rows::default() };
            self.model.encode(|column| Some(record.cell(self.columns[column]?)), |_, _| (), &mut encoded);
            let explanation = explainer.explain(&encoded, self.known.is_some().then_some(*row));
            let search = Search {
                model: self.model,
                threshold: flagged.threshold,
                record,
                columns: &self.columns,
                encoded: &encoded,
            };
            let shown = self.shown(record);
            anomalies.push(Anomaly {
                row: row + 1,
                score: *score,
                reasons: explainer.reasons(&explanation, &shown),
                record: shown,
                counterfactual: (done < MOST_COUNTERFACTUALS).then(|| search.run(&explanation)).flatten(),
            });
        }
        Ok(anomalies)
    }

    fn shown(&self, record: &KeptRecord) -> Map<String, serde_json::Value> {
        let cells = (0..record.width()).map(|column| as_json(record.cell(column)));
        self.table.names.iter().cloned().zip(cells).collect()
    }

    /// Returns what is said of the table's columns, also of those that the model does not know.
    fn profiles(&self, tallies: &[Tally]) -> Vec<ColumnProfile> {
        let mut profiles: Vec<Option<ColumnProfile>> = vec![None; self.table.names.len()];
        for (profile, column) in self.model.schema.profiles(tallies).into_iter().zip(&self.columns) {
            if let Some(column) = column {
                profiles[*column] = Some(profile);
            }
        }
        let names = self.table.names.iter();
        profiles
            .into_iter()
            .zip(names)
            .map(|(profile, name)| profile.unwrap_or_else(|| unknown(name)))
            .collect()
    }

    fn notes_on_learning(&self, rows: u64) -> Option<String> {
        let learned = self.model.rows;
        let is_own = self.known.is_some();
        (is_own && learned < rows).then(|| {
            format!("the model was learned from {learned} of the {rows} rows, drawn at random; each row was scored")
        })
    }
}

fn unknown(name: &str) -> ColumnProfile {
    ColumnProfile {
        name: name.to_owned(),
        kind: ColumnKind::Empty,
        used: false,
        reason: "the baseline does not look at it".to_owned(),
        missing: 0,
        distinct: None,
        typical: String::new(),
    }
}

fn changed() -> ScanError {
    ScanError::not_a_table("it changed while it was scanned")
}
