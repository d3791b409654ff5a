//! What every measurement needs: a stack with the tables, the programs, a folder, and rounds.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::contender::Contender;
use super::measure;
use super::results::{Absent, Machine, Results, Sample};
use super::server::{Server, USER};
use super::tables::DATABASE;
use crate::cargo;
use crate::prepare::stack_and_build;
use crate::stack::{Paths, Purpose, StackEnv, Steps};

/// The order of the programs differs from round to round, and is the same in every run of the command.
const SEED: u64 = 9;

/// Both programs at once. Otherwise each build has other features, and compiles everything again.
const BUILD: [&str; 5] = ["--release", "-p", "downpipe-lambda", "-p", "downpipe-cli"];

/// A query that is measured.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Names its definition, and its figures.
    pub(super) name: String,
    /// The table that it reads as a whole, for programs that take no SQL.
    pub(super) table: Option<&'static str>,
    pub(super) sql: String,
    pub(super) rows: u64,
}

impl Query {
    /// Returns a query of a whole table.
    pub(super) fn of_table(table: &'static str, rows: u64) -> Self {
        Self { name: table.to_owned(), table: Some(table), sql: format!("SELECT * FROM {table}"), rows }
    }
}

/// The stack, the programs and a folder.
pub(super) struct Lab {
    pub(super) steps: Steps,
    pub(super) paths: Paths,
    pub(super) env: StackEnv,
    pub(super) server: Server,
    /// In the table of orders.
    pub(super) orders: u64,
    /// `target/bench`.
    pub(super) folder: PathBuf,
    /// Where the programs of `bench/` are.
    pub(super) tools: PathBuf,
    downpipe: PathBuf,
    /// What Lambda starts.
    pub(super) bootstrap: PathBuf,
    /// The Python of `bench/peers`, once a program needed it; none when it cannot be made.
    pub(super) python: OnceCell<Option<PathBuf>>,
}

impl Lab {
    /// Brings everything up, and the tables into memory.
    pub(super) fn open(orders: u64) -> Result<Self> {
        let steps = Steps::start();
        let paths = Paths::of_workspace();
        let (env, built) = stack_and_build(&paths, Purpose::Tests, &BUILD)?;
        let tools = measure::build_tools(None)?;
        let folder = cargo::target_dir()?.join("bench");
        for part in ["catalog", "logs", "out"].map(|part| folder.join(part)) {
            // What an interrupted run left behind would only take up the disk.
            remove(&part)?;
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        steps.say("bench", &format!("makes its tables, with {orders} orders, if they are not there"));
        let server = Server::prepare(&paths, &env, orders)?;
        let [downpipe, bootstrap] = [built.path("downpipe")?.to_owned(), built.path("bootstrap")?.to_owned()];
        let python = OnceCell::new();
        Ok(Self { steps, paths, env, server, orders, folder, tools, downpipe, bootstrap, python })
    }

    /// Downpipe with this query, to a file or to S3.
    pub(super) fn downpipe(&self, query: &Query, to: &str, tls: bool, options: &[&str]) -> Result<Command> {
        // One of its own: Downpipe reads all of a catalog.
        let catalog = self.folder.join("catalog").join(&query.name);
        fs::create_dir_all(&catalog).with_context(|| format!("cannot make {}", catalog.display()))?;
        let definition = format!("title = \"{}\"\nsql = '''\n{}'''\n", query.name, query.sql);
        let file = catalog.join(format!("{}.toml", query.name));
        fs::write(&file, definition).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(&self.downpipe);
        self.env.apply_to(&mut command);
        command.env("DATABASE_URL", self.database_url(tls));
        command.args(["--json", "run", &query.name, "--to", to, "--catalog"]).arg(&catalog).args(options);
        Ok(command)
    }

    /// Returns the command `downpipe`.
    pub(super) fn command(&self) -> Command {
        Command::new(&self.downpipe)
    }

    /// Returns the URL of the database for Downpipe.
    pub(super) fn database_url(&self, tls: bool) -> String {
        format!("{}?ssl-mode={}", self.server.url(), if tls { "REQUIRED" } else { "DISABLED" })
    }

    /// Makes the ledger's tables beside the ones that are measured.
    pub(super) fn migrate(&self) -> Result<()> {
        let mut command = Command::new(&self.downpipe);
        self.env.apply_to(&mut command).env("DATABASE_URL", self.owners_url()).arg("migrate");
        let output = command.output().context("cannot run downpipe")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "downpipe migrate: {}", complaint.trim());
        Ok(())
    }

    /// Returns the URL of the tables for the stack's own user, who may also write.
    pub(super) fn owners_url(&self) -> String {
        format!("{}/{DATABASE}", self.env.database_url)
    }

    /// Returns the floor: the query's rows, read and thrown away.
    pub(super) fn drain(&self, query: &Query) -> Command {
        let mut command = Command::new(self.tools.join("drain"));
        command.args([&self.server.address, USER, DATABASE, &query.sql]);
        command
    }

    /// Reads a query once, so that it is in memory, and says how many bytes it has on the wire.
    pub(super) fn warm(&self, query: &Query) -> Result<u64> {
        let output = self.drain(query).output().context("cannot run drain")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", query.name, complaint.trim());
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let rows = answer["rows"].as_u64();
        ensure!(rows == Some(query.rows), "{}: expected {} rows, got {rows:?}", query.name, query.rows);
        answer["bytes"].as_u64().context("drain says no bytes")
    }

    /// Lets every program read the query once in each round. A program that fails is reported and left out from then on.
    pub(super) fn rounds(
        &self,
        query: &Query,
        contenders: Vec<Contender>,
        rounds: u32,
        results: &mut Results,
    ) -> Result<()> {
        let wire = self.warm(query)?;
        let mut order = fastrand::Rng::with_seed(SEED);
        let mut contenders = contenders;
        for round in 1..=rounds {
            order.shuffle(&mut contenders);
            let mut failed = Vec::new();
            for contender in contenders.iter().filter(|contender| round <= contender.rounds) {
                match self.run(query, contender, round, wire) {
                    Ok(sample) => {
                        self.steps.say(&query.name, &sample.to_string());
                        results.samples.push(sample);
                    }
                    Err(error) => {
                        let program = contender.name.clone();
                        self.steps.say(&query.name, &format!("{program}: {error:#}"));
                        failed.push(program.clone());
                        let (query, why) = (query.name.clone(), "failed when it was run".to_owned());
                        results.absent.push(Absent { query, program, why });
                    }
                }
            }
            contenders.retain(|contender| !failed.contains(&contender.name));
        }
        results.forget_failed();
        Ok(())
    }

    fn run(&self, query: &Query, contender: &Contender, round: u32, wire: u64) -> Result<Sample> {
        let slug: String =
            contender.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = format!("{}-{slug}", query.name);
        let out = self.folder.join("out").join(format!("{name}.{}", contender.extension));
        remove(&out)?;
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let command = (contender.command)(&out)?;
        let before = self.server_cpu()?;
        let usage = measure::run(&self.tools.join("measure"), &command, &log)?;
        let server_cpu_seconds = self.server_cpu()?.zip(before).map(|(after, before)| after - before);
        let bytes = contender.check.apply(&self.tools, &log, &out, query.rows, wire)?;
        remove(&out)?;
        Ok(Sample {
            query: query.name.clone(),
            program: contender.name.clone(),
            round,
            wall_seconds: usage.wall_seconds,
            cpu_seconds: usage.cpu_seconds(),
            server_cpu_seconds,
            peak_kib: usage.peak_kib,
            bytes,
        })
    }

    fn server_cpu(&self) -> Result<Option<f64>> {
        self.server.pid.map(measure::cpu_seconds_of).transpose()
    }

    /// Returns the machine of the measurement.
    pub(super) fn machine(&self) -> Result<Machine> {
        Machine::here(self.server.version.clone())
    }
}

/// Removes a file or a folder that may be there.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if path.exists() => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
