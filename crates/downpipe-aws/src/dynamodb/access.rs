//! Downloads, and sessions that have ended. DynamoDB deletes both by their time to live, at some time after it is over.

use downpipe_core::job::JobId;
use downpipe_core::ledger::{AccessRecords, DOWNLOAD_RETENTION, Download, LedgerError, MAX_DOWNLOADS};
use jiff::Timestamp;

use super::item::{Attribute, Fields, Item, number, text, time, time_in};
use super::jobs::PAGE;
use super::schema::{RELATED, TABLE_KEY, TABLE_TIME_TO_LIVE};
use super::table::{Order, Search};
use super::writes::item_of;
use super::{DynamoJobTable, new_write};

/// The attribute with the end of a session's cookie.
const UNTIL: &str = "until";

impl AccessRecords for DynamoJobTable {
    async fn record_download(&self, download: &Download) -> Result<(), LedgerError> {
        let item = item_of(attributes(download));
        Box::pin(self.table.write(vec![self.table.put(item)?])).await.map(drop)
    }

    async fn downloads(&self, job: &JobId) -> Result<Vec<Download>, LedgerError> {
        let now = self.table.time().await?.latest;
        let since = now.saturating_sub(DOWNLOAD_RETENTION).unwrap_or(Timestamp::UNIX_EPOCH);
        let hash = related_downloads(job);
        let search = Search { since: Some(time(since)), ..Search::all(RELATED, &hash, Order::Descending) };
        let (mut start, mut downloads) = (None, Vec::new());
        while downloads.len() < MAX_DOWNLOADS as usize {
            let found;
            (found, start) = Box::pin(self.table.search(&search, start, PAGE)).await?;
            for item in Box::pin(self.items(&found)).await? {
                downloads.push(download(&item)?);
            }
            if start.is_none() {
                break;
            }
        }
        downloads.sort_by_key(|download| download.at);
        Ok(downloads.split_off(downloads.len().saturating_sub(MAX_DOWNLOADS as usize)))
    }

    async fn end_session(&self, digest: &str, until: Timestamp) -> Result<(), LedgerError> {
        let item = item_of([
            (TABLE_KEY, Some(text(session_key(digest)))),
            (UNTIL, Some(time(until))),
            (TABLE_TIME_TO_LIVE, Some(number(until.as_second()))),
        ]);
        Box::pin(self.table.write(vec![self.table.put(item)?])).await.map(drop)
    }

    async fn is_session_ended(&self, digest: &str) -> Result<bool, LedgerError> {
        let item = Box::pin(self.table.read(&session_key(digest), &[UNTIL])).await?;
        let until = item.as_ref().map(|item| time_in(item, UNTIL)).transpose()?.flatten();
        // By the earlier bound: a session that has ended stays so rather too long.
        let now = self.table.time_of_answer()?.earliest;
        Ok(until.is_some_and(|until| until > now))
    }
}

/// Returns what the item of a download has. None of it is a key of the jobs' indexes.
fn attributes(download: &Download) -> [Attribute; 12] {
    let Download { job, export, title, file, requester, via, app, address, at } = download;
    let item_key = format!("download#{job}#{:016}#{}", at.as_microsecond(), new_write());
    let expires = at.saturating_add(DOWNLOAD_RETENTION).ok().map(|at| number(at.as_second()));
    [
        (TABLE_KEY, Some(text(item_key))),
        (RELATED.hash, Some(text(related_downloads(job)))),
        (RELATED.range, Some(time(*at))),
        ("job", Some(text(job.as_str()))),
        ("download_of", Some(text(export))),
        ("title", Some(text(title))),
        ("file", Some(number(file))),
        ("downloaded_by", requester.as_ref().map(|requester| text(requester.as_str()))),
        ("via", Some(text(via.as_str()))),
        ("app", app.as_ref().map(text)),
        ("address", address.as_ref().map(text)),
        (TABLE_TIME_TO_LIVE, expires),
    ]
}

fn download(item: &Item) -> Result<Download, LedgerError> {
    let fields = Fields(item);
    let owned = |name| Ok::<_, LedgerError>(fields.optional(name)?.map(str::to_owned));
    Ok(Download {
        job: fields.parsed("job")?,
        export: fields.text("download_of")?.to_owned(),
        title: fields.text("title")?.to_owned(),
        file: fields.parsed("file")?,
        requester: fields.optional_parsed("downloaded_by")?,
        via: fields.parsed("via")?,
        app: owned("app")?,
        address: owned("address")?,
        at: fields.time(RELATED.range)?.unwrap_or_default(),
    })
}

/// Returns what the downloads of a job's files have in the index `related`.
fn related_downloads(job: &JobId) -> String {
    format!("download#{job}")
}

fn session_key(digest: &str) -> String {
    format!("session#{digest}")
}
