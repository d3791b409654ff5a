//! How to reach the stack: as a value, and as a file that a shell can source.

use std::{
    collections::HashMap,
    env, fs,
    net::{TcpStream, ToSocketAddrs},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    database::{External, Server},
    install,
    part::address,
    paths::Paths,
};

pub(super) const ACCESS_KEY: &str = "test";
pub(super) const SECRET_KEY: &str = "test";
pub(super) const REGION: &str = "us-east-1";

const NOT_UP: &str = "the local stack is not up: run `cargo xtask stack up`";

/// The addresses of a running stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StackEnv {
    /// `mysql://USER:PASSWORD@HOST:PORT`, without a database: whoever uses it creates one. The user may do
    /// everything.
    pub database_url: String,
    /// Who has issued the database's certificate. None when a server was given without it: then nobody can log in with a
    /// secret, so nothing that is deployed can.
    pub database_ca: Option<PathBuf>,
    /// MiniStack; Lambda functions and templates run here.
    pub aws_endpoint_url: String,
    /// LocalStack; e-mail arrives here, at `/_aws/ses`.
    pub localstack_endpoint_url: String,
    /// The folder with `aws` and `cfn-lint`.
    pub bin: PathBuf,
    /// None when the stack was brought up for the demo only.
    pub for_tests: Option<ForTests>,
}

/// What only the tests need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForTests {
    /// As [`StackEnv::database_url`], of a MariaDB server.
    pub mariadb_url: String,
    /// A Python that has the libraries with which files are read back.
    pub python: PathBuf,
}

impl StackEnv {
    /// Reads what `up` wrote, and makes sure that somebody is at home at each address.
    pub fn load(paths: &Paths) -> Result<Self> {
        let env = Self::read(paths)?;
        let mut addresses =
            [&env.aws_endpoint_url, &env.localstack_endpoint_url].map(|url| host(url).to_owned()).to_vec();
        for url in [Server::MySql, Server::MariaDb].into_iter().filter_map(|server| env.url(server)) {
            addresses.push(External::parse(url)?.address);
        }
        for address in &addresses {
            ensure!(accepts_connections(address), "nobody answers at {address}; {NOT_UP}");
        }
        Ok(env)
    }

    /// How to reach a server; MariaDB is there only for the tests.
    pub fn url(&self, server: Server) -> Option<&str> {
        match server {
            Server::MySql => Some(&self.database_url),
            Server::MariaDb => self.for_tests.as_ref().map(|for_tests| for_tests.mariadb_url.as_str()),
        }
    }

    /// The AWS CLI, version 1, speaking to `AWS_ENDPOINT_URL` when that is set.
    pub fn aws_cli(&self) -> PathBuf {
        self.bin.join("aws")
    }

    /// The linter for CloudFormation and SAM templates.
    pub fn cfn_lint(&self) -> PathBuf {
        self.bin.join("cfn-lint")
    }

    /// The variables of the `env` file, for processes that are to use the stack.
    pub fn vars(&self) -> Vec<(&'static str, String)> {
        let mut vars = vec![
            ("DATABASE_URL", self.database_url.clone()),
            ("AWS_ENDPOINT_URL", self.aws_endpoint_url.clone()),
            ("LOCALSTACK_ENDPOINT_URL", self.localstack_endpoint_url.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("DOWNPIPE_STACK_BIN", self.bin.to_string_lossy().into_owned()),
        ];
        if let Some(ca) = &self.database_ca {
            vars.push(("DOWNPIPE_STACK_DATABASE_CA", ca.to_string_lossy().into_owned()));
        }
        if let Some(ForTests { mariadb_url, python }) = &self.for_tests {
            vars.push(("DOWNPIPE_STACK_MARIADB_URL", mariadb_url.clone()));
            vars.push(("DOWNPIPE_STACK_PYTHON", python.to_string_lossy().into_owned()));
        }
        vars
    }

    /// Makes a command use the stack, and nothing of the person who happens to run it: not their profile, not their
    /// region, not their account.
    pub fn apply_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .envs(self.vars())
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            // A proxy on the way out leads past this machine's own addresses.
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
    }

    pub(super) fn new(
        paths: &Paths,
        database_url: String,
        database_ca: Option<PathBuf>,
        ministack: u16,
        localstack: u16,
        for_tests: Option<ForTests>,
    ) -> Self {
        Self {
            database_url,
            database_ca,
            aws_endpoint_url: format!("http://{}", address(ministack)),
            localstack_endpoint_url: format!("http://{}", address(localstack)),
            bin: paths.bin(),
            for_tests,
        }
    }

    pub(super) fn save(&self, paths: &Paths) -> Result<()> {
        // Readable by its owner only: a database that was given from outside has a real password.
        install::write_whole(&paths.env_file(), &self.to_shell(), 0o600)
    }

    pub(super) fn read(paths: &Paths) -> Result<Self> {
        let path = paths.env_file();
        let text = fs::read_to_string(&path).context(NOT_UP)?;
        Self::from_shell(&text)
            .with_context(|| format!("{} is damaged; run `cargo xtask stack up` again", path.display()))
    }

    fn to_shell(&self) -> String {
        let vars = self.vars().into_iter();
        let lines: String = vars.map(|(name, value)| format!("export {name}={}\n", quote(&value))).collect();
        format!("# Written by `cargo xtask stack up`. Use it with `. target/stack/env`.\n{lines}")
    }

    fn from_shell(text: &str) -> Result<Self> {
        let mut vars = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let assignment = line.strip_prefix("export ").and_then(|rest| rest.split_once('='));
            let Some((name, value)) = assignment else { bail!("not an assignment: {line}") };
            vars.insert(name, unquote(value).with_context(|| format!("{name} is not quoted as expected"))?);
        }
        let for_tests = vars
            .remove("DOWNPIPE_STACK_MARIADB_URL")
            .zip(vars.remove("DOWNPIPE_STACK_PYTHON"))
            .map(|(mariadb_url, python)| ForTests { mariadb_url, python: python.into() });
        let database_ca = vars.remove("DOWNPIPE_STACK_DATABASE_CA").map(PathBuf::from);
        let mut take = |name| vars.remove(name).with_context(|| format!("{name} is missing"));
        Ok(Self {
            database_url: take("DATABASE_URL")?,
            database_ca,
            aws_endpoint_url: take("AWS_ENDPOINT_URL")?,
            localstack_endpoint_url: take("LOCALSTACK_ENDPOINT_URL")?,
            bin: take("DOWNPIPE_STACK_BIN")?.into(),
            for_tests,
        })
    }
}

/// Quotes a value for a shell: between single quotes everything stands for itself, except the quote.
pub(crate) fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let value = inner.replace(r"'\''", "\u{0}");
    // A quote that was not escaped would have ended the value.
    (!value.contains('\'')).then(|| value.replace('\u{0}', "'"))
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

fn accepts_connections(address: &str) -> bool {
    let Ok(mut resolved) = address.to_socket_addrs() else { return false };
    resolved.any(|candidate| TcpStream::connect_timeout(&candidate, Duration::from_secs(2)).is_ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn awkward() -> StackEnv {
        StackEnv {
            database_url: r#"mysql://u:it's $HOME `id` "x" \@127.0.0.1:3306"#.into(),
            database_ca: Some("/with space/ca.pem".into()),
            aws_endpoint_url: "http://127.0.0.1:4566".into(),
            localstack_endpoint_url: "http://127.0.0.1:4567".into(),
            bin: "/with space/and 'quotes'/bin".into(),
            for_tests: Some(ForTests {
                mariadb_url: "mysql://u:p@127.0.0.1:3307".into(),
                python: "/with space/python".into(),
            }),
        }
    }

    #[test]
    fn the_file_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        for env in [awkward(), StackEnv { for_tests: None, database_ca: None, ..awkward() }] {
            env.save(&paths).unwrap();
            assert_eq!(StackEnv::read(&paths).unwrap(), env);
        }
    }

    #[test]
    fn a_shell_reads_the_same_values() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        awkward().save(&paths).unwrap();
        for (name, value) in awkward().vars() {
            let script = format!(". \"$0\"; printf %s \"${name}\"");
            let output = Command::new("sh").args(["-c", &script]).arg(paths.env_file()).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }

    #[test]
    fn a_damaged_file_says_what_is_wrong() {
        let error = |text: &str| format!("{:#}", StackEnv::from_shell(text).unwrap_err());
        assert_eq!(error(""), "DATABASE_URL is missing");
        assert_eq!(error("rm -rf /"), "not an assignment: rm -rf /");
        assert_eq!(error("export A=plain"), "A is not quoted as expected");
        assert_eq!(error("export A='a'b'"), "A is not quoted as expected");
    }

    #[test]
    fn without_a_stack_the_error_says_what_to_do() {
        let err = StackEnv::load(&Paths::under(Path::new("/nonexistent"))).unwrap_err();
        assert_eq!(err.to_string(), NOT_UP);
    }
}
