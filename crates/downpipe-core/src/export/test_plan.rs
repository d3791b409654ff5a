//! A plan for the unit tests of the export's parts.

use std::time::Duration;

use tokio::time::Instant;

use super::plan::ExportPlan;
use crate::catalog::{Catalog, DefinitionFile};
use crate::job::{JobAttempt, JobId};
use crate::message::Message;
use crate::request::ExportRequest;
use crate::source::CancellationToken;

/// Calls `check` with the plan of a first attempt at this definition, into the object `folder/t.csv`.
pub(super) fn with_plan(definition: &str, check: impl FnOnce(&ExportPlan<'_>)) {
    let file = DefinitionFile { file: "t.toml".to_owned(), text: definition.to_owned() };
    let catalog = Catalog::parse(&[file]).unwrap();
    let Ok(Message::Export(message)) = Message::parse(r#"{"export":"t"}"#) else { panic!("no request") };
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let token = JobAttempt { job: JobId::of_unreadable("plan", "t"), attempt: 1 };
    let deadline = Instant::now() + Duration::from_secs(60);
    let cancellation = CancellationToken::new();
    check(&ExportPlan::new(&request, "folder/t.csv".to_owned(), token, deadline, cancellation));
}
