//! Tests migrations on servers with unusual settings, and after a failure midway.

use std::time::Duration;

use downpipe_aws::SecretLogin;
use downpipe_core::error_chain::error_chain;
use downpipe_core::testing::contracts::ledger_contract;
use downpipe_mysql::{Database, MigrateError, MySqlJobTable, migrate};
use downpipe_tests::database::{LEDGER_TABLES, Server, TestDatabase};
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::unique;
use sqlx::Row as _;

/// Settings that shorten keys, change the meaning of quotes and backslashes, and leave writes
/// uncommitted.
const ODD: [&str; 3] = [
    "--innodb-default-row-format=compact",
    "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE",
    "--autocommit=0",
];

/// Creates the tables, and runs the ledger's contract on them.
async fn assert_keeps_the_contract(database: &TestDatabase) {
    let migrated = migrate(&database.database()).await.unwrap();
    assert_eq!((migrated.applied, migrated.completed), (vec![(1, "jobs")], false));
    let again = migrate(&database.database()).await.unwrap();
    assert_eq!((again.applied, again.completed), (vec![], false), "there is nothing to do");
    ledger_contract(
        async || {
            database.empty_ledger().await;
            MySqlJobTable::new(database.database())
        },
        async |_, time| tokio::time::sleep(time + Duration::from_millis(20)).await,
    )
    .await;
}

#[tokio::test]
async fn ledger_on_mysql_with_odd_settings_keeps_the_contract() {
    let server = PrivateServer::start(Server::MySql, &ODD).await;
    let database = server.create_database().await;
    database.execute("SET GLOBAL sql_select_limit = 1").await;
    assert_keeps_the_contract(&database).await;
    database.execute("SET GLOBAL super_read_only = 1").await;
    let ledger = downpipe_mysql::ledger(database.database());
    let body = r#"{"export":"orders"}"#;
    let message = downpipe_core::message::Message::parse(body);
    let job = downpipe_core::job::NewJob::of(&message, "m", body).unwrap();
    let words = error_chain(&ledger.accept(&job).await.unwrap_err());
    assert!(words.contains("read-only server") && words.contains("1290"), "{words}");
    let error = migrate(&database.database()).await.unwrap_err();
    assert!(matches!(error, MigrateError::ReadOnly(_)), "{error:?}");
    database.execute("SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0").await;
}

#[tokio::test]
async fn ledger_on_mariadb_with_odd_settings_keeps_the_contract() {
    let server = PrivateServer::start(Server::MariaDb, &ODD).await;
    assert_keeps_the_contract(&server.create_database().await).await;
}

#[tokio::test]
async fn migrations_run_again_or_concurrently_apply_once() {
    let database = TestDatabase::create().await;
    let (a, b) = tokio::join!(async { migrate(&database.database()).await }, async {
        migrate(&database.database()).await
    });
    let applied = a.unwrap().applied.len() + b.unwrap().applied.len();
    assert_eq!(applied, 1, "one run applied it, and the other waited");
    migrate(&database.database()).await.unwrap();
    let tables: Vec<String> = database.query("SHOW TABLES").await.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        tables,
        [
            "downpipe_downloads",
            "downpipe_ended_sessions",
            "downpipe_job_aliases",
            "downpipe_jobs",
            "downpipe_migrations",
        ],
        "the application's own tables stay apart"
    );
}

/// The user may create the first table and not the second. MySQL keeps the first.
#[tokio::test]
async fn migration_that_failed_midway_is_completed_by_the_next_run() {
    let database = TestDatabase::create().await;
    let user = unique("migrate").replace('-', "_");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await;
    let mut url = url::Url::parse(&database.url).unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("secret")).unwrap();
    let as_user = || Database::<SecretLogin>::at_url(url.as_str()).unwrap();
    let grant = async |table: &str| {
        let grants = "CREATE, SELECT, INSERT, UPDATE, DELETE";
        database.execute(&format!("GRANT {grants} ON {}.{table} TO '{user}'@'%'", database.name)).await;
    };
    grant("downpipe_migrations").await;
    for table in LEDGER_TABLES {
        for _ in 0..2 {
            let error = migrate(&as_user()).await.unwrap_err();
            assert!(matches!(error, MigrateError::Statement(_)), "{error:?}");
            let words = error_chain(&error);
            assert!(words.contains(table) && words.contains("run `downpipe migrate` again"), "{words}");
            assert!(words.contains("downpipe_migrations") && !words.contains("_sqlx"), "{words}");
        }
        grant(table).await;
    }
    let migrated = migrate(&as_user()).await.unwrap();
    assert_eq!((migrated.applied, migrated.completed), (vec![(1, "jobs")], true));
    let again = migrate(&as_user()).await.unwrap();
    assert_eq!((again.applied, again.completed), (vec![], false));
    assert_eq!(downpipe_mysql::ledger(as_user()).latest(1).await.unwrap(), []);
    database.execute(&format!("DROP USER '{user}'@'%'")).await;
}

/// A developer's database, from a time with several migrations.
#[tokio::test]
async fn tables_of_an_unreleased_version_are_refused_with_the_fix() {
    for (sql, what) in [
        ("UPDATE downpipe_migrations SET checksum = 'another'", "a migration of another text"),
        (
            "INSERT INTO downpipe_migrations (version, description, success, checksum, execution_time) \
             VALUES (2, 'continuing', TRUE, 'x', 1)",
            "a migration that is no more",
        ),
        (
            "ALTER TABLE downpipe_jobs DROP COLUMN attempts_since_progress; UPDATE downpipe_migrations SET success = FALSE",
            "a table of another shape, from a migration that failed",
        ),
    ] {
        let database = TestDatabase::migrated().await;
        database.execute(sql).await;
        let error = migrate(&database.database()).await.unwrap_err();
        assert!(matches!(error, MigrateError::OtherVersion), "{what}: {error:?}");
        let words = error.to_string();
        assert!(words.contains("drop the five and run `downpipe migrate` again"), "{words}");
        database.execute(&format!("DROP TABLE {}, downpipe_migrations", LEDGER_TABLES.join(", "))).await;
        migrate(&database.database()).await.unwrap();
    }
}
