//! `GET jobs`, `GET jobs/ID` and its receipt: the person's jobs.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LINK, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::language::Language;
use downpipe_core::ledger::{Cursor, JobFilter, Page};
use jiff::Timestamp;
use url::form_urlencoded;

use super::refusals::{Conflict, Missing, Refusals, Wrong};
use super::view::{Facts, JobList, JobView};
use crate::accept::takes_json;
use crate::caller::Caller;
use crate::language::ReaderLanguage;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::query::Query;
use crate::reply::tagged;

/// The most jobs of a page, or that are asked for by id at once.
const MAX_JOBS: u32 = 100;

/// Jobs of a page that names no limit.
const JOBS: u32 = 20;

/// The most pages of the ledger that are read for one of the caller's. Jobs of exports that the token does not allow are left out.
const MAX_PAGES: usize = 10;

/// What a list is asked for.
struct Asked {
    ids: Option<Vec<JobId>>,
    state: Option<JobState>,
    export: Option<String>,
    everyone: bool,
    limit: u32,
    cursor: Option<Cursor>,
}

/// Lists the person's jobs, the newest first: a page of them, or several by id.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    operation_id = "list_jobs",
    params(
        (
            "ids" = Option<String>,
            Query,
            pattern = "^[0-9a-f]{24}(,[0-9a-f]{24}){0,99}$",
            description = "Ids of jobs, with commas, 100 at most. Those that are not the caller's are left out. It goes with no \
                           other field but `lang`."
        ),
        (
            "state" = Option<String>,
            Query,
            pattern = "^(queued|running|waiting|ready|failed|cancelled|expired)$",
            description = "Only jobs in this state."
        ),
        ("export" = Option<String>, Query, min_length = 1, max_length = 128, description = "Only jobs of this export."),
        (
            "limit" = Option<u32>,
            Query,
            minimum = 1,
            maximum = 100,
            description = "The most jobs; 20 without it. A page may have fewer although there is a next one."
        ),
        (
            "cursor" = Option<String>,
            Query,
            pattern = "^[0-9a-f]{40}$",
            description = "Where the page begins: `next` of the page before."
        ),
        (
            "lang" = Option<String>,
            Query,
            pattern = "^(en|ja)$",
            description = "The language of failures; without it that of Accept-Language."
        ),
        ("everyone" = Option<bool>, Query, description = "`true`: the jobs of all persons. Operators only.")
    ),
    responses(
        (status = 200, description = "The jobs. ETag names this answer; Link has rel=next.", body = JobList),
        (status = 304, description = "The answer is that of the ETag in If-None-Match."),
        Refusals,
        Wrong
    ),
    security(("app_token" = []))
)]
pub(crate) async fn list<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let asked = Asked::read(query.as_deref(), &caller)?;
    let (jobs, next) = match &asked.ids {
        Some(ids) => (several(&portal, &caller, ids, language).await?, None),
        None => page(&portal, &caller, &asked, language).await?,
    };
    let link = next.as_ref().map(|next| next_link(&portal.url, query.as_deref(), next));
    let mut response = tagged(&headers, &JobList { jobs, next: next.map(|next| next.to_string()) });
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// Returns a job of the person's.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    operation_id = "get_job",
    params(
        ("id" = String, Path, description = "The job's id."),
        (
            "lang" = Option<String>,
            Query,
            pattern = "^(en|ja)$",
            description = "The language of a failure; without it that of Accept-Language."
        )
    ),
    responses(
        (
            status = 200,
            description = "The job. ETag names this answer; Retry-After says when to ask again, until it ends.",
            body = JobView
        ),
        (status = 304, description = "The answer is that of the ETag in If-None-Match."),
        Refusals,
        Missing
    ),
    security(("app_token" = []))
)]
pub(crate) async fn show<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    ReaderLanguage(language): ReaderLanguage,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let job = visible(&portal, &caller, &id).await?;
    let view = view(&portal, &job, false, language).await?;
    let mut response = tagged(&headers, &view);
    add_retry_after(&mut response, &view);
    Ok(response)
}

/// Returns the receipt of a job's file.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/receipt",
    tag = "jobs",
    operation_id = "get_receipt",
    params(("id" = String, Path, description = "The job's id.")),
    responses(
        (
            status = 200,
            description = "The receipt: what the file was made of, its rows, bytes and SHA-256.",
            content_type = "application/json"
        ),
        Refusals,
        Missing,
        Conflict
    ),
    security(("app_token" = []))
)]
pub(crate) async fn receipt<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    takes_json(&headers)?;
    let job = visible(&portal, &caller, &id).await?;
    match &job.receipt {
        Some(receipt) => Ok(([(CONTENT_TYPE, "application/json")], receipt.to_json()).into_response()),
        None => Err(Problem::no_file(job.state.is_terminal())),
    }
}

/// Returns a job that the caller may see. Any other does not exist for them.
pub(super) async fn visible<P: Ports>(portal: &Portal<P>, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let id: JobId = id.parse().map_err(|_| Problem::not_found())?;
    let job = portal.ledger.find(&id).await?;
    job.filter(|job| caller.may_see(job)).ok_or_else(Problem::not_found)
}

/// Returns a job that the caller asked for. An operator sees jobs of others, and does nothing in their names.
pub(super) async fn own<P: Ports>(portal: &Portal<P>, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let job = visible(portal, caller, id).await?;
    if job.requested_by == caller.requester { Ok(job) } else { Err(Problem::not_found()) }
}

/// Returns a job with all that is known of it.
pub(super) async fn view<P: Ports>(
    portal: &Portal<P>,
    job: &Job,
    repeated: bool,
    language: Language,
) -> Result<JobView, Problem> {
    let mut facts = Facts { repeated, ..Facts::default() };
    match job.state {
        JobState::Queued => facts.ahead = Some(portal.ledger.ahead(job).await?),
        JobState::Running => facts.live = portal.cache.progress(&job.id).await,
        JobState::Ready => facts.downloads = portal.ledger.downloads(&job.id).await?,
        _ => {}
    }
    Ok(JobView::of(job, &facts, &portal.catalog, Timestamp::now(), language))
}

/// Says in a header when to ask again.
pub(super) fn add_retry_after(response: &mut Response, view: &JobView) {
    if let Some(seconds) = view.poll_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
}

/// Returns the jobs of these ids that the caller may see, with the progress of those that run.
async fn several<P: Ports>(
    portal: &Portal<P>,
    caller: &Caller,
    ids: &[JobId],
    language: Language,
) -> Result<Vec<JobView>, Problem> {
    let mut views = Vec::new();
    for job in portal.watched.several(ids, &portal.ledger).await?.iter().filter(|job| caller.may_see(job)) {
        let live = match job.state {
            JobState::Running => portal.cache.progress(&job.id).await,
            _ => None,
        };
        let facts = Facts { live, ..Facts::default() };
        views.push(JobView::of(job, &facts, &portal.catalog, Timestamp::now(), language));
    }
    Ok(views)
}

/// Returns a page of jobs that the caller may see, and where the next one begins.
async fn page<P: Ports>(
    portal: &Portal<P>,
    caller: &Caller,
    asked: &Asked,
    language: Language,
) -> Result<(Vec<JobView>, Option<Cursor>), Problem> {
    let filter = JobFilter {
        requester: (!asked.everyone).then_some(&caller.requester),
        state: asked.state,
        export: asked.export.as_deref(),
        since: None,
    };
    let mut next = asked.cursor.clone();
    for _ in 0..MAX_PAGES {
        let page = portal.ledger.jobs_of(&filter, next.as_ref(), asked.limit).await?;
        let Page { mut jobs, next: after } = page;
        jobs.retain(|job| caller.may_see(job));
        next = after;
        if next.is_none() || !jobs.is_empty() {
            let now = Timestamp::now();
            let view = |job: &Job| JobView::of(job, &Facts::default(), &portal.catalog, now, language);
            return Ok((jobs.iter().map(view).collect(), next));
        }
    }
    Ok((Vec::new(), next))
}

/// Returns the header that leads to the next page: the same query from another place.
fn next_link(url: &str, query: Option<&str>, next: &Cursor) -> String {
    let fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.filter(|(name, _)| name != "cursor") {
        query.append_pair(&name, &value);
    }
    query.append_pair("cursor", &next.to_string());
    format!("<{url}/api/v1/jobs?{}>; rel=\"next\"", query.finish())
}

impl Asked {
    const FIELDS: [&str; 7] = ["ids", "lang", "state", "export", "limit", "cursor", "everyone"];

    fn read(query: Option<&str>, caller: &Caller) -> Result<Self, Problem> {
        // Several by id are no page of anything.
        let by_id = query
            .is_some_and(|query| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "ids"));
        let known = if by_id { &Self::FIELDS[..2] } else { &Self::FIELDS };
        let mut query = Query::read(query, known);
        let expected = format!("1 to {MAX_JOBS} job ids of 24 hexadecimal digits, with commas");
        let ids = query.take("ids", &expected, |text| {
            let ids: Vec<JobId> = text.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
            (ids.len() <= usize::try_from(MAX_JOBS).unwrap_or_default()).then_some(ids)
        });
        // The language is read beside the header's; here it is only held against what there is.
        let _ = query.take("lang", "en or ja", |text| text.parse::<Language>().ok());
        let states = JobState::ALL.map(JobState::as_str).join(", ");
        let asked = Self {
            ids,
            state: query.take("state", &format!("one of {states}"), |text| text.parse().ok()),
            export: query.take("export", "the name of an export", |text| {
                (!text.is_empty() && text.len() <= 128).then(|| text.to_owned())
            }),
            everyone: query.take("everyone", "true or false, and true for operators only", |text| {
                text.parse().ok().filter(|everyone| !everyone || caller.is_operator)
            }) == Some(true),
            limit: query
                .take("limit", &format!("a whole number from 1 to {MAX_JOBS}"), |text| {
                    text.parse().ok().filter(|limit| (1..=MAX_JOBS).contains(limit))
                })
                .unwrap_or(JOBS),
            cursor: query.take("cursor", "`next` of an earlier page", |text| text.parse().ok()),
        };
        query.finish()?;
        Ok(asked)
    }
}
