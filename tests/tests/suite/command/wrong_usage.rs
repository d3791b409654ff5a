//! Tests what a command refuses before it does anything, its message, and exit status 2.

use super::Shell;

#[tokio::test]
async fn invalid_request_is_refused_before_the_database_is_asked() {
    // No server listens on this port.
    let shell = Shell::new().with("DATABASE_URL", "mysql://user:password@127.0.0.1:1/test");
    let refusals: String = [
        &["run", "orders"][..],
        &["run", "orders", "--param", "from=2026-01-02", "--param", "until=1"],
        &["run", "orders", "--param", "from=January", "--profile", "word"],
        &["run", "nothing"],
        &["check", "nothing"],
        &["run", "orders", "--param", "from"],
        &["status", "17"],
    ]
    .map(|args| format!("$ downpipe {}\n{}\n", args.join(" "), shell.run(args).refused(2)))
    .concat();
    insta::assert_snapshot!(refusals, @r#"
    $ downpipe run orders
    downpipe: params.from: expected a date such as 2026-01-31, got nothing

    $ downpipe run orders --param from=2026-01-02 --param until=1
    downpipe: params.until: expected one of from, to, got an unknown parameter

    $ downpipe run orders --param from=January --profile word
    downpipe: params.from: expected a date such as 2026-01-31, got "January"; profile: expected one of plain, excel, excel-cp932, lossless, got "word"

    $ downpipe run nothing
    downpipe: export: expected one of broken, large, orders, got "nothing"

    $ downpipe check nothing
    downpipe: export: expected one of broken, large, orders, got "nothing"

    $ downpipe run orders --param from
    error: invalid value 'from' for '--param <KEY=VALUE>': expected KEY=VALUE, got from

    For more information, try '--help'.

    $ downpipe status 17
    error: invalid value '17' for '<ID>': expected a job id of 24 hexadecimal digits

    For more information, try '--help'.
    "#);
}

#[tokio::test]
async fn missing_variables_are_named() {
    let shell = Shell::new();
    let refusals: String = [
        &["run", "orders"][..],
        &["list"],
        &["migrate"],
        &["send", "orders"],
        &["subscribe", "alice@example.com"],
        &["cancel", "0123456789abcdef01234567"],
        &["redrive"],
        &["sweep"],
    ]
    .map(|args| format!("$ downpipe {}\n{}\n", args.join(" "), shell.run(args).refused(2)))
    .concat();
    insta::assert_snapshot!(refusals, @"
    $ downpipe run orders
    downpipe: the environment is not complete: DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither

    $ downpipe list
    downpipe: the environment is not complete: DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither

    $ downpipe migrate
    downpipe: the environment is not complete: DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither

    $ downpipe send orders
    downpipe: the environment is not complete: DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing

    $ downpipe subscribe alice@example.com
    downpipe: the environment is not complete: DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got nothing

    $ downpipe cancel 0123456789abcdef01234567
    downpipe: the environment is not complete: DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither

    $ downpipe redrive
    downpipe: the environment is not complete: DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing

    $ downpipe sweep
    downpipe: the environment is not complete: DATABASE_URL or DOWNPIPE_DATABASE_SECRET: expected one of them, got neither; DOWNPIPE_CATALOG: expected a folder or s3://BUCKET/PREFIX, got nothing; DOWNPIPE_BUCKET: expected the name of a bucket, got nothing; DOWNPIPE_QUEUE_URL: expected the URL of an SQS queue, got nothing; DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got nothing
    ");
}

#[tokio::test]
async fn contradicting_variables_are_named_without_the_password() {
    for (url, name, value) in [
        ("postgres://u:hunter2@h/d", "DOWNPIPE_DATABASE_AUTH", "password"),
        ("mysql://u:hunter2@h/d", "DOWNPIPE_DATABASE_SECRET", "arn:secret"),
        ("mysql://u:hunter2@h/d", "DOWNPIPE_DATABASE_AUTH", "iam"),
        ("mysql://u:hunter2@h/d?ssl-mode=REQUIRED", "DOWNPIPE_DATABASE_CA", "ca.pem"),
    ] {
        let shell = Shell::new().with("DATABASE_URL", url).with(name, value);
        let stderr = shell.run(&["list"]).refused(2);
        assert!(stderr.starts_with("downpipe: ") && stderr.contains("DATABASE_URL"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn wrong_definition_is_named_with_its_line() {
    let shell = Shell::new().with("DATABASE_URL", "mysql://user:password@127.0.0.1:1/test");
    std::fs::write(shell.path("exports/large.toml"), "title = \"Large\"\nsql = \"SELECT :x\"\n").unwrap();
    std::fs::write(shell.path("exports/broken.toml"), "title = \"Broken\"\nsql = \"SELECT 1\"\ncolour = 1\n")
        .unwrap();
    let check = shell.run(&["check"]);
    assert_eq!(check.code, Some(1));
    insta::assert_snapshot!(check.stderr, @"
    error: exports/broken.toml:3: colour: unknown field `colour`, expected one of `title`, `description`, `time_zone`, `sql`, `sql_mode`, `params`, `resume`, `columns`, `profiles`, `limits`, `throttle`, `access`, `output`, `ja`
    error: exports/large.toml:2: sql: `:x` is not declared in [params]
    downpipe: 2 of 3 definitions are wrong
    ");
    insta::assert_snapshot!(shell.run(&["run", "large"]).refused(2), @"
    downpipe: the catalog has definitions that are wrong:
    exports/large.toml:2: sql: `:x` is not declared in [params]
    ");
    insta::assert_snapshot!(shell.run(&["check", "--catalog", "nowhere"]).refused(2), @"downpipe: the catalog folder nowhere cannot be read: No such file or directory (os error 2)");
}

/// With two spellings, one person would be two requesters, or would read another's rows.
#[tokio::test]
async fn requester_without_an_address_is_refused() {
    let shell = Shell::new();
    for args in [
        &["send", "orders", "--requested-by", "alice"][..],
        &["send", "orders", "--requested-by", "alice@exämple.com"],
        &["send", "orders", "--requested-by", "a@x,b@y"],
        &["subscribe", "alice@example.com "],
        &["subscribe", "operator"],
        &["subscribe", "alice@example.com", "--as", "bob"],
    ] {
        let said = shell.run(args).refused(2);
        assert!(said.contains("invalid value") && said.contains("e-mail address"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn unknown_command_is_refused() {
    let shell = Shell::new();
    assert!(shell.run(&["fly"]).refused(2).starts_with("error: unrecognized subcommand 'fly'"));
    assert!(shell.run(&[]).refused(2).contains("Usage: downpipe"));
    assert!(shell.run(&["--help"]).printed().contains("Usage: downpipe"), "help that was asked for is data");
}
