//! `GET exports` and `GET exports/NAME`: what a person may ask for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use downpipe_core::catalog::Definition;

use super::refusals::{Missing, Refusals};
use super::view::{ExportList, ExportSummary, ExportView};
use crate::accept::takes_json;
use crate::caller::Caller;
use crate::language::ReaderLanguage;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::reply::json;

/// Lists what the person may ask for.
#[utoipa::path(
    get,
    path = "/api/v1/exports",
    tag = "exports",
    operation_id = "list_exports",
    responses((status = 200, description = "What the person may ask for.", body = ExportList), Refusals),
    security(("app_token" = []))
)]
pub(crate) async fn list<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let definitions = portal.catalog.names().filter_map(|name| portal.catalog.get(name));
    let allowed = definitions.filter(|definition| caller.may_request(definition));
    let exports = allowed.map(|definition| ExportSummary::of(definition, language)).collect();
    Ok(json(StatusCode::OK, &ExportList { exports }))
}

/// Returns an export with all that a form needs.
#[utoipa::path(
    get,
    path = "/api/v1/exports/{name}",
    tag = "exports",
    operation_id = "get_export",
    params(("name" = String, Path, description = "The export's name.")),
    responses((status = 200, description = "The export.", body = ExportView), Refusals, Missing),
    security(("app_token" = []))
)]
pub(crate) async fn show<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    Path(name): Path<String>,
    ReaderLanguage(language): ReaderLanguage,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let definition = allowed(&portal, &caller, &name)?;
    Ok(json(StatusCode::OK, &ExportView::of(definition, &portal.catalog, &caller, language)))
}

/// Returns the definition of this name, if the person may ask for it. Any other does not exist for them.
pub(super) fn allowed<'p, P: Ports>(
    portal: &'p Portal<P>,
    caller: &Caller,
    name: &str,
) -> Result<&'p Definition, Problem> {
    let definition = portal.catalog.get(name).filter(|definition| caller.may_request(definition));
    definition.ok_or_else(Problem::not_found)
}
