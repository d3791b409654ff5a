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
    caches::Caches,
    database::{External, Server},
    install,
    part::address,
    paths::{LOCALSTACK, MINISTACK, Paths},
};

pub(super) const ACCESS_KEY: &str = "test";
pub(super) const SECRET_KEY: &str = "test";
pub(super) const REGION: &str = "us-east-1";

const NOT_UP: &str = "the local stack is not up: run `cargo xtask stack up`";

/// The addresses of a running stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StackEnv {
    /// `mysql://USER:PASSWORD@HOST:PORT`, without a database; each test creates its own. The user has every
    /// privilege.
    pub database_url: String,
    /// The authority of the database's certificate. None when a server was given without it: then a login from a secret, and so
    /// every deployment, is refused.
    pub database_ca: Option<PathBuf>,
    /// MiniStack; Lambda functions and templates run here.
    pub aws_endpoint_url: String,
    /// The authority of its certificate. None where it has no TLS, as the stack's own.
    pub aws_ca: Option<PathBuf>,
    /// The folder with `aws`.
    pub bin: PathBuf,
    /// None when the stack was brought up for the demo without a cache.
    pub caches: Option<Caches>,
    /// None when the stack was brought up for the demo only.
    pub for_tests: Option<ForTests>,
}

/// What only the tests need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForTests {
    /// As [`StackEnv::database_url`], of a MariaDB server.
    pub mariadb_url: String,
    /// LocalStack; e-mail arrives here, at `/_aws/ses`.
    pub localstack_endpoint_url: String,
    /// Moto; its DynamoDB is another than MiniStack's.
    pub moto_endpoint_url: String,
    /// A Python that has the libraries with which files are read back.
    pub python: PathBuf,
}

impl StackEnv {
    /// Reads what `up` wrote, and checks that a server accepts connections at each address.
    pub fn load(paths: &Paths) -> Result<Self> {
        let env = Self::read(paths)?;
        let mut addresses = vec![host(&env.aws_endpoint_url).to_owned()];
        addresses.extend(env.caches.iter().flat_map(Caches::addresses));
        let for_tests = [env.localstack_endpoint_url(), env.moto_endpoint_url()];
        addresses.extend(for_tests.into_iter().flatten().map(|url| host(url).to_owned()));
        for url in [Server::MySql, Server::MariaDb].into_iter().filter_map(|server| env.url(server)) {
            addresses.push(External::parse(url)?.address);
        }
        for address in &addresses {
            ensure!(accepts_connections(address), "no server answers at {address}; {NOT_UP}");
        }
        Ok(env)
    }

    /// Returns how to reach a server; MariaDB is there only for the tests.
    pub fn url(&self, server: Server) -> Option<&str> {
        match server {
            Server::MySql => Some(&self.database_url),
            Server::MariaDb => self.for_tests.as_ref().map(|for_tests| for_tests.mariadb_url.as_str()),
        }
    }

    /// LocalStack's address; it is there only for the tests.
    pub fn localstack_endpoint_url(&self) -> Option<&str> {
        self.for_tests.as_ref().map(|for_tests| for_tests.localstack_endpoint_url.as_str())
    }

    /// Moto's address; it is there only for the tests.
    pub fn moto_endpoint_url(&self) -> Option<&str> {
        self.for_tests.as_ref().map(|for_tests| for_tests.moto_endpoint_url.as_str())
    }

    /// Returns the AWS CLI, version 1, speaking to `AWS_ENDPOINT_URL` when that is set.
    pub fn aws_cli(&self) -> PathBuf {
        self.bin.join("aws")
    }

    /// Returns a Python that has botocore, MiniStack's.
    pub fn botocore_python(&self) -> PathBuf {
        self.bin.with_file_name(MINISTACK).join("bin/python")
    }

    /// Returns a Python that has cfn-lint, LocalStack's; it is there only for the tests.
    pub fn cfn_lint_python(&self) -> PathBuf {
        self.bin.with_file_name(LOCALSTACK).join("bin/python")
    }

    /// Returns the variables of the `env` file, for processes that are to use the stack.
    pub fn vars(&self) -> Vec<(&'static str, String)> {
        let mut vars = vec![
            ("DATABASE_URL", self.database_url.clone()),
            ("AWS_ENDPOINT_URL", self.aws_endpoint_url.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("DOWNPIPE_STACK_BIN", self.bin.to_string_lossy().into_owned()),
        ];
        if let Some(ca) = &self.database_ca {
            vars.push(("DOWNPIPE_STACK_DATABASE_CA", ca.to_string_lossy().into_owned()));
        }
        if let Some(ca) = &self.aws_ca {
            // The first is for Python, the second for everything else.
            let ca = ca.to_string_lossy();
            vars.extend([("AWS_CA_BUNDLE", ca.to_string()), ("SSL_CERT_FILE", ca.into_owned())]);
        }
        vars.extend(self.caches.iter().flat_map(Caches::vars));
        if let Some(for_tests) = &self.for_tests {
            vars.push(("LOCALSTACK_ENDPOINT_URL", for_tests.localstack_endpoint_url.clone()));
            vars.push(("DOWNPIPE_STACK_MOTO_URL", for_tests.moto_endpoint_url.clone()));
            vars.push(("DOWNPIPE_STACK_MARIADB_URL", for_tests.mariadb_url.clone()));
            vars.push(("DOWNPIPE_STACK_PYTHON", for_tests.python.to_string_lossy().into_owned()));
        }
        vars
    }

    /// Makes a command use the stack, and not the profile, region or account of the person who runs it.
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
        (database_url, database_ca): (String, Option<PathBuf>),
        ministack: u16,
        caches: Option<Caches>,
        for_tests: Option<ForTests>,
    ) -> Self {
        Self {
            database_url,
            database_ca,
            aws_endpoint_url: format!("http://{}", address(ministack)),
            aws_ca: None,
            bin: paths.bin(),
            caches,
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
        let for_tests = match (
            vars.remove("DOWNPIPE_STACK_MARIADB_URL"),
            vars.remove("LOCALSTACK_ENDPOINT_URL"),
            vars.remove("DOWNPIPE_STACK_MOTO_URL"),
            vars.remove("DOWNPIPE_STACK_PYTHON"),
        ) {
            (Some(mariadb_url), Some(localstack_endpoint_url), Some(moto_endpoint_url), Some(python)) => {
                let python = python.into();
                Some(ForTests { mariadb_url, localstack_endpoint_url, moto_endpoint_url, python })
            }
            _ => None,
        };
        let caches = Caches::take(&mut |name| vars.remove(name));
        let database_ca = vars.remove("DOWNPIPE_STACK_DATABASE_CA").map(PathBuf::from);
        let aws_ca = vars.remove("AWS_CA_BUNDLE").map(PathBuf::from);
        let mut take = |name| vars.remove(name).with_context(|| format!("{name} is missing"));
        Ok(Self {
            database_url: take("DATABASE_URL")?,
            database_ca,
            aws_endpoint_url: take("AWS_ENDPOINT_URL")?,
            aws_ca,
            bin: take("DOWNPIPE_STACK_BIN")?.into(),
            caches,
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
    url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/')
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
            aws_ca: Some("/with space/aws-ca.pem".into()),
            bin: "/with space/and 'quotes'/bin".into(),
            caches: Some(Caches {
                valkey_url: "valkey://u@localhost:6379/stack".into(),
                valkey_address: "127.0.0.1:6380".into(),
                authority: "/with space/cache-ca.pem".into(),
                memcached_url: "memcached://127.0.0.1:11211".into(),
            }),
            for_tests: Some(ForTests {
                mariadb_url: "mysql://u:p@127.0.0.1:3307".into(),
                localstack_endpoint_url: "http://127.0.0.1:4567".into(),
                moto_endpoint_url: "http://127.0.0.1:4568".into(),
                python: "/with space/python".into(),
            }),
        }
    }

    #[test]
    fn env_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        for env in [awkward(), StackEnv { for_tests: None, caches: None, database_ca: None, ..awkward() }] {
            env.save(&paths).unwrap();
            assert_eq!(StackEnv::read(&paths).unwrap(), env);
        }
    }

    #[test]
    fn env_file_in_a_shell_has_the_same_values() {
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
    fn env_file_that_is_damaged_is_refused_with_the_reason() {
        let error = |text: &str| format!("{:#}", StackEnv::from_shell(text).unwrap_err());
        assert_eq!(error(""), "DATABASE_URL is missing");
        assert_eq!(error("rm -rf /"), "not an assignment: rm -rf /");
        assert_eq!(error("export A=plain"), "A is not quoted as expected");
        assert_eq!(error("export A='a'b'"), "A is not quoted as expected");
    }

    #[test]
    fn env_without_a_stack_says_what_to_do() {
        let err = StackEnv::load(&Paths::under(Path::new("/nonexistent"))).unwrap_err();
        assert_eq!(err.to_string(), NOT_UP);
    }
}
