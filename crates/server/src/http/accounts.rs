//! Tenants: signing up and changing name, plan or password.

use axum::{Json, extract::State, http::StatusCode};
use sentinelflow_domain::{
    second_opinion::{Ask, InvalidAsk},
    store::{NewTenant, TenantChange, TenantUpdate},
    tenant::{InvalidUsername, Plan, UnknownPlan, Username},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::PathTenant,
    docs::{ReadProblems, WriteProblems},
    error::ApiError,
    extract::{Body, FromJson, JsonObject},
};
use crate::{
    app::App,
    credentials::{ApiKey, Password},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_up)).routes(routes!(update))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Signup)]
#[expect(dead_code, reason = "describes the body; `FromJson` reads it")]
struct SignupShape {
    /// Letters, digits, `.`, `_`, `-`, the first a letter or a digit; unique without regard to case.
    #[schema(
        min_length = 3,
        max_length = 64,
        pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$",
        example = "corp_admin"
    )]
    username: String,
    #[schema(min_length = 6, max_length = 1024, example = "s3cure")]
    password: String,
}

struct Signup {
    username: Username,
    password: Password,
}

impl FromJson for Signup {
    fn from_json(object: &mut JsonObject<'_>) -> Option<Self> {
        let username = object.required("username").map(|Named(username)| username);
        let password = object.required("password");
        Some(Self { username: username?, password: password? })
    }
}

/// Lets `JsonObject` read a name.
struct Named(Username);

impl TryFrom<String> for Named {
    type Error = InvalidUsername;

    fn try_from(raw: String) -> Result<Self, InvalidUsername> {
        raw.parse().map(Self)
    }
}

/// Lets `JsonObject` read a plan.
struct Planned(Plan);

impl TryFrom<String> for Planned {
    type Error = UnknownPlan;

    fn try_from(raw: String) -> Result<Self, UnknownPlan> {
        raw.parse().map(Self)
    }
}

/// Lets `JsonObject` read when a model is asked.
struct Asked(Ask);

impl TryFrom<String> for Asked {
    type Error = InvalidAsk;

    fn try_from(raw: String) -> Result<Self, InvalidAsk> {
        raw.parse().map(Self)
    }
}

#[derive(Serialize, ToSchema)]
struct SignedUp {
    #[schema(example = "corp_admin")]
    username: String,
    #[schema(example = "Free")]
    plan: &'static str,
    /// Shown this once; only its hash is kept.
    #[schema(example = "sf_…")]
    api_key: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Register a new tenant.
#[utoipa::path(post, path = "/security/signup", tag = "Tenants", request_body = SignupShape,
    responses((status = 201, body = SignedUp), WriteProblems))]
async fn sign_up(
    State(app): State<App>,
    Body(signup): Body<Signup>,
) -> Result<(StatusCode, Json<SignedUp>), ApiError> {
    let api_key = ApiKey::generate()?;
    let new = NewTenant {
        username: signup.username,
        plan: Plan::Free,
        password: Some(app.credentials.hash(signup.password).await?),
        api_key: Some(api_key.hash()),
        created_at: app.clock.now(),
    };
    let tenant = app.store.sign_up(new).await?;
    let signed_up = SignedUp {
        username: tenant.username.to_string(),
        plan: tenant.plan.as_str(),
        api_key: api_key.as_str().to_owned(),
        created_at: tenant.created_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(signed_up)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserUpdate, min_properties = 1)]
#[expect(dead_code, clippy::struct_field_names, reason = "describes the body; `FromJson` reads it")]
struct UpdateShape {
    #[schema(
        min_length = 3,
        max_length = 64,
        pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$",
        example = "admin_v2"
    )]
    new_username: Option<String>,
    /// `Free`, `Pro` or `Enterprise`, in any case.
    #[schema(
        pattern = "^([Ff][Rr][Ee][Ee]|[Pp][Rr][Oo]|[Ee][Nn][Tt][Ee][Rr][Pp][Rr][Ii][Ss][Ee])$",
        example = "Pro"
    )]
    new_plan: Option<String>,
    #[schema(min_length = 6, max_length = 1024)]
    new_password: Option<String>,
    /// When a language model is asked about the tenant's events: `always`, `uncertain` (where the rules found something
    /// and are not sure of it) or `never`, in any case; never more often than the server is set to.
    #[schema(
        pattern = "^([Aa][Ll][Ww][Aa][Yy][Ss]|[Uu][Nn][Cc][Ee][Rr][Tt][Aa][Ii][Nn]|[Nn][Ee][Vv][Ee][Rr])$",
        example = "uncertain"
    )]
    new_llm_ask: Option<String>,
}

struct Update {
    username: Option<Username>,
    plan: Option<Plan>,
    password: Option<Password>,
    ask: Option<Ask>,
}

impl FromJson for Update {
    fn from_json(object: &mut JsonObject<'_>) -> Option<Self> {
        let update = Self {
            username: object.optional("new_username").map(|Named(username)| username),
            plan: object.optional("new_plan").map(|Planned(plan)| plan),
            password: object.optional("new_password"),
            ask: object.optional("new_llm_ask").map(|Asked(ask)| ask),
        };
        let changes_something = update.username.is_some()
            || update.plan.is_some()
            || update.password.is_some()
            || update.ask.is_some();
        if !changes_something && object.is_faultless() {
            object.fault("", "changes nothing: give new_username, new_plan, new_password or new_llm_ask");
        }
        Some(update)
    }
}

#[derive(Serialize, ToSchema)]
struct Updated {
    #[schema(example = "admin_v2")]
    username: String,
    #[schema(example = "Pro")]
    plan: &'static str,
    /// When a language model is asked about the tenant's events, if the server asks one so often.
    #[schema(example = "always")]
    llm_ask: &'static str,
    /// How many logs answer under the new name; 0 if the name stayed.
    migrated_logs: u64,
}

/// Change a tenant's name, plan, password, or when a language model is asked. A rename moves every log at once.
#[utoipa::path(patch, path = "/security/user/update/{username}", tag = "Tenants", request_body = UpdateShape,
    params(("username" = String, Path, description = "The tenant's present name", example = "corp_admin")),
    responses((status = 200, body = Updated), ReadProblems, WriteProblems))]
async fn update(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    Body(update): Body<Update>,
) -> Result<Json<Updated>, ApiError> {
    let password = match update.password {
        Some(password) => Some(app.credentials.hash(password).await?),
        None => None,
    };
    let change = TenantChange { username: update.username, plan: update.plan, password, ask: update.ask };
    let TenantUpdate { tenant, migrated_logs } = app
        .store
        .update_tenant(tenant.id, change)
        .await?
        .ok_or_else(|| ApiError::not_found("There is no tenant of this name."))?;
    Ok(Json(Updated {
        username: tenant.username.to_string(),
        plan: tenant.plan.as_str(),
        llm_ask: tenant.ask.as_str(),
        migrated_logs,
    }))
}
