//! Downloads, and sessions that have ended.

use super::{FAR_OFF, LONG_AGO, accept, find, worked};
use crate::ledger::{AccessRecords, Download, DownloadVia, JobTable, Ledger};
use crate::testing::contracts::samples::{job_id, requester};

pub(super) async fn download_is_remembered_for_a_year<T: JobTable + AccessRecords>(ledger: &Ledger<T>) {
    accept(ledger, "job").await;
    // By the table's own clock, which in a fake may be years behind.
    let now = find(ledger, "job").await.created_at;
    let download = |seconds: i64| Download {
        job: job_id("job"),
        export: "orders".to_owned(),
        title: "注文".to_owned(),
        file: 1,
        requester: Some(requester("hanako@example.com")),
        via: DownloadVia::Page,
        app: None,
        address: Some("2001:db8::1".to_owned()),
        at: now - jiff::SignedDuration::from_secs(seconds),
    };
    let second = Download {
        file: 2,
        requester: None,
        via: DownloadVia::Link,
        app: Some("shop".to_owned()),
        address: None,
        ..download(5)
    };
    let old = Download { at: LONG_AGO, ..download(0) };
    let of_another = Download { job: job_id("forgotten"), ..download(3) };
    for download in [&download(0), &second, &old, &of_another, &download(9), &download(9)] {
        worked(ledger.record_download(download).await, "recording a download");
    }
    let expected = [download(9), download(9), second, download(0)];
    for rule in
        ["every download of the last year, the oldest first", "what is old is deleted, and nothing else"]
    {
        assert_eq!(worked(ledger.downloads(&job_id("job")).await, "listing downloads"), expected, "{rule}");
        let others = worked(ledger.downloads(&job_id("forgotten")).await, "listing downloads");
        assert_eq!(others, std::slice::from_ref(&of_another), "a download outlives its job");
        worked(ledger.forget_access(100).await, "forgetting what is old");
    }
    assert_eq!(worked(ledger.downloads(&job_id("none")).await, "listing downloads"), [], "there may be none");
}

pub(super) async fn session_that_has_ended_stays_so_until_its_time<T: JobTable + AccessRecords>(
    ledger: &Ledger<T>,
) {
    let (open, ended, old) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    for _ in 0..2 {
        worked(ledger.end_session(&ended, FAR_OFF).await, "ending a session, perhaps again");
    }
    worked(ledger.end_session(&old, LONG_AGO).await, "ending a session");
    for rule in ["as it was ended", "after what is past its time was deleted"] {
        for (digest, expected) in [(&open, false), (&ended, true), (&old, false)] {
            let is_ended = worked(ledger.is_session_ended(digest).await, "asking for a session");
            assert_eq!(is_ended, expected, "a session has ended until its cookie is of no use: {rule}");
        }
        worked(ledger.forget_access(100).await, "forgetting what is old");
    }
}
