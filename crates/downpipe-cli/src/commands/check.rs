//! `downpipe check`: are the definitions right?

use crate::args::CatalogArg;
use crate::error::CliError;
use crate::output::{print_json, print_table};

pub(crate) async fn check(name: Option<&str>, catalog: &CatalogArg, json: bool) -> Result<(), CliError> {
    let aws = super::aws_for_database(catalog.is_in_s3()).await;
    let catalog = super::catalog(catalog, &aws).await?;
    let names: Vec<&str> = catalog.names().filter(|known| name.is_none_or(|name| name == *known)).collect();
    if names.is_empty() {
        let known: Vec<&str> = catalog.names().collect();
        let name = name.unwrap_or_default();
        return Err(CliError::Usage(format!("export: expected one of {}, got {name:?}", known.join(", "))));
    }
    if json {
        return print_json(&names);
    }
    let rows: Vec<Vec<String>> = names
        .iter()
        .filter_map(|name| catalog.get(name))
        .map(|definition| {
            let params: Vec<&str> = definition.params.keys().map(String::as_str).collect();
            vec![definition.name.clone(), definition.title.clone(), params.join(", ")]
        })
        .collect();
    print_table(&["EXPORT", "TITLE", "PARAMETERS"], &rows)
}
