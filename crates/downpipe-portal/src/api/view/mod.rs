//! Exports and jobs as the API shows them.

mod export;
mod job;

pub(crate) use self::export::{ExportList, ExportSummary, ExportView};
pub(crate) use self::job::{Facts, JobList, JobView};
