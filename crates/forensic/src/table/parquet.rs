//! stub
use super::{Source, Visit};
use crate::{Limits, ScanError};
use sentinelflow_domain::scan::ScanProgress;
use std::path::Path;
pub(crate) struct ParquetFile;
impl ParquetFile {
    pub(crate) fn open(_: &Path, _: &Limits, _: &dyn ScanProgress) -> Result<Self, ScanError> {
        Err(ScanError::not_a_table("Parquet"))
    }
}
impl Source for ParquetFile {
    fn visit(&self, _: &mut Visit<'_>) -> Result<(), ScanError> {
        Ok(())
    }
}
