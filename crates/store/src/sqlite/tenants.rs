//! Tenants. Every request asks who it is for, so all of them are held in memory as well, changed only after a commit.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use rusqlite::{Connection, OptionalExtension, Row, params};
use sentinelflow_domain::{
    second_opinion::Ask,
    store::{NewTenant, TenantChange, TenantUpdate},
    tenant::{ApiKeyHash, PasswordHash, Tenant, TenantId, Username},
    time::Timestamp,
};

use super::{errors::damaged, filing::NEWEST_FILED, row_id::Origins, writer::Batch};

/// All tenants by whatever they are looked up by.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory(Arc<RwLock<Maps>>);

#[derive(Debug, Default)]
struct Maps {
    tenants: HashMap<TenantId, Tenant>,
    folded_names: HashMap<String, TenantId>,
    // A look-up needn't take constant time: it compares hashes, from which no key can be guessed byte by byte.
    keys: HashMap<ApiKeyHash, TenantId>,
}

impl Directory {
    pub(super) fn load(connection: &Connection, origins: &Origins) -> rusqlite::Result<Self> {
        let directory = Self::default();
        let mut tenants = connection.prepare(&format!("SELECT {COLUMNS} FROM tenants"))?;
        for found in tenants.query_map([], |row| tenant(origins, row))? {
            directory.put(found?);
        }
        let mut keys = connection.prepare("SELECT hash, tenant FROM api_keys")?;
        for found in keys.query_map([], |row| Ok((ApiKeyHash(row.get(0)?), origins.id(row.get(1)?))))? {
            let (key, tenant) = found?;
            directory.put_key(key, tenant);
        }
        Ok(directory)
    }

    pub(super) fn named(&self, name: &Username) -> Option<Tenant> {
        let maps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        maps.folded_names.get(&name.folded()).and_then(|id| maps.tenants.get(id)).cloned()
    }

    pub(super) fn with_key(&self, key: &ApiKeyHash) -> Option<Tenant> {
        let maps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        maps.keys.get(key).and_then(|id| maps.tenants.get(id)).cloned()
    }

    /// Adds a tenant, or replaces what was known of it, its old name included.
    fn put(&self, tenant: Tenant) {
        let mut maps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = tenant.username.folded();
        let id = tenant.id;
        if let Some(old) = maps.tenants.insert(id, tenant) {
            maps.folded_names.remove(&old.username.folded());
        }
        maps.folded_names.insert(name, id);
    }

    fn put_key(&self, key: ApiKeyHash, tenant: TenantId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).keys.insert(key, tenant);
    }
}

pub(super) fn sign_up(
    batch: &mut Batch<'_>,
    directory: Directory,
    new: NewTenant,
) -> rusqlite::Result<Tenant> {
    let NewTenant { username, plan, password, api_key, created_at } = new;
    let ask = Ask::Always;
    let id = batch.mint(created_at);
    batch
        .connection
        .prepare_cached(
            "INSERT INTO tenants (id, username, folded, plan, password, created_at, ask)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            username.as_str(),
            username.folded(),
            plan.as_str(),
            password.as_ref().map(PasswordHash::as_str),
            created_at.as_millis(),
            ask.as_str(),
        ])?;
    if let Some(key) = api_key {
        batch
            .connection
            .prepare_cached("INSERT INTO api_keys (hash, tenant, created_at) VALUES (?, ?, ?)")?
            .execute(params![key.0, id, created_at.as_millis()])?;
    }
    let tenant = Tenant { id: batch.origins().id(id), username, plan, ask, created_at };
    let known = tenant.clone();
    batch.after_commit(move || {
        if let Some(key) = api_key {
            directory.put_key(key, known.id);
        }
        directory.put(known);
    });
    Ok(tenant)
}

pub(super) fn update(
    batch: &mut Batch<'_>,
    directory: Directory,
    id: i64,
    change: TenantChange,
) -> rusqlite::Result<Option<TenantUpdate>> {
    let connection = batch.connection;
    let stored = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM tenants WHERE id = ?"))?
        .query_row([id], |row| tenant(batch.origins(), row))
        .optional()?;
    let Some(old) = stored else { return Ok(None) };
    let username = change.username.unwrap_or_else(|| old.username.clone());
    let is_renamed = username != old.username;
    let (plan, ask) = (change.plan.unwrap_or(old.plan), change.ask.unwrap_or(old.ask));
    let tenant = Tenant { username, plan, ask, ..old };
    connection
        .prepare_cached(
            "UPDATE tenants SET username = ?, folded = ?, plan = ?, ask = ?, password = coalesce(?, password)
             WHERE id = ?",
        )?
        .execute(params![
            tenant.username.as_str(),
            tenant.username.folded(),
            tenant.plan.as_str(),
            tenant.ask.as_str(),
            change.password.as_ref().map(PasswordHash::as_str),
            id,
        ])?;
    let migrated_logs = if is_renamed { count_logs(connection, id)? } else { 0 };
    let known = tenant.clone();
    batch.after_commit(move || directory.put(known));
    Ok(Some(TenantUpdate { tenant, migrated_logs }))
}

pub(super) fn password(connection: &Connection, id: i64) -> rusqlite::Result<Option<PasswordHash>> {
    let stored = connection
        .prepare_cached("SELECT password FROM tenants WHERE id = ?")?
        .query_row([id], |row| row.get::<_, Option<String>>(0))
        .optional()?;
    Ok(stored.flatten().map(PasswordHash::new))
}

const COLUMNS: &str = "id, username, plan, ask, created_at";

fn tenant(origins: &Origins, row: &Row<'_>) -> rusqlite::Result<Tenant> {
    let text = |column| row.get_ref(column)?.as_str().map_err(|error| damaged(column, error));
    Ok(Tenant {
        id: origins.id(row.get(0)?),
        username: text(1)?.parse().map_err(|error| damaged(1, error))?,
        plan: text(2)?.parse().map_err(|error| damaged(2, error))?,
        ask: text(3)?.parse().map_err(|error| damaged(3, error))?,
        created_at: Timestamp::from_millis(row.get(4)?),
    })
}

fn count_logs(connection: &Connection, tenant: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(&format!(
            "SELECT (SELECT count(*) FROM filed_logs INDEXED BY filed_of_tenant WHERE tenant = ?1)
                  + (SELECT count(*) FROM logs WHERE id > {NEWEST_FILED} AND tenant = ?1)"
        ))?
        .query_row([tenant], |row| row.get(0))
}
