//! Habits: what usually comes with what. A user at an unusual hour or a known country with the wrong user is made of
//! values that are each common; what is strange is that they come together.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ecdf::Ecdf, encoder::Held, table::Sample};
use amounts::Amounts;
use episodes::Episodes;
use pairs::{Pair, Seen};
use view::{MOST_VIEWS, NONE, View};

mod amounts;
mod episodes;
mod pairs;
mod view;

/// What usually comes with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Habits {
    views: Vec<View>,
    /// For each view and each of its values how often it was seen.
    seen: Vec<Vec<Seen>>,
    pairs: Vec<Pair>,
    /// Views that say nearly the same count once: for each view its group.
    groups: Vec<usize>,
    amounts: Vec<Amounts>,
    /// How strange the strangest amount of a row is.
    strangest: Ecdf,
}

/// In fewer rows what comes together does so by chance.
const FEWEST_ROWS: usize = 1_000;
/// What a nat of rarity among amounts counts in standard deviations of the other habits, and what a deviation counts at
/// most: by experiment on the generated audit logs of bench/.
const WEIGHT_OF_AMOUNTS: f64 = 1.4;
const WEIGHT_OF_DEVIATIONS: f64 = 8.0;
/// The power in which strengths add up, by the same experiment: one broken habit counts more than many bent ones.
const POWER: f64 = 2.5;

/// Returns a strength to the power of `POWER`, as its square times its root: quicker than `powf`, which takes any power.
fn power(strength: f64) -> f64 {
    strength * strength * strength.sqrt()
}

/// How habits look at a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    None,
    /// At what comes again in its words.
    Parts,
    Codes,
    /// At its words or times.
    Whole,
}

/// A row as habits see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traits {
    /// A value for each view.
    pub(crate) values: Vec<u32>,
    /// A number for each column of amounts.
    pub(crate) amounts: Vec<f32>,
}

impl Habits {
    /// Learns habits from a sample; `None` where there are few rows or no column names
    /// something that comes again.
    pub(crate) fn learn(sample: &Sample, is_ignored: impl Fn(usize) -> bool) -> Option<(Self, Traits)> {
        if sample.rows.len() < FEWEST_ROWS {
            return None;
        }
        let views = View::choose(sample, &is_ignored);
        if views.len() < 2 || !views.iter().any(View::names_something) {
            return None;
        }
        let columns: Vec<Vec<u32>> = views.par_iter().map(|view| view.of_column(sample)).collect();
        let episodes = Episodes::of(sample);
        let seen: Vec<Vec<Seen>> =
            columns.par_iter().map(|column| pairs::marginals(column, &episodes)).collect();
        let pairs: Vec<Pair> = pairs::candidates(&views, &seen, sample.rows.len())
            .into_par_iter()
            .map(|(a, b)| Pair::learn((a, b), &columns, &seen, &episodes))
            .collect();
        let groups = pairs::groups(&pairs, &seen, views.len());
        let counts: Vec<usize> = seen.iter().map(Vec::len).collect();
        let (amounts, numbers) = Amounts::learn(sample, &views, &columns, &counts, is_ignored);
        let rows = 0..sample.rows.len();
        let values = rows.clone().flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        let amount_numbers = rows.flat_map(|row| numbers.iter().map(move |column| column[row])).collect();
        let traits = Traits { values, amounts: amount_numbers };
        let mut habits = Self { views, seen, pairs, groups, amounts, strangest: Ecdf::learn(&[0.0]) };
        habits.strangest = Ecdf::learn(&habits.amount_strengths(&traits));
        Some((habits, traits))
    }

    /// Whether a column's values are names or codes, which say nothing as numbers.
    pub(crate) fn names(&self, column: usize) -> bool {
        matches!(self.sight(column), Sight::Whole | Sight::Codes)
    }

    /// Returns how a column is looked at.
    pub(crate) fn sight(&self, column: usize) -> Sight {
        let sights = self.views.iter().filter(|view| view.column == column).map(View::sight);
        sights.max().unwrap_or(Sight::None)
    }

    /// Appends a row.
    pub(crate) fn encode(&self, held: &[Option<Held<'_>>], traits: &mut Traits) {
        let value = |view: &View| held[view.column].as_ref().map_or(NONE, |held| view.of(held));
        traits.values.extend(self.views.iter().map(value));
        let amount = |amounts: &Amounts| held[amounts.column].as_ref().map_or(f32::NAN, amounts::logarithm);
        traits.amounts.extend(self.amounts.iter().map(amount));
    }

    /// Changes a row as if a cell held something else.
    pub(crate) fn change(&self, column: usize, held: &Held<'_>, traits: &mut Traits) {
        for (view, value) in
            self.views.iter().zip(&mut traits.values).filter(|(view, _)| view.column == column)
        {
            *value = view.of(held);
        }
        for (amounts, number) in self.amounts.iter().zip(&mut traits.amounts) {
            if amounts.column == column {
                *number = amounts::logarithm(held);
            }
        }
    }

    /// Returns how far each row is from the habits; `are_known` if the rows themselves were learned from.
    pub(crate) fn scores(&self, traits: &Traits, are_known: bool) -> Vec<f64> {
        let rows = traits.values.chunks_exact(self.views.len()).enumerate();
        let mut breaks = Breaks::default();
        let score = |(row, values): (usize, &[u32])| {
            self.breaks(values, self.amounts_of(traits, row), are_known, &mut breaks);
            self.total(&breaks)
        };
        rows.map(score).collect()
    }

    /// Returns for each column how far one row is from the habits in it.
    pub(crate) fn by_column(&self, traits: &Traits, are_known: bool, columns: usize) -> Vec<f64> {
        let mut breaks = Breaks::default();
        self.breaks(&traits.values, self.amounts_of(traits, 0), are_known, &mut breaks);
        let mut by_column = vec![0.0_f64; columns];
        for (view, strength) in self.views.iter().zip(&breaks.views) {
            by_column[view.column] = by_column[view.column].max(power(*strength));
        }
        for (amounts, strength) in self.amounts.iter().zip(&breaks.amounts) {
            by_column[amounts.column] = by_column[amounts.column].max(power(*strength));
        }
        by_column
    }

    /// Returns what usually stands in a column of one row, the commonest first, given the value of the row whose habit is
    /// broken most; empty where no habit is. The values are whole words or numbers unless the column is looked at in parts.
    pub(crate) fn usual(&self, column: usize, traits: &Traits, are_known: bool) -> Vec<String> {
        let mut strongest: Option<(f64, &View, &[u32])> = None;
        for pair in &self.pairs {
            let strengths = pair.strengths(&traits.values, &self.seen, are_known);
            for (given, (view, strength)) in
                [(1, (pair.first, strengths[0])), (0, (pair.second, strengths[1]))]
            {
                let view = &self.views[view];
                if view.column == column && strength > strongest.map_or(0.0, |(strength, ..)| strength) {
                    strongest = Some((strength, view, pair.partners(given, &traits.values)));
                }
            }
        }
        let usual =
            strongest.map(|(_, view, partners)| partners.iter().map(|value| view.shown(*value)).collect());
        usual.unwrap_or_default()
    }

    /// Returns the amount that the values of one row let expect in a column, where they let expect one.
    pub(crate) fn expected(&self, column: usize, traits: &Traits) -> Option<f64> {
        let amounts = self.amounts.iter().find(|amounts| amounts.column == column)?;
        Some(amounts.expected(&traits.values)).filter(|amount| amount.is_finite())
    }

    fn amounts_of<'t>(&self, traits: &'t Traits, row: usize) -> &'t [f32] {
        &traits.amounts[row * self.amounts.len()..(row + 1) * self.amounts.len()]
    }

    /// Finds for each view the habit that its value breaks most, given any other value of the row.
    fn breaks(&self, values: &[u32], amounts: &[f32], are_known: bool, breaks: &mut Breaks) {
        breaks.views.clear();
        breaks.views.resize(self.views.len(), 0.0);
        for pair in &self.pairs {
            let [first, second] = pair.strengths(values, &self.seen, are_known);
            breaks.views[pair.first] = breaks.views[pair.first].max(first);
            breaks.views[pair.second] = breaks.views[pair.second].max(second);
        }
        breaks.amounts.clear();
        breaks.amounts.extend(self.amounts.iter().zip(amounts).map(|(habit, x)| habit.strength(*x, values)));
    }

    /// Adds up powers of strengths; the root is again in units of a standard deviation.
    fn total(&self, breaks: &Breaks) -> f64 {
        let mut strongest = [0.0_f64; MOST_VIEWS];
        for (strength, group) in breaks.views.iter().zip(&self.groups) {
            strongest[*group] = strongest[*group].max(*strength);
        }
        let amount = self.amount(&breaks.amounts);
        let powers: f64 =
            strongest[..self.views.len()].iter().chain([&amount]).map(|strength| power(*strength)).sum();
        powers.powf(POWER.recip())
    }

    fn amount(&self, strengths: &[f64]) -> f64 {
        let furthest = strengths.iter().copied().fold(0.0, f64::max);
        (furthest * WEIGHT_OF_DEVIATIONS).min(self.strangest.surprise(furthest) * WEIGHT_OF_AMOUNTS)
    }

    fn amount_strengths(&self, traits: &Traits) -> Vec<f64> {
        let rows = traits.values.chunks_exact(self.views.len()).enumerate();
        rows.map(|(row, values)| {
            let amounts = self.amounts.iter().zip(self.amounts_of(traits, row));
            amounts.map(|(habit, x)| habit.strength(*x, values)).fold(0.0, f64::max)
        })
        .collect()
    }

    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        let views = self.views.len();
        views <= MOST_VIEWS
            && self.views.iter().all(|view| view.column < columns)
            && self.seen.len() == views
            && self.groups.len() == views
            && self.groups.iter().all(|group| *group < views)
            && self.strangest.is_sound()
            && self.pairs.iter().all(|pair| pair.is_sound(&self.seen))
            && self.amounts.iter().all(|amounts| amounts.is_sound(columns, views))
    }
}

/// How strongly a row breaks the habits, in standard deviations.
#[derive(Debug, Default)]
struct Breaks {
    views: Vec<f64>,
    amounts: Vec<f64>,
}
