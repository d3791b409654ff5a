//! Who is let near the login: verified servers, passwords that are rotated, tokens that are made for one connection.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use downpipe_aws::{IamLogin, SecretLogin, database_token};
use downpipe_core::ledger::{Ledger as _, LedgerError};
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use downpipe_core::source::{RowSource as _, SourceError};
use downpipe_core::testing::FixedLogin;
use downpipe_mysql::{Authorities, Database, MySqlLedger, MySqlSource};
use downpipe_tests::database::{TestDatabase, account, authorities, authorities_file};
use downpipe_tests::rows::{CsvSink, query};
use downpipe_tests::tls::{Authority, Certificate, CuriousServer, Heard};
use downpipe_tests::{STACK, aws, eventually, unique};
use downpipe_worker::config::{DatabaseConfig, LoginConfig};
use downpipe_worker::services;
use jiff::Timestamp;

const PASSWORD: &str = "correct horse battery staple";

/// The error of a query on a database that lets nobody in.
async fn refused<L: LoginSource>(database: Database<L>) -> SourceError {
    MySqlSource::new(database).read(&query("SELECT 1"), &mut CsvSink::new()).await.unwrap_err()
}

/// The stack's own user, at another name of the server's.
fn login_at(host: &str) -> FixedLogin {
    let account = Account { host: host.to_owned(), ..account("downpipe") };
    FixedLogin::new(Login { account, credential: Credential::Password("downpipe".to_owned()) })
}

fn login_of(server: &CuriousServer, credential: Credential) -> FixedLogin {
    let (host, username) = ("localhost".to_owned(), "export".to_owned());
    FixedLogin::new(Login {
        account: Account { host, port: server.port, username, database: None },
        credential,
    })
}

#[tokio::test]
async fn a_login_goes_over_a_verified_connection() {
    for host in ["127.0.0.1", "localhost"] {
        let source = MySqlSource::new(Database::with_login(login_at(host), authorities()));
        let mut sink = CsvSink::new();
        let cipher = "SELECT variable_value <> '' AS encrypted FROM performance_schema.session_status \
                      WHERE variable_name = 'Ssl_cipher'";
        source.read(&query(cipher), &mut sink).await.unwrap();
        assert_eq!(sink.text(), "encrypted\n1\n", "{host}");
    }
}

/// The server is right, but nobody we trust says so. It will not mend itself, so nobody waits for that.
#[tokio::test]
async fn a_wrong_authority_is_said_and_not_tried_again() {
    let other = Authorities::from_pem(Authority::new().pem.as_bytes()).unwrap();
    for authorities in [Authorities::rds(), other] {
        let error = refused(Database::with_login(login_at("127.0.0.1"), authorities.clone())).await;
        let SourceError::Untrusted(reason) = &error else { panic!("{error:?}") };
        assert_eq!(
            reason.to_string(),
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_DATABASE_CA names the authorities of a server that is not RDS's)"
        );
        let ledger = MySqlLedger::new(Database::with_login(login_at("127.0.0.1"), authorities));
        let error = ledger.latest(1).await.unwrap_err();
        assert!(matches!(error, LedgerError::Failed(_)), "{error:?}");
    }
}

/// One way of being the wrong server, and what is said of it.
fn wrong_servers(authority: &Authority) -> [(Option<Certificate>, &'static str); 4] {
    [
        (None, "expected an encrypted connection, the server offers none"),
        (
            Some(Authority::new().certificate("localhost")),
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_DATABASE_CA names the authorities of a server that is not RDS's)",
        ),
        (
            Some(authority.certificate("db.example")),
            "expected a certificate for the host name in the login, got one for other names",
        ),
        (
            Some(authority.expired_certificate("localhost")),
            "expected a valid certificate, got one that has expired",
        ),
    ]
}

#[tokio::test]
async fn a_server_that_has_not_proven_itself_hears_nothing() {
    let authority = Authority::new();
    let authorities = Authorities::from_pem(authority.pem.as_bytes()).unwrap();
    for plugin in ["caching_sha2_password", "mysql_clear_password"] {
        for credential in [Credential::Password(PASSWORD.to_owned()), Credential::Token(PASSWORD.to_owned())]
        {
            for (certificate, expected) in wrong_servers(&authority) {
                let server = CuriousServer::start(certificate, plugin);
                let login = login_of(&server, credential.clone());
                let error = refused(Database::with_login(login, authorities.clone())).await;
                let SourceError::Untrusted(reason) = &error else { panic!("{expected}: {error:?}") };
                assert_eq!(reason.to_string(), expected);
                let Heard { connections, logins, passwords } = server.heard();
                assert_eq!((connections, logins.len(), passwords.len()), (1, 0, 0), "{expected}");
            }
        }
    }
}

/// The plugin for clear text is there for tokens, each of which is worth something to one server only.
#[tokio::test]
async fn a_password_does_not_go_through_the_plugin_for_clear_text() {
    let authority = Authority::new();
    let server = CuriousServer::start(Some(authority.certificate("localhost")), "caching_sha2_password");
    let login = login_of(&server, Credential::Password(PASSWORD.to_owned()));
    let authorities = Authorities::from_pem(authority.pem.as_bytes()).unwrap();
    let error = refused(Database::with_login(login, authorities)).await;
    assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}");
    let Heard { logins, passwords, .. } = server.heard();
    assert_eq!((logins.len(), passwords.len()), (1, 0));
    let said = String::from_utf8_lossy(&logins[0]);
    assert!(said.contains("export") && !said.contains(PASSWORD), "{said}");
}

/// From the settings to the wire: the secret says which account, and every connection has a token of its own.
#[tokio::test]
async fn a_token_goes_out_to_a_verified_server() {
    let authority = Authority::new();
    let server = CuriousServer::start(Some(authority.certificate("localhost")), "caching_sha2_password");
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &authority.pem).unwrap();
    let aws = aws::localstack().await;
    let port = server.port;
    let secret = format!(r#"{{"host":"localhost","port":{port},"username":"export","dbname":"shop"}}"#);
    let secret = aws::secret(&aws, &secret).await;
    let url = format!("mysql://export@localhost:{port}/shop");
    for login in [LoginConfig::TokenForSecret(secret), LoginConfig::TokenForUrl(url)] {
        let config = DatabaseConfig::Login { login, ca: Some(ca.path().to_owned()) };
        let error = refused(services::database(&config, &aws).unwrap()).await;
        assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
    }
    let Heard { logins, passwords, .. } = server.heard();
    // Each was refused, and tried once more.
    assert_eq!((logins.len(), passwords.len()), (4, 4));
    for (login, token) in logins.iter().zip(&passwords) {
        let start =
            format!("localhost:{port}/?Action=connect&DBUser=export&X-Amz-Algorithm=AWS4-HMAC-SHA256&");
        assert!(token.starts_with(&start), "{token}");
        assert!(token.contains("&X-Amz-Expires=900&"), "{token}");
        let login = String::from_utf8_lossy(login);
        assert!(login.contains("export\0") && login.contains("shop\0"), "{login}");
    }
}

/// A worker lives for hours, a token for a quarter of one.
#[tokio::test]
async fn every_connection_has_a_token_of_its_own() {
    let iam = IamLogin::of_account(&aws::localstack().await, account("export")).unwrap();
    let first = iam.login(Freshness::Any).await.unwrap();
    let another = async || (iam.login(Freshness::Any).await.unwrap() != first).then_some(());
    eventually("a token of another second", another).await;
}

#[test]
fn a_token_is_what_botocore_makes_of_the_same_things() {
    let host = "shop.cluster-c1a2b3.eu-central-1.rds.amazonaws.com";
    for (user, session) in [("export", None), ("export", Some("to/ken+with=signs")), ("o'brien @/+é", None)]
    {
        let theirs = token_of_botocore(host, user, session);
        let date = parameter(&theirs, "X-Amz-Date");
        let now = SystemTime::from(jiff_of(date));
        let credentials =
            Credentials::new("AKIDEXAMPLE", "a secret", session.map(str::to_owned), None, "test");
        let account =
            Account { host: host.to_owned(), port: 3306, username: user.to_owned(), database: None };
        let ours = database_token(&account, credentials, "eu-central-1", now).unwrap();
        // The address comes first, then the parameters, which the two order in ways of their own. A signature is made of
        // sorted ones.
        assert_eq!(sorted(&ours), sorted(&theirs));
        assert_eq!(ours.len(), theirs.len());
    }
}

/// With the AWS CLI, which asks botocore's `generate_db_auth_token`.
fn token_of_botocore(host: &str, user: &str, session: Option<&str>) -> String {
    let mut aws = Command::new(STACK.aws_cli());
    STACK.apply_to(&mut aws).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "a secret");
    aws.envs(session.map(|session| ("AWS_SESSION_TOKEN", session)));
    aws.args(["rds", "generate-db-auth-token", "--region", "eu-central-1", "--port", "3306"]);
    let output = aws.args(["--hostname", host, "--username", user]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn parameter<'a>(token: &'a str, name: &str) -> &'a str {
    let parameters = token.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    parameters.into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn jiff_of(date: &str) -> Timestamp {
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp()
}

fn sorted(token: &str) -> Vec<&str> {
    let (address, parameters) = token.split_once('?').unwrap();
    let mut parameters: Vec<&str> = parameters.split('&').collect();
    parameters.sort_unstable();
    parameters.insert(0, address);
    parameters
}

/// A login from a secret, and how often it was fetched afresh.
#[derive(Debug)]
struct Counted {
    secret: SecretLogin,
    refetched: Arc<AtomicUsize>,
}

impl LoginSource for Counted {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        if freshness == Freshness::Refetched {
            self.refetched.fetch_add(1, Ordering::Relaxed);
        }
        self.secret.login(freshness).await
    }
}

/// A user of a test's own whose password is in a secret.
struct User<'a> {
    name: String,
    database: &'a TestDatabase,
    aws: aws_config::SdkConfig,
    secret: String,
}

impl<'a> User<'a> {
    async fn create(database: &'a TestDatabase) -> Self {
        let name = unique("u").replace('-', "");
        let grants = format!("GRANT ALL ON {}.* TO '{name}'@'%'", database.name);
        database.execute(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'old'; {grants}")).await;
        let aws = aws::localstack().await;
        let secret = aws::secret(&aws, &secret_json(&name, "old", database)).await;
        Self { name, database, aws, secret }
    }

    fn login(&self) -> (Database<Counted>, Arc<AtomicUsize>) {
        let refetched = Arc::new(AtomicUsize::new(0));
        let secret = SecretLogin::new(&self.aws, &self.secret);
        let counted = Counted { secret, refetched: Arc::clone(&refetched) };
        (Database::with_login(counted, authorities()), refetched)
    }

    /// As the rotation of Secrets Manager does it: from one moment to the next, the old password is worth nothing.
    async fn rotate(&self) {
        self.database.execute(&format!("ALTER USER '{}'@'%' IDENTIFIED BY 'new'", self.name)).await;
        let value = secret_json(&self.name, "new", self.database);
        let client = aws_sdk_secretsmanager::Client::new(&self.aws);
        client.put_secret_value().secret_id(&self.secret).secret_string(value).send().await.unwrap();
    }

    /// Cuts the connections of the user's that are doing nothing.
    async fn cut_idle(&self) {
        use sqlx::Row as _;
        let idle = format!(
            "SELECT CAST(processlist_id AS UNSIGNED) FROM performance_schema.threads \
             WHERE processlist_user = '{}' AND processlist_command = 'Sleep'",
            self.name
        );
        for row in self.database.query(&idle).await {
            self.database.execute(&format!("KILL {}", row.get::<u64, _>(0))).await;
        }
        eventually("the connection is gone", async || {
            self.database.query(&idle).await.is_empty().then_some(())
        })
        .await;
    }
}

fn secret_json(user: &str, password: &str, database: &TestDatabase) -> String {
    let Account { host, port, .. } = account(user);
    let name = &database.name;
    format!(
        r#"{{"host":"{host}","port":{port},"username":"{user}","password":"{password}","dbname":"{name}"}}"#
    )
}

#[tokio::test]
async fn a_password_that_is_rotated_while_an_export_runs_disturbs_nothing() {
    let database = TestDatabase::migrated().await;
    let user = User::create(&database).await;
    let (for_source, source_refetched) = user.login();
    let (for_ledger, ledger_refetched) = user.login();
    let (source, ledger) = (MySqlSource::new(for_source), MySqlLedger::new(for_ledger));
    ledger.latest(1).await.unwrap();

    // The query waits for a lock that is ours until the password is another.
    let lock = unique("lock");
    let mut holder = database.connect().await;
    let take = sqlx::query("SELECT GET_LOCK(?, 0)").bind(&lock).execute(&mut holder);
    take.await.unwrap();
    let sql = query(&format!("SELECT GET_LOCK('{lock}', 60) AS got"));
    let mut sink = CsvSink::new();
    let export = source.read(&sql, &mut sink);
    let rotation = async {
        eventually("the query runs", async || database.running(&lock).await.first().copied()).await;
        user.rotate().await;
        let old = Login { account: account(&user.name), credential: Credential::Password("old".to_owned()) };
        let error = refused(Database::with_login(FixedLogin::new(old), authorities())).await;
        assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
        ledger.latest(1).await.expect("its connection lives on");
        assert_eq!(ledger_refetched.load(Ordering::Relaxed), 0);

        user.cut_idle().await;
        // Whether the cut is noticed before a statement or by it is a matter of seconds.
        eventually("the ledger connects again", async || ledger.latest(1).await.ok()).await;
        assert_eq!(ledger_refetched.load(Ordering::Relaxed), 1);
        let release = sqlx::query("SELECT RELEASE_LOCK(?)").bind(&lock).execute(&mut holder);
        release.await.unwrap();
    };
    let (exported, ()) = tokio::join!(export, rotation);
    exported.unwrap();
    assert_eq!(sink.text(), "got\n1\n");
    assert_eq!(source_refetched.load(Ordering::Relaxed), 0, "one connection, from beginning to end");

    // What has been fetched is kept: the next connect needs no other.
    user.cut_idle().await;
    eventually("the ledger connects again", async || ledger.latest(1).await.ok()).await;
    assert_eq!(ledger_refetched.load(Ordering::Relaxed), 1);
    // And the next export finds the new password by itself.
    let mut sink = CsvSink::new();
    source.read(&query("SELECT 1 AS a"), &mut sink).await.unwrap();
    assert_eq!((sink.text().as_str(), source_refetched.load(Ordering::Relaxed)), ("a\n1\n", 1));
    database.execute(&format!("DROP USER '{}'@'%'", user.name)).await;
}

/// What is wrong with the settings is said before anything connects.
#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let aws = aws::localstack().await;
    let said = |login: LoginConfig, ca: Option<&str>| {
        let config = DatabaseConfig::Login { login, ca: ca.map(Into::into) };
        let error = services::database(&config, &aws).map(drop).unwrap_err();
        downpipe_core::failure::chain(&error)
    };
    let secret = || LoginConfig::Secret("s".to_owned());
    assert_eq!(
        said(secret(), Some("/nowhere/ca.pem")),
        "DOWNPIPE_DATABASE_CA: the file /nowhere/ca.pem cannot be read: No such file or directory (os error 2)"
    );
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_eq!(
        said(secret(), Some(template)),
        format!(
            "DOWNPIPE_DATABASE_CA: {template}: \
             expected certificates in PEM, -----BEGIN CERTIFICATE----- and so on, got none"
        )
    );
    assert_eq!(
        said(LoginConfig::TokenForUrl("mysql://u:hunter2@h/d".to_owned()), None),
        "DATABASE_URL: expected mysql://USER@HOST:PORT/DATABASE, got a password"
    );
    let bare =
        aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    let config = DatabaseConfig::Login { login: LoginConfig::TokenForSecret("s".to_owned()), ca: None };
    let error = services::database(&config, &bare).map(drop).unwrap_err().to_string();
    assert!(error.starts_with("DOWNPIPE_DATABASE_AUTH: expected AWS settings with "), "{error}");
    let config = DatabaseConfig::Login { login: secret(), ca: Some(authorities_file().to_owned()) };
    services::database(&config, &aws).unwrap();
}
