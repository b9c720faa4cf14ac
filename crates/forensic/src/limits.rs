//! How much of a file is taken. Every reader is bounded by these numbers, whatever the file claims.

/// Bounds on what a scan reads. What it keeps in memory is bounded whatever these say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, and of what a packed file expands to: 64 GiB.
    pub bytes: u64,
    /// Data rows: 2 thousand million.
    pub rows: u64,
    /// Columns: 20,000, a little above what a spreadsheet can have.
    pub columns: usize,
    /// Rows times columns: 50 thousand million.
    pub cells: u64,
    /// Bytes of one record of a text file: 16 MiB.
    pub record_bytes: usize,
    /// Bytes that one part of a spreadsheet may expand to: 2 GiB.
    pub unpacked_bytes: u64,
    /// Times that one part of a spreadsheet, or a packed text, may be larger than its packed form: 200. Sheets reach
    /// 50, logs 30.
    pub packing_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            rows: 2_000_000_000,
            columns: 20_000,
            cells: 50_000_000_000,
            record_bytes: 16 << 20,
            unpacked_bytes: 2 << 30,
            packing_ratio: 200,
        }
    }
}
