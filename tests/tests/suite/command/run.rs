//! Tests `downpipe run` with every kind of target.

use std::process::Command;

use downpipe_core::job::Receipt;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::{aws, eventually, unique};

use super::{CSV, NUMBERS, RUN, Shell, masked, orders};

#[tokio::test]
async fn run_without_a_target_prints_only_data() {
    let database = orders().await;
    let shell = Shell::on(&database);
    // With data on standard output, there is no JSON.
    for more in [&[][..], &["--to", "-"], &["--to", "-", "--json"]] {
        let ran = shell.run(&[&RUN, more].concat());
        insta::allow_duplicates! {
            insta::assert_snapshot!(masked(&ran.stderr, " in ", " s "), @"
            orders: 2 rows, 54 bytes in … s -> standard output
            SHA-256 164571bfc9ae812bed625cf30844e42f257e15478cc3410836da352080d90f37
            ");
        }
        assert_eq!(ran.printed(), CSV);
    }
    assert_eq!(shell.files(), [""; 0]);
}

#[tokio::test]
async fn run_to_a_file_or_folder_writes_there() {
    let database = orders().await;
    let shell = Shell::on(&database);
    std::fs::create_dir(shell.path("folder")).unwrap();
    let ran = shell.run(&[&RUN[..], &["--to", "out.csv"]].concat());
    insta::assert_snapshot!(masked(&ran.stderr, " in ", " s "), @"
    orders: 2 rows, 54 bytes in … s -> out.csv
    SHA-256 164571bfc9ae812bed625cf30844e42f257e15478cc3410836da352080d90f37
    ");
    assert_eq!((ran.printed().as_str(), shell.read("out.csv").as_str()), ("", CSV));
    assert_eq!(shell.run(&[&RUN[..], &["--to", "folder"]].concat()).printed(), "");
    assert_eq!(shell.read("folder/orders-2026-01-02.csv"), CSV);
    assert_eq!(shell.files(), ["folder", "out.csv"]);
}

#[tokio::test]
async fn run_with_profile_and_json_prints_the_receipt() {
    let database = orders().await;
    let shell = Shell::on(&database);
    let args =
        ["--profile", "excel", "--format", "csv", "--compression", "none", "--to", "out.csv", "--json"];
    let receipt: Receipt = serde_json::from_value(shell.run(&[&RUN[..], &args].concat()).json()).unwrap();
    assert_eq!(shell.read("out.csv"), format!("\u{feff}{}", CSV.replace('\n', "\r\n")));
    assert_eq!(
        (receipt.rows, receipt.profile.as_str(), receipt.files[0].address.as_str()),
        (2, "excel", "out.csv")
    );
    assert_eq!(receipt.params["from"], "2026-01-02");
}

#[tokio::test]
async fn run_to_s3_stores_the_object_and_its_receipt() {
    let database = orders().await;
    let (config, shell) = (aws::localstack().await, Shell::on(&database));
    let bucket = aws::bucket(&config).await;
    let to = format!("s3://{bucket}/by/hand/");
    let receipt: Receipt =
        serde_json::from_value(shell.run(&[&RUN[..], &["--to", &to, "--json"]].concat()).json()).unwrap();
    let key = receipt.files[0].address.strip_prefix(&format!("s3://{bucket}/")).unwrap();
    assert!(key.starts_with("by/hand/orders/20"), "{key}");
    assert!(key.ends_with(&format!("/{}/orders-2026-01-02.csv", receipt.job_id)), "{key}");
    assert_eq!(aws::keys(&config, &bucket).await, [key, &Receipt::key_of(key)]);
    assert_eq!(aws::object(&config, &bucket, key).await.unwrap(), CSV.as_bytes());
    let beside = aws::object(&config, &bucket, &Receipt::key_of(key)).await.unwrap();
    assert_eq!(serde_json::from_slice::<Receipt>(&beside).unwrap(), receipt);
    assert_eq!(shell.files(), [""; 0]);
}

#[tokio::test]
async fn run_of_a_large_export_writes_every_byte() {
    let database = TestDatabase::create().await;
    database.execute(NUMBERS).await;
    let shell = Shell::on(&database);
    shell.run(&["run", "large", "--to", "large.csv"]).printed();
    let filling = "x".repeat(430);
    let expected: String = std::iter::once("id,filling\n".to_owned())
        .chain((1..=70_000).map(|id| format!("{id},{filling}\n")))
        .collect();
    let file = shell.read("large.csv");
    assert!(expected.len() > 30_000_000);
    assert!(file == expected, "{} bytes, expected {}", file.len(), expected.len());
}

#[tokio::test]
async fn failed_run_leaves_only_the_old_file() {
    let database = TestDatabase::create().await;
    database.execute(NUMBERS).await;
    let shell = Shell::on(&database);
    std::fs::write(shell.path("out.csv"), "the old file").unwrap();
    let stderr =
        shell.run(&["run", "broken", "--to", "out.csv"]).refused(1).replace(&database.name, "DATABASE");
    insta::assert_snapshot!(stderr, @"downpipe: The database could not answer the query (error 1690). (error returned from database: 1690 (22003): BIGINT UNSIGNED value is out of range in '(cast(69999 as unsigned) - `DATABASE`.`numbers`.`id`)')");
    assert_eq!((shell.files(), shell.read("out.csv").as_str()), (vec!["out.csv".to_owned()], "the old file"));
    shell.run(&["run", "broken", "--to", "new.csv"]).refused(1);
    assert_eq!(shell.files(), ["out.csv"]);
}

#[tokio::test]
async fn failed_run_says_each_thing_once() {
    let database = orders().await;
    let shell = Shell::on(&database);
    let definition = "title = \"Long\"\nsql = \"SELECT id, REPEAT('x', 40000) AS note FROM orders\"\n";
    std::fs::write(shell.path("exports/long.toml"), definition).unwrap();
    let stderr = shell.run(&["run", "long", "--format", "xlsx", "--to", "out.xlsx"]).refused(1);
    insta::assert_snapshot!(stderr, @r#"downpipe: The result cannot be written in this format: row 1, column "note": xlsx takes at most 32767 characters in a cell, got 40000."#);
    assert_eq!(shell.files(), [""; 0]);
}

#[tokio::test]
async fn old_file_stays_until_the_run_is_complete() {
    let database = orders().await;
    let shell = Shell::on(&database);
    std::fs::write(shell.path("out.csv"), "the old file, which is longer than the new one").unwrap();
    let mark = unique("slow");
    let definition = format!("title = \"Slow\"\nsql = \"SELECT '{mark}' AS mark, SLEEP(2) AS slept\"\n");
    std::fs::write(shell.path("exports/slow.toml"), definition).unwrap();
    let mut child = shell.command(&["run", "slow", "--to", "out.csv"]).spawn().unwrap();
    eventually("the query runs", async || database.running(&mark).await.first().copied()).await;
    assert_eq!(shell.read("out.csv"), "the old file, which is longer than the new one");
    assert!(child.wait().unwrap().success());
    assert_eq!((shell.read("out.csv"), shell.files().len()), (format!("mark,slept\n{mark},0\n"), 1));
}

#[tokio::test]
async fn run_to_a_symlink_replaces_its_target() {
    let database = orders().await;
    let shell = Shell::on(&database);
    std::fs::write(shell.path("there.csv"), "old").unwrap();
    std::os::unix::fs::symlink("there.csv", shell.path("link.csv")).unwrap();
    shell.run(&[&RUN[..], &["--to", "link.csv"]].concat()).printed();
    assert!(shell.path("link.csv").is_symlink());
    assert_eq!(shell.read("there.csv"), CSV);
}

#[tokio::test]
async fn run_to_an_impossible_target_is_refused() {
    let database = orders().await;
    let shell = Shell::on(&database);
    assert!(Command::new("mkfifo").arg(shell.path("pipe")).status().unwrap().success());
    let refusals: String = ["pipe", "nowhere/out.csv", "nowhere/", "s3://"]
        .map(|to| shell.run(&[&RUN[..], &["--to", to]].concat()).refused(2))
        .concat();
    insta::assert_snapshot!(refusals, @r#"
    downpipe: --to: expected a file or a folder, or - for standard output, got pipe
    downpipe: --to: expected a file in a folder that exists, got nowhere/out.csv
    downpipe: --to: expected a file in a folder that exists, got nowhere/
    error: invalid value 's3://' for '--to <TO>': expected s3://BUCKET/PREFIX without invisible characters, got "s3://"

    For more information, try '--help'.
    "#);
    assert_eq!(shell.files(), ["pipe"], "the pipe is still one");
}
