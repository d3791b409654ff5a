//! `cargo xtask bench start`: how long the Lambda's program takes to be ready, and what a small export costs then.
//!
//! It is unpacked from the zip that is deployed, and started as Lambda starts it, by `runtime-api`; the events come from there
//! too. Queue, topic, bucket and secret are those of a deployment on the stack.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zip::ZipArchive;

use super::{
    budget::{Goal, Verdict},
    lab::Lab,
    report::{Report, Table},
    results::{self, Machine},
    s3::S3,
    statistics::{Spread, percentile},
};
use crate::{
    deploy::{self, DeployOptions, Deployment},
    workspace,
};

const NAME: &str = "start";
const STACK: &str = "downpipe-bench";

/// Cold starts.
const STARTS: u32 = 30;

/// Small exports in one environment; the first finds no connection open yet and is not counted.
const EXPORTS: usize = 201;

/// Rows of each.
const ROWS: u64 = 1_000;

/// What was measured.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Start {
    pub(super) machine: Machine,
    /// In the table that the small exports read from.
    pub(super) orders: u64,
    /// The zip that Lambda fetches.
    pub(super) zip_bytes: u64,
    /// From the start of the process to the first `next`, of every start.
    pub(super) cold_wall_ms: Vec<f64>,
    pub(super) cold_cpu_ms: Vec<f64>,
    /// Of a small export.
    pub(super) rows: u64,
    pub(super) small: Vec<SmallExports>,
}

/// Small exports, one after the other, after a warm start.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SmallExports {
    /// Which S3 they went to.
    pub(super) store: String,
    /// Whether the database's connection was encrypted.
    pub(super) tls: bool,
    /// From the event handed out to the response, of every export.
    pub(super) wall_ms: Vec<f64>,
    /// Our own share: the CPU time of the whole process meanwhile. The rest is waiting for others.
    pub(super) cpu_ms: Vec<f64>,
    pub(super) peak_kib: u64,
}

/// The answer of `runtime-api`.
#[derive(Deserialize)]
struct Run {
    start_wall_ms: f64,
    start_cpu_ms: f64,
    invocations: Vec<Invocation>,
    peak_kib: u64,
}

#[derive(Deserialize)]
struct Invocation {
    outcome: String,
    answer: String,
    wall_ms: f64,
    cpu_ms: f64,
}

/// Measures and keeps the figures.
pub(super) fn run(lab: &Lab) -> Result<()> {
    let zip = lab.folder.join("start/downpipe.zip");
    let exports = workspace::path("exports");
    let zip_bytes = deploy::package_for_lambda(&lab.bootstrap, &exports, &zip, deploy::MAX_WORKER_BYTES)?;
    let task = lab.folder.join("start/task");
    // A program that is not in this zip any more must not be found.
    let _ = fs::remove_dir_all(&task);
    ZipArchive::new(File::open(&zip)?)?.extract(&task).context("cannot unpack the zip")?;
    lab.migrate()?;
    let database_url = lab.owners_url();
    let options =
        DeployOptions { stack_name: STACK, package: &zip, database_url: &database_url, parameters: &[] };
    lab.steps.say(NAME, "deploys what the program needs around it");
    let deployment = deploy::deploy(&lab.env, &options)?;
    let measured = Measured { lab, task, deployment: &deployment };
    let start = measured.all(zip_bytes);
    deployment.delete(&lab.env)?;
    let start = start?;
    results::save(NAME, &start)
}

/// Returns the report of the last measurement.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|start| write(&start)))
}

/// The program and its surroundings.
struct Measured<'a> {
    lab: &'a Lab,
    /// Where Lambda unpacks the zip.
    task: PathBuf,
    deployment: &'a Deployment,
}

impl Measured<'_> {
    fn all(&self, zip_bytes: u64) -> Result<Start> {
        let lab = self.lab;
        let mut start = Start {
            orders: lab.orders,
            machine: lab.machine()?,
            zip_bytes,
            cold_wall_ms: Vec::new(),
            cold_cpu_ms: Vec::new(),
            rows: ROWS,
            small: Vec::new(),
        };
        for number in 0..=STARTS {
            let run = self.run(&[], &self.environment("exports")?)?;
            // The first reads the program from the disk.
            if number > 0 {
                start.cold_wall_ms.push(run.start_wall_ms);
                start.cold_cpu_ms.push(run.start_cpu_ms);
            }
        }
        let quick = S3::discarding(&lab.env, &lab.tools.join("s3-server"), 0)?;
        for (store, endpoint) in
            [("MiniStack", &lab.env.aws_endpoint_url[..]), ("s3-server", quick.endpoint())]
        {
            for tls in [true, false] {
                lab.steps.say(NAME, &format!("exports {ROWS} rows to {store}"));
                start.small.push(self.small(store, endpoint, tls)?);
            }
        }
        Ok(start)
    }

    fn small(&self, store: &str, endpoint: &str, tls: bool) -> Result<SmallExports> {
        let catalog = self.lab.folder.join("catalog/small");
        fs::create_dir_all(&catalog)?;
        let definition = format!("title = \"Small\"\nsql = \"SELECT * FROM orders WHERE id <= {ROWS}\"\n");
        fs::write(catalog.join("small.toml"), definition)?;
        let mut environment = self.environment(&catalog.to_string_lossy())?;
        environment.push(("AWS_ENDPOINT_URL_S3", endpoint.to_owned()));
        if !tls {
            // A login from a secret is always encrypted.
            environment.retain(|(name, _)| *name != "DOWNPIPE_DATABASE_SECRET");
            environment.push(("DATABASE_URL", format!("{}?ssl-mode=DISABLED", self.lab.owners_url())));
        }
        let run = self.run(&events()?, &environment)?;
        ensure!(
            run.invocations.len() == EXPORTS,
            "expected {EXPORTS} exports, got {}",
            run.invocations.len()
        );
        for invocation in &run.invocations {
            let Invocation { outcome, answer, .. } = invocation;
            let failures = serde_json::from_str::<Value>(answer).ok();
            let failures = failures.and_then(|answer| Some(answer["batchItemFailures"].as_array()?.len()));
            ensure!(outcome == "response" && failures == Some(0), "a small export failed: {answer}");
        }
        let warm = &run.invocations[1..];
        Ok(SmallExports {
            store: store.to_owned(),
            tls,
            wall_ms: warm.iter().map(|invocation| invocation.wall_ms).collect(),
            cpu_ms: warm.iter().map(|invocation| invocation.cpu_ms).collect(),
            peak_kib: run.peak_kib,
        })
    }

    /// Returns the environment that Lambda and `infra/template.yaml` give the program.
    fn environment(&self, catalog: &str) -> Result<Vec<(&'static str, String)>> {
        let output = |name| self.deployment.output(name).map(str::to_owned);
        Ok(vec![
            ("LAMBDA_TASK_ROOT", self.task.to_string_lossy().into_owned()),
            ("AWS_LAMBDA_FUNCTION_NAME", output("FunctionName")?),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", output("LogGroupName")?),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
            ("DOWNPIPE_DATABASE_SECRET", self.deployment.secret()),
            ("DOWNPIPE_DATABASE_AUTH", "password".to_owned()),
            ("DOWNPIPE_CATALOG", catalog.to_owned()),
            ("DOWNPIPE_BUCKET", output("BucketName")?),
            ("DOWNPIPE_PREFIX", "exports/".to_owned()),
            ("DOWNPIPE_QUEUE_URL", output("QueueUrl")?),
            ("DOWNPIPE_TOPIC_ARN", output("TopicArn")?),
            ("DOWNPIPE_LEDGER", "mysql".to_owned()),
            ("RUST_LOG", "warn,downpipe=info".to_owned()),
        ])
    }

    /// Starts the program, hands it the events, and returns what that took.
    fn run(&self, events: &[Value], environment: &[(&str, String)]) -> Result<Run> {
        let path = self.lab.folder.join("start/events.json");
        fs::write(&path, serde_json::to_vec(events)?)?;
        let mut command = Command::new(self.lab.tools.join("runtime-api"));
        command.arg(&path).arg(self.task.join("bootstrap"));
        self.lab.env.apply_to(&mut command).env_remove("DATABASE_URL");
        command.envs(environment.iter().map(|(name, value)| (name, value))).current_dir(&self.task);
        let log = self.lab.folder.join("logs/start.log");
        command.stderr(File::create(&log)?);
        let output = command.output().context("cannot run runtime-api")?;
        ensure!(output.status.success(), "runtime-api failed; what it said is in {}", log.display());
        serde_json::from_slice(&output.stdout).context("runtime-api gave no answer")
    }
}

/// Messages as Lambda's poller brings them, one at a time. Each asks for a job of its own.
fn events() -> Result<Vec<Value>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let event = |number| {
        let request = json!({
            "export": "small",
            "requested_by": "alice@example.com",
            "request_id": format!("bench-{now}-{number}"),
        });
        json!({"Records": [{
            "messageId": format!("bench-{now}-{number}"),
            "receiptHandle": "bench",
            "body": request.to_string(),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench",
            "awsRegion": "us-east-1",
        }]})
    };
    Ok((0..EXPORTS).map(event).collect())
}

fn write(start: &Start) -> Report {
    let mut table = Table::new(["what", "median", "least", "95 %", "most", "peak MiB"]);
    let mut row = |what: String, figures: &[f64], peak_kib: Option<u64>| {
        let Some(Spread { median, least, most }) = Spread::of(figures.iter().copied()) else { return };
        let [median, least, late, most] =
            [median, least, percentile(figures, 95), most].map(|figure| format!("{figure:.1}"));
        let peak = peak_kib.map_or(String::new(), |kib| format!("{:.1}", kib as f64 / 1024.0));
        table.row([what, median, least, late, most, peak]);
    };
    row("cold start, wall ms".to_owned(), &start.cold_wall_ms, None);
    row("cold start, CPU ms".to_owned(), &start.cold_cpu_ms, None);
    for SmallExports { store, tls, wall_ms, cpu_ms, peak_kib } in &start.small {
        let what = format!("{} rows to {store}{}", start.rows, if *tls { "" } else { ", no TLS" });
        row(format!("{what}, wall ms"), wall_ms, Some(*peak_kib));
        row(format!("{what}, CPU ms"), cpu_ms, None);
    }
    let mut report = Report::new(NAME, &start.machine, start.orders);
    report.show("The Lambda's program", &table);
    report.section(NAME, table.to_markdown());
    report.verdicts.extend(verdicts(start));
    report
}

fn verdicts(start: &Start) -> Vec<Verdict> {
    let median =
        |figures: &[f64]| Spread::of(figures.iter().copied()).map_or(f64::NAN, |spread| spread.median);
    let cold = median(&start.cold_wall_ms);
    let zip = start.zip_bytes as f64 / f64::from(1 << 20);
    let mut verdicts =
        vec![Verdict::new(Goal::ColdStart, format!("{cold:.1} ms; {zip:.2} MiB"), cold < 20.0 && zip < 8.0)];
    // As it is used: the database's connection is encrypted.
    if let Some(small) = start.small.iter().find(|small| small.tls) {
        let (wall, cpu) = (median(&small.wall_ms), median(&small.cpu_ms));
        let measured = format!("{wall:.1} ms, of which {cpu:.1} ms of our own CPU time");
        verdicts.push(Verdict::new(Goal::SmallExport, measured, wall < 100.0 && cpu < 15.0));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_requests_another_job() {
        let events = events().unwrap();
        let bodies: std::collections::HashSet<_> =
            events.iter().map(|event| event["Records"][0]["body"].to_string()).collect();
        assert_eq!(bodies.len(), EXPORTS);
    }
}
