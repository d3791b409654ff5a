//! Tests a definition's time zone on real servers: the meaning of its days, the times in its file,
//! and its errors.

use std::collections::BTreeMap;

use downpipe_core::export::ExportError;
use downpipe_core::failure::of_export;
use downpipe_core::language::Language;
use downpipe_core::message::{ExportMessage, RawParam};
use downpipe_core::source::SourceError;
use downpipe_tests::database::{SERVERS, Server, TestDatabase};
use downpipe_tests::export::{ExportOutcome, try_export_of};
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::rows::message;
use downpipe_tests::time_zones;
use insta::assert_snapshot;

/// Exports `test` with these parameters and other fields.
async fn try_export(
    database: &TestDatabase,
    definition: &str,
    params: &[(&str, &str)],
    fields: impl FnOnce(&mut ExportMessage),
) -> Result<ExportOutcome, ExportError> {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), RawParam::Text((*value).to_owned()));
    let mut message =
        ExportMessage { params: params.iter().map(text).collect::<BTreeMap<_, _>>(), ..message("test") };
    fields(&mut message);
    try_export_of(database, definition, &message).await
}

/// Exports a definition as plain CSV, and returns the rows without the header.
async fn csv(database: &TestDatabase, definition: &str, params: &[(&str, &str)]) -> String {
    let exported = try_export(database, definition, params, |_| {}).await.unwrap();
    let text = String::from_utf8(exported.bytes()).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

fn definition(zone: &str, sql: &str) -> String {
    format!("title = 'T'\ntime_zone = '{zone}'\nsql = '''{sql}'''\n")
}

fn of_period(zone: &str, sql: &str) -> String {
    let params = "[params.from]\ntype = 'date'\n[params.to]\ntype = 'date'\n";
    format!("{}{params}", definition(zone, sql))
}

/// Returns the failure message of an export that was refused because of its zone.
fn refused(result: Result<ExportOutcome, ExportError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, ExportError::Source(SourceError::TimeZone { .. })), "{error:?}");
    let (_, failure) = of_export(&error);
    assert_eq!((failure.code.as_str(), failure.for_operator), ("definition", true));
    failure.words(Language::En).message
}

#[tokio::test]
async fn dates_in_tokyo_select_tokyo_days_under_any_server_zone() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &["--default-time-zone=+09:00"]).await;
        let database = server.create_database().await;
        database
            .execute(
                "SET time_zone = '+09:00'; CREATE TABLE tz (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL);
                 INSERT INTO tz VALUES (1, '2026-01-01 00:30'), (2, '2026-01-31 23:30'), (3, '2026-02-01 00:30')",
            )
            .await;
        let january = [("from", "2026-01-01"), ("to", "2026-02-01")];
        let sql = "SELECT id, ts, DATE(ts) AS day FROM tz WHERE ts >= :from AND ts < :to ORDER BY id";
        for zone in ["+09:00", "-05:00", "+00:00"] {
            time_zones::set_default(&server, zone).await;
            let in_tokyo = csv(&database, &of_period("Asia/Tokyo", sql), &january).await;
            assert_eq!(in_tokyo, "1,2026-01-01 00:30:00,2026-01-01\n2,2026-01-31 23:30:00,2026-01-31\n");
            let in_utc = csv(&database, &of_period("UTC", sql), &january).await;
            assert_eq!(in_utc, "2,2026-01-31 14:30:00,2026-01-31\n3,2026-01-31 15:30:00,2026-01-31\n");
        }
    }
}

#[tokio::test]
async fn session_clock_follows_the_definitions_zone() {
    for kind in SERVERS {
        let database = TestDatabase::create_on(kind).await;
        let sql = "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) AS now, \
                   TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CAST(CONCAT(CURDATE(), ' ', CURTIME()) AS DATETIME)) AS today, \
                   FROM_UNIXTIME(0) AS first, UNIX_TIMESTAMP('2026-01-01 09:00:00') AS at";
        for (zone, expected) in [
            ("Asia/Tokyo", "32400,32400,1970-01-01 09:00:00,1767225600\n"),
            ("Asia/Kolkata", "19800,19800,1970-01-01 05:30:00,1767238200\n"),
            ("Etc/GMT+5", "-18000,-18000,1969-12-31 19:00:00,1767276000\n"),
            ("UTC", "0,0,1970-01-01 00:00:00,1767258000\n"),
        ] {
            assert_eq!(csv(&database, &definition(zone, sql), &[]).await, expected, "{zone} on {kind:?}");
        }
    }
}

#[tokio::test]
async fn zone_unknown_to_the_server_is_refused_with_the_fix() {
    let berlin = definition("Europe/Berlin", "SELECT 1 AS a");
    let [mysql, mariadb] = SERVERS.map(|kind| async move { TestDatabase::create_on(kind).await });
    let on_mysql = refused(try_export(&mysql.await, &berlin, &[], |_| {}).await);
    assert_snapshot!(on_mysql, @r#"The export's definition does not fit its database: time_zone: expected a time zone that the database server knows, got "Europe/Berlin"; load its time zone tables with mysql_tzinfo_to_sql, on MariaDB with mariadb-tzinfo-to-sql."#);
    assert_eq!(refused(try_export(&mariadb.await, &berlin, &[], |_| {}).await), on_mysql);
}

/// An instant for every hour of several years, with an index and without.
const HOURS: &str = "SET time_zone = '+00:00';
    CREATE TABLE indexed (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, KEY (ts));
    INSERT INTO indexed WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999)
        SELECT a.i * 1000 + b.i, TIMESTAMP'2018-10-01 00:00:00' + INTERVAL a.i * 1000 + b.i HOUR FROM n a, n b WHERE a.i < 72;
    CREATE TABLE plain AS SELECT * FROM indexed";

#[tokio::test]
async fn days_of_23_and_25_hours_select_all_their_hours() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        let database = server.create_database().await;
        database.execute(HOURS).await;
        for (zone, from, to, hours) in [
            ("Europe/Berlin", "2026-03-29", "2026-03-30", 23),
            ("Europe/Berlin", "2026-10-25", "2026-10-26", 25),
            ("Europe/Berlin", "2026-10-26", "2026-10-27", 24),
            ("America/New_York", "2026-03-08", "2026-03-09", 23),
            ("America/New_York", "2026-11-01", "2026-11-02", 25),
            // The clock shows midnight twice.
            ("Atlantic/Azores", "2026-10-24", "2026-10-25", 24),
            ("Atlantic/Azores", "2026-10-25", "2026-10-26", 25),
            // The clock skips midnight.
            ("Atlantic/Azores", "2026-03-29", "2026-03-30", 23),
            ("America/Sao_Paulo", "2018-11-03", "2018-11-04", 24),
            ("America/Sao_Paulo", "2018-11-04", "2018-11-05", 23),
        ] {
            let known = format!("SELECT 1 FROM mysql.time_zone_name WHERE Name = '{zone}'");
            if database.query(&known).await.is_empty() {
                time_zones::load(&server, zone).await;
            }
            for table in ["indexed", "plain"] {
                let sql = format!(
                    "SELECT COUNT(*) AS hours, DATE(MIN(ts)) AS first, DATE(MAX(ts)) AS last \
                     FROM {table} WHERE ts >= :from AND ts < :to"
                );
                let params = [("from", from), ("to", to)];
                let counted = csv(&database, &of_period(zone, &sql), &params).await;
                assert_eq!(counted, format!("{hours},{from},{from}\n"), "{zone}, {table} on {kind:?}");
            }
        }
    }
}

/// The hour that Berlin's clocks show twice, with instants before and after it.
const AUTUMN: &str = "SET time_zone = '+00:00'; CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP(3) NOT NULL);
    INSERT INTO t VALUES (1, '2026-10-24 23:30:00.125'), (2, '2026-10-25 00:30:00.125'), (3, '2026-10-25 01:30:00.125'),
    (4, '2026-10-25 02:30:00.125')";

#[tokio::test]
async fn timestamp_at_a_clock_change_is_local_time_and_refused_in_utc() {
    for kind in SERVERS {
        let server = PrivateServer::start(kind, &[]).await;
        time_zones::load(&server, "Europe/Berlin").await;
        let database = server.create_database().await;
        database.execute(AUTUMN).await;
        let bare = definition("Europe/Berlin", "SELECT id, ts FROM t ORDER BY id");
        let local = csv(&database, &bare, &[]).await;
        assert_eq!(
            local.lines().collect::<Vec<_>>(),
            [
                "1,2026-10-25 01:30:00.125",
                "2,2026-10-25 02:30:00.125",
                "3,2026-10-25 02:30:00.125",
                "4,2026-10-25 03:30:00.125"
            ]
        );
        let lossless = |message: &mut ExportMessage| message.profile = Some("lossless".to_owned());
        let parquet = |message: &mut ExportMessage| message.format = Some("parquet".to_owned());
        for refused in [
            try_export(&database, &bare, &[], lossless).await,
            try_export(&database, &bare, &[], parquet).await,
        ] {
            let (_, failure) = of_export(&refused.unwrap_err());
            assert!(
                failure
                    .words(Language::En)
                    .message
                    .contains("columns.ts: a TIMESTAMP arrives as local time of Europe/Berlin")
            );
        }
        let cured = definition(
            "Europe/Berlin",
            "SELECT UNIX_TIMESTAMP(ts) AS at, TIMESTAMP'1970-01-01 00:00:00' + INTERVAL UNIX_TIMESTAMP(ts) SECOND AS utc \
             FROM t ORDER BY id",
        );
        let exported = try_export(&database, &cured, &[], lossless).await.unwrap();
        let text = String::from_utf8(exported.bytes()).unwrap();
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "1792884600.125,2026-10-24 23:30:00.125",
                "1792888200.125,2026-10-25 00:30:00.125",
                "1792891800.125,2026-10-25 01:30:00.125",
                "1792895400.125,2026-10-25 02:30:00.125"
            ],
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn zone_tables_that_end_too_early_are_refused() {
    let server = PrivateServer::start(Server::MySql, &[]).await;
    time_zones::load(&server, "America/New_York").await;
    // Cuts after the last change in a "slim" file.
    time_zones::cut_off(&server, 1_200_000_000).await;
    let database = server.create_database().await;
    let sql = "SELECT TIMESTAMPDIFF(HOUR, UTC_TIMESTAMP(), NOW()) AS hours";
    let result = try_export(&database, &definition("America/New_York", sql), &[], |_| {}).await;
    assert_snapshot!(refused(result), @r#"The export's definition does not fit its database: time_zone: expected the same rules of "America/New_York" here and in the database server, got others: at 2008-03-09T07:00:00Z the server's clock is not at 2008-03-09 03:00:00; load its time zone tables from current files, made with `zic -b fat`, or update Downpipe, which has its own."#);
}

#[tokio::test]
async fn lossless_file_in_a_zone_loads_back_the_same_instants() {
    for kind in SERVERS {
        let database = TestDatabase::create_on(kind).await;
        let create = "id INT PRIMARY KEY, ts TIMESTAMP(6) NULL, dt DATETIME(6)";
        database
            .execute(&format!(
                "SET time_zone = '+00:00', sql_mode = ''; CREATE TABLE t ({create}); CREATE TABLE copy ({create});
                 INSERT INTO t VALUES (1, '1970-01-01 00:00:01', '1970-01-01 00:00:01'), (2, NULL, NULL),
                 (3, '2026-01-31 15:30:00.123456', '2026-01-31 15:30:00.123456'), (4, '0000-00-00', '0000-00-00'),
                 (5, '2038-01-19 03:14:07.999999', '9999-12-31 23:59:59.999999')"
            ))
            .await;
        let definition =
            definition("Asia/Tokyo", "SELECT * FROM t ORDER BY id") + "[output]\nprofile = 'lossless'\n";
        let exported = try_export(&database, &definition, &[], |_| {}).await.unwrap();
        let receipt = &exported.receipt;
        assert_eq!((receipt.time_zone.as_str(), receipt.sql_time_zone.as_str()), ("UTC", "Asia/Tokyo"));
        let statement =
            format!("{}; {}", receipt.load_session.as_ref().unwrap(), receipt.load_data.as_ref().unwrap());
        let loaded = database.load_data(&statement, exported.file(), "copy").await.unwrap();
        assert_eq!(loaded.counts, "Records: 5  Deleted: 0  Skipped: 0  Warnings: 0", "{loaded:?}");
        let differing =
            "SELECT t.id FROM t JOIN copy USING (id) WHERE NOT (t.ts <=> copy.ts AND t.dt <=> copy.dt)";
        assert_eq!(database.query(differing).await.len(), 0, "{kind:?}");
        assert_eq!(database.query("SELECT id FROM copy").await.len(), 5);
    }
}
