//! The command line, as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use downpipe_aws::S3Address;
use downpipe_core::catalog::parse_time;
use downpipe_core::job::{InvalidJobId, JobId, JobState};
use downpipe_core::requester::{InvalidRequester, Requester};
use downpipe_core::untrusted_text::is_hidden;
use jiff::Timestamp;

/// The range of times that the options take.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Export queries of MySQL to files: directly, or through a queue
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
    /// Export directly from the database, without the queue (needs DATABASE_URL or DOWNPIPE_DATABASE_SECRET)
    Run(RunArgs),
    /// Put a request on the queue (needs DOWNPIPE_QUEUE_URL)
    Send(SendArgs),
    /// Handle the queue's messages, as the Lambda function does, until Ctrl-C or SIGTERM (needs the environment of the function)
    ///
    /// Logs go to standard error. After Ctrl-C or SIGTERM the worker takes no more messages. Jobs under way have the time of
    /// --grace to end; another worker resumes the rest from the last checkpoint.
    Worker(WorkerArgs),
    /// Serve the portal, through which apps ask for exports, until Ctrl-C or SIGTERM (needs the environment of the portal)
    ///
    /// Logs go to standard error. After Ctrl-C or SIGTERM the portal takes no more requests, and those under way have four seconds
    /// to end.
    Serve {
        /// Where to listen. HTTPS is the business of a proxy in front
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Show a job, its place in the queue and the downloads of its files (needs the database)
    Status {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Cancel a job that has not ended, and wait until it has (needs the database)
    ///
    /// A job that no worker holds is cancelled at once. With DOWNPIPE_QUEUE_URL a worker then deletes its objects and notifies the
    /// requester; without it, the next sweep does.
    Cancel {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Make the request of a job that is failed, cancelled or expired again, as a new job (needs the environment of the function)
    Retry {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Delete the file of a job that is ready, before its retention is over (needs the environment of the function)
    ///
    /// The job is expired then. A file that another job has too stays until its retention is over.
    Delete {
        /// The job's id
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Repair stale jobs and uploads, as the function does every five minutes (needs the environment of the function)
    ///
    /// Resends lost notices, re-enqueues stalled jobs, expires files past their retention and aborts orphaned uploads. Logs go to
    /// standard error.
    Sweep {
        /// Only print what would be repaired
        #[arg(long)]
        dry_run: bool,
    },
    /// Put dead letters back on the queue (needs the database and DOWNPIPE_QUEUE_URL)
    ///
    /// Dead letters are messages that could not be recorded, or whose requester could not be notified. Their queue is that of the
    /// queue's redrive policy, unless DOWNPIPE_DEAD_LETTER_QUEUE_URL names another.
    Redrive {
        /// Only print which would be put back
        #[arg(long)]
        dry_run: bool,
    },
    /// List jobs, the latest first (needs the database)
    List(ListArgs),
    /// Check the definitions of a catalog: prints a line for each; warnings and errors go to standard error, with file and line
    Check(CheckArgs),
    /// Create the ledger's tables, or bring them up to date (needs the database)
    Migrate,
    /// Subscribe an address to the notices of its own exports (needs DOWNPIPE_TOPIC_ARN)
    Subscribe {
        /// The e-mail address
        #[arg(value_parser = address)]
        email: Requester,
        /// The requester whose notices are sent; `operator` for messages without `requested_by`, and for failures that only the
        /// operator can fix [default: EMAIL]
        #[arg(long = "as", value_name = "REQUESTER", value_parser = requester)]
        requester: Option<Requester>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CatalogArg {
    /// The catalog: a folder, or s3://BUCKET/PREFIX
    #[arg(long, env = "DOWNPIPE_CATALOG", default_value = "exports")]
    pub(crate) catalog: String,
}

impl CatalogArg {
    /// Returns whether the catalog is read from S3.
    pub(crate) fn is_in_s3(&self) -> bool {
        S3Address::parse(&self.catalog).is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A definition's name [default: all]
    pub(crate) name: Option<String>,
    /// Also check columns, resume key, parameters and full table scans in the database, without running a query (needs
    /// DATABASE_URL or DOWNPIPE_DATABASE_SECRET)
    #[arg(long)]
    pub(crate) database: bool,
    /// Check the cache instead (needs DOWNPIPE_CACHE): insert a random value, fetch it and delete it
    #[arg(long, conflicts_with_all = ["name", "database"])]
    pub(crate) cache: bool,
    /// Check the ledger instead: that it answers, and is as this version needs it. In DynamoDB, put an item into the table, read it
    /// and delete it
    #[arg(long, conflicts_with_all = ["name", "database"])]
    pub(crate) ledger: bool,
    #[command(flatten)]
    pub(crate) catalog: CatalogArg,
}

/// What to export, and how.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The definition's name
    pub(crate) name: String,
    /// A parameter's value; repeat it for more parameters
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
    /// The profile of text files: plain, excel, excel-cp932, lossless, or one of the definition's own
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The file format: csv, tsv, jsonl, xlsx or parquet
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// The compression: none, gzip, zstd or zip
    #[arg(long)]
    pub(crate) compression: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// The destination: a file or folder, - for standard output, or s3://BUCKET/PREFIX
    #[arg(long, default_value = "-", value_parser = Target::from_str)]
    pub(crate) to: Target,
    #[command(flatten)]
    pub(crate) catalog: CatalogArg,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// The requester: the e-mail address that gets the notices
    #[arg(long, value_name = "EMAIL", value_parser = requester)]
    pub(crate) requested_by: Option<Requester>,
    /// The idempotency key: the same requester, key and request give the same job [default: a new key]
    #[arg(long, value_name = "KEY")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The most messages handled at a time, and so the most exports that read from the database at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,
    /// The time of a run: a resumable export that needs longer pauses at a checkpoint, any other fails
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub(crate) run_seconds: Duration,
    /// How long a lease lasts without a heartbeat; delays before retries grow with it
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) lease: Duration,
    /// The time that jobs under way have to end after Ctrl-C or SIGTERM
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// End when the queue has no message, neither visible nor in flight, as far as SQS counts
    #[arg(long)]
    pub(crate) until_empty: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only jobs of this requester
    #[arg(long, value_name = "EMAIL", value_parser = requester)]
    pub(crate) requested_by: Option<Requester>,
    /// Only jobs in this state: queued, running, waiting, ready, failed, cancelled or expired
    #[arg(long, value_parser = JobState::from_str)]
    pub(crate) state: Option<JobState>,
    /// Only jobs of this definition
    #[arg(long, value_name = "NAME")]
    pub(crate) export: Option<String>,
    /// Only jobs accepted since then: an instant such as 2026-11-30T09:00:00Z, or a time ago such as 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// The most jobs to list
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
}

/// The destination of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    Path(PathBuf),
    S3(S3Address),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        match S3Address::parse(text) {
            None => Ok(Self::Path(text.into())),
            Some(Ok(address)) if !text.contains(is_hidden) => Ok(Self::S3(address)),
            Some(_) => Err(format!("expected s3://BUCKET/PREFIX without invisible characters, got {text:?}")),
        }
    }
}

fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|expected: InvalidJobId| format!("expected {expected}"))
}

fn requester(text: &str) -> Result<Requester, String> {
    text.parse().map_err(|expected: InvalidRequester| format!("expected {expected}"))
}

/// Reads a requester that has an address.
fn address(text: &str) -> Result<Requester, String> {
    requester(text).and_then(|requester| {
        if requester.is_operator() { Err("expected an e-mail address".to_owned()) } else { Ok(requester) }
    })
}

/// Reads seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let allowed = |duration: &Duration| (SHORTEST..=LONGEST).contains(duration);
    parsed.filter(allowed).ok_or_else(|| format!("expected 0.1 to {} seconds, got {text}", LONGEST.as_secs()))
}

/// Reads an instant, or a time ago.
fn since(text: &str) -> Result<Timestamp, String> {
    let ago = || parse_time(text).ok().and_then(|ago| Timestamp::now().saturating_sub(ago).ok());
    let expected = "an instant such as 2026-11-30T09:00:00Z, or a time ago such as 2h or 7d";
    text.parse().ok().or_else(ago).ok_or_else(|| format!("expected {expected}, got {text:?}"))
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
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_with_a_fraction_are_read() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "NaN", "1e300", "a minute"] {
            assert_eq!(seconds(wrong), Err(format!("expected 0.1 to 43200 seconds, got {wrong}")));
        }
    }

    #[test]
    fn since_is_an_instant_or_a_time_ago() {
        let instant: Timestamp = "2026-11-30T09:00:00Z".parse().unwrap();
        assert_eq!(since("2026-11-30T09:00:00Z"), Ok(instant));
        assert_eq!(since("2026-11-30T18:00:00+09:00"), Ok(instant));
        let two_hours_ago = since("2h").unwrap();
        assert_eq!(Timestamp::now().duration_since(two_hours_ago).as_hours(), 2);
        for wrong in ["", "yesterday", "2026-11-30", "-1d"] {
            assert!(since(wrong).unwrap_err().starts_with("expected an instant"), "{wrong}");
        }
    }

    #[test]
    fn target_is_read_from_its_prefix() {
        assert_eq!("-".parse(), Ok(Target::Stdout));
        assert_eq!("a/b.csv".parse(), Ok(Target::Path("a/b.csv".into())));
        let s3 = Target::S3(S3Address { bucket: "b".to_owned(), prefix: "p/q".to_owned() });
        assert_eq!("s3://b/p/q".parse(), Ok(s3));
        assert!("s3://".parse::<Target>().is_err());
    }
}
