//! From Sigma's syntax tree to a condition. What can't be matched faithfully is refused, never left out.

use std::borrow::Cow;

use rsigma_parser::{
    ArrayQuantifier, ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SigmaString,
    SigmaValue, SpecialChar, StringPart,
};

use super::{
    bounds::Allowance,
    condition::{Comparison, Condition, Likeness, Share, Test},
    encode::encoded_forms,
    expression::{Expression, Flags},
    glob::{DASHES, Glob, Piece},
    placeholders::Placeholders,
    time_part::TimePart,
    view::{FieldId, FieldNames, fold},
};

/// Why a rule can't be compiled, and a piece of its text by which the line is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) near: String,
}

pub(super) fn refuse<T>(near: &str, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { what: what.into(), near: near.to_owned() })
}

/// Whether a test has already built every regular expression, so that building can wait until one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Trust {
    #[default]
    Foreign,
    BuiltIn,
}

pub(super) fn compile(
    detections: &Detections,
    names: &mut FieldNames,
    placeholders: &Placeholders,
    allowance: &mut Allowance,
    trust: Trust,
) -> Result<Condition, Refusal> {
    if detections.timeframe.is_some() {
        return refuse("timeframe", "a timeframe needs a correlation rule");
    }
    let mut compiler = Compiler { detections, names, placeholders, allowance, trust };
    let conditions = detections.conditions.iter().zip(&detections.condition_strings);
    let compiled: Result<Vec<_>, _> =
        conditions.map(|(condition, written)| compiler.expression(condition, written)).collect();
    Ok(either(compiled?))
}

struct Compiler<'a> {
    detections: &'a Detections,
    names: &'a mut FieldNames,
    placeholders: &'a Placeholders,
    allowance: &'a mut Allowance,
    trust: Trust,
}

impl Compiler<'_> {
    fn expression(&mut self, expression: &ConditionExpr, written: &str) -> Result<Condition, Refusal> {
        match expression {
            ConditionExpr::And(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| self.expression(part, written)).collect();
                Ok(Condition::All(parts?))
            }
            ConditionExpr::Or(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| self.expression(part, written)).collect();
                Ok(Condition::Any(parts?))
            }
            ConditionExpr::Not(part) => Ok(Condition::Not(Box::new(self.expression(part, written)?))),
            ConditionExpr::Identifier(name) => match self.detections.named.get(name) {
                Some(detection) => self.detection(detection, name),
                None => refuse(written, format!("the condition names '{name}', which is not there")),
            },
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut selected: Vec<_> = (self.detections.named.iter())
                    .filter(|(name, _)| pattern.matches_detection_name(name))
                    .collect();
                if selected.is_empty() {
                    return refuse(written, format!("the condition's '{pattern}' selects nothing"));
                }
                selected.sort_by_key(|(name, _)| *name);
                let parts: Result<Vec<_>, _> =
                    selected.into_iter().map(|(name, detection)| self.detection(detection, name)).collect();
                Ok(match quantifier {
                    Quantifier::Any | Quantifier::Count(1) => either(parts?),
                    Quantifier::All => both(parts?),
                    Quantifier::Count(count) => Condition::AtLeast(*count, parts?),
                })
            }
        }
    }

    fn detection(&mut self, detection: &Detection, name: &str) -> Result<Condition, Refusal> {
        match detection {
            Detection::AllOf(items) if items.is_empty() => refuse(name, "a selection is empty"),
            Detection::Keywords(values) if values.is_empty() => refuse(name, "a selection is empty"),
            Detection::AllOf(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.item(item, name)).collect();
                Ok(both(items?))
            }
            Detection::AnyOf(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| self.detection(part, name)).collect();
                Ok(either(parts?))
            }
            Detection::And(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| self.detection(part, name)).collect();
                Ok(both(parts?))
            }
            Detection::Keywords(values) => {
                self.allowance.ask(values.len(), name)?;
                let how = How { likeness: Likeness::Contains, trust: self.trust, ..How::default() };
                let tests: Result<Vec<_>, _> = values.iter().map(|value| how.tests(value, name)).collect();
                Ok(either(tests?.into_iter().flatten().map(Condition::anywhere).collect()))
            }
            Detection::ArrayMatch { field, quantifier, body } => self.members(field, *quantifier, body),
            Detection::Conditional { .. } => refuse(name, "a condition within a selection is not supported"),
        }
    }

    fn item(&mut self, item: &DetectionItem, selection: &str) -> Result<Condition, Refusal> {
        let near = item.field.name.as_deref().unwrap_or(selection);
        if item.values.is_empty() {
            return refuse(near, "a list of values is empty");
        }
        let mut how = How::read(&item.field.modifiers, near)?;
        how.trust = self.trust;
        let values = if how.expands {
            Cow::Owned(self.placeholders.expand(&item.values, near, how.kind == Kind::Regex)?)
        } else {
            Cow::Borrowed(&item.values)
        };
        self.allow(&values, &how, near)?;
        let Some(name) = &item.field.name else {
            if !matches!(how.kind, Kind::Text | Kind::Regex) || how.differs || how.part.is_some() {
                return refuse(near, "keywords are texts or regular expressions");
            }
            how.likeness = Likeness::Contains;
            let values = values.iter();
            let tests: Result<Vec<_>, _> = values.map(|value| how.tests(value, near)).collect();
            let parts =
                tests?.into_iter().map(|tests| either(tests.into_iter().map(Condition::anywhere).collect()));
            return Ok(how.link(parts.collect()));
        };
        let field = self.field(name)?;
        if how.differs {
            let tests: Result<Vec<_>, _> = values.iter().map(|value| how.tests(value, near)).collect();
            return Ok(Condition::Differs(field, tests?.concat()));
        }
        let parts: Result<Vec<_>, _> =
            values.iter().map(|value| self.field_value(field, value, &how, near)).collect();
        Ok(how.link(parts?))
    }

    fn allow(&mut self, values: &[SigmaValue], how: &How, near: &str) -> Result<(), Refusal> {
        self.allowance.ask(values.len(), near)?;
        if how.kind == Kind::Regex && self.trust == Trust::Foreign {
            for value in values {
                self.allowance.build(Expression::steps(&value.to_string()).unwrap_or(0), near)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, name: &str) -> Result<FieldId, Refusal> {
        // Below version 3 the parser escapes brackets, which are then plain characters of the name.
        let plain = name.replace("\\[", "").replace("\\]", "");
        if plain.contains('[') {
            return refuse(name, "a place in an array is not supported; its members are values of one field");
        }
        Ok(self.names.intern(&name.replace("\\[", "[").replace("\\]", "]")))
    }

    /// A question to the members of an array. An event keeps them as values of one field, so members that are
    /// objects are not told apart, and only what one of their own fields tells alone can be asked.
    fn members(
        &mut self,
        field: &str,
        quantifier: ArrayQuantifier,
        body: &Detection,
    ) -> Result<Condition, Refusal> {
        let share = match quantifier {
            ArrayQuantifier::Any => Share::Any,
            ArrayQuantifier::All => Share::All,
            ArrayQuantifier::AllOrEmpty => Share::AllOrEmpty,
            ArrayQuantifier::None => Share::None,
        };
        let Detection::AllOf(items) = body else {
            return refuse(field, "members of an array can be asked for one field only");
        };
        let [item] = items.as_slice() else {
            return refuse(field, "members of an array can be asked for one field only");
        };
        let name = match (&item.field.name, share) {
            (None, _) => field.to_owned(),
            (Some(inner), Share::Any | Share::None) => format!("{field}.{inner}"),
            (Some(_), _) => {
                return refuse(field, "fields of an array's members can be asked 'any' or 'none'");
            }
        };
        let mut how = How::read(&item.field.modifiers, field)?;
        how.trust = self.trust;
        if how.differs || how.expands || matches!(how.kind, Kind::Exists | Kind::OtherField) {
            return refuse(field, "members of an array take no 'neq', 'expand', 'exists' or 'fieldref'");
        }
        self.allow(&item.values, &how, field)?;
        let tests: Result<Vec<_>, _> = item.values.iter().map(|value| how.tests(value, field)).collect();
        let tests = if how.all { tests? } else { vec![tests?.concat()] };
        Ok(Condition::Members { field: self.field(&name)?, share, tests })
    }

    fn field_value(
        &mut self,
        field: FieldId,
        value: &SigmaValue,
        how: &How,
        near: &str,
    ) -> Result<Condition, Refusal> {
        match (how.kind, value) {
            (Kind::Exists, SigmaValue::Bool(true)) => Ok(Condition::IsPresent(field)),
            (Kind::Exists, SigmaValue::Bool(false)) => {
                Ok(Condition::Not(Box::new(Condition::IsPresent(field))))
            }
            (Kind::Exists, _) => refuse(near, "'exists' takes true or false"),
            (Kind::OtherField, SigmaValue::String(other)) => {
                let other = self.names.intern(&other.original);
                Ok(Condition::SameAs { field, other, how: how.likeness, cased: how.cased })
            }
            (Kind::OtherField, _) => refuse(near, "'fieldref' takes the name of a field"),
            (Kind::Text, SigmaValue::Null) if how.is_plain() => Ok(Condition::IsNull(field)),
            _ => {
                let tests = how.tests(value, near)?;
                Ok(either(tests.into_iter().map(|test| Condition::Field(field, test)).collect()))
            }
        }
    }
}

fn either(mut conditions: Vec<Condition>) -> Condition {
    if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) }
}

fn both(mut conditions: Vec<Condition>) -> Condition {
    if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions) }
}

/// How an item's values are to be understood: its modifiers, put in order.
#[expect(clippy::struct_excessive_bools, reason = "each is a modifier that stands alone")]
#[derive(Debug, Default)]
struct How {
    kind: Kind,
    likeness: Likeness,
    all: bool,
    cased: bool,
    differs: bool,
    windash: bool,
    expands: bool,
    part: Option<TimePart>,
    encodings: Vec<Modifier>,
    regex_flags: Vec<Modifier>,
    trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Text,
    Regex,
    Network,
    Compare(Comparison),
    Exists,
    OtherField,
}

impl How {
    fn read(modifiers: &[Modifier], near: &str) -> Result<Self, Refusal> {
        let mut how = Self::default();
        let mut kinds = 0;
        let mut likenesses = 0;
        let mut parts = 0;
        for modifier in modifiers {
            let kind = match modifier {
                Modifier::Re => Some(Kind::Regex),
                Modifier::Cidr => Some(Kind::Network),
                Modifier::Exists => Some(Kind::Exists),
                Modifier::FieldRef => Some(Kind::OtherField),
                Modifier::Gt => Some(Kind::Compare(Comparison::Greater)),
                Modifier::Gte => Some(Kind::Compare(Comparison::GreaterOrEqual)),
                Modifier::Lt => Some(Kind::Compare(Comparison::Less)),
                Modifier::Lte => Some(Kind::Compare(Comparison::LessOrEqual)),
                _ => None,
            };
            let likeness = match modifier {
                Modifier::Contains => Some(Likeness::Contains),
                Modifier::StartsWith => Some(Likeness::StartsWith),
                Modifier::EndsWith => Some(Likeness::EndsWith),
                _ => None,
            };
            kinds += u32::from(kind.is_some());
            let part = TimePart::named(*modifier);
            likenesses += u32::from(likeness.is_some());
            parts += u32::from(part.is_some());
            how.kind = kind.unwrap_or(how.kind);
            how.likeness = likeness.unwrap_or(how.likeness);
            how.part = part.or(how.part);
            match modifier {
                _ if kind.is_some() || likeness.is_some() || part.is_some() => {}
                Modifier::All => how.all = true,
                Modifier::Cased => how.cased = true,
                Modifier::Neq => how.differs = true,
                Modifier::WindAsh => how.windash = true,
                Modifier::Expand => how.expands = true,
                Modifier::Base64
                | Modifier::Base64Offset
                | Modifier::Wide
                | Modifier::Utf16
                | Modifier::Utf16be => how.encodings.push(*modifier),
                Modifier::IgnoreCase | Modifier::Multiline | Modifier::DotAll => {
                    how.regex_flags.push(*modifier);
                }
                _ => {
                    let name = format!("{modifier:?}").to_lowercase();
                    return refuse(near, format!("the modifier '{name}' is not supported"));
                }
            }
        }
        let shapes_text = likenesses > 0 || how.windash || !how.encodings.is_empty();
        let can_shape = matches!(how.kind, Kind::Text | Kind::OtherField);
        let encodes_other_field =
            how.kind == Kind::OtherField && (how.windash || !how.encodings.is_empty() || how.differs);
        let differs_oddly = how.differs && how.kind == Kind::Exists;
        let flags_no_regex = !how.regex_flags.is_empty() && how.kind != Kind::Regex;
        let encodes_twice = how.windash && !how.encodings.is_empty();
        let can_be_part = matches!(how.kind, Kind::Text | Kind::Compare(_)) && !shapes_text && !how.cased;
        let is_odd = kinds > 1
            || likenesses > 1
            || parts > 1
            || (parts == 1 && !can_be_part)
            || (shapes_text && !can_shape)
            || encodes_other_field
            || differs_oddly
            || flags_no_regex
            || encodes_twice;
        if is_odd { refuse(near, "these modifiers do not go together") } else { Ok(how) }
    }

    fn is_plain(&self) -> bool {
        self.likeness == Likeness::Equal
            && !self.windash
            && self.encodings.is_empty()
            && !self.differs
            && self.part.is_none()
    }

    fn link(&self, parts: Vec<Condition>) -> Condition {
        if self.all { both(parts) } else { either(parts) }
    }

    /// Returns the tests of which one must find a value.
    fn tests(&self, value: &SigmaValue, near: &str) -> Result<Vec<Test>, Refusal> {
        match self.kind {
            Kind::Text | Kind::Compare(_) if self.part.is_some() => {
                let comparison = match self.kind {
                    Kind::Compare(comparison) => comparison,
                    _ => Comparison::Equal,
                };
                let part = self.part.into_iter();
                let bound = number(value, near)?;
                Ok(part.map(|part| Test::TimePart(part, comparison, bound)).collect())
            }
            Kind::Text => self.text_tests(value, near),
            Kind::Regex => {
                let pattern = value.to_string();
                let flags = Flags {
                    ignore_case: self.regex_flags.contains(&Modifier::IgnoreCase),
                    multi_line: self.regex_flags.contains(&Modifier::Multiline),
                    dot_matches_new_line: self.regex_flags.contains(&Modifier::DotAll),
                };
                if self.trust == Trust::BuiltIn {
                    return Ok(vec![Test::Regex(Expression::trusted(pattern, flags))]);
                }
                match Expression::checked(pattern, flags) {
                    Ok(expression) => Ok(vec![Test::Regex(expression)]),
                    Err(reason) => refuse(near, format!("the regular expression can't be used: {reason}")),
                }
            }
            Kind::Network => match value.to_string().parse() {
                Ok(network) => Ok(vec![Test::Network(network)]),
                Err(_) => match value.to_string().parse::<std::net::IpAddr>() {
                    Ok(address) => Ok(vec![Test::Network(address.into())]),
                    Err(_) => refuse(near, format!("'{value}' is not a network")),
                },
            },
            Kind::Compare(comparison) => Ok(vec![Test::Compare(comparison, number(value, near)?)]),
            Kind::Exists | Kind::OtherField => refuse(near, "this modifier needs a field"),
        }
    }

    fn text_tests(&self, value: &SigmaValue, near: &str) -> Result<Vec<Test>, Refusal> {
        let text = match value {
            SigmaValue::String(text) => Cow::Borrowed(text),
            SigmaValue::Integer(number) if self.likeness == Likeness::Equal && self.encodings.is_empty() => {
                #[expect(clippy::cast_precision_loss, reason = "an event's numbers are as coarse")]
                let as_float = *number as f64;
                return Ok(vec![Test::Number { number: as_float, text: number.to_string() }]);
            }
            SigmaValue::Float(number) if self.likeness == Likeness::Equal && self.encodings.is_empty() => {
                // Without its sign: what equals -0 is written as 0.
                let number = number + 0.0;
                return Ok(vec![Test::Number { number, text: number.to_string() }]);
            }
            SigmaValue::Integer(_) | SigmaValue::Float(_) | SigmaValue::Bool(_) => {
                Cow::Owned(SigmaString::from_raw(&value.to_string()))
            }
            SigmaValue::Null => return refuse(near, "null takes no modifier"),
        };
        if self.encodings.is_empty() {
            return Ok(vec![self.glob_test(self.pieces(&text))]);
        }
        let Some(plain) = text.as_plain() else {
            return refuse(near, "a text with wildcards can't be encoded");
        };
        let encoded =
            encoded_forms(&plain, &self.encodings).map_err(|what| Refusal { what, near: near.to_owned() })?;
        Ok(encoded.into_iter().map(|text| self.glob_test(vec![Piece::Text(text)])).collect())
    }

    fn glob_test(&self, mut pieces: Vec<Piece>) -> Test {
        if matches!(self.likeness, Likeness::Contains | Likeness::EndsWith) {
            pieces.insert(0, Piece::Star);
        }
        if matches!(self.likeness, Likeness::Contains | Likeness::StartsWith) {
            pieces.push(Piece::Star);
        }
        if self.cased {
            return Test::Written(Glob::new(&pieces));
        }
        for piece in &mut pieces {
            if let Piece::Text(text) = piece {
                *text = fold(text);
            }
        }
        Test::Folded(Glob::new(&pieces))
    }

    fn pieces(&self, text: &SigmaString) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in &text.parts {
            match part {
                StringPart::Plain(plain) if self.windash => split_at_dashes(plain, &mut pieces),
                StringPart::Plain(plain) => pieces.push(Piece::Text(plain.clone())),
                StringPart::Special(SpecialChar::WildcardMulti) => pieces.push(Piece::Star),
                StringPart::Special(SpecialChar::WildcardSingle) => pieces.push(Piece::Char),
            }
        }
        pieces
    }
}

fn number(value: &SigmaValue, near: &str) -> Result<f64, Refusal> {
    match value.to_string().trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => refuse(near, format!("'{value}' is not a number")),
    }
}

/// Takes every dash that opens an option for any dash: one that stands before a word's character, not within a word.
fn split_at_dashes(plain: &str, pieces: &mut Vec<Piece>) {
    let is_word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut text = String::new();
    let mut before = None;
    let mut rest = plain.chars();
    while let Some(character) = rest.next() {
        let opens_option =
            DASHES.contains(&character) && !is_word(before) && is_word(rest.as_str().chars().next());
        if opens_option {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Dash);
        } else {
            text.push(character);
        }
        before = Some(character);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}
