//! Tests which servers receive a login: only verified ones, also while passwords rotate and tokens
//! expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use downpipe_app::config::{DatabaseConfig, LoginConfig};
use downpipe_app::services;
use downpipe_aws::SecretLogin;
use downpipe_core::ledger::LedgerError;
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginError, LoginSource};
use downpipe_core::source::{RowSource as _, SourceError};
use downpipe_core::testing::FixedLogin;
use downpipe_mysql::{Database, MySqlSource, RootCertificates};
use downpipe_tests::database::{TestDatabase, account, root_certificates, root_certificates_file};
use downpipe_tests::rows::{CsvSink, query};
use downpipe_tests::secret_user::SecretUser;
use downpipe_tests::tls::{Certificate, CertificateAuthority, Received, RecordingServer};
use downpipe_tests::{aws, eventually, unique};

const PASSWORD: &str = "correct horse battery staple";

/// Returns the error of a query on a database that refuses the login.
async fn refused<L: LoginSource>(database: Database<L>) -> SourceError {
    MySqlSource::new(database).read(&query("SELECT 1"), &mut CsvSink::new()).await.unwrap_err()
}

/// Returns the login of the stack's user at this host name.
fn login_at(host: &str) -> FixedLogin {
    let account = Account { host: host.to_owned(), ..account("downpipe") };
    FixedLogin::new(Login { account, credential: Credential::Password("downpipe".to_owned()) })
}

fn login_of(server: &RecordingServer, credential: Credential) -> FixedLogin {
    let (host, username) = ("localhost".to_owned(), "export".to_owned());
    FixedLogin::new(Login {
        account: Account { host, port: server.port, username, database: None },
        credential,
    })
}

#[tokio::test]
async fn login_with_known_authority_is_encrypted() {
    for host in ["127.0.0.1", "localhost"] {
        let source = MySqlSource::new(Database::with_login(login_at(host), root_certificates()));
        let mut sink = CsvSink::new();
        let cipher = "SELECT variable_value <> '' AS encrypted FROM performance_schema.session_status \
                      WHERE variable_name = 'Ssl_cipher'";
        source.read(&query(cipher), &mut sink).await.unwrap();
        assert_eq!(sink.text(), "encrypted\n1\n", "{host}");
    }
}

/// A wrong authority is a permanent error, so the worker does not retry.
#[tokio::test]
async fn login_with_wrong_authority_fails_with_the_reason_and_no_retry() {
    let other = RootCertificates::from_pem(CertificateAuthority::new().pem.as_bytes()).unwrap();
    for root_certificates in [RootCertificates::rds(), other] {
        let error = refused(Database::with_login(login_at("127.0.0.1"), root_certificates.clone())).await;
        let SourceError::Untrusted(reason) = &error else { panic!("{error:?}") };
        assert_eq!(
            reason.to_string(),
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_DATABASE_CA names the root certificates of a server that is not RDS's)"
        );
        let ledger = downpipe_mysql::ledger(Database::with_login(login_at("127.0.0.1"), root_certificates));
        let error = ledger.latest(1).await.unwrap_err();
        assert!(matches!(error, LedgerError::Failed(_)), "{error:?}");
    }
}

/// Returns certificates of wrong servers, each with its error message.
fn wrong_servers(authority: &CertificateAuthority) -> [(Option<Certificate>, &'static str); 4] {
    [
        (None, "expected an encrypted connection, the server offers none"),
        (
            Some(CertificateAuthority::new().certificate("localhost")),
            "expected a certificate of a trusted authority, got one of another issuer \
             (DOWNPIPE_DATABASE_CA names the root certificates of a server that is not RDS's)",
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
async fn unverified_server_receives_no_login() {
    let authority = CertificateAuthority::new();
    let root_certificates = RootCertificates::from_pem(authority.pem.as_bytes()).unwrap();
    for plugin in ["caching_sha2_password", "mysql_clear_password"] {
        for credential in [Credential::Password(PASSWORD.to_owned()), Credential::Token(PASSWORD.to_owned())]
        {
            for (certificate, expected) in wrong_servers(&authority) {
                let server = RecordingServer::start(certificate, plugin);
                let login = login_of(&server, credential.clone());
                let error = refused(Database::with_login(login, root_certificates.clone())).await;
                let SourceError::Untrusted(reason) = &error else { panic!("{expected}: {error:?}") };
                assert_eq!(reason.to_string(), expected);
                let Received { connections, logins, passwords } = server.received();
                assert_eq!((connections, logins.len(), passwords.len()), (1, 0, 0), "{expected}");
            }
        }
    }
}

/// The clear-text plugin is only for tokens, each of which is valid at one server only.
#[tokio::test]
async fn password_requested_in_clear_text_is_not_sent() {
    let authority = CertificateAuthority::new();
    let server = RecordingServer::start(Some(authority.certificate("localhost")), "caching_sha2_password");
    let login = login_of(&server, Credential::Password(PASSWORD.to_owned()));
    let root_certificates = RootCertificates::from_pem(authority.pem.as_bytes()).unwrap();
    let error = refused(Database::with_login(login, root_certificates)).await;
    assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}");
    let Received { logins, passwords, .. } = server.received();
    assert_eq!((logins.len(), passwords.len()), (1, 0));
    let said = String::from_utf8_lossy(&logins[0]);
    assert!(said.contains("export") && !said.contains(PASSWORD), "{said}");
}

/// The secret names the account, and every connection has its own token.
#[tokio::test]
async fn token_login_at_a_verified_server_sends_a_token() {
    let authority = CertificateAuthority::new();
    let server = RecordingServer::start(Some(authority.certificate("localhost")), "caching_sha2_password");
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
    let Received { logins, passwords, .. } = server.received();
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

/// A login from a secret, with a count of how often it was refetched.
#[derive(Debug)]
struct CountingLogin {
    secret: SecretLogin,
    refetched: Arc<AtomicUsize>,
}

impl LoginSource for CountingLogin {
    async fn login(&self, freshness: Freshness) -> Result<Login, LoginError> {
        if freshness == Freshness::Refetched {
            self.refetched.fetch_add(1, Ordering::Relaxed);
        }
        self.secret.login(freshness).await
    }
}

/// A user with a login that counts its refetches.
struct User<'a> {
    name: String,
    database: &'a TestDatabase,
    aws: aws_config::SdkConfig,
    secret_user: SecretUser<'a>,
}

impl<'a> User<'a> {
    async fn create(database: &'a TestDatabase) -> Self {
        let aws = aws::localstack().await;
        let Account { host, port, .. } = account("");
        let secret_user = SecretUser::create(database, &aws, (&host, port)).await;
        Self { name: secret_user.name.clone(), database, aws, secret_user }
    }

    fn login(&self) -> (Database<CountingLogin>, Arc<AtomicUsize>) {
        let refetched = Arc::new(AtomicUsize::new(0));
        let secret = SecretLogin::new(&self.aws, &self.secret_user.secret);
        let counted = CountingLogin { secret, refetched: Arc::clone(&refetched) };
        (Database::with_login(counted, root_certificates()), refetched)
    }

    async fn rotate(&self) {
        self.secret_user.rotate().await;
    }

    /// Kills the user's idle connections.
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

#[tokio::test]
async fn password_rotated_during_an_export_disturbs_nothing() {
    let database = TestDatabase::migrated().await;
    let user = User::create(&database).await;
    let (for_source, source_refetched) = user.login();
    let (for_ledger, ledger_refetched) = user.login();
    let (source, ledger) = (MySqlSource::new(for_source), downpipe_mysql::ledger(for_ledger));
    ledger.latest(1).await.unwrap();

    // The query waits for a lock that the test holds until the password has been rotated.
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
        let error = refused(Database::with_login(FixedLogin::new(old), root_certificates())).await;
        assert!(matches!(error, SourceError::LoginRefused(_)), "{error:?}");
        ledger.latest(1).await.expect("its connection lives on");
        assert_eq!(ledger_refetched.load(Ordering::Relaxed), 0);

        user.cut_idle().await;
        // The ledger may notice the cut only when a statement fails.
        eventually("the ledger connects again", async || ledger.latest(1).await.ok()).await;
        assert_eq!(ledger_refetched.load(Ordering::Relaxed), 1);
        let release = sqlx::query("SELECT RELEASE_LOCK(?)").bind(&lock).execute(&mut holder);
        release.await.unwrap();
    };
    let (exported, ()) = tokio::join!(export, rotation);
    exported.unwrap();
    assert_eq!(sink.text(), "got\n1\n");
    assert_eq!(source_refetched.load(Ordering::Relaxed), 0, "one connection, from beginning to end");

    // The ledger keeps the refetched login for its next connection.
    user.cut_idle().await;
    eventually("the ledger connects again", async || ledger.latest(1).await.ok()).await;
    assert_eq!(ledger_refetched.load(Ordering::Relaxed), 1);
    // The next export refetches the password by itself.
    let mut sink = CsvSink::new();
    source.read(&query("SELECT 1 AS a"), &mut sink).await.unwrap();
    assert_eq!((sink.text().as_str(), source_refetched.load(Ordering::Relaxed)), ("a\n1\n", 1));
    user.secret_user.drop().await;
}

/// Wrong settings are reported before any connection.
#[tokio::test]
async fn impossible_login_settings_are_refused_before_connecting() {
    let aws = aws::localstack().await;
    let said = |login: LoginConfig, ca: Option<&str>| {
        let config = DatabaseConfig::Login { login, ca: ca.map(Into::into) };
        let error = services::database(&config, &aws).map(drop).unwrap_err();
        downpipe_core::error_chain::error_chain(&error)
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
    let config = DatabaseConfig::Login { login: secret(), ca: Some(root_certificates_file().to_owned()) };
    services::database(&config, &aws).unwrap();
}

/// People write URLs without `ssl-mode`. On a loopback address no third party can listen; any other
/// server must prove its identity first. (0.0.0.0 reaches this machine, and is no loopback
/// address.)
#[tokio::test]
async fn url_with_a_password_goes_to_a_verified_server_only_and_the_error_names_ssl_mode() {
    let authority = CertificateAuthority::new();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &authority.pem).unwrap();
    let aws = aws::localstack().await;
    let database = |url: String, trusting: bool| {
        let ca = trusting.then(|| ca.path().to_owned());
        services::database(&DatabaseConfig::Url { url, ca }, &aws).unwrap()
    };
    let url = |server: &RecordingServer, host: &str, options: &str| {
        format!("mysql://export:hunter2@{host}:{}/shop{options}", server.port)
    };
    let plugin = "caching_sha2_password";
    for certificate in [
        None,
        Some(CertificateAuthority::new().certificate("0.0.0.0")),
        Some(authority.certificate("localhost")),
    ] {
        let server = RecordingServer::start(certificate, plugin);
        let error = refused(database(url(&server, "0.0.0.0", ""), true)).await;
        let SourceError::Untrusted(reason) = &error else { panic!("{error:?}") };
        assert!(reason.to_string().contains("ssl-mode"), "{reason}");
        assert!(!reason.to_string().contains("hunter2"), "{reason}");
        let Received { connections, logins, passwords } = server.received();
        assert_eq!((connections, logins.len(), passwords.len()), (1, 0, 0));
    }
    for (host, options, trusting) in
        [("0.0.0.0", "", true), ("0.0.0.0", "?ssl-mode=REQUIRED", false), ("127.0.0.1", "", false)]
    {
        let server = RecordingServer::start(Some(authority.certificate("0.0.0.0")), plugin);
        let error = refused(database(url(&server, host, options), trusting)).await;
        assert!(!matches!(error, SourceError::Untrusted(_)), "{host}{options}: {error:?}");
        assert_eq!(server.received().logins.len(), 1, "{host}{options}");
    }
    let server = RecordingServer::start(Some(authority.certificate("0.0.0.0")), plugin);
    let error = refused(database(url(&server, "0.0.0.0", ""), false)).await;
    assert!(
        matches!(error, SourceError::Untrusted(_)),
        "only RDS's root_certificates are built in: {error:?}"
    );
}
