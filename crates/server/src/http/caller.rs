//! Who calls: extractors that prove it, so that no handler has to ask.

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, header, request::Parts},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sentinelflow_domain::{
    store::Owner,
    tenant::{Tenant, TenantId, Username},
};
use serde::Deserialize;

use super::error::ApiError;
use crate::{app::App, config::Mode};

/// The tenant that the path's `{username}` names, whom the caller may act for:
/// under `dev` anybody, under `serve` only the caller.
pub struct PathTenant(pub Tenant);

impl FromRequestParts<App> for PathTenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Named {
            username: String,
        }
        let caller = signed_in(parts, app).await?;
        let Path(Named { username }) = Path::from_request_parts(parts, app)
            .await
            .map_err(|_| ApiError::malformed("The path is not valid percent-encoded UTF-8."))?;
        let Ok(username) = username.parse::<Username>() else { return Err(no_such_tenant(caller.as_ref())) };
        match app.store.tenant_named(&username).await? {
            Some(tenant) if caller.as_ref().is_none_or(|caller| caller.id == tenant.id) => Ok(Self(tenant)),
            _ => Err(no_such_tenant(caller.as_ref())),
        }
    }
}

/// Under `serve` the answer doesn't tell whether the name exists.
fn no_such_tenant(caller: Option<&Tenant>) -> ApiError {
    match caller {
        None => ApiError::not_found("There is no tenant of this name."),
        Some(_) => ApiError::forbidden("The name in the path is not the caller's."),
    }
}

/// The tenant that a request without a name belongs to: the caller, or `admin` under `dev`.
pub struct Caller(pub Tenant);

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = signed_in(parts, app).await?;
        caller.or_else(|| app.local_tenant.clone()).map(Self).ok_or_else(ApiError::unauthenticated)
    }
}

/// Whose logs the caller may touch by id alone.
pub struct Reach(pub Owner);

impl FromRequestParts<App> for Reach {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = signed_in(parts, app).await?;
        Ok(Self(caller.map_or(Owner::Anyone, |caller: Tenant| Owner::Tenant(caller.id as TenantId))))
    }
}

/// Whoever runs the server: under `dev` anybody, under `serve` who shows the operator token. No tenant is one by itself.
pub struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if app.mode == Mode::Dev {
            return Ok(Self);
        }
        let Some(token) = &app.operator_token else {
            return Err(ApiError::forbidden(
                "Nobody is an operator here until the server is started with --operator-token-file FILE.",
            ));
        };
        if shown(parts, "Bearer").is_some_and(|shown| token.is(shown)) {
            return Ok(Self);
        }
        match tenant_of(parts, app).await? {
            Some(_) => {
                Err(ApiError::forbidden("This is for the operator; a tenant's credentials are not enough."))
            }
            None => Err(ApiError::no_operator()),
        }
    }
}

/// Returns the tenant whose credentials the request carries; `None` under `dev`, which asks for none.
async fn signed_in(parts: &Parts, app: &App) -> Result<Option<Tenant>, ApiError> {
    if app.mode == Mode::Dev {
        return Ok(None);
    }
    tenant_of(parts, app).await?.map(Some).ok_or_else(ApiError::unauthenticated)
}

/// Returns the tenant whose credentials the request carries, if they are right.
async fn tenant_of(parts: &Parts, app: &App) -> Result<Option<Tenant>, ApiError> {
    if let Some(key) = shown(parts, "Bearer") {
        return Ok(app.credentials.by_api_key(&*app.store, key).await?);
    }
    let Some((name, password)) = shown(parts, "Basic").and_then(basic) else { return Ok(None) };
    Ok(app.credentials.by_password(&*app.store, &name, &password).await?)
}

/// Returns what the request shows to be believed, if it does so in this scheme.
fn shown<'p>(parts: &'p Parts, scheme: &str) -> Option<&'p str> {
    let authorization = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (its_scheme, credentials) = authorization.split_once(' ')?;
    its_scheme.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// Reads the credentials of HTTP Basic (RFC 7617).
fn basic(credentials: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    decoded.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

/// Reads `Idempotency-Key`; absent is fine, unusable is not.
pub struct IdempotencyHeader(pub Option<sentinelflow_domain::store::IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().ok().and_then(|text| text.parse().ok());
        let refusal = || {
            ApiError::client(
                StatusCode::BAD_REQUEST,
                "malformed",
                "Idempotency-Key must be 1 to 128 visible ASCII characters.",
            )
        };
        key.map(|key| Self(Some(key))).ok_or_else(refusal)
    }
}
