//! What needs no token: whether the portal answers, and the document of the API.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::reply::json;

static DOCUMENT: LazyLock<String> = LazyLock::new(super::document);

/// That the portal answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    status: &'static str,
}

/// Says that the portal answers. Nothing that it stands on is asked.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "portal",
    responses((status = 200, description = "The portal answers.", body = Health))
)]
pub(crate) async fn health() -> Response {
    json(StatusCode::OK, &Health { status: "ok" })
}

/// Returns this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "portal",
    responses((status = 200, description = "The API, as OpenAPI 3.1 has it.", content_type = "application/json"))
)]
pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
