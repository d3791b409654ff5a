//! `POST exports/NAME/estimate`: how much an export would be.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use downpipe_app::estimate::{Estimate, Spread, estimate};
use serde::Serialize;
use utoipa::ToSchema;

use super::click::NewJobBody;
use super::exports::allowed;
use super::refusals::{BadBody, Missing, Refusals, Wrong};
use super::request::accept;
use crate::accept::takes_json;
use crate::body;
use crate::caller::Caller;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::reply::json;

/// How much an export would be, by earlier jobs. What they do not tell is null.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Estimate)]
pub(crate) struct EstimateView {
    /// Rows.
    rows: Option<SpreadView>,
    /// Bytes of all files.
    bytes: Option<SpreadView>,
    /// Seconds from its start to its end.
    seconds: Option<SpreadView>,
    /// From how many jobs this is known.
    from_jobs: usize,
}

/// What a number will be.
#[derive(Serialize, ToSchema)]
#[schema(as = Spread)]
struct SpreadView {
    /// Hardly less than this.
    low: u64,
    /// About this.
    likely: u64,
    /// Hardly more than this.
    high: u64,
}

/// Estimates an export from the last jobs of the same definition. The database is not asked.
#[utoipa::path(
    post,
    path = "/api/v1/exports/{name}/estimate",
    tag = "exports",
    operation_id = "estimate_job",
    params(("name" = String, Path, description = "The export's name.")),
    request_body(content = NewJobBody, description = "What would be asked for."),
    responses(
        (status = 200, description = "The estimate.", body = EstimateView),
        Refusals,
        BadBody,
        Missing,
        Wrong
    ),
    security(("app_token" = []))
)]
pub(crate) async fn ask<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let definition = allowed(&portal, &caller, &name)?;
    let fields = body::object(&headers, body).await?;
    let (_, request) = accept(&caller, definition, &portal.catalog, fields, None)?;
    let history = portal.histories.of(definition, &portal.ledger).await?;
    let view = estimate(&request, &history).map(EstimateView::from).unwrap_or_default();
    Ok(json(StatusCode::OK, &view))
}

impl From<Estimate> for EstimateView {
    fn from(estimate: Estimate) -> Self {
        let view = |spread| {
            let Spread { low, likely, high } = spread;
            SpreadView { low, likely, high }
        };
        Self {
            rows: Some(view(estimate.rows)),
            bytes: estimate.bytes.map(view),
            seconds: estimate.seconds.map(view),
            from_jobs: estimate.jobs,
        }
    }
}
