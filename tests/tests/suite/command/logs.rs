//! Tests a worker's log at its most detailed level.

use downpipe_core::job::JobState;
use downpipe_tests::aws;
use downpipe_tests::database::root_certificates_file;
use downpipe_tests::test_stack::TestStack;

const DEFINITION: (&str, &str) = (
    "private",
    "title = \"Private\"\nsql = \"SELECT memo FROM private WHERE region = :region\"\n[params.region]\ntype = \"string\"\n\
     [columns.memo]\nmask = \"hash\"\n",
);

/// The key of masks in the secret.
const KEY: &str = "UGxhbnRlZEtleVBsYW50ZWRLZXlQbGFudGVkS2V5ISE=";

#[tokio::test]
async fn log_at_trace_level_has_no_secret_address_or_cell() {
    let test_stack = TestStack::new("CREATE TABLE private (region TEXT, memo TEXT); INSERT INTO private VALUES ('Trondheim', 'Hemmelighet')", &[DEFINITION]).await;
    let user = downpipe_tests::unique("u").replace('-', "");
    let name = &test_stack.database.name;
    test_stack
        .database
        .execute(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'Plantepassord'; GRANT ALL ON {name}.* TO '{user}'@'%'"
        ))
        .await;
    let url = url::Url::parse(&test_stack.database.url).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let login = format!(
        r#"{{"host":"{host}","port":{port},"username":"{user}","password":"Plantepassord","dbname":"{name}"}}"#
    );
    let login = aws::secret(&test_stack.config, &login).await;
    let keys = aws::secret(&test_stack.config, &format!(r#"{{"masks":"{KEY}"}}"#)).await;
    let job = test_stack
        .send(r#"{"export":"private","params":{"region":"Trondheim"},"requested_by":"alice@example.com","request_id":"a-click"}"#)
        .await;
    let mut command = test_stack.command(&["worker", "--until-empty"]);
    command.env_remove("DATABASE_URL").env("DOWNPIPE_DATABASE_SECRET", login);
    command.env("DOWNPIPE_DATABASE_CA", root_certificates_file()).env("DOWNPIPE_SIGNING_SECRET", keys);
    let ended = command.env("RUST_LOG", "trace").output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    test_stack.database.execute(&format!("DROP USER '{user}'@'%'")).await;
    test_stack.job_in_state(&job, JobState::Ready).await;
    assert!(log.contains("the job is ready"), "{log}");
    for private in
        ["Plantepassord", KEY, "Hemmelighet", "Trondheim", "alice@example.com", "a-click", "SELECT", &user]
    {
        assert!(!log.contains(private), "{private} in the log:\n{log}");
    }
}
