//! Exports every type in every format, and compares what other programs read with the server's
//! values.
//!
//! Where the format or its reader has no such value, the test says which value changes, and why.

mod csv;
mod json;
mod parquet;
mod xlsx;

use downpipe_tests::all_types;
use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::{ExportOutcome, export};

use super::server_values::{self, Column, Rows, server_values};

pub(super) use self::json::assert_json_lines;
pub(super) use self::parquet::as_parquet;

/// The table `all_types` with its columns and the server's values.
struct AllTypes {
    database: TestDatabase,
    columns: Vec<Column>,
    said: Rows,
}

impl AllTypes {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Creates the table `all_types`, and replaces columns by these expressions; `{}` stands for
    /// the column.
    async fn with(expressions: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        database.execute(&all_types::statements(Server::MySql)).await;
        let names = format!("{}, doubled, stored_", all_types::names(Server::MySql));
        let mut columns = server_values::columns(&database, "all_types", &names).await;
        for (name, expression) in expressions {
            let column = columns.iter_mut().find(|column| column.name == *name).unwrap();
            column.expression = expression.replace("{}", name);
        }
        let said = server_values(&database, &columns, "all_types").await;
        Self { database, columns, said }
    }

    async fn export(&self, output: &str) -> ExportOutcome {
        export(&self.database, &server_values::select(&self.columns, "all_types"), output).await
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

/// Returns whether a column holds whole numbers.
fn is_integer(column: &Column) -> bool {
    ["tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"].contains(&column.kind.as_str())
}
