//! Promises about tenants.

use sentinelflow_domain::{
    id::ObjectId,
    second_opinion::Ask,
    store::{NewTenant, StoreError, TenantChange},
    tenant::{ApiKeyHash, PasswordHash, Plan, Tenant},
};
use tokio::task::JoinSet;

use crate::given::{AnyStore, new_tenant, tenant};

pub(crate) async fn names_are_unique_whatever_their_case(store: AnyStore) {
    let ana = tenant(&store, "Ana").await;
    assert!(matches!(store.sign_up(new_tenant("aNA")).await, Err(StoreError::Conflict)));
    let found = store.tenant_named(&"ANA".parse().unwrap()).await.unwrap();
    assert_eq!(found, Some(ana), "the name is kept as it was written");
    let bob = tenant(&store, "bob").await;
    let change = TenantChange { username: Some("ANA".parse().unwrap()), ..TenantChange::default() };
    assert!(matches!(store.update_tenant(bob.id, change).await, Err(StoreError::Conflict)));
    assert_eq!(store.tenant_named(&"bob".parse().unwrap()).await.unwrap(), Some(bob));
}

pub(crate) async fn only_one_of_many_gets_a_name(store: AnyStore) {
    let mut tasks = JoinSet::new();
    for name in ["ana", "Ana", "ANA", "anA"].repeat(3) {
        let store = store.clone();
        tasks.spawn(async move { store.sign_up(new_tenant(name)).await });
    }
    let mut signed_up = Vec::new();
    for answer in tasks.join_all().await {
        match answer {
            Ok(tenant) => signed_up.push(tenant),
            Err(error) => assert!(matches!(error, StoreError::Conflict), "{error:?}"),
        }
    }
    assert_eq!(signed_up.len(), 1);
    assert_eq!(store.tenant_named(&"ana".parse().unwrap()).await.unwrap(), signed_up.pop());
}

pub(crate) async fn a_key_leads_to_its_tenant(store: AnyStore) {
    let (key, other) = (ApiKeyHash([7; 32]), ApiKeyHash([8; 32]));
    let ana = store.sign_up(NewTenant { api_key: Some(key), ..new_tenant("ana") }).await.unwrap();
    assert_eq!(store.tenant_with_key(&key).await.unwrap(), Some(ana.clone()));
    assert_eq!(store.tenant_with_key(&other).await.unwrap(), None);
    let change = TenantChange { username: Some("anna".parse().unwrap()), ..TenantChange::default() };
    let renamed = store.update_tenant(ana.id, change).await.unwrap().unwrap().tenant;
    assert_eq!(store.tenant_with_key(&key).await.unwrap(), Some(renamed));
}

pub(crate) async fn a_refused_sign_up_leaves_nothing_behind(store: AnyStore) {
    let key = ApiKeyHash([7; 32]);
    store.sign_up(NewTenant { api_key: Some(key), ..new_tenant("ana") }).await.unwrap();
    let same_key = NewTenant { api_key: Some(key), ..new_tenant("bob") };
    assert!(matches!(store.sign_up(same_key).await, Err(StoreError::Conflict)));
    assert_eq!(store.tenant_named(&"bob".parse().unwrap()).await.unwrap(), None);
    tenant(&store, "bob").await;
}

pub(crate) async fn what_is_not_changed_stays(store: AnyStore) {
    let password = |phc: &str| Some(PasswordHash::new(phc.into()));
    let ana = store.sign_up(NewTenant { password: password("$old"), ..new_tenant("ana") }).await.unwrap();
    assert_eq!(store.password_of(ana.id).await.unwrap(), password("$old"));

    let plan = TenantChange { plan: Some(Plan::Pro), ..TenantChange::default() };
    let update = store.update_tenant(ana.id, plan).await.unwrap().unwrap();
    assert_eq!((update.tenant.plan, update.migrated_logs), (Plan::Pro, 0));
    assert_eq!((&update.tenant.username, update.tenant.created_at), (&ana.username, ana.created_at));
    assert_eq!(store.password_of(ana.id).await.unwrap(), password("$old"));

    let change = TenantChange { password: password("$new"), ..TenantChange::default() };
    let unchanged = store.update_tenant(ana.id, change).await.unwrap().unwrap().tenant;
    assert_eq!(unchanged, update.tenant);
    assert_eq!(store.password_of(ana.id).await.unwrap(), password("$new"));
    assert_eq!(store.tenant_named(&ana.username).await.unwrap(), Some(unchanged));
    assert_eq!(store.password_of(tenant(&store, "bob").await.id).await.unwrap(), None);
}

pub(crate) async fn a_model_is_always_asked_until_that_is_changed(store: AnyStore) {
    let ana = tenant(&store, "ana").await;
    assert_eq!(ana.ask, Ask::Always);
    for ask in Ask::ALL {
        let change = TenantChange { ask: Some(ask), ..TenantChange::default() };
        let changed = store.update_tenant(ana.id, change).await.unwrap().unwrap().tenant;
        assert_eq!(changed, Tenant { ask, ..ana.clone() });
        let plan = TenantChange { plan: Some(Plan::Pro), ..TenantChange::default() };
        assert_eq!(store.update_tenant(ana.id, plan).await.unwrap().unwrap().tenant.ask, ask);
        assert_eq!(store.tenant_named(&ana.username).await.unwrap().unwrap().ask, ask);
        let plan = TenantChange { plan: Some(Plan::Free), ..TenantChange::default() };
        store.update_tenant(ana.id, plan).await.unwrap();
    }
}

pub(crate) async fn an_unknown_tenant_cannot_be_changed(store: AnyStore) {
    let ana = tenant(&store, "ana").await.id;
    let never = ObjectId::from_parts(ana.seconds(), ana.origin(), ana.counter() + 9);
    for nobody in [never, ObjectId::from_parts(ana.seconds(), [0xEE; 5], ana.counter())] {
        let change = TenantChange { plan: Some(Plan::Pro), ..TenantChange::default() };
        assert_eq!(store.update_tenant(nobody, change).await.unwrap(), None);
        assert_eq!(store.password_of(nobody).await.unwrap(), None);
    }
}
