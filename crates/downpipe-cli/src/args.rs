//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use downpipe_core::job::{InvalidJobId, JobId};

/// Between which a number of seconds makes sense here.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Exports from MySQL to files: now and here, or through the queue.
#[derive(Debug, Parser)]
#[command(name = "downpipe", version)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Export straight from the database, without the queue (needs DATABASE_URL or DOWNPIPE_DATABASE_SECRET)
    Run(RunArgs),
    /// Put a request on the queue (needs DOWNPIPE_QUEUE_URL)
    Send(SendArgs),
    /// Handle the queue's messages, as the Lambda function does, until Ctrl-C or SIGTERM (needs the environment of the function)
    ///
    /// Logs go to standard error. When it is told to stop it takes no more messages; those it has get the time of --grace, and
    /// what has not ended then is left to other workers, who go on from the last checkpoint.
    Worker(WorkerArgs),
    /// Show a job (needs the database)
    Status {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Cancel a job that has not ended, and wait until it has (needs the database)
    ///
    /// With DOWNPIPE_QUEUE_URL, what a job has left that nobody works on is cleared away, and its requester told, at once; else
    /// by the next sweep.
    Cancel {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Do what nobody does any more, as the function does every five minutes (needs the environment of the function)
    ///
    /// Tells of jobs that have ended, wakes those whose message or worker is lost, removes files past their retention and uploads
    /// left open. Logs go to standard error.
    Sweep {
        /// Only say what is to be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Put dead letters back on the queue (needs the database and DOWNPIPE_QUEUE_URL)
    ///
    /// Dead letters are messages that could not be recorded, or whose requester could not be told. Where the queue itself does
    /// not say where they are, DOWNPIPE_DEAD_LETTER_QUEUE_URL does.
    Redrive {
        /// Only say which
        #[arg(long)]
        dry_run: bool,
    },
    /// List the latest jobs (needs the database)
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Check the definitions of a catalog
    Check {
        /// One definition; all without it
        name: Option<String>,
        #[command(flatten)]
        catalog: CatalogArg,
    },
    /// Create the ledger's tables, or bring them up to date (needs the database)
    Migrate,
    /// Subscribe a person to the notices of their own exports (needs DOWNPIPE_TOPIC_ARN)
    Subscribe {
        /// Their e-mail address
        email: String,
        /// Whose notices, as `requested_by` names them; `operator` for messages that say nobody, and for failures that only the
        /// operator can mend [default: EMAIL]
        #[arg(long = "as", value_name = "REQUESTER")]
        requester: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CatalogArg {
    /// Where the definitions are: a folder, or s3://BUCKET/PREFIX
    #[arg(long, env = "DOWNPIPE_CATALOG", default_value = "exports")]
    pub(crate) catalog: String,
}

impl CatalogArg {
    pub(crate) fn is_in_s3(&self) -> bool {
        self.catalog.starts_with("s3://")
    }
}

/// What is exported, and how.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The definition's name
    pub(crate) name: String,
    /// A parameter's value; may be given several times
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
    /// How CSV is written: plain, excel, excel-cp932, lossless, or one of the definition's own
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The file format: csv, tsv, jsonl, xlsx or parquet
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// How the file is compressed: none, gzip, zstd or zip
    #[arg(long)]
    pub(crate) compression: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// Where the file goes: a file or folder, - for standard output, or s3://BUCKET/PREFIX
    #[arg(long, default_value = "-", value_parser = Target::from_str)]
    pub(crate) to: Target,
    #[command(flatten)]
    pub(crate) catalog: CatalogArg,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// Who is told when the file is ready: an e-mail address
    #[arg(long, value_name = "EMAIL")]
    pub(crate) requested_by: Option<String>,
    /// The idempotency key: the same key and request give the same job [default: a new one]
    #[arg(long, value_name = "KEY")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// How many messages at a time: as many exports burden the database at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,
    /// A run's time: an export that needs longer pauses at a checkpoint if it is continuable, else it fails
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub(crate) run_seconds: Duration,
    /// How long a job stays this worker's without a sign of life; back-offs are so many times as long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) lease: Duration,
    /// What messages that are being handled get when the worker is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// End when the queue is empty and nobody has a message of it, as far as SQS counts
    #[arg(long)]
    pub(crate) until_empty: bool,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    Path(PathBuf),
    S3 { bucket: String, prefix: String },
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        let Some(address) = text.strip_prefix("s3://") else { return Ok(Self::Path(text.into())) };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Err(format!("expected s3://BUCKET/PREFIX, got {text}"));
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|expected: InvalidJobId| format!("expected {expected}"))
}

/// Seconds, perhaps with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let allowed = |duration: &Duration| (SHORTEST..=LONGEST).contains(duration);
    parsed.filter(allowed).ok_or_else(|| format!("expected 0.1 to {} seconds, got {text}", LONGEST.as_secs()))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, got {text}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "NaN", "1e300", "a minute"] {
            assert_eq!(seconds(wrong), Err(format!("expected 0.1 to 43200 seconds, got {wrong}")));
        }
    }

    #[test]
    fn targets_are_told_apart() {
        assert_eq!("-".parse(), Ok(Target::Stdout));
        assert_eq!("a/b.csv".parse(), Ok(Target::Path("a/b.csv".into())));
        let s3 = Target::S3 { bucket: "b".to_owned(), prefix: "p/q".to_owned() };
        assert_eq!("s3://b/p/q".parse(), Ok(s3));
        assert!("s3://".parse::<Target>().is_err());
    }
}
