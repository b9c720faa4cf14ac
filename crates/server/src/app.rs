//! What every handler may ask for. Cheap to clone.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use sentinelflow_domain::{
    clock::Clock,
    store::{Store, ThreatFeed},
    tenant::Tenant,
};

use crate::{
    config::Mode,
    credentials::{Credentials, OperatorToken},
    hunts::Hunts,
    reload::Reload,
    triage::Triage,
};

#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub mode: Mode,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub credentials: Credentials,
    /// What an operator shows in `serve`; without it nobody is one.
    pub operator_token: Option<OperatorToken>,
    pub metrics: PrometheusHandle,
    pub triage: Triage,
    pub hunts: Hunts,
    pub reload: Reload,
    /// Whom requests without a name belong to in `dev`; `None` in `serve`.
    pub local_tenant: Option<Tenant>,
    pub max_upload_bytes: u64,
    /// There where other servers write to the store, too.
    pub feed: Option<Arc<dyn ThreatFeed>>,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
