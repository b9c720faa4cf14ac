//! Tenants. Every request asks who it is for, so those that were asked about lately are held in memory, for so short a
//! time that a change on one node can be acknowledged when all others know of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use mongodb::{
    bson::{Document, doc},
    options::ReturnDocument,
};
use sentinelflow_domain::{
    second_opinion::Ask,
    store::{NewTenant, StoreError, TenantBook, TenantChange, TenantUpdate},
    tenant::{ApiKeyHash, PasswordHash, Tenant, TenantId, Username},
};
use tokio::time::Instant;

use super::{
    MongoStore,
    deadline::InTime as _,
    errors::damaged,
    fields::{Fields, binary, millis},
    ids::to_bson,
    named,
};

/// So long a node goes on with what it knew of a tenant.
const REMEMBERED_FOR: Duration = Duration::from_secs(1);
const MOST_REMEMBERED: usize = 16_384;

/// What a tenant is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum LookUp {
    /// In lower case.
    Name(String),
    // A look-up needn't take constant time: it compares hashes, from which no key can be guessed byte by byte.
    Key(ApiKeyHash),
}

impl LookUp {
    fn query(&self) -> Document {
        match self {
            Self::Name(folded) => doc! { "folded": folded },
            Self::Key(hash) => doc! { "api_keys": binary(&hash.0) },
        }
    }
}

/// The tenants that were asked about lately.
#[derive(Default)]
pub(super) struct Directory {
    found: Mutex<HashMap<LookUp, (Instant, Tenant), RandomState>>,
    /// Tenants are never removed.
    known: Mutex<HashSet<TenantId, RandomState>>,
}

impl Directory {
    fn get(&self, look_up: &LookUp) -> Option<Tenant> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, tenant) = found.get(look_up)?;
        (since.elapsed() < REMEMBERED_FOR).then(|| tenant.clone())
    }

    /// `since` is when the database was asked.
    fn put(&self, look_up: LookUp, since: Instant, tenant: Tenant) {
        self.add(tenant.id);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST_REMEMBERED {
            found.clear();
        }
        found.insert(look_up, (since, tenant));
    }

    fn add(&self, tenant: TenantId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
    }

    fn knows(&self, tenant: TenantId) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&tenant)
    }

    fn forget(&self, tenant: TenantId) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, (_, known)| known.id != tenant);
    }
}

impl MongoStore {
    /// Refuses what would belong to nobody.
    pub(super) async fn must_know(&self, tenant: TenantId) -> Result<(), StoreError> {
        if self.directory.knows(tenant) {
            return Ok(());
        }
        let tenants = self.collection(named::TENANTS);
        let found = tenants.find_one(doc! { "_id": to_bson(tenant) }).in_time().await?;
        found.ok_or(StoreError::Conflict)?;
        self.directory.add(tenant);
        Ok(())
    }

    async fn look_up(&self, look_up: LookUp) -> Result<Option<Tenant>, StoreError> {
        if let Some(known) = self.directory.get(&look_up) {
            return Ok(Some(known));
        }
        let since = Instant::now();
        let tenants = self.collection(named::TENANTS);
        let Some(found) = tenants.find_one(look_up.query()).in_time().await? else {
            return Ok(None);
        };
        let tenant = tenant(Fields(&found))?;
        self.directory.put(look_up, since, tenant.clone());
        Ok(Some(tenant))
    }
}

#[async_trait]
impl TenantBook for MongoStore {
    async fn sign_up(&self, new: NewTenant) -> Result<Tenant, StoreError> {
        let NewTenant { username, plan, password, api_key, created_at } = new;
        let tenant =
            Tenant { id: self.ids.mint(created_at).id, username, plan, ask: Ask::Always, created_at };
        let mut document = doc! {
            "_id": to_bson(tenant.id),
            "username": tenant.username.as_str(),
            "folded": tenant.username.folded(),
            "plan": plan.as_str(),
            "ask": tenant.ask.as_str(),
            "created_at": millis(created_at),
        };
        if let Some(password) = &password {
            document.insert("password", password.as_str());
        }
        if let Some(key) = &api_key {
            document.insert("api_keys", vec![binary(&key.0)]);
        }
        self.documents(named::TENANTS).insert_one(document).in_time().await?;
        self.directory.add(tenant.id);
        Ok(tenant)
    }

    async fn tenant_named(&self, name: &Username) -> Result<Option<Tenant>, StoreError> {
        self.look_up(LookUp::Name(name.folded())).await
    }

    async fn tenant_with_key(&self, key: &ApiKeyHash) -> Result<Option<Tenant>, StoreError> {
        self.look_up(LookUp::Key(*key)).await
    }

    async fn password_of(&self, tenant: TenantId) -> Result<Option<PasswordHash>, StoreError> {
        let tenants = self.collection(named::TENANTS);
        let found = tenants.find_one(doc! { "_id": to_bson(tenant) }).in_time().await?;
        let Some(found) = found else { return Ok(None) };
        Ok(Fields(&found).text_if_any("password")?.map(|phc| PasswordHash::new(phc.to_owned())))
    }

    async fn update_tenant(
        &self,
        tenant: TenantId,
        change: TenantChange,
    ) -> Result<Option<TenantUpdate>, StoreError> {
        let mut set = Document::new();
        if let Some(name) = &change.username {
            set.insert("username", name.as_str());
            set.insert("folded", name.folded());
        }
        if let Some(plan) = change.plan {
            set.insert("plan", plan.as_str());
        }
        if let Some(ask) = change.ask {
            set.insert("ask", ask.as_str());
        }
        if let Some(password) = &change.password {
            set.insert("password", password.as_str());
        }
        let tenants = self.collection(named::TENANTS);
        let query = doc! { "_id": to_bson(tenant) };
        let before = if set.is_empty() {
            tenants.find_one(query).in_time().await
        } else {
            let update = tenants.find_one_and_update(query, doc! { "$set": set });
            update.return_document(ReturnDocument::Before).in_time().await
        };
        let Some(before) = before? else { return Ok(None) };
        let changed_at = Instant::now();
        self.directory.forget(tenant);
        let before = self::tenant(Fields(&before))?;
        let is_renamed = change.username.as_ref().is_some_and(|name| *name != before.username);
        let after = Tenant {
            username: change.username.unwrap_or_else(|| before.username.clone()),
            plan: change.plan.unwrap_or(before.plan),
            ask: change.ask.unwrap_or(before.ask),
            ..before
        };
        let migrated_logs = if is_renamed { self.count_logs(tenant).await? } else { 0 };
        if is_renamed {
            // By then no node goes on with the old name.
            tokio::time::sleep_until(changed_at + REMEMBERED_FOR).await;
            self.directory.forget(tenant);
        }
        Ok(Some(TenantUpdate { tenant: after, migrated_logs }))
    }
}

fn tenant(fields: Fields<'_>) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: fields.id("_id")?,
        username: fields.text("username")?.parse().map_err(damaged)?,
        plan: fields.text("plan")?.parse().map_err(damaged)?,
        ask: fields.text("ask")?.parse().map_err(damaged)?,
        created_at: fields.moment("created_at")?,
    })
}
