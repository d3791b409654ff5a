//! `downpipe check`: checks the definitions of a catalog, or the cache.

mod cache;
mod checked;
mod database;

use downpipe_core::catalog::{Catalog, DefinitionError};
use serde_json::{Value, json};

use self::checked::{Checked, Columns};
use crate::args::CheckArgs;
use crate::error::CliError;
use crate::output::{print as print_line, print_json, print_table};

pub(crate) async fn check(args: CheckArgs, json: bool) -> Result<(), CliError> {
    if args.cache {
        cache::check(json).await?;
    }
    if args.ledger {
        check_ledger(json).await?;
    }
    if args.cache || args.ledger {
        return Ok(());
    }
    let aws = super::aws_for_database(args.catalog.is_in_s3()).await;
    let catalog = super::catalog(&args.catalog, &aws).await?;
    let mut checked = of_catalog(&catalog, args.name.as_deref())?;
    if args.database {
        database::check(super::database(&aws)?, &mut checked).await?;
    }
    for found in &checked {
        found.warnings.iter().for_each(|warning| eprintln!("warning: {}", printable(warning)));
        found.errors.iter().for_each(|error| eprintln!("error: {}", printable(error)));
    }
    if json {
        print_json(&checked.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        print(&checked, args.database)?;
    }
    match checked.iter().filter(|found| !found.errors.is_empty()).count() {
        0 => Ok(()),
        wrong => Err(CliError::Failed(format!("{wrong} of {} definitions are wrong", checked.len()).into())),
    }
}

/// Checks that the ledger answers, and is as this version needs it.
async fn check_ledger(json: bool) -> Result<(), CliError> {
    let aws = super::aws_for_ledger(false).await;
    let words = super::ledger_table(&aws)?.check().await.map_err(CliError::failed)?;
    if json { print_json(&json!({ "ledger": words })) } else { print_line(&format!("{words}\n")) }
}

/// Checks definitions without a database, in the order of their names.
fn of_catalog<'a>(catalog: &'a Catalog, name: Option<&str>) -> Result<Vec<Checked<'a>>, CliError> {
    let mut names: Vec<&str> =
        catalog.names().chain(catalog.errors().iter().map(DefinitionError::definition)).collect();
    names.sort_unstable();
    names.dedup();
    if let Some(name) = name
        && !names.contains(&name)
    {
        return Err(CliError::Usage(format!("export: expected one of {}, got {name:?}", names.join(", "))));
    }
    let of = |known: &str| {
        let definition = catalog.get(known);
        Checked {
            name: known.to_owned(),
            definition,
            warnings: definition.map(|definition| definition.warnings().to_vec()).unwrap_or_default(),
            errors: catalog.errors().iter().filter(|error| error.definition() == known).cloned().collect(),
            columns: None,
        }
    };
    Ok(names.into_iter().filter(|known| name.is_none_or(|name| name == *known)).map(of).collect())
}

fn print(checked: &[Checked<'_>], with_columns: bool) -> Result<(), CliError> {
    let rows = checked.iter().map(|found| {
        let title = found.definition.map_or("-", |definition| &definition.title).to_owned();
        let params: Vec<&str> = found
            .definition
            .iter()
            .flat_map(|definition| definition.params.keys().map(String::as_str))
            .collect();
        let result = if found.errors.is_empty() { "right" } else { "wrong" };
        let mut row = vec![found.name.clone(), result.to_owned(), title, params.join(", ")];
        if with_columns {
            row.push(found.columns.as_ref().map_or_else(|| "-".to_owned(), Columns::to_string));
        }
        row.iter().map(printable).collect()
    });
    let header = ["EXPORT", "RESULT", "TITLE", "PARAMETERS", "COLUMNS"];
    print_table(if with_columns { &header } else { &header[..4] }, &rows.collect::<Vec<_>>())
}

fn as_json(found: &Checked<'_>) -> Value {
    let place =
        |file: &str, line: usize, reason: &str| json!({ "file": file, "line": line, "reason": reason });
    let warnings: Vec<Value> =
        found.warnings.iter().map(|warning| place(&warning.file, warning.line, &warning.reason)).collect();
    let errors: Vec<Value> =
        found.errors.iter().map(|error| place(&error.file, error.line, &error.reason)).collect();
    let params: Vec<&String> =
        found.definition.iter().flat_map(|definition| definition.params.keys()).collect();
    let mut json = json!({
        "export": found.name,
        "title": found.definition.map(|definition| &definition.title),
        "params": params,
        "warnings": warnings,
        "errors": errors,
    });
    if let Some(columns) = &found.columns {
        json["columns"] = columns.to_json();
    }
    json
}

/// Returns text without control characters, which a terminal would obey. Some of the text is the database's.
fn printable(text: impl ToString) -> String {
    text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
