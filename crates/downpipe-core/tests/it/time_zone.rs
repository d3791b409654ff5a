//! Tests a definition's time zone: how it is parsed, what its date parameters mean, and what its
//! files show.

use std::time::Duration;

use downpipe_core::catalog::{Definition, ParamType};
use downpipe_core::export as pipeline;
use downpipe_core::export::{ExportError, ExportPlan, ResultColumn};
use downpipe_core::failure::of_export;
use downpipe_core::job::{JobAttempt, JobId, Receipt};
use downpipe_core::message::RawParam;
use downpipe_core::source::CancellationToken;
use downpipe_core::testing::{MemoryStore, OwnedCell, RecordingProgress, ScriptedSource};
use downpipe_format::{Column, ColumnKind, Date, Time};
use insta::assert_snapshot;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::params::param;
use crate::samples::{accept, catalog};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn parse(text: &str) -> Definition {
    Definition::parse("exports/orders.toml", text).unwrap()
}

fn warnings(text: &str) -> Vec<String> {
    parse(text).warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn time_zone_left_out_is_utc() {
    assert_eq!(parse("title = 'T'\nsql = 'SELECT 1'").time_zone, TimeZone::UTC);
    let tokyo = parse("title = 'T'\ntime_zone = 'Asia/Tokyo'\nsql = 'SELECT 1'");
    assert_eq!(tokyo.time_zone, zone("Asia/Tokyo"));
}

#[test]
fn time_zone_of_an_unknown_name_is_refused_with_its_line() {
    let refused = |name: &str| {
        let text = format!("title = 'T'\ntime_zone = '{name}'\nsql = 'SELECT 1'");
        Definition::parse("exports/orders.toml", &text).unwrap_err().to_string()
    };
    assert_snapshot!(refused("Tokyo"), @r#"exports/orders.toml:2: time_zone: expected a name of the IANA time zone database such as "Asia/Tokyo", got "Tokyo""#);
    for name in ["", "SYSTEM", "+09:00", "JST-9", "Etc/Unknown"] {
        assert!(refused(name).contains("expected a name of the IANA"), "{name}");
    }
}

#[test]
fn profile_shows_instants_in_the_definitions_zone_unless_it_says_otherwise() {
    let definition = parse(
        "title = 'T'\ntime_zone = 'Asia/Tokyo'\nsql = 'SELECT 1'\n[profiles.mine]\n[profiles.utc]\ntime_zone = 'UTC'",
    );
    for (name, shown_in) in [
        ("plain", Some("Asia/Tokyo")),
        ("excel", Some("Asia/Tokyo")),
        ("mine", Some("Asia/Tokyo")),
        ("utc", Some("UTC")),
        ("lossless", None),
    ] {
        assert_eq!(definition.profile(name).unwrap().time_zone, shown_in.map(zone), "{name}");
    }
    let style = &definition.output.style;
    assert_eq!((style.time_zone(), style.session_zone()), (zone("Asia/Tokyo"), &zone("Asia/Tokyo")));
}

#[test]
fn requested_style_has_the_definitions_zone() {
    let catalog = catalog("title = 'T'\ntime_zone = 'Asia/Tokyo'\nsql = 'SELECT 1'");
    let style = |fields: &str| {
        accept(&catalog, &format!(r#"{{"export": "orders"{fields}}}"#)).map(|request| request.style).unwrap()
    };
    for (fields, shown_in) in [
        ("", "Asia/Tokyo"),
        (r#", "profile": "excel", "format": "xlsx""#, "Asia/Tokyo"),
        (r#", "profile": "lossless""#, "UTC"),
        (r#", "format": "parquet""#, "UTC"),
    ] {
        let style = style(fields);
        assert_eq!(
            (style.time_zone(), style.session_zone()),
            (zone(shown_in), &zone("Asia/Tokyo")),
            "{fields}"
        );
    }
}

fn date_time(text: &str, zone_name: &str) -> Result<String, String> {
    let read = param(ParamType::DateTime).read(
        "params.at",
        Some(&RawParam::Text(text.to_owned())),
        &zone(zone_name),
    );
    read.map(|value| value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn datetime_is_local_time_and_an_offset_is_converted_to_it() {
    for (text, zone, expected) in [
        ("2026-01-31T23:59:59.5", "Asia/Tokyo", "2026-01-31T23:59:59.5"),
        ("2026-01-31T15:00:00Z", "Asia/Tokyo", "2026-02-01T00:00:00"),
        ("2026-01-31T15:00:00+01:00", "Asia/Tokyo", "2026-01-31T23:00:00"),
        ("2026-01-01T00:00:00Z", "America/New_York", "2025-12-31T19:00:00"),
        ("2026-07-01T00:00:00Z", "America/New_York", "2026-06-30T20:00:00"),
        ("9999-12-31T23:59:59.999999", "Europe/Berlin", "9999-12-31T23:59:59.999999"),
        ("1000-01-01T00:00:00", "Europe/Berlin", "1000-01-01T00:00:00"),
        ("2026-03-29T01:59:59.999999", "Europe/Berlin", "2026-03-29T01:59:59.999999"),
        ("2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T03:00:00"),
        ("2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T03:00:00"),
    ] {
        assert_eq!(date_time(text, zone).as_deref(), Ok(expected), "{text} in {zone}");
    }
}

#[test]
fn datetime_that_the_clock_skips_or_shows_twice_is_rejected_by_its_field() {
    assert_snapshot!(date_time("2026-03-29T02:30:00", "Europe/Berlin").unwrap_err(), @r#"params.at: expected a time that the clocks of Europe/Berlin show once; on this day they skip 02:30:00, got "2026-03-29T02:30:00""#);
    assert_snapshot!(date_time("2026-10-25T02:30", "Europe/Berlin").unwrap_err(), @r#"params.at: expected a time that the clocks of Europe/Berlin show once; on this day they show twice 02:30:00, got "2026-10-25T02:30""#);
    // An offset distinguishes the two instants, but the database would not know it.
    assert!(date_time("2026-10-25T02:30:00+02:00", "Europe/Berlin").unwrap_err().contains("show twice"));
    assert!(date_time("2026-11-01T01:30:00", "America/New_York").unwrap_err().contains("show twice"));
    assert_eq!(date_time("2026-10-25T02:30:00", "UTC").as_deref(), Ok("2026-10-25T02:30:00"));
}

#[test]
fn date_of_a_day_that_begins_twice_or_late_is_accepted() {
    for (zone, day) in [("Atlantic/Azores", "2026-10-25"), ("America/Sao_Paulo", "2018-11-04")] {
        let catalog = catalog(&format!(
            "title = 'T'\ntime_zone = '{zone}'\nsql = 'SELECT 1 WHERE :d'\n[params.d]\ntype = 'date'"
        ));
        let request =
            accept(&catalog, &format!(r#"{{"export": "orders", "params": {{"d": "{day}"}}}}"#)).unwrap();
        assert_eq!(request.params["d"].to_string(), day);
    }
}

#[test]
fn default_of_a_datetime_parameter_is_read_in_the_definitions_zone() {
    let text = "title = 'T'\ntime_zone = 'Asia/Tokyo'\nsql = 'SELECT 1 WHERE :at'\n[params.at]\ntype = 'datetime'\n\
                default = 2026-01-31T15:00:00Z";
    let default = parse(text).params["at"].default.clone().unwrap();
    assert_eq!(default.to_string(), "2026-02-01T00:00:00");
}

#[test]
fn fingerprint_differs_where_only_the_zone_differs() {
    let fingerprint = |zone: &str| {
        let catalog = catalog(&format!("title = 'T'\ntime_zone = '{zone}'\nsql = 'SELECT 1'"));
        accept(&catalog, r#"{"export": "orders"}"#).unwrap().fingerprint()
    };
    assert_ne!(fingerprint("Asia/Tokyo"), fingerprint("Asia/Seoul"));
}

#[test]
fn time_function_without_a_zone_gives_a_warning() {
    let warned = |zone: &str, sql: &str| warnings(&format!("title = 'T'\n{zone}sql = '''\n{sql}'''"));
    assert_snapshot!(warned("", "SELECT id,\n  Date(ts), NOW ( )\nFROM t WHERE a < current_date AND b > now()").join("\n"), @r#"exports/orders.toml:4: sql: DATE, NOW, CURRENT_DATE may depend on the time zone, and the definition names none: it is evaluated in UTC. Write the zone in which it is meant, such as time_zone = "Asia/Tokyo", or time_zone = "UTC""#);
    let none: [String; 0] = [];
    for sql in [
        "SELECT 'NOW()', `NOW`, created_now, date, year FROM t -- NOW()",
        "SELECT CAST(a AS TIME(6)), DATE '2026-01-01', UTC_TIMESTAMP(), hour FROM t",
    ] {
        assert_eq!(warned("", sql), none, "{sql}");
    }
    for zone in ["time_zone = 'UTC'\n", "time_zone = 'Asia/Tokyo'\n"] {
        assert_eq!(warned(zone, "SELECT NOW()"), none);
    }
    for function in ["UNIX_TIMESTAMP(a)", "FROM_UNIXTIME(a)", "SYSDATE()", "LOCALTIME", "EXTRACT(DAY FROM a)"]
    {
        assert_eq!(warned("", &format!("SELECT {function}")).len(), 1, "{function}");
    }
}

/// Exports one row of a `TIMESTAMP` under the name `ts`.
async fn export(definition: &str, fields: &str) -> Result<Receipt, ExportError> {
    let catalog = catalog(definition);
    let request = accept(&catalog, &format!(r#"{{"export": "orders"{fields}}}"#)).unwrap();
    let column = Column { name: "ts".to_owned(), kind: ColumnKind::Timestamp { fraction: 0 } };
    let cell =
        OwnedCell::DateTime(Date { year: 2026, month: 1, day: 1 }, Time { hours: 9, ..Time::default() });
    let source = ScriptedSource::new(vec![column], vec![vec![cell]]);
    let token = JobAttempt { job: JobId::of_unreadable("zone", ""), attempt: 1 };
    let deadline = Instant::now() + Duration::from_secs(60);
    let plan = ExportPlan::new(&request, "key".to_owned(), token, deadline, CancellationToken::new());
    let exported = pipeline::export(&source, &MemoryStore::new(), &RecordingProgress::new(), &plan).await;
    exported.map(|exported| exported.into_receipt().unwrap()).map_err(|broken| broken.error)
}

const RESUMED: &str =
    "sql = 'SELECT ts FROM t WHERE ts > :after ORDER BY ts'\n[resume]\ncolumn = 'ts'\nstart = '1970-01-02'";

#[test]
fn check_refuses_timestamps_that_are_not_one_instant_with_their_lines() {
    let errors = |zone: &str, output: &str| -> Vec<String> {
        let definition = parse(&format!("title = 'T'\ntime_zone = '{zone}'\n{RESUMED}\n{output}"));
        let kind = ColumnKind::Timestamp { fraction: 0 };
        let column = Column { name: "ts".to_owned(), kind };
        let columns = [ResultColumn { column, type_name: "TIMESTAMP".to_owned(), nullable: false }];
        definition.check_columns(&columns).errors.iter().map(ToString::to_string).collect()
    };
    let lossless = "[output]\nprofile = 'lossless'";
    let found = errors("Europe/Berlin", lossless);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("exports/orders.toml:3: columns.ts: a TIMESTAMP arrives as local time"));
    assert!(
        found[1].starts_with("exports/orders.toml:4: resume.column: expected a column that is no TIMESTAMP")
    );
    assert_eq!(errors("Europe/Berlin", "").len(), 1, "the file itself may have local time");
    for zone in ["Asia/Tokyo", "UTC"] {
        assert!(errors(zone, lossless).is_empty(), "{zone}");
    }
}

#[tokio::test]
async fn receipt_names_the_zone_of_the_query_and_that_of_the_file() {
    let definition = "title = 'T'\ntime_zone = 'Asia/Tokyo'\nsql = 'SELECT ts FROM t'";
    for (fields, shown_in) in [("", "Asia/Tokyo"), (r#", "profile": "lossless""#, "UTC")] {
        let receipt = export(definition, fields).await.unwrap();
        assert_eq!((receipt.sql_time_zone.as_str(), receipt.time_zone.as_str()), ("Asia/Tokyo", shown_in));
    }
}

#[tokio::test]
async fn timestamp_as_resume_key_is_refused_where_clocks_were_changed() {
    let error =
        export(&format!("title = 'T'\ntime_zone = 'Europe/Berlin'\n{RESUMED}"), "").await.unwrap_err();
    let (_, failure) = of_export(&error);
    assert!(failure.for_operator);
    assert_snapshot!(failure.words(downpipe_core::language::Language::En).message, @r#"The export's definition does not fit its query: resume.column: expected a column that is no TIMESTAMP, because the clocks of Europe/Berlin have been changed and the same local time can be two instants, got "ts". Set time_zone = "UTC", or resume by UNIX_TIMESTAMP(ts)."#);
    for zone in ["Asia/Tokyo", "UTC"] {
        export(&format!("title = 'T'\ntime_zone = '{zone}'\n{RESUMED}"), "").await.unwrap();
    }
}

#[tokio::test]
async fn timestamp_that_cannot_be_shown_in_utc_fails_as_the_definitions_fault() {
    let definition = "title = 'T'\ntime_zone = 'Europe/Berlin'\nsql = 'SELECT ts FROM t'";
    export(definition, "").await.unwrap();
    let error = export(definition, r#", "profile": "lossless""#).await.unwrap_err();
    let (_, failure) = of_export(&error);
    assert_eq!((failure.code.as_str(), failure.for_operator), ("definition", true));
    assert!(
        failure.words(downpipe_core::language::Language::En).message.contains("select UNIX_TIMESTAMP(ts)"),
        "{}",
        failure.words(downpipe_core::language::Language::En).message
    );
}
