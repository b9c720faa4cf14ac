//! Promises about renaming a tenant: its logs move with it, all of them and at once.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sentinelflow_domain::{
    store::{TenantChange, TenantUpdate},
    tenant::{Tenant, TenantId},
};
use tokio::task::JoinSet;

use crate::given::{AnyStore, all_pages, everything, ids, log, record, record_all, tenant};

async fn rename(store: &AnyStore, tenant: TenantId, name: &str) -> TenantUpdate {
    let change = TenantChange { username: Some(name.parse().unwrap()), ..TenantChange::default() };
    store.update_tenant(tenant, change).await.unwrap().unwrap()
}

async fn named(store: &AnyStore, name: &str) -> Option<Tenant> {
    store.tenant_named(&name.parse().unwrap()).await.unwrap()
}

pub(crate) async fn everything_moves_at_once(store: AnyStore) {
    let ana = tenant(&store, "ana").await;
    let recorded = record_all(&store, (0..25).map(|n| log(ana.id, &n.to_string(), 4 * n)).collect()).await;
    let update = rename(&store, ana.id, "anna").await;
    assert_eq!(update.migrated_logs, 25);
    assert_eq!(named(&store, "ana").await, None);
    let anna = named(&store, "ANNA").await.unwrap();
    assert_eq!((anna.id, anna.username.as_str()), (ana.id, "anna"));
    assert_eq!(all_pages(&store, anna.id, everything()).await.len(), recorded.len());
    assert_eq!(rename(&store, ana.id, "anna").await.migrated_logs, 0, "the name stayed");
    assert_eq!(rename(&store, ana.id, "Anna").await.migrated_logs, 25, "its case changed");
}

pub(crate) async fn a_new_tenant_may_take_the_old_name_and_sees_nothing(store: AnyStore) {
    let first = tenant(&store, "ana").await.id;
    let id = record(&store, log(first, "hers", 50)).await;
    rename(&store, first, "anna").await;
    let second = tenant(&store, "ana").await.id;
    assert_ne!(first, second);
    assert_eq!(named(&store, "ana").await.map(|tenant| tenant.id), Some(second));
    assert_eq!(ids(&all_pages(&store, second, everything()).await), []);
    assert_eq!(store.find(second, id).await.unwrap(), None);
    assert_eq!(store.per_minute(second, i64::MIN, i64::MAX).await.unwrap(), []);
    assert_eq!(ids(&all_pages(&store, first, everything()).await), [id]);
}

pub(crate) async fn nothing_is_lost_or_doubled_under_eight_writers(store: AnyStore) {
    const WRITERS: u64 = 8;
    const LOGS_EACH: u64 = 30;
    let ana = tenant(&store, "ana-0").await.id;
    let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, begun, done) = (store.clone(), begun.clone(), done.clone());
        writers.spawn(async move {
            let mut recorded = Vec::new();
            for n in 0..LOGS_EACH {
                begun.fetch_add(1, Ordering::SeqCst);
                recorded.push(record(&store, log(ana, &format!("{writer}/{n}"), 50)).await);
                done.fetch_add(1, Ordering::SeqCst);
            }
            recorded
        });
    }
    let mut renames = 0;
    while done.load(Ordering::SeqCst) < WRITERS * LOGS_EACH {
        renames += 1;
        let at_least = done.load(Ordering::SeqCst);
        let update = rename(&store, ana, &format!("ana-{renames}")).await;
        let at_most = begun.load(Ordering::SeqCst);
        assert!((at_least..=at_most).contains(&update.migrated_logs), "{}", update.migrated_logs);
        assert_eq!(named(&store, &format!("ana-{}", renames - 1)).await, None);
        assert_eq!(named(&store, &format!("ana-{renames}")).await.map(|tenant| tenant.id), Some(ana));
    }
    let mut recorded: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    recorded.sort_unstable();
    let mut stored = ids(&all_pages(&store, ana, everything()).await);
    stored.reverse();
    assert_eq!(stored, recorded);
    assert_eq!(rename(&store, ana, "ana").await.migrated_logs, WRITERS * LOGS_EACH);
}
