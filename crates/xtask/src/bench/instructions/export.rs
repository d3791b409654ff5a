//! Counts the instructions of whole exports: the command itself, from MySQL to a file, with driver and runtime.
//!
//! The number of rows in a read from the socket is chance, so counts differ in the fourth digit from run to run. Half of the
//! instructions are SHA-256: valgrind hides the processor's own instructions for it (see `hash-sha256`, 52 a byte). The command is
//! built as it ships, without names, so `callgrind_annotate` knows few.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, mysql::MySqlConnectOptions};

use super::{Count, Run, collected};
use crate::{
    bench::tables,
    cargo,
    prepare::stack_and_build,
    stack::{Paths, Purpose},
};

/// A small one of its own: the tables that are timed may be there, and take minutes to make.
const DATABASE: &str = "downpipe_instructions";

/// Rows of the shorter export.
const ROWS: u32 = 10_000;

/// What their names begin with.
pub(super) const PREFIX: &str = "export-";

/// The cases, and how each connects.
const CASES: [(&str, &str); 2] = [("export-csv", "DISABLED"), ("export-csv-tls", "REQUIRED")];

/// Brings the stack up, which stays so, and counts.
pub(super) fn counts(valgrind: &Path, kept: Option<&Path>) -> Result<Vec<Count>> {
    let paths = Paths::of_workspace();
    let (env, built) = stack_and_build(&paths, Purpose::Demo, &["--release", "-p", "downpipe-cli"])?;
    let server = env.database_url.split('?').next().unwrap_or_default();
    load(server).with_context(|| format!("cannot make the tables in {DATABASE}"))?;
    let folder = cargo::target_dir()?.join("bench/instructions");
    let catalog = catalog(&folder)?;
    let file = folder.join("orders.csv");
    let count = |(case, tls): (&str, &str)| {
        super::count(case, ROWS, |rows| {
            let mut command = Command::new(built.path("downpipe")?);
            command.env("DATABASE_URL", format!("{server}/{DATABASE}?ssl-mode={tls}"));
            command.args(["run", &format!("rows-{rows}"), "--catalog"]).arg(&catalog).arg("--to").arg(&file);
            let (instructions, _) = collected(valgrind, &command, case, kept)?;
            let bytes = fs::metadata(&file).context("the export made no file")?.len();
            fs::remove_file(&file)?;
            Ok(Run { instructions, bytes })
        })
    };
    CASES.into_iter().map(count).collect()
}

fn load(server: &str) -> Result<()> {
    let load = async {
        let options = MySqlConnectOptions::from_str(server)?.disable_statement_logging();
        let mut connection = options.connect().await?;
        let create = format!(
            "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; USE {DATABASE};"
        );
        let tables = tables::sql(u64::from(2 * ROWS));
        connection.execute(sqlx::raw_sql(AssertSqlSafe(create + &tables))).await?;
        anyhow::Ok(connection.close().await?)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(load)
}

/// Returns a definition for the shorter export, and one for the longer.
fn catalog(folder: &Path) -> Result<PathBuf> {
    let catalog = folder.join("catalog");
    fs::create_dir_all(&catalog).with_context(|| format!("cannot make {}", catalog.display()))?;
    for rows in [ROWS, 2 * ROWS] {
        let sql = format!("SELECT * FROM orders ORDER BY id LIMIT {rows}");
        let file = catalog.join(format!("rows-{rows}.toml"));
        fs::write(&file, format!("title = \"Orders\"\nsql = \"{sql}\"\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(catalog)
}
