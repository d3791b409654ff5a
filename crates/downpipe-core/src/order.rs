//! An order: everything an export needs to know before it begins.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_format::{Layout, Style};
use tokio::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::definition::Limits;
use crate::request::ExportRequest;
use crate::source::Query;
use crate::store::{NewObject, WriteToken};

/// What a file may take to be completed when its query has used all of its time.
const TO_COMPLETE: Duration = Duration::from_secs(15);

/// What it takes besides when the file is a spreadsheet: a workbook is put together and sent when its last row is there, and files
/// that are several get their names by copies within the store.
const TO_FINISH_SHEETS: Duration = Duration::from_secs(60);

/// Everything an export needs to know.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to ask the database.
    pub query: Query,
    /// Where the file goes.
    pub object: NewObject,
    /// What it is like.
    pub style: Style,
    /// Labels and wishes for the columns.
    pub layout: Layout,
    /// Where to stop with an error.
    pub limits: Limits,
    /// When the file must be complete, a while after the query's deadline. Whoever runs the export may be gone soon after.
    pub finish_by: Instant,
    /// The column whose values must ascend.
    pub resume_column: Option<String>,
    /// Whether another run may go on where this one stops.
    pub continuable: bool,
    /// Where this run goes on.
    pub from: Option<Checkpoint>,
    /// The version of the definition.
    pub definition_sha256: String,
    /// Whether nobody else ever works on the job: then what fails is cleared away at once, and by whoever failed.
    pub alone: bool,
    /// When this run began.
    pub began: Instant,
    /// Whether the query's deadline is the definition's own limit, and not the end of the run.
    pub is_limited: bool,
}

impl Order {
    /// An order for a request. The job's identity and attempt mark the object as ours.
    #[must_use]
    pub fn new(request: &ExportRequest<'_>, key: String, token: WriteToken, deadline: Instant) -> Self {
        let definition = request.definition;
        let left = deadline.saturating_duration_since(Instant::now());
        let to_finish =
            request.style.rows_per_file().map_or(Duration::ZERO, |_| TO_FINISH_SHEETS.min(left / 4));
        let last_row = deadline - to_finish;
        Self {
            query: Query {
                token: Some(token.clone()),
                pace: definition.pace,
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
            style: request.style.clone(),
            layout: definition.layout.clone(),
            limits: definition.limits,
            finish_by: deadline + TO_COMPLETE,
            resume_column: definition.resume.as_ref().map(|resume| resume.column.clone()),
            continuable: definition.resume.is_some() && request.style.is_continuable(),
            from: None,
            definition_sha256: definition.sha256.clone(),
            alone: false,
            began: Instant::now(),
            is_limited: false,
        }
        .limited(0)
    }

    /// The same, from where an earlier run stopped. A checkpoint of another version of the definition is of no use, and is
    /// cleared away.
    #[must_use]
    pub fn go_on(self, from: Option<Checkpoint>) -> Self {
        let seconds = from.as_ref().map_or(0, |from| from.seconds);
        Self { from, ..self }.limited(seconds)
    }

    /// The same, for somebody who does all of it, in one run or not at all.
    #[must_use]
    pub fn in_one_run(self) -> Self {
        Self { continuable: false, alone: true, ..self }
    }

    /// Seconds that queries have taken so far, in this run and in those before.
    pub(crate) fn seconds_taken(&self) -> u64 {
        self.from.as_ref().map_or(0, |from| from.seconds) + self.began.elapsed().as_secs()
    }

    /// Holds the query to the definition's limit, of which so many seconds are gone.
    fn limited(mut self, taken: u64) -> Self {
        let left = self.limits.seconds.map(|seconds| Duration::from_secs(seconds.saturating_sub(taken)));
        // A limit beyond the end of time is none.
        if let Some(capped) = left.and_then(|left| self.began.checked_add(left))
            && capped < self.query.deadline
        {
            self.query.deadline = capped;
            self.is_limited = true;
        }
        self
    }
}

/// The receipt in short: what is known when an object is begun. S3 takes metadata only then, so a file that came in parts says
/// nothing of its rows.
fn metadata(request: &ExportRequest<'_>) -> BTreeMap<&'static str, String> {
    let ExportRequest { definition, style, .. } = request;
    BTreeMap::from([
        ("downpipe-export", definition.name.clone()),
        ("downpipe-definition-sha256", definition.sha256.clone()),
        ("downpipe-format", style.format().as_str().to_owned()),
        ("downpipe-profile", style.profile().name.to_string()),
    ])
}
