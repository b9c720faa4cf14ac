//! The API's description, made from the code, and the pages that show it with no network.

use std::collections::BTreeMap;

use axum::{Router, response::Redirect, routing::get};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, RefOr, Response, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{accounts, audit, error, health, live, metrics, operator, opinion, security, stats};
use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "SentinelFlow",
        description = "Scores log events the moment they arrive, and finds the rows of a file that don't belong.\n\n\
            Failures are problem details (RFC 9457). Under `sentinelflow dev` no credentials are needed; \
            under `sentinelflow serve` every call but signup, health and docs needs an API key or HTTP Basic, and what is for the operator the operator's token.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(error::Problem<'static>, error::Fault)),
    modifiers(&Credentials),
    security((), ("api_key" = []), ("password" = [])),
)]
struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components
            .add_security_scheme("operator_token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme("password", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    }
}

/// Returns the described routes, not yet split from their description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(accounts::routes())
        .merge(security::routes())
        .merge(opinion::routes())
        .merge(live::routes())
        .merge(stats::routes())
        .merge(audit::routes())
        .merge(operator::routes())
        .merge(health::routes())
        .merge(metrics::routes())
}

/// Returns the description by itself.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// Returns `/openapi.json`, `/docs`, and `/`, which leads there until there is a dashboard.
pub fn pages(openapi: utoipa::openapi::OpenApi) -> Router<App> {
    let swagger =
        SwaggerUi::new("/docs").config(Config::default().validator_url("none")).url("/openapi.json", openapi);
    Router::new().merge(swagger).route("/", get(|| async { Redirect::temporary("/docs/") }))
}

fn problems(statuses: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = |description: &str| {
        let schema = utoipa::openapi::schema::RefBuilder::new()
            .ref_location_from_schema_name(<error::Problem<'static> as ToSchema>::name());
        let content = ContentBuilder::new().schema(Some(schema.build())).build();
        ResponseBuilder::new().description(description).content("application/problem+json", content).build()
    };
    statuses.iter().map(|(status, description)| (status.to_string(), problem(description).into())).collect()
}

const READ: [(u16, &str); 7] = [
    (400, "The request can't be understood"),
    (401, "No credentials, or wrong ones"),
    (403, "Not yours to do"),
    (404, "Not there, or another tenant's"),
    (422, "Well-formed but invalid; `errors` names each fault"),
    (500, "Something failed inside; nothing was changed"),
    (503, "A dependency is down; nothing was acknowledged"),
];

/// The failures of a call that reads or changes something by its path and query.
pub struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&READ)
    }
}

/// The failure of a call that needs a scan to be done.
pub struct NotDoneProblem;

impl IntoResponses for NotDoneProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(409, "The scan is not done")])
    }
}

/// The failure of a call that only so many may make at once.
pub struct TooManyProblem;

impl IntoResponses for TooManyProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(429, "As many of these are open as may be")])
    }
}

/// The failures of a call that takes files.
pub struct UploadProblems;

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let of_uploads = [
            (429, "As many scans of the tenant wait as may; nothing was kept"),
            (507, "There is no room on the server's disk; nothing was kept"),
        ];
        let mut responses = WriteProblems::responses();
        responses.extend(problems(&of_uploads));
        responses
    }
}

/// The failures of a call with a body.
pub struct WriteProblems;

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let of_bodies = [
            (408, "The body took too long to arrive"),
            (409, "In conflict with what is there"),
            (413, "The body is too large"),
            (415, "The body's media type is not supported"),
        ];
        let mut responses = problems(&READ);
        responses.extend(problems(&of_bodies));
        responses
    }
}
