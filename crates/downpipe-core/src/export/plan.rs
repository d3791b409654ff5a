//! The plan of an export: everything it needs to know before it begins.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_format::Style;
use tokio::time::Instant;

use crate::catalog::Definition;
use crate::job::{Checkpoint, JobAttempt};
use crate::request::ExportRequest;
use crate::source::{CancellationToken, Query};
use crate::store::NewObject;

/// The time to complete a file whose query has used all of its own.
const TO_COMPLETE: Duration = Duration::from_secs(15);

/// The time that a spreadsheet takes besides: a workbook is put together and sent after its last row, and several files get their
/// names by copies within the store.
const TO_FINISH_SHEETS: Duration = Duration::from_secs(60);

/// Everything an export needs to know.
#[derive(Debug, Clone)]
pub struct ExportPlan<'a> {
    /// What is exported, and in which style.
    pub request: &'a ExportRequest<'a>,
    /// What to ask the database, until when, and until which cancellation.
    pub query: Query,
    /// The object to write.
    pub object: NewObject,
    /// When the file must be complete, a while after the query's deadline. The run may end soon after.
    pub finish_by: Instant,
    /// Where this run resumes.
    pub from: Option<Checkpoint>,
    /// When this run began.
    pub began: Instant,
    attempts: Attempts,
    query_end: QueryEnd,
}

/// How many attempts a job may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempts {
    /// This one. What it leaves after a failure has no other owner, so it removes that at once.
    Single,
    /// Others may come before and after this one, and resume what it leaves.
    Several,
}

/// What the query's deadline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueryEnd {
    /// The end of the run, which another run may follow.
    Run,
    /// The definition's own limit, which ends the job.
    Limit,
}

impl<'a> ExportPlan<'a> {
    /// Plans the export of a request into the object at `key`. Reading stops at the deadline, and when the token is cancelled.
    /// The job's identity and attempt mark the object as ours.
    #[must_use]
    pub fn new(
        request: &'a ExportRequest<'a>,
        key: String,
        token: JobAttempt,
        deadline: Instant,
        cancellation: CancellationToken,
    ) -> Self {
        let definition = request.definition;
        let left = deadline.saturating_duration_since(Instant::now());
        let to_finish =
            request.style.rows_per_file().map_or(Duration::ZERO, |_| TO_FINISH_SHEETS.min(left / 4));
        let last_row = deadline - to_finish;
        Self {
            request,
            query: Query {
                token: Some(token.clone()),
                time_zone: definition.time_zone.clone(),
                modes: definition.sql.modes(),
                throttle: definition.throttle,
                cancellation,
                ..Query::new(request.sql(None), last_row)
            },
            object: NewObject {
                key,
                file_name: request.file_name(),
                content_type: request.style.content_type(),
                token,
                retention: definition.output.retention,
                metadata: metadata(request),
            },
            finish_by: deadline + TO_COMPLETE,
            from: None,
            began: Instant::now(),
            attempts: Attempts::Several,
            query_end: QueryEnd::Run,
        }
        .limited(0)
    }

    /// Resumes where an earlier run stopped. A checkpoint of another version of the definition is of no use, and is removed.
    #[must_use]
    pub fn resume(self, from: Option<Checkpoint>) -> Self {
        let seconds = from.as_ref().map_or(0, |from| from.seconds);
        Self { from, ..self }.limited(seconds)
    }

    /// Makes this attempt the only one: it writes the whole file in one run, or leaves nothing.
    #[must_use]
    pub fn without_resume(self) -> Self {
        Self { attempts: Attempts::Single, ..self }
    }

    pub(crate) fn definition(&self) -> &'a Definition {
        self.request.definition
    }

    pub(crate) fn style(&self) -> &'a Style {
        &self.request.style
    }

    /// The column whose values must ascend.
    pub(crate) fn resume_column(&self) -> Option<&'a str> {
        self.definition().resume.as_ref().map(|resume| resume.column.as_str())
    }

    /// Whether another run may resume where this one stops.
    pub(crate) fn is_resumable(&self) -> bool {
        self.attempts == Attempts::Several
            && self.definition().resume.is_some()
            && self.style().is_resumable()
    }

    /// Whether no other attempt ever works on the job.
    pub(crate) fn is_single_attempt(&self) -> bool {
        self.attempts == Attempts::Single
    }

    /// Whether the job is over when its query's time is up, because the definition says so.
    pub(crate) fn ends_at_limit(&self) -> bool {
        self.query_end == QueryEnd::Limit
    }

    /// Seconds that queries have taken so far, in this run and in those before.
    pub(crate) fn seconds_taken(&self) -> u64 {
        self.from.as_ref().map_or(0, |from| from.seconds) + self.began.elapsed().as_secs()
    }

    /// Holds the query to the definition's limit, of which so many seconds are gone.
    fn limited(mut self, taken: u64) -> Self {
        let limit = self.definition().limits.seconds;
        let left = limit.map(|seconds| Duration::from_secs(seconds.saturating_sub(taken)));
        // A limit beyond the end of time is none.
        if let Some(capped) = left.and_then(|left| self.began.checked_add(left))
            && capped < self.query.deadline
        {
            self.query.deadline = capped;
            self.query_end = QueryEnd::Limit;
        }
        self
    }
}

/// Returns the receipt in short: what is known when an object is begun. S3 takes metadata only then, so a file that came in parts
/// says nothing of its rows.
fn metadata(request: &ExportRequest<'_>) -> BTreeMap<&'static str, String> {
    let ExportRequest { definition, style, .. } = request;
    BTreeMap::from([
        ("downpipe-export", definition.name.clone()),
        ("downpipe-definition-sha256", definition.sha256.clone()),
        ("downpipe-format", style.format().as_str().to_owned()),
        ("downpipe-profile", style.profile().name.to_string()),
    ])
}
