//! A table with a row of names. Columns of known names hold the indicators, their types and what is said of them.

use super::Reading;
use crate::indicators::entry::Kind;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Indicators, of one kind or of any.
    Entry(Option<Kind>),
    Type,
    Description,
    Confidence,
    Other,
}

/// Names of columns, as feeds write them; case, spaces and hyphens don't matter.
const COLUMNS: [(Column, &[&str]); 8] = [
    (Column::Entry(None), &["indicator", "ioc", "iocvalue", "value", "indicatorvalue", "observable"]),
    (
        Column::Entry(Some(Kind::Address)),
        &["ip", "ipaddress", "ipv4", "ipv6", "srcip", "dstip", "address", "cidr", "network", "netblock"],
    ),
    (Column::Entry(Some(Kind::Domain)), &["domain", "domainname", "hostname", "fqdn"]),
    (Column::Entry(Some(Kind::Url)), &["url", "uri"]),
    (
        Column::Entry(Some(Kind::Hash)),
        &["hash", "filehash", "md5", "md5hash", "sha1", "sha1hash", "sha256", "sha256hash"],
    ),
    (Column::Type, &["type", "ioctype", "indicatortype"]),
    (
        Column::Description,
        &["description", "comment", "malware", "malwareprintable", "threat", "reason", "note"],
    ),
    (Column::Confidence, &["confidence", "confidencelevel"]),
];

/// Types, as feeds write them in a column of their own.
const TYPES: [(Kind, &[&str]); 4] = [
    (
        Kind::Address,
        &["ip", "ipv4", "ipv6", "ipsrc", "ipdst", "ipv4addr", "ipv6addr", "ipaddress", "address", "cidr"],
    ),
    (Kind::Domain, &["domain", "domainname", "hostname", "fqdn"]),
    (Kind::Url, &["url", "uri"]),
    (
        Kind::Hash,
        &[
            "hash",
            "md5",
            "sha1",
            "sha256",
            "md5hash",
            "sha1hash",
            "sha256hash",
            "filehashmd5",
            "filehashsha1",
            "filehashsha256",
        ],
    ),
];

/// What feeds write where they have nothing to say.
const NOTHING: [&str; 5] = ["", "-", "n/a", "none", "null"];

pub(super) fn read(text: &str, reading: &mut Reading<'_>) {
    let Some(table) = Table::find(text) else {
        let what = "no row names a column: indicator, ip, domain, url, hash, md5, sha1 or sha256";
        return reading.break_off(1, what);
    };
    let mut rows = records(table.rows, table.delimiter);
    let mut row = ::csv::StringRecord::new();
    loop {
        match rows.read_record(&mut row) {
            Ok(false) => return,
            Ok(true) => {
                let line = row.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
                add_row(table.lines_before + line, &row, &table.columns, reading);
            }
            Err(error) => return reading.break_off(table.lines_before + 1, &error.to_string()),
        }
    }
}

struct Table<'t> {
    columns: Vec<Column>,
    delimiter: u8,
    /// What follows the names.
    rows: &'t str,
    lines_before: usize,
}

impl<'t> Table<'t> {
    /// Finds the row of names: the first that is no comment, or a comment above it.
    fn find(text: &'t str) -> Option<Self> {
        let mut rest = text;
        let mut named = None;
        for lines_before in 0.. {
            let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
            let bare = line.trim_start_matches(['#', ' ']).trim_end();
            let is_row_below_names = named.is_some() && !line.starts_with('#') && !is_of_names(line);
            if let Some((columns, delimiter)) = columns(bare).filter(|_| !is_row_below_names) {
                named = Some(Self { columns, delimiter, rows: below, lines_before: lines_before + 1 });
            }
            let is_comment = line.trim().is_empty() || line.starts_with('#');
            if !is_comment || below.is_empty() {
                break;
            }
            rest = below;
        }
        named
    }
}

/// Whether a row can be one of names: the word "domain" also stands in a row that says the type of an entry.
fn is_of_names(line: &str) -> bool {
    const LONGEST_NAME: usize = 30;
    line.split([',', ';', '\t']).map(|cell| cell.trim_matches(['"', ' ', '\r'])).all(|cell| {
        let is_short = cell.len() <= LONGEST_NAME && !cell.contains(['.', ':', '/']);
        is_short && !cell.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Returns what the columns of a row of names hold, if one of them holds indicators.
fn columns(line: &str) -> Option<(Vec<Column>, u8)> {
    let delimiter =
        [b'\t', b';', b','].into_iter().max_by_key(|sign| line.bytes().filter(|b| b == sign).count())?;
    let mut names = ::csv::StringRecord::new();
    records(line, delimiter).read_record(&mut names).ok()?;
    let columns: Vec<Column> = names.iter().map(column).collect();
    columns.iter().any(|column| matches!(column, Column::Entry(_))).then_some((columns, delimiter))
}

fn records(text: &str, delimiter: u8) -> ::csv::Reader<&[u8]> {
    ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .delimiter(delimiter)
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes())
}

fn column(name: &str) -> Column {
    let name = plain(name);
    let known = COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str()));
    known.map_or(Column::Other, |(column, _)| *column)
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn add_row(line: usize, row: &::csv::StringRecord, columns: &[Column], reading: &mut Reading<'_>) {
    let cell = |wanted: Column| {
        let cells = columns.iter().zip(row).filter(|(column, _)| **column == wanted);
        cells.map(|(_, cell)| cell).find(|cell| is_said(cell))
    };
    reading.describe(cell(Column::Description).unwrap_or_default());
    reading.trust(line, cell(Column::Confidence).unwrap_or_default());
    let said_type = cell(Column::Type);
    let mut is_empty = true;
    for (column, entry) in columns.iter().zip(row) {
        let Column::Entry(kind) = column else { continue };
        if !is_said(entry) {
            continue;
        }
        is_empty = false;
        match (kind, said_type) {
            (None, Some(said)) => add_typed(line, said, entry, reading),
            (kind, _) => reading.add(line, entry, *kind),
        }
    }
    if is_empty {
        reading.refuse(line, row.get(0).unwrap_or_default(), "begins a row without an indicator");
    }
}

/// Adds an entry whose type is said; `filename|md5` and the like say the types of its parts.
fn add_typed(line: usize, said: &str, entry: &str, reading: &mut Reading<'_>) {
    let mut parts = entry.split('|');
    for said in said.split('|') {
        let part = parts.next().unwrap_or_default();
        let name = plain(said);
        match TYPES.iter().find(|(_, names)| names.contains(&name.as_str())) {
            Some((kind, _)) => reading.add(line, part, Some(*kind)),
            None => reading.refuse(line, part, &format!("is a {said}, which is not looked for")),
        }
    }
}

fn is_said(cell: &str) -> bool {
    !NOTHING.iter().any(|nothing| nothing.eq_ignore_ascii_case(cell.trim()))
}
