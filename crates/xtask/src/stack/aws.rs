//! The stand-ins for AWS.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::{
    env::{ACCESS_KEY, REGION, SECRET_KEY},
    health, install,
    part::{Part, address},
    paths::{LOCALSTACK, MINISTACK, Paths},
    step::Steps,
    venv,
};

/// No daemon listens here. The stand-ins would use Docker where they find it, and MiniStack also tidies up
/// containers that it takes for its own; this stack behaves the same on every machine and touches no other
/// containers.
const NO_DOCKER: &str = "unix:///nonexistent/docker.sock";

/// S3, SQS, SNS, Lambda, CloudFormation and more; runs `provided.al2023` functions as plain processes.
pub(super) struct MiniStack;

impl Part for MiniStack {
    fn name(&self) -> &'static str {
        MINISTACK
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        venv::ensure(paths, steps, self.name(), include_str!("../../requirements/ministack.txt"))
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let dir = fresh_state(paths, self.name())?;
        Ok(self.server(paths, port, &dir, &["-m", "ministack"]))
    }

    fn check(&self, address: &str) -> Result<()> {
        health::http_get(address, Self::READY).map(drop)
    }
}

impl MiniStack {
    /// Where it says that it is ready.
    pub(super) const READY: &str = "/_ministack/ready";

    /// Returns the command that runs it with a folder of its own, by Python with these arguments.
    pub(super) fn server(&self, paths: &Paths, port: u16, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = venv::python(paths, self.name());
        command.args(arguments);
        in_folder(&mut command, dir);
        command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            // The host in queue URLs: an address needs no name resolution, and `localhost` may be ::1 first.
            .env("MINISTACK_HOST", "127.0.0.1")
            // Functions inherit this environment. Without an endpoint in it, theirs would be AWS itself.
            .env("AWS_ENDPOINT_URL", format!("http://{}", address(port)))
            .env("LAMBDA_EXECUTOR", "local")
            .env("LAMBDA_STRICT", "0")
            .env("PERSIST_STATE", "0")
            .env("S3_PERSIST", "0")
            .env("STATE_DIR", dir.join("state"))
            .env("S3_DATA_DIR", dir.join("s3"))
            // These two would listen on fixed ports.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0");
        command
    }
}

/// S3, SQS, SNS and SES; delivers e-mail to a mailbox at `/_aws/ses`. No Lambda without Docker.
pub(super) struct LocalStack;

impl Part for LocalStack {
    fn name(&self) -> &'static str {
        LOCALSTACK
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        venv::ensure(paths, steps, self.name(), include_str!("../../requirements/localstack-4.12.0.txt"))
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let dir = fresh_state(paths, self.name())?;
        let mut command = venv::python(paths, self.name());
        command.args(["-c", include_str!("localstack.py")]);
        in_folder(&mut command, &dir);
        command
            .env("GATEWAY_LISTEN", address(port))
            // The host in queue URLs; the default is a public name that has to be looked up.
            .env("LOCALSTACK_HOST", address(port))
            .env("SQS_ENDPOINT_STRATEGY", "path")
            // A DNS server on port 53 is of no use here.
            .env("DNS_ADDRESS", "0")
            // Its folders, which lie under / when it believes to be in a container.
            .env("OVERRIDE_IN_DOCKER", "0")
            .env("FILESYSTEM_ROOT", &dir)
            .env("CONFIG_DIR", dir.join("config"))
            // Nothing is fetched or sent.
            .env("ACTIVATE_PRO", "0")
            .env("DISABLE_EVENTS", "1")
            .env("SKIP_SSL_CERT_DOWNLOAD", "1")
            .env("PERSISTENCE", "0");
        Ok(command)
    }

    fn check(&self, address: &str) -> Result<()> {
        // The health page answers before the start is finished; this one says when it is.
        let body = health::http_get(address, "/_localstack/init/ready")?;
        let completed = serde_json::from_str::<serde_json::Value>(&body)
            .is_ok_and(|answer| answer.get("completed") == Some(&serde_json::Value::Bool(true)));
        ensure!(completed, "LocalStack at {address} is not ready yet");
        health::http_get(address, "/_localstack/health").map(drop)
    }
}

/// DynamoDB and S3; a second implementation of both.
pub(super) struct Moto;

impl Part for Moto {
    fn name(&self) -> &'static str {
        "moto"
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        venv::ensure(paths, steps, self.name(), include_str!("../../requirements/moto.txt"))
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let dir = fresh_state(paths, self.name())?;
        let mut command = venv::python(paths, self.name());
        command.args(["-m", "moto.server", "--host", "127.0.0.1", "--port", &port.to_string()]);
        in_folder(&mut command, &dir);
        Ok(command)
    }

    fn check(&self, address: &str) -> Result<()> {
        health::http_get(address, "/moto-api/data.json").map(drop)
    }
}

/// Stand-ins start empty: what an earlier run left behind must not decide a test.
fn fresh_state(paths: &Paths, name: &str) -> Result<PathBuf> {
    let dir = paths.state().join(name);
    install::empty_dir(&dir)?;
    Ok(dir)
}

fn in_folder(command: &mut Command, dir: &Path) {
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .env("DOCKER_HOST", NO_DOCKER)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION);
}
