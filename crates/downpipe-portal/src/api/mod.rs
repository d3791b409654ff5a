//! The API, one file a resource. Programs and apps call it; what it answers is in `docs/openapi.json`.

mod cancel;
mod click;
mod delete;
mod estimate;
mod exports;
mod files;
mod health;
mod jobs;
mod refusals;
mod request;
mod retry;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::portal::{Portal, Ports};
use crate::problem::ProblemBody;

/// The API as OpenAPI has it, generated from the code.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Downpipe",
        version = "1",
        description = "Asks for exports, watches them, and downloads their files. Fields may be added; none is removed or changes \
                       its meaning within v1. What is unknown is null.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        exports::list,
        exports::show,
        estimate::ask,
        click::ask,
        jobs::list,
        jobs::show,
        jobs::receipt,
        cancel::cancel,
        retry::retry,
        delete::delete,
        files::download,
        health::health,
        health::openapi
    ),
    // The refusals of a route name it, and are not searched for what they name.
    components(schemas(ProblemBody)),
    modifiers(&AppToken)
)]
struct Api;

/// The token of an app, as every route but two needs it.
struct AppToken;

impl Modify for AppToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
            "A token that an app's server signs for the person who is logged in there. It is good for ten minutes at most.",
        ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("app_token", SecurityScheme::Http(scheme.build()));
    }
}

/// Returns the API as JSON, as `docs/openapi.json` has it.
///
/// # Panics
/// Never: the document is made when the program is compiled.
#[must_use]
pub fn document() -> String {
    let json = Api::openapi().to_pretty_json();
    json.unwrap_or_else(|error| unreachable!("the document has nothing that JSON cannot say: {error}")) + "\n"
}

/// Returns the routes of the API.
pub(crate) fn routes<P: Ports>() -> Router<Arc<Portal<P>>> {
    Router::new()
        .route("/api/v1/exports", get(exports::list::<P>))
        .route("/api/v1/exports/{name}", get(exports::show::<P>))
        .route("/api/v1/exports/{name}/estimate", post(estimate::ask::<P>))
        .route("/api/v1/exports/{name}/jobs", post(click::ask::<P>))
        .route("/api/v1/jobs", get(jobs::list::<P>))
        .route("/api/v1/jobs/{id}", get(jobs::show::<P>).delete(delete::delete::<P>))
        .route("/api/v1/jobs/{id}/receipt", get(jobs::receipt::<P>))
        .route("/api/v1/jobs/{id}/cancel", post(cancel::cancel::<P>))
        .route("/api/v1/jobs/{id}/retry", post(retry::retry::<P>))
        .route("/api/v1/jobs/{id}/files/{n}", get(files::download::<P>))
        .route("/healthz", get(health::health))
        .route("/openapi.json", get(health::openapi))
}
