//! `cargo xtask demo`: from nothing to a file and an e-mail, on this machine.

mod console;
mod inbox;
mod jobs;
mod options;
mod table;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use self::console::{Console, shell_word};
use self::inbox::Inbox;
use self::jobs::{Downpipe, Job, log_tail};
pub use self::options::{DemoOptions, LedgerChoice};
use crate::aws_cli::AwsCli;
use crate::cargo::{self, Executables, PROGRAMS};
use crate::deploy::{self, DeployOptions, Deployment, Effort};
use crate::prepare::stack_and_build;
use crate::sample::{self, Loaded};
use crate::stack::{Paths, Purpose, StackEnv};
use crate::workspace;

const STACK: &str = "downpipe-demo";
const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const SENDER: &str = "exports@example.com";

/// The template's default of `Prefix`.
const PREFIX: &str = "exports";
/// A part of the text of the query in `exports/customers.toml`, as MySQL remembers it.
const CUSTOMERS_QUERY: &str = "`turnover`";

/// Runs the demo. What it started keeps running, for the person to look around.
pub fn run(options: &DemoOptions) -> Result<()> {
    let mut console = Console::start();
    console.say("Downpipe, from a click to a file: everything below happens on this machine.");
    let (env, built) = prepare(&mut console, options)?;
    let aws = AwsCli::new(&env);
    let database_url = sample::url(&env.database_url);
    let program = built.path("downpipe")?.to_owned();
    let mut downpipe = Downpipe { program, env: &env, database_url, settings: Vec::new() };
    load_sample(&mut console, &env)?;
    let deployment = deploy(&mut console, &built, &mut downpipe, options)?;
    let shop = Shop { aws, downpipe: &downpipe, deployment: &deployment };
    let inbox = Inbox::of(&env);

    console.heading("Alice clicks on \"January\": one message, as the web application sends it");
    let january = json!({"export": "orders", "params": {"from": "2026-01-01", "to": "2026-02-01"}});
    let job = shop.click(&console, ALICE, january, "january")?;
    console.heading("The file");
    shop.show_file(&console, job.address()?)?;
    console.heading("The e-mail");
    console.say(&inbox.wait_for(&job.id)?.to_string());

    console.heading("Alice clicks on \"Everything, for Excel\"");
    let excel =
        json!({"export": "orders", "params": {"from": "2025-01-01", "to": "2026-07-01"}, "profile": "excel"});
    let job = shop.click(&console, ALICE, excel, "excel")?;
    console.say("");
    console.say(&inbox.wait_for(&job.id)?.to_string());

    if options.cache {
        shop.show_cache(&mut console, options)?;
    }
    shop.show_next(&mut console)?;
    console.say(&format!("Done in {:.0} s.", console.seconds()));
    Ok(())
}

fn prepare(console: &mut Console, options: &DemoOptions) -> Result<(StackEnv, Executables)> {
    console.heading("MySQL, a local AWS, and Downpipe itself");
    console.command(&["cargo", "xtask", "stack", "up"]);
    // Built as for the tests: an optimised build takes longer than all the rest of the demo. What AWS gets is made by
    // `cargo xtask package`.
    let build = [&PROGRAMS[..], &["--bins"]].concat();
    console.command(&[&["cargo", "build"], &build[..]].concat());
    console.say("\nThe first time takes minutes, as everything is installed and compiled; later it is a matter of seconds.\n");
    let purpose = if options.cache { Purpose::DemoWithCache } else { Purpose::Demo };
    stack_and_build(&Paths::of_workspace(), purpose, &build)
}

fn load_sample(console: &mut Console, env: &StackEnv) -> Result<()> {
    console.heading("A shop's database: 4,000 customers, 300,000 orders");
    let loaded = sample::load(&env.database_url)?;
    console.say(match loaded {
        Loaded::Already => "It is there already.",
        Loaded::Now => "Loaded.",
    });
    Ok(())
}

fn deploy(
    console: &mut Console,
    built: &Executables,
    downpipe: &mut Downpipe<'_>,
    options: &DemoOptions,
) -> Result<Deployment> {
    console.heading("Deploy: queue, Lambda function, bucket and topic");
    let mut parameters = options::prepare(console, downpipe.env, options)?;
    parameters.extend([("Notice", "ses".to_owned()), ("MailFrom", SENDER.to_owned())]);
    console.say("On AWS, SES verifies the domain of the sender once. Here it verifies each address, and keeps what it sends.\n");
    for address in [SENDER, ALICE, BOB] {
        inbox::verify(AwsCli::new(downpipe.env), console, address)?;
    }
    if options.ledger == LedgerChoice::Mysql {
        console.command(&["downpipe", "migrate"]);
        downpipe.text(&["migrate"])?;
    }
    let package = cargo::target_dir()?.join("downpipe-demo").join("worker.zip");
    deploy::package(built.path("bootstrap")?, &workspace::path("exports"), &package, Effort::Fast)?;
    let shown =
        ["aws", "cloudformation", "deploy", "--stack-name", STACK, "--template-file", "infra/template.yaml"];
    console.command(&[&shown[..], &["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]].concat());
    let database_url = &downpipe.database_url;
    let given: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let deployed = DeployOptions { stack_name: STACK, package: &package, database_url, parameters: &given };
    let deployment = deploy::deploy(downpipe.env, &deployed)?;
    let table = parameters.iter().find(|(name, value)| *name == "LedgerTable" && !value.is_empty());
    if let Some((_, table)) = table {
        downpipe.settings = vec![
            ("DOWNPIPE_LEDGER", format!("dynamodb:{table}")),
            ("DOWNPIPE_BUCKET", deployment.output("BucketName")?.to_owned()),
            ("DOWNPIPE_PREFIX", PREFIX.to_owned()),
        ];
    }
    for name in ["QueueUrl", "FunctionName", "BucketName", "TopicArn"] {
        console.say(&format!("{name:<14}{}", deployment.output(name)?));
    }
    Ok(deployment)
}

/// The deployed shop, as its people use it.
struct Shop<'a> {
    aws: AwsCli<'a>,
    downpipe: &'a Downpipe<'a>,
    deployment: &'a Deployment,
}

impl Shop<'_> {
    /// Shows that two people who ask for the same cost the database one query, or none within the ten minutes after it.
    fn show_cache(&self, console: &mut Console, options: &DemoOptions) -> Result<()> {
        // With the ledger in MySQL, `downpipe list` asks MySQL as well.
        let (query, counted) = match options.ledger {
            LedgerChoice::Dynamodb => ("", "statements"),
            LedgerChoice::Mysql => (CUSTOMERS_QUERY, "runs of the export's query"),
        };
        let server = &self.downpipe.env.database_url;
        for (requester, name, heading) in [
            (BOB, "bob", "Bob clicks on \"Customers\", an export whose results requesters share"),
            (ALICE, "alice", "Alice clicks on the same: the cache has the answer"),
        ] {
            console.heading(heading);
            let before = sample::statements(server, query)?;
            self.click(console, requester, json!({"export": "customers"}), name)?;
            let seen = sample::statements(server, query)? - before;
            console.say(&format!("\n  MySQL saw {seen} {counted}."));
        }
        Ok(())
    }

    /// Sends a request as the web application does when a person clicks, and returns the job when it has ended.
    fn click(&self, console: &Console, requester: &str, mut request: Value, name: &str) -> Result<Job> {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
        let request_id = format!("demo-{}-{name}", now.as_millis());
        request["requested_by"] = requester.into();
        request["request_id"] = request_id.as_str().into();
        let (queue, body) = (self.deployment.output("QueueUrl")?, request.to_string());
        let send = ["sqs", "send-message", "--queue-url", queue, "--message-body", &body];
        console.command(&[&["aws"], &send[..]].concat());
        self.aws.text(&send)?;
        console.say("");
        console.command(&["downpipe", "list"]);
        self.downpipe.watch(console, &request_id).map_err(|err| {
            let group = self.deployment.output("LogGroupName").unwrap_or_default();
            anyhow!("{err:#}\n\n{}", log_tail(self.aws, group))
        })
    }

    fn show_file(&self, console: &Console, address: &str) -> Result<()> {
        console.command(&["aws", "s3", "cp", address, "-", "|", "head", "-n", "8"]);
        let file = self.aws.text(&["s3", "cp", address, "-"])?;
        console.say(&table::head(&file, 8));
        console.say("\nThe same in columns:\n");
        console.say(&table::columns(&file, 12)?);
        console.say("\nIts receipt lies beside it:\n");
        let receipt = format!("{address}.receipt.json");
        console.command(&["aws", "s3", "cp", &receipt, "-"]);
        console.say(self.aws.text(&["s3", "cp", &receipt, "-"])?.trim_end());
        Ok(())
    }

    fn show_next(&self, console: &mut Console) -> Result<()> {
        console.heading("Where to look next");
        console.command(&["downpipe", "list"]);
        console.say(self.downpipe.text(&["list", "--limit", "5"])?.trim_end());
        let programs = self.downpipe.program.parent().unwrap_or(Path::new("")).display();
        let env_file = Paths::of_workspace().env_file();
        console.say(&format!(
            include_str!("next.txt"),
            env_file = shell_word(&env_file.to_string_lossy()),
            programs = programs,
            database = sample::DATABASE,
            queue = shell_word(self.deployment.output("QueueUrl")?),
            log_group = self.deployment.output("LogGroupName")?,
            alice = ALICE,
        ));
        Ok(())
    }
}
