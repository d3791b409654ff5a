//! `downpipe check --database`: checks definitions against their database.

use std::time::Duration;

use downpipe_core::catalog::{Definition, DefinitionError, DefinitionWarning};
use downpipe_core::login::LoginSource;
use downpipe_core::source::SourceError;
use downpipe_mysql::{Database, Inspection, MySqlSource, Scan};
use tokio::time::Instant;

use super::checked::{Checked, Columns};
use crate::error::CliError;

/// The time for all definitions together.
const TIME: Duration = Duration::from_secs(600);

/// A full scan of a table with more rows than this is warned of.
const MANY_ROWS: u64 = 1_000_000;

/// Has the database prepare and explain the query of every definition that is right so far. Runs no query.
pub(super) async fn check<L: LoginSource>(
    database: Database<L>,
    checked: &mut [Checked<'_>],
) -> Result<(), CliError> {
    let deadline = Instant::now() + TIME;
    let mut right: Vec<_> = checked.iter_mut().filter(|found| found.errors.is_empty()).collect();
    let queries: Vec<_> = right
        .iter()
        .filter_map(|found| found.definition.map(|definition| definition.example_query(deadline)))
        .collect();
    let inspected = MySqlSource::new(database).inspect(&queries).await.map_err(CliError::failed)?;
    for (found, inspection) in right.iter_mut().zip(inspected) {
        let Some(definition) = found.definition else { continue };
        match inspection {
            Ok(inspection) => take(found, definition, inspection),
            Err(error @ SourceError::TimeZone { .. }) => {
                found.errors.push(definition.wrong_at("time_zone", error.to_string()));
            }
            Err(error) => found.errors.push(definition.wrong_at("sql", format!("sql: {}", reason(&error)))),
        }
    }
    Ok(())
}

fn take(found: &mut Checked<'_>, definition: &Definition, inspection: Inspection) {
    let fit = definition.check_columns(&inspection.columns);
    found.errors.extend::<Vec<DefinitionError>>(fit.errors);
    found.warnings.extend::<Vec<DefinitionWarning>>(fit.warnings);
    let plan = match &inspection.scans {
        Ok(scans) => scans.iter().filter(|scan| scan.rows > MANY_ROWS).map(words_of).collect(),
        Err(why) => vec![format!("sql: the database does not say how it would read its tables ({why})")],
    };
    found.warnings.extend(plan.into_iter().map(|words| definition.warning_at("sql", words)));
    found.columns = Some(Columns(inspection.columns));
}

fn words_of(Scan { table, rows }: &Scan) -> String {
    format!(
        "sql: the query reads all of {table}, about {rows} rows, from end to end; an index that its WHERE can use would spare the database"
    )
}

/// Explains what is wrong with a query to the author of its definition.
fn reason(error: &SourceError) -> String {
    match error {
        SourceError::QueryFailed { message, .. } => {
            let words = message.strip_prefix("error returned from database: ").unwrap_or(message);
            format!("the database says: {words}")
        }
        SourceError::UnknownType(_) => "a column has a type that cannot be read, such as VECTOR; convert it: VECTOR_TO_STRING(column) for people, CAST(column AS BINARY) for the bytes".to_owned(),
        SourceError::TimedOut => "the database did not answer in time".to_owned(),
        error => downpipe_core::error_chain::error_chain(error),
    }
}
