//! `cargo xtask bench checkpoints`: the cost of checkpoints. Exports the same rows by a definition with a `[resume]` and by one
//! without.
//!
//! A whole worker exports, with its queue and its ledger, because the ledger keeps the checkpoints. The lease is so short that a
//! checkpoint is written every second; with the worker's default it is one in fifteen seconds.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    budget::{Goal, Verdict},
    lab::Lab,
    measure,
    report::{Report, Table},
    results::{self, Machine},
    s3::{BUCKET, S3},
    statistics::Spread,
};
use crate::{aws_cli::AwsCli, stack::StackEnv};

const NAME: &str = "checkpoints";

/// A lease with a heartbeat, and so a checkpoint, every second.
const LEASE_SECONDS: &str = "4";

/// A definition with checkpoints and one without. Both return every row in the order of its id.
const DEFINITIONS: [(&str, &str); 2] = [
    (
        "resumable",
        "sql = \"SELECT * FROM orders WHERE id > :after ORDER BY id\"\nresume = { column = \"id\", start = 0 }\n",
    ),
    ("plain", "sql = \"SELECT * FROM orders WHERE id > 0 ORDER BY id\"\n"),
];

/// What was measured.
#[derive(Debug, Deserialize, Serialize)]
struct Checkpoints {
    machine: Machine,
    orders: u64,
    /// Seconds from the beginning of the job to its end, by the ledger, in the order of the rounds.
    resumable: Vec<f64>,
    plain: Vec<f64>,
    /// CPU seconds of the worker from its start to its end.
    resumable_cpu: Vec<f64>,
    plain_cpu: Vec<f64>,
}

/// Runs both in turns and keeps the figures.
pub(super) fn run(lab: &Lab, rounds: u32) -> Result<()> {
    lab.migrate()?;
    let surroundings = Surroundings::create(lab)?;
    let mut measured = Checkpoints {
        machine: lab.machine()?,
        orders: lab.orders,
        resumable: Vec::new(),
        plain: Vec::new(),
        resumable_cpu: Vec::new(),
        plain_cpu: Vec::new(),
    };
    // The first two only warm everything up.
    for round in 0..=rounds {
        for (name, _) in DEFINITIONS {
            let (seconds, cpu) = surroundings.export(name, round)?;
            lab.steps.say(NAME, &format!("{name}: {seconds:.2} s, {cpu:.2} s of CPU"));
            if round > 0 {
                let (all, all_cpu) = if name == "resumable" {
                    (&mut measured.resumable, &mut measured.resumable_cpu)
                } else {
                    (&mut measured.plain, &mut measured.plain_cpu)
                };
                all.push(seconds);
                all_cpu.push(cpu);
            }
        }
    }
    results::save(NAME, &measured)
}

/// Returns the report; none when it was never measured.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|measured| write(&measured)))
}

fn write(measured: &Checkpoints) -> Report {
    let Checkpoints { machine, orders, resumable, plain, resumable_cpu, plain_cpu } = measured;
    let mut report = Report::new(NAME, machine, *orders);
    let of = |figures: &[f64]| Spread::of(figures.iter().copied());
    let shown = |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string());
    let ratio = of(&ratios(resumable, plain));
    let cpu_ratio = of(&ratios(resumable_cpu, plain_cpu));
    let mut table = Table::new(["", "with `[resume]`", "without", "ratio"]);
    table.row(["wall s".to_owned(), shown(of(resumable)), shown(of(plain)), shown(ratio)]);
    table.row(["CPU s".to_owned(), shown(of(resumable_cpu)), shown(of(plain_cpu)), shown(cpu_ratio)]);
    report.show("A checkpoint a second", &table);
    report.section(NAME, table.to_markdown());
    if let Some(ratio) = ratio {
        let measured = format!("{ratio} × without, with a checkpoint written every second");
        report.verdicts.push(Verdict::new(Goal::Checkpoints, measured, ratio.median <= 1.02));
    }
    report
}

/// Each round's figure against the other's of the same round.
fn ratios(some: &[f64], others: &[f64]) -> Vec<f64> {
    some.iter().zip(others).map(|(some, other)| some / other).collect()
}

/// The surroundings of a worker: queue and topic on LocalStack, an S3 that keeps nothing.
struct Surroundings<'a> {
    lab: &'a Lab,
    env: StackEnv,
    s3: S3,
    queue: String,
    topic: String,
    catalog: std::path::PathBuf,
}

impl<'a> Surroundings<'a> {
    fn create(lab: &'a Lab) -> Result<Self> {
        let localstack = lab.env.localstack_endpoint_url().context("the stack is not up for the tests")?;
        let env = StackEnv { aws_endpoint_url: localstack.to_owned(), ..lab.env.clone() };
        let catalog = lab.folder.join("catalog").join(NAME);
        fs::create_dir_all(&catalog).with_context(|| format!("cannot make {}", catalog.display()))?;
        for (name, text) in DEFINITIONS {
            fs::write(catalog.join(format!("{name}.toml")), format!("title = \"{name}\"\n{text}"))?;
        }
        let aws = AwsCli::new(&env);
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text in the answer");
        let queue = text(&aws.json(&["sqs", "create-queue", "--queue-name", "downpipe-bench"])?["QueueUrl"])?;
        aws.text(&["sqs", "purge-queue", "--queue-url", &queue])?;
        let topic = text(&aws.json(&["sns", "create-topic", "--name", "downpipe-bench"])?["TopicArn"])?;
        let s3 = S3::discarding(&lab.env, &lab.tools.join("s3-server"), 0)?;
        Ok(Self { lab, env, s3, queue, topic, catalog })
    }

    /// Exports once. Returns the seconds of the job and the CPU seconds of the worker.
    fn export(&self, name: &str, round: u32) -> Result<(f64, f64)> {
        let id = format!("{name}-{round}-{}", std::process::id());
        let body = json!({ "export": name, "request_id": id, "requested_by": format!("{id}@example.com") });
        AwsCli::new(&self.env).text(&[
            "sqs",
            "send-message",
            "--queue-url",
            &self.queue,
            "--message-body",
            &body.to_string(),
        ])?;
        let mut worker = self.command(&["worker", "--until-empty", "--lease", LEASE_SECONDS]);
        let log = self.lab.folder.join("logs").join(format!("{NAME}-{name}.log"));
        let usage = measure::run(&self.lab.tools.join("measure"), worker.env("RUST_LOG", "warn"), &log)?;
        let listed =
            self.command(&["--json", "list", "--limit", "5"]).output().context("cannot run downpipe")?;
        let jobs: Value =
            serde_json::from_slice(&listed.stdout).context("`downpipe list` printed no JSON")?;
        let jobs = jobs.as_array().context("`downpipe list` printed no list")?;
        let job =
            jobs.iter().find(|job| job["request_id"] == id.as_str()).context("the job is not listed")?;
        ensure!(
            job["state"] == "ready" && job["rows"] == self.lab.orders,
            "the export did not end well: {job}"
        );
        let at = |field: &str| -> Result<f64> {
            let at: jiff::Timestamp = job[field].as_str().context("a time is missing")?.parse()?;
            Ok(at.as_microsecond() as f64 / 1e6)
        };
        Ok((at("finished_at")? - at("started_at")?, usage.cpu_seconds()))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command();
        self.env.apply_to(&mut command);
        command
            .env("AWS_ENDPOINT_URL_S3", self.s3.endpoint())
            .env("DATABASE_URL", format!("{}?ssl-mode=DISABLED", self.lab.owners_url()))
            .env("DOWNPIPE_CATALOG", &self.catalog)
            .env("DOWNPIPE_BUCKET", BUCKET)
            .env("DOWNPIPE_PREFIX", NAME)
            .env("DOWNPIPE_QUEUE_URL", &self.queue)
            .env("DOWNPIPE_TOPIC_ARN", &self.topic)
            .args(args);
        command
    }
}
