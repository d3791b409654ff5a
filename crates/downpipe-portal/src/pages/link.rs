//! `/l/TOKEN`: what the link of an e-mail leads to.
//!
//! A GET shows a page and changes nothing, however often mail scanners open it. Rights, state and the file's end are looked at again
//! for each request, as they are now. A token that leads nowhere gets the same page whatever is wrong with it.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use downpipe_app::retry::{self, Retry};
use downpipe_core::catalog::{Definition, LinkAccess};
use downpipe_core::job::{FailureWords, Job, JobId, JobState, Receipt, Via};
use downpipe_core::ledger::{Download, DownloadVia};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use url::Url;

use super::words::Words;
use super::{message, page};
use crate::files;
use crate::language::ReaderLanguage;
use crate::peer::Peer;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;

/// The query of the page after its job was asked for again.
const ASKED_AGAIN: &str = "again";

/// What a good link leads to.
struct Target<'p> {
    job: Job,
    definition: &'p Definition,
}

/// What the page shows of a job.
enum LinkState<'a> {
    /// The file is there.
    Ready(&'a Receipt),
    /// It is on its way.
    Preparing,
    /// There is no file, or no longer.
    Over { what: String, reason: Vec<String> },
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    words: &'static Words,
    title: &'a str,
    job: &'a JobId,
    path: String,
    zone: &'a TimeZone,
    state: LinkState<'a>,
}

/// Which file is downloaded.
#[derive(Deserialize)]
pub(super) struct Chosen {
    /// Its number, from 1.
    file: u32,
}

/// Shows what became of a job.
pub(super) async fn show<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    peer: Peer,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
    ReaderLanguage(language): ReaderLanguage,
) -> Result<Response, Problem> {
    let words = Words::of(language);
    let Some(target) = open(&portal, &peer, &token).await? else { return Ok(nowhere(words)) };
    if query.as_deref() == Some(ASKED_AGAIN) {
        return Ok(message(StatusCode::OK, words, words.preparing, words.preparing_advice));
    }
    let Target { job, definition } = &target;
    let state = state_of(job, definition, words);
    let form_target = match &state {
        LinkState::Ready(receipt) => bucket_origin(&portal, receipt).await?,
        _ => None,
    };
    let title = definition.title_in(language);
    let link = LinkPage {
        words,
        title,
        job: &job.id,
        path: format!("/l/{token}"),
        zone: &definition.time_zone,
        state,
    };
    Ok(page(StatusCode::OK, &link, form_target.as_deref()))
}

/// Leads to a file, and records that its link was used.
pub(super) async fn download<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    peer: Peer,
    Path(token): Path<String>,
    ReaderLanguage(language): ReaderLanguage,
    chosen: Result<Form<Chosen>, FormRejection>,
) -> Result<Response, Problem> {
    let words = Words::of(language);
    let Some(Target { job, .. }) = open(&portal, &peer, &token).await? else { return Ok(nowhere(words)) };
    let Ok(Form(Chosen { file: number })) = chosen else {
        return Err(Problem::malformed("The form has no number of a file."));
    };
    // A page that was open while the file was deleted says so now.
    let Ok(receipt) = files::receipt_of(&job) else { return Ok(see_other(&format!("/l/{token}"))) };
    let file = files::file_of(receipt, number)?;
    let signed = files::sign(&portal, receipt, file).await?;
    let record = Download {
        requester: None,
        via: DownloadVia::Link,
        app: None,
        address: peer.0,
        ..files::record_of(&job, receipt, number)
    };
    portal.ledger.record_download(&record).await?;
    Ok(see_other(&signed.url))
}

/// Asks again for what a job was asked for, in the name of its requester. Only where there is no file.
///
/// The link of the new job is the requester's alone, in their e-mail: an old link lets its holder have that file, and nothing else.
pub(super) async fn retry<P: Ports>(
    State(portal): State<Arc<Portal<P>>>,
    peer: Peer,
    Path(token): Path<String>,
    ReaderLanguage(language): ReaderLanguage,
) -> Result<Response, Problem> {
    let words = Words::of(language);
    let Some(Target { job, .. }) = open(&portal, &peer, &token).await? else { return Ok(nowhere(words)) };
    let again = Retry { via: Via::Page, app: None, jobs_per_person: Some(portal.jobs_per_person) };
    retry::retry(&portal.clicks(), &portal.catalog, &job, &again).await?;
    Ok(see_other(&format!("/l/{token}?{ASKED_AGAIN}")))
}

/// Returns what a token leads to. `None` for one that leads nowhere: forged, ended, of a job or definition that is gone, of a file that
/// its requester has deleted, of a requester who may not have it any more, or of a definition whose links ask for a login.
async fn open<'p, P: Ports>(
    portal: &'p Portal<P>,
    peer: &Peer,
    token: &str,
) -> Result<Option<Target<'p>>, Problem> {
    portal.limits.count(peer.key()).map_err(Problem::too_many_requests)?;
    let link = portal.links.current().await.verify(token);
    let Some(link) = link.filter(|link| link.until > Timestamp::now()) else { return Ok(None) };
    let job = portal.ledger.find(&link.job).await?;
    let Some(job) = job.filter(|job| !is_deleted_early(job)) else { return Ok(None) };
    let definition = portal.catalog.get(&job.export).filter(|definition| {
        definition.access.link() == LinkAccess::Holder && definition.access.allows(&job.requested_by)
    });
    Ok(definition.map(|definition| Target { job, definition }))
}

/// Returns whether the requester has deleted the file before its time, and with it the links.
fn is_deleted_early(job: &Job) -> bool {
    let is_kept = |receipt: &Receipt| receipt.expires_at > Timestamp::now();
    job.state == JobState::Expired && job.receipt.as_ref().is_some_and(is_kept)
}

fn state_of<'a>(job: &'a Job, definition: &Definition, words: &Words) -> LinkState<'a> {
    let gone = |receipt: &Receipt| LinkState::Over {
        what: words.deleted(&receipt.expires_at, &definition.time_zone),
        reason: Vec::new(),
    };
    match (job.state, &job.receipt) {
        (JobState::Ready, Some(receipt)) if receipt.expires_at > Timestamp::now() => {
            LinkState::Ready(receipt)
        }
        (JobState::Ready | JobState::Expired, Some(receipt)) => gone(receipt),
        (JobState::Failed, _) => {
            let failure = job.failure.as_ref();
            let reason = failure.map(|failure| {
                let FailureWords { message, advice } = failure.words(words.language);
                vec![message, advice]
            });
            LinkState::Over { what: words.failed.to_owned(), reason: reason.unwrap_or_default() }
        }
        (JobState::Cancelled, _) => LinkState::Over { what: words.cancelled.to_owned(), reason: Vec::new() },
        _ => LinkState::Preparing,
    }
}

/// Returns the origin to which a download of these files is redirected. Browsers hold it against the policy of the form's page.
async fn bucket_origin<P: Ports>(portal: &Portal<P>, receipt: &Receipt) -> Result<Option<String>, Problem> {
    let Some(file) = receipt.files.first() else { return Ok(None) };
    let signed = files::sign(portal, receipt, file).await?;
    Ok(Url::parse(&signed.url).ok().map(|url| url.origin().ascii_serialization()))
}

/// The page of every link that leads nowhere.
fn nowhere(words: &'static Words) -> Response {
    message(StatusCode::NOT_FOUND, words, words.link_to_nothing, words.link_to_nothing_advice)
}

fn see_other(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}
