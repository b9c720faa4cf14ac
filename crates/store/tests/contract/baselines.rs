//! Promises about baselines.

use sentinelflow_domain::{
    id::ObjectId,
    store::{BaselineName, BaselinePut, BaselineSummary, MOST_BASELINES, NewBaseline, StoreError},
    tenant::TenantId,
};

use crate::given::{AnyStore, at, tenant};

fn named(text: &str) -> BaselineName {
    text.parse().unwrap()
}

fn baseline(tenant: TenantId, name: &str) -> NewBaseline {
    NewBaseline {
        tenant,
        name: named(name),
        created_at: at(3),
        rows: 5_000,
        filename: "clean \0 month.csv".into(),
        bytes: vec![0, 255, 7],
    }
}

pub(crate) async fn a_baseline_comes_back_as_it_went(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let large = NewBaseline { bytes: vec![0xA5; 5 << 20], ..baseline(ana, "march") };
    assert_eq!(store.put_baseline(large.clone()).await.unwrap(), BaselinePut::Stored);
    assert_eq!(store.put_baseline(baseline(ana, "april")).await.unwrap(), BaselinePut::Stored);
    assert_eq!(store.baseline(ana, &named("march")).await.unwrap(), Some(large.bytes));
    let summary = |name: &str, size_bytes| BaselineSummary {
        name: named(name),
        created_at: at(3),
        rows: 5_000,
        filename: "clean \0 month.csv".into(),
        size_bytes,
    };
    let listed = store.baselines(ana).await.unwrap();
    assert_eq!(listed, [summary("april", 3), summary("march", 5 << 20)]);
}

pub(crate) async fn a_name_is_taken_once_for_each_tenant(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    store.put_baseline(baseline(ana, "march")).await.unwrap();
    let other = NewBaseline { bytes: vec![1], ..baseline(ana, "march") };
    assert_eq!(store.put_baseline(other.clone()).await.unwrap(), BaselinePut::NameTaken);
    assert_eq!(store.baseline(ana, &named("march")).await.unwrap(), Some(vec![0, 255, 7]));
    assert_eq!(store.baseline(ana, &named("MARCH")).await.unwrap(), None);
    assert_eq!(store.baseline(bob, &named("march")).await.unwrap(), None);
    assert_eq!(store.baselines(bob).await.unwrap(), []);
    let his = NewBaseline { tenant: bob, ..other };
    assert_eq!(store.put_baseline(his).await.unwrap(), BaselinePut::Stored);
    let nobody = ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter());
    assert!(matches!(store.put_baseline(baseline(nobody, "x")).await, Err(StoreError::Conflict)));
}

pub(crate) async fn a_tenant_has_at_most_a_hundred(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    for number in 0..MOST_BASELINES {
        let put = store.put_baseline(baseline(ana, &format!("b{number}"))).await.unwrap();
        assert_eq!(put, BaselinePut::Stored);
    }
    assert_eq!(store.put_baseline(baseline(ana, "one-more")).await.unwrap(), BaselinePut::TooMany);
    assert_eq!(store.put_baseline(baseline(ana, "b7")).await.unwrap(), BaselinePut::NameTaken);
    assert_eq!(store.put_baseline(baseline(bob, "his")).await.unwrap(), BaselinePut::Stored);
    assert!(store.remove_baseline(ana, &named("b7")).await.unwrap());
    assert_eq!(store.put_baseline(baseline(ana, "one-more")).await.unwrap(), BaselinePut::Stored);
}

pub(crate) async fn a_removed_baseline_is_gone(store: AnyStore) {
    let (ana, bob) = (tenant(&store, "ana").await.id, tenant(&store, "bob").await.id);
    store.put_baseline(baseline(ana, "march")).await.unwrap();
    assert!(!store.remove_baseline(bob, &named("march")).await.unwrap());
    assert!(store.remove_baseline(ana, &named("march")).await.unwrap());
    assert!(!store.remove_baseline(ana, &named("march")).await.unwrap());
    assert_eq!(store.baseline(ana, &named("march")).await.unwrap(), None);
    assert_eq!(store.baselines(ana).await.unwrap(), []);
}
