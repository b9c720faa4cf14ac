//! The cells of one Parquet column, a few rows at a time: what its values stand for.

use std::sync::Arc;

use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit},
    column::{
        page::PageReader,
        reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    },
    data_type::{ByteArray, DataType, FixedLenByteArray, Int96},
    errors::Result,
    schema::types::ColumnDescriptor,
};

use super::super::Cell;

pub(super) struct ColumnCells {
    reader: ColumnReader,
    meaning: Meaning,
    max_level: i16,
    cells: Vec<Held>,
}

enum Held {
    Plain(Cell<'static>),
    /// A text shares the memory of its page.
    Text(ByteArray),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    Plain,
    Unsigned,
    /// To be divided by this.
    Scaled(f64),
    Days,
    /// Seconds since 1970, in so many parts.
    Moment(f64),
    Uuid,
    HalfPrecision,
}

const SECONDS_A_DAY: f64 = 86_400.0;
const JULIAN_DAY_OF_1970: f64 = 2_440_588.0;
/// Bytes without a meaning are shown in hexadecimal up to this length.
const LONGEST_HEXADECIMAL: usize = 64;

impl Meaning {
    fn of(column: &ColumnDescriptor) -> Self {
        let parts = |unit: &TimeUnit| match unit {
            TimeUnit::MILLIS => 1e3,
            TimeUnit::MICROS => 1e6,
            TimeUnit::NANOS => 1e9,
        };
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Decimal(decimal)), _) => Self::Scaled(10_f64.powi(decimal.scale)),
            (_, ConvertedType::DECIMAL) => Self::Scaled(10_f64.powi(column.type_scale())),
            (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Self::Days,
            (Some(LogicalType::Timestamp(moment)), _) => Self::Moment(parts(&moment.unit)),
            (_, ConvertedType::TIMESTAMP_MILLIS) => Self::Moment(1e3),
            (_, ConvertedType::TIMESTAMP_MICROS) => Self::Moment(1e6),
            // A time of day is a number of seconds, as in workbooks.
            (Some(LogicalType::Time(time)), _) => Self::Scaled(parts(&time.unit)),
            (_, ConvertedType::TIME_MILLIS) => Self::Scaled(1e3),
            (_, ConvertedType::TIME_MICROS) => Self::Scaled(1e6),
            (Some(LogicalType::Integer(integer)), _) if !integer.is_signed => Self::Unsigned,
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Self::Unsigned,
            (Some(LogicalType::Uuid), _) => Self::Uuid,
            (Some(LogicalType::Float16), _) => Self::HalfPrecision,
            _ => Self::Plain,
        }
    }

    fn of_integer(self, value: i64, unsigned: u64) -> Cell<'static> {
        match self {
            Self::Unsigned => Cell::Number(unsigned as f64),
            Self::Scaled(by) => Cell::Number(value as f64 / by),
            Self::Days => Cell::Time(value as f64 * SECONDS_A_DAY),
            Self::Moment(parts) => Cell::Time(value as f64 / parts),
            _ => Cell::Number(value as f64),
        }
    }

    fn of_bytes(self, bytes: &ByteArray) -> Held {
        match self {
            Self::Scaled(by) => Held::Plain(Cell::Number(two_complement(bytes.data()) / by)),
            _ => Held::Text(bytes.clone()),
        }
    }

    fn of_fixed(self, bytes: &FixedLenByteArray) -> Held {
        let data = bytes.data();
        match (self, data) {
            (Self::Scaled(by), _) => Held::Plain(Cell::Number(two_complement(data) / by)),
            (Self::HalfPrecision, [low, high]) => {
                Held::Plain(Cell::Number(half_precision(u16::from_le_bytes([*low, *high]))))
            }
            (Self::Uuid, _) if data.len() == 16 => Held::Text(ByteArray::from(uuid(data).as_str())),
            _ if data.len() <= LONGEST_HEXADECIMAL && std::str::from_utf8(data).is_err() => {
                Held::Text(ByteArray::from(hexadecimal(data).as_str()))
            }
            _ => Held::Text(ByteArray::clone(bytes)),
        }
    }
}

impl ColumnCells {
    pub(super) fn new(column: Arc<ColumnDescriptor>, pages: Box<dyn PageReader>) -> Self {
        let (meaning, max_level) = (Meaning::of(&column), column.max_def_level());
        Self { reader: get_column_reader(column, pages), meaning, max_level, cells: Vec::new() }
    }

    /// Reads the next rows, and returns how many there were.
    pub(super) fn read(&mut self, rows: usize) -> Result<usize> {
        self.cells.clear();
        let Self { reader, meaning, max_level, cells } = self;
        let (meaning, level) = (*meaning, *max_level);
        let plain = Held::Plain;
        match reader {
            ColumnReader::BoolColumnReader(reader) => fill(reader, rows, level, cells, |truth| {
                plain(Cell::Text(if *truth { b"true" } else { b"false" }))
            }),
            ColumnReader::Int32ColumnReader(reader) => fill(reader, rows, level, cells, |value| {
                plain(meaning.of_integer(i64::from(*value), u64::from(value.cast_unsigned())))
            }),
            ColumnReader::Int64ColumnReader(reader) => fill(reader, rows, level, cells, |value| {
                plain(meaning.of_integer(*value, value.cast_unsigned()))
            }),
            ColumnReader::Int96ColumnReader(reader) => {
                fill(reader, rows, level, cells, |value| plain(Cell::Time(seconds(value))))
            }
            ColumnReader::FloatColumnReader(reader) => {
                fill(reader, rows, level, cells, |value| plain(Cell::Number(f64::from(*value))))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                fill(reader, rows, level, cells, |value| plain(Cell::Number(*value)))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                fill(reader, rows, level, cells, |value| meaning.of_bytes(value))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                fill(reader, rows, level, cells, |value| meaning.of_fixed(value))
            }
        }
    }

    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        match &self.cells[row] {
            Held::Plain(cell) => *cell,
            Held::Text(text) => Cell::Text(text.data()),
        }
    }
}

/// Reads rows, of which some have a value: those whose level is the highest.
fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    max_level: i16,
    cells: &mut Vec<Held>,
    cell: impl Fn(&T::T) -> Held,
) -> Result<usize> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (read, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if max_level == 0 {
        cells.extend(values.iter().map(cell));
    } else {
        let mut values = values.iter();
        let present = levels.iter().map(|level| if *level == max_level { values.next() } else { None });
        cells.extend(present.map(|value| value.map_or(Held::Plain(Cell::Missing), &cell)));
    }
    Ok(read.min(cells.len()))
}

/// The old format of times: nanoseconds of a day, and the day in the Julian count.
fn seconds(value: &Int96) -> f64 {
    let [low, high, day] = *value.data() else { return f64::NAN };
    let nanoseconds = (u64::from(high) << 32 | u64::from(low)).cast_signed();
    (f64::from(day.cast_signed()) - JULIAN_DAY_OF_1970) * SECONDS_A_DAY + nanoseconds as f64 / 1e9
}

/// A whole number of any length, its highest byte first.
fn two_complement(bytes: &[u8]) -> f64 {
    let magnitude = bytes.iter().fold(0.0, |value, byte| value * 256.0 + f64::from(*byte));
    let is_negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    if !is_negative {
        return magnitude;
    }
    -(bytes.iter().fold(0.0, |value, byte| value * 256.0 + f64::from(!*byte)) + 1.0)
}

fn half_precision(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3FF) / 1_024.0;
    match i32::from(bits >> 10 & 0x1F) {
        0 => sign * fraction * 2_f64.powi(-14),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1.0 + fraction) * 2_f64.powi(exponent - 15),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("half a byte is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn uuid(bytes: &[u8]) -> String {
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..16]];
    parts.map(hexadecimal).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_a_type_of_their_own_are_read() {
        assert_eq!(two_complement(&[0x01, 0x00]).to_bits(), 256_f64.to_bits());
        assert_eq!(two_complement(&[0xFF, 0xFE]).to_bits(), (-2_f64).to_bits());
        assert_eq!(two_complement(&[]).to_bits(), 0_f64.to_bits());
        assert_eq!(half_precision(0x3C00).to_bits(), 1_f64.to_bits());
        assert_eq!(half_precision(0xC000).to_bits(), (-2_f64).to_bits());
        assert_eq!(half_precision(0x0001).to_bits(), 2_f64.powi(-24).to_bits());
        assert_eq!(uuid(&[0xAB; 16]), "abababab-abab-abab-abab-abababababab");
        let mut moment = Int96::new();
        moment.set_data(500_000_000, 0, 2_440_589);
        assert_eq!(seconds(&moment).to_bits(), 86_400.5_f64.to_bits());
    }
}
