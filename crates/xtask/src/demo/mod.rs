//! `cargo xtask demo`: from nothing to a file and an e-mail, on this machine.

mod console;
mod inbox;
mod jobs;
mod table;

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use self::{
    console::{Console, shell_word},
    inbox::Inbox,
    jobs::{Downpipe, Job, log_tail},
};
use crate::{
    aws_cli::AwsCli,
    cargo::{self, Executables},
    deploy::{self, DeployOptions, Deployment},
    prepare::stack_and_build,
    sample::{self, Loaded},
    stack::{Paths, Purpose, StackEnv},
    workspace,
};

const STACK: &str = "downpipe-demo";
const ALICE: &str = "alice@example.com";
const BUILD: [&str; 5] = ["--release", "-p", "downpipe-worker", "-p", "downpipe-cli"];

/// Runs the demo. What it started keeps running, for the person to look around.
pub fn run() -> Result<()> {
    let mut console = Console::start();
    console.say("Downpipe, from a click to a file: everything below happens on this machine.");
    let (env, built) = prepare(&mut console)?;
    let aws = AwsCli::new(&env);
    let database_url = sample::url(&env.database_url);
    let downpipe = Downpipe { program: built.path("downpipe")?.to_owned(), env: &env, database_url };
    load_sample(&mut console, &env)?;
    let deployment = deploy(&mut console, &built, &downpipe)?;
    let shop = Shop { aws, downpipe: &downpipe, deployment: &deployment };
    let inbox = shop.subscribe(&mut console)?;

    console.heading("Alice clicks on \"January\": one message, as the web application sends it");
    let january = json!({"export": "orders", "params": {"from": "2026-01-01", "to": "2026-02-01"}});
    let job = shop.click(&console, january, "january")?;
    console.heading("The file");
    shop.show_file(&console, job.address()?)?;
    console.heading("The e-mail");
    console.say(&inbox.wait_for(aws, &job.id)?.to_string());

    console.heading("Alice clicks on \"Everything, for Excel\"");
    let excel =
        json!({"export": "orders", "params": {"from": "2025-01-01", "to": "2026-07-01"}, "profile": "excel"});
    let job = shop.click(&console, excel, "excel")?;
    console.say("");
    console.say(&inbox.wait_for(aws, &job.id)?.to_string());

    shop.show_next(&mut console)?;
    console.say(&format!("Done in {:.0} s.", console.seconds()));
    Ok(())
}

fn prepare(console: &mut Console) -> Result<(StackEnv, Executables)> {
    console.heading("MySQL, a local AWS, and Downpipe itself");
    console.command(&["cargo", "xtask", "stack", "up"]);
    console.command(&[&["cargo", "build"], &BUILD[..]].concat());
    console.say("\nThe first time takes minutes, as everything is installed and compiled; later it is a matter of seconds.\n");
    stack_and_build(&Paths::of_workspace(), Purpose::Demo, &BUILD)
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

fn deploy(console: &mut Console, built: &Executables, downpipe: &Downpipe<'_>) -> Result<Deployment> {
    console.heading("Deploy: queue, Lambda function, bucket and topic");
    console.command(&["downpipe", "migrate"]);
    downpipe.text(&["migrate"])?;
    let package = cargo::target_dir()?.join("downpipe-demo").join("worker.zip");
    deploy::package_for_lambda(built.path("bootstrap")?, &workspace::path("exports"), &package)?;
    let shown =
        ["aws", "cloudformation", "deploy", "--stack-name", STACK, "--template-file", "infra/template.yaml"];
    console.command(&[&shown[..], &["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]].concat());
    let database_url = &downpipe.database_url;
    let options = DeployOptions { stack_name: STACK, package: &package, database_url, parameters: &[] };
    let deployment = deploy::deploy(downpipe.env, &options)?;
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
    fn subscribe(&self, console: &mut Console) -> Result<Inbox> {
        console.heading("Alice subscribes to the notices about her own exports");
        console.say("On AWS: `downpipe subscribe alice@example.com`. The local AWS sends no e-mail; a queue stands in.\n");
        Inbox::subscribe(self.aws, console, self.deployment.output("TopicArn")?, ALICE)
    }

    /// What the web application does when Alice clicks, and what becomes of it.
    fn click(&self, console: &Console, mut request: Value, name: &str) -> Result<Job> {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
        let request_id = format!("demo-{}-{name}", now.as_millis());
        request["requested_by"] = ALICE.into();
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
