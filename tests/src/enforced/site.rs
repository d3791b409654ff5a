//! A Downpipe deployed from its templates where AWS asks for permissions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use downpipe_app::ledger_table::LedgerTable;
use downpipe_aws::DynamoJobTable;
use downpipe_core::job::{JobId, NewJob};
use downpipe_core::ledger::Ledger;
use downpipe_core::message::Message;
use downpipe_mysql::{Database, MySqlJobTable};
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::deploy::{DeployOptions, Deployment, Effort, deploy, deploy_ledger, package};

use super::place::Place;
use super::role::Role;
use crate::database::TestDatabase;
use crate::inbox::{Inbox, Mail};
use crate::test_stack::{PREFIX, downpipe};
use crate::{dynamodb, unique};

/// What is exported.
const TABLES: &str = "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(20)); \
    INSERT INTO orders VALUES (1, 'one'), (2, 'two'), (3, 'three'); \
    CREATE TABLE numbers (id INT PRIMARY KEY); \
    INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 400) SELECT a FROM n";
/// The rows of `numbers`.
pub(super) const NUMBERS: u32 = 400;

/// The limit of a run, in seconds. A sweep needs more than a minute, and the template's quarter of an hour is of no use here.
pub(super) const RUN: u32 = 120;

/// Where a ledger is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LedgerPlace {
    /// In the database that is exported from. The user has the grants of docs/aws.md.
    MySql,
    /// In a table of DynamoDB. The user may only read what is exported.
    DynamoDb,
}

impl LedgerPlace {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MySql => "the ledger in MySQL",
            Self::DynamoDb => "the ledger in DynamoDB",
        }
    }

    /// Returns the privileges of the worker's user, and on which tables.
    fn grants(self) -> &'static [(&'static str, &'static str)] {
        const READ: [(&str, &str); 2] = [("SELECT", "orders"), ("SELECT", "numbers")];
        const READ_AND_RECORD: [(&str, &str); 4] = [
            READ[0],
            READ[1],
            ("SELECT, INSERT, UPDATE, DELETE", "downpipe_jobs"),
            ("SELECT, INSERT, DELETE", "downpipe_job_aliases"),
        ];
        match self {
            Self::MySql => &READ_AND_RECORD,
            Self::DynamoDb => &READ,
        }
    }
}

/// A deployed Downpipe, with its own database, bucket, queue, topic and ledger.
pub(super) struct Site<'a> {
    pub(super) place: &'a Place,
    pub(super) ledger_place: LedgerPlace,
    pub(super) database: TestDatabase,
    pub(super) ledger: Ledger<LedgerTable>,
    /// The ledger's table in DynamoDB, if it is there.
    pub(super) table: Option<String>,
    pub(super) bucket: String,
    pub(super) role: Role,
    deployment: Deployment,
    user: String,
    /// The e-mails that were not looked at yet, and those that were.
    pub(super) inbox: Inbox,
    pub(super) mails: Mutex<Vec<Mail>>,
    /// Where the decisions about this step begin.
    pub(super) step: AtomicU64,
}

impl<'a> Site<'a> {
    /// Deploys the templates.
    pub(super) async fn deploy(place: &'a Place, ledger_place: LedgerPlace) -> Self {
        let name = unique("enforced");
        let (database, table) = match ledger_place {
            LedgerPlace::MySql => (TestDatabase::migrated().await, None),
            LedgerPlace::DynamoDb => {
                let table = deploy_ledger(place.aws(), &format!("{name}-ledger")).unwrap();
                (TestDatabase::create().await, Some(table))
            }
        };
        database.execute(TABLES).await;
        let (user, url) = reader(&database, ledger_place).await;
        let deployment = deploy_worker(place, &name, &url, table.as_deref());
        let output = |name: &str| deployment.output(name).unwrap().to_owned();
        let bucket = output("BucketName");
        let ledger = Ledger::new(match &table {
            Some(table) => {
                let table = dynamodb::LedgerTable::named(table.clone(), bucket.clone());
                LedgerTable::DynamoDb(DynamoJobTable::new(&place.config, &table))
            }
            None => LedgerTable::MySql(MySqlJobTable::new(Database::at_url(&database.url).unwrap())),
        });
        let inbox = Inbox::of(&place.config, &output("TopicArn")).await;
        let role = Role::of_stack(place.aws(), &name);
        let (mails, step) = (Mutex::default(), AtomicU64::default());
        let site = Self {
            place,
            ledger_place,
            database,
            ledger,
            table,
            bucket,
            role,
            deployment,
            user,
            inbox,
            mails,
            step,
        };
        site.limit_runs(RUN);
        site.stop_schedule(&name);
        site
    }

    /// Disables the schedule of sweeps. Otherwise one of them would ask for permissions in the middle of another step.
    fn stop_schedule(&self, stack: &str) {
        let answer = self.place.aws().json(&["events", "list-rules"]).unwrap();
        let rules = answer["Rules"].as_array().unwrap().iter().filter_map(|rule| rule["Name"].as_str());
        for rule in rules.filter(|rule| rule.starts_with(stack)) {
            self.place.aws().text(&["events", "disable-rule", "--name", rule]).unwrap();
        }
    }

    /// Returns an output of the template.
    pub(super) fn output(&self, name: &str) -> &str {
        self.deployment.output(name).unwrap()
    }

    /// Returns the name of the secret with the database's login.
    pub(super) fn secret(&self) -> String {
        self.deployment.secret()
    }

    /// Sends a request and returns its job's id. Requests with the same number are the same request.
    pub(super) async fn send(&self, export: &str, number: u32, requester: &str) -> JobId {
        let body = json!({
            "export": export, "params": { "number": number },
            "requested_by": format!("{requester}@example.com"), "request_id": unique("request"),
        });
        let body = body.to_string();
        self.send_body(&body).await;
        NewJob::of(&Message::parse(&body), "", &body).unwrap().id
    }

    /// Sends a message.
    pub(super) async fn send_body(&self, body: &str) {
        let client = aws_sdk_sqs::Client::new(&self.place.config);
        client.send_message().queue_url(self.output("QueueUrl")).message_body(body).send().await.unwrap();
    }

    /// Invokes the function as its schedule does, and returns what it found.
    pub(super) fn sweep(&self) -> Value {
        let answer = tempfile::NamedTempFile::new().unwrap();
        let (function, file) = (self.output("FunctionName"), answer.path().to_string_lossy());
        let args = ["lambda", "invoke", "--function-name", function, "--payload", r#"{"sweep":{}}"#, &*file];
        self.place.aws().text(&args).unwrap();
        serde_json::from_slice(&std::fs::read(answer.path()).unwrap()).unwrap()
    }

    /// Sets the limit of a run. This also starts a new worker.
    pub(super) fn limit_runs(&self, seconds: u32) {
        let args =
            ["lambda", "update-function-configuration", "--function-name", self.output("FunctionName")];
        self.place.aws().text(&[&args[..], &["--timeout", &seconds.to_string()]].concat()).unwrap();
    }

    /// Starts a new worker, on an empty queue.
    pub(super) async fn restart_worker(&self) {
        let client = aws_sdk_sqs::Client::new(&self.place.config);
        client.purge_queue().queue_url(self.output("QueueUrl")).send().await.unwrap();
        self.limit_runs(RUN);
    }

    /// Returns the command `downpipe` for the ledger, as the worker's role.
    pub(super) fn command_as_role(&self, args: &[&str]) -> Command {
        let mut command = downpipe(&self.place.env.aws_endpoint_url);
        self.place.env.apply_to(&mut command);
        self.role.session(self.place.aws()).apply_to(&mut command);
        command.env_remove("DATABASE_URL").args(args);
        match &self.table {
            Some(table) => command.env("DOWNPIPE_LEDGER", format!("dynamodb:{table}")),
            None => command.env("DOWNPIPE_DATABASE_SECRET", self.secret()),
        };
        if let Some(ca) = &self.place.env.database_ca {
            command.env("DOWNPIPE_DATABASE_CA", ca);
        }
        command.env("DOWNPIPE_BUCKET", &self.bucket).env("DOWNPIPE_PREFIX", PREFIX);
        command
    }

    /// Drops the user. The database goes by itself, and all else with its MiniStack.
    pub(super) async fn close(self) {
        self.database.execute(&format!("DROP USER '{}'@'%'", self.user)).await;
    }
}

/// Creates the worker's user, and returns its name and its URL.
async fn reader(database: &TestDatabase, ledger: LedgerPlace) -> (String, String) {
    let user = unique("u").replace('-', "");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await;
    for (privileges, table) in ledger.grants() {
        database.execute(&format!("GRANT {privileges} ON {}.{table} TO '{user}'@'%'", database.name)).await;
    }
    let mut url = url::Url::parse(&database.url).unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("secret")).unwrap();
    (user, url.into())
}

/// Packs the worker with the definitions of the steps, in a folder that goes when it is dropped.
pub(super) fn package_worker() -> (TempDir, PathBuf) {
    let bootstrap = std::env::var_os("DOWNPIPE_TEST_BOOTSTRAP").expect("run `cargo xtask enforce`");
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("bootstrap.zip");
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/enforced/exports");
    package(Path::new(&bootstrap), &exports, &zip, Effort::Fast).unwrap();
    (folder, zip)
}

fn deploy_worker(place: &Place, name: &str, url: &str, table: Option<&str>) -> Deployment {
    let (_folder, zip) = package_worker();
    let mut parameters = vec![("Prefix", PREFIX)];
    parameters.extend(table.map(|table| ("LedgerTable", table)));
    let options =
        DeployOptions { stack_name: name, package: &zip, database_url: url, parameters: &parameters };
    deploy(&place.env, &options).unwrap()
}
