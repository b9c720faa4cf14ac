//! Baselines: learned from a file that is known to be clean, kept under a name, and looked up to judge others.

use std::sync::Arc;

use sentinelflow_domain::{
    scan::ScanOptions,
    store::{
        BaselineName, BaselinePut, BaselineSummary, MOST_BASELINE_BYTES, MOST_BASELINES, NewBaseline, NewScan,
    },
    tenant::TenantId,
};
use sentinelflow_forensic::learn;
use tempfile::TempPath;

use super::{HuntError, Hunts, in_any_case, work_at};

impl Hunts {
    /// Learns from a file that is deleted with the upload, and keeps what was learned.
    /// Whoever stops waiting stops the learning.
    pub async fn learn(
        &self,
        tenant: TenantId,
        upload: TempPath,
        name: BaselineName,
        filename: String,
        options: ScanOptions,
    ) -> Result<BaselineSummary, HuntError> {
        self.check_place_for(tenant, &name).await?;
        let (limits, source) = (self.0.limits.clone(), filename.clone());
        let desk = self.next_desk(tenant).await?;
        let learned = work_at(desk, upload, move |file, watch| {
            let baseline = learn(file, &source, &options, &limits, watch)?;
            Ok((baseline.to_bytes(), baseline.rows()))
        });
        let (bytes, rows) = learned.await?.found;
        if bytes.len() > MOST_BASELINE_BYTES {
            return Err(HuntError::BaselineTooLarge);
        }
        let created_at = self.0.clock.now();
        let size_bytes = bytes.len() as u64;
        let summary =
            BaselineSummary { name: name.clone(), created_at, rows, filename: filename.clone(), size_bytes };
        let baseline = NewBaseline { tenant, name, created_at, rows, filename, bytes };
        let store = Arc::clone(&self.0.store);
        in_any_case(async move {
            match store.put_baseline(baseline).await? {
                BaselinePut::Stored => Ok(summary),
                BaselinePut::NameTaken => Err(HuntError::NameTaken),
                BaselinePut::TooMany => Err(HuntError::TooManyBaselines),
            }
        })
        .await
    }

    /// Tells before the work whether a baseline could be kept.
    async fn check_place_for(&self, tenant: TenantId, name: &BaselineName) -> Result<(), HuntError> {
        let baselines = self.0.store.baselines(tenant).await?;
        if baselines.iter().any(|baseline| baseline.name == *name) {
            return Err(HuntError::NameTaken);
        }
        if baselines.len() >= MOST_BASELINES { Err(HuntError::TooManyBaselines) } else { Ok(()) }
    }

    /// Tells before the work whether the baseline that is to judge is there.
    pub(super) async fn check_baseline_of(&self, order: &NewScan) -> Result<(), HuntError> {
        let Some(name) = &order.baseline else { return Ok(()) };
        let baselines = self.0.store.baselines(order.tenant).await?;
        let is_there = baselines.iter().any(|baseline| baseline.name == *name);
        if is_there { Ok(()) } else { Err(HuntError::NoSuchBaseline(name.clone())) }
    }

    /// Returns the bytes of the baseline that is to judge, if one is.
    pub(super) async fn baseline_of(&self, order: &NewScan) -> Result<Option<Vec<u8>>, HuntError> {
        let Some(name) = &order.baseline else { return Ok(None) };
        let bytes = self.0.store.baseline(order.tenant, name).await?;
        bytes.map(Some).ok_or_else(|| HuntError::NoSuchBaseline(name.clone()))
    }
}
