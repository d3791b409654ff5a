//! Commands in `target/stack/bin`, for people and tests that have sourced the `env` file.

use anyhow::Result;

use super::{env::quote, install, paths::Paths, step::Steps, venv};

const NAME: &str = "aws-cli";

/// Installs the AWS CLI, and puts a wrapper of it into the folder.
pub(super) fn install_aws_cli(paths: &Paths, steps: &Steps) -> Result<()> {
    venv::ensure(paths, steps, NAME, include_str!("../../requirements/aws-cli.txt"))?;
    let program = venv::program(paths, NAME, "aws")?;
    install::write_whole(&paths.bin().join("aws"), &aws_wrapper(&program), 0o755)
}

/// Version 1 of the AWS CLI ignores `AWS_ENDPOINT_URL` for some services, SQS among them: there it would talk
/// to AWS.
fn aws_wrapper(program: &str) -> String {
    let program = quote(program);
    format!(
        r#"#!/bin/sh
# Runs the AWS CLI against AWS_ENDPOINT_URL, unless the caller names an endpoint.
for argument in "$@"; do
    case "$argument" in
    --endpoint-url | --endpoint-url=*) exec {program} "$@" ;;
    esac
done
if [ -n "${{AWS_ENDPOINT_URL:-}}" ]; then
    exec {program} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
fi
exec {program} "$@"
"#
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn arguments(endpoint: Option<&str>, given: &[&str]) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", &aws_wrapper("echo"), "aws"]).args(given).env_remove("AWS_ENDPOINT_URL");
        command.envs(endpoint.map(|url| ("AWS_ENDPOINT_URL", url)));
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    fn endpoint_is_passed_on_unless_the_caller_names_one() {
        assert_eq!(
            arguments(Some("http://a"), &["sqs", "list-queues"]),
            "--endpoint-url http://a sqs list-queues"
        );
        assert_eq!(arguments(None, &["sqs"]), "sqs");
        assert_eq!(arguments(Some(""), &["sqs"]), "sqs");
        assert_eq!(
            arguments(Some("http://a"), &["s3", "--endpoint-url", "http://b"]),
            "s3 --endpoint-url http://b"
        );
        assert_eq!(
            arguments(Some("http://a"), &["--endpoint-url=http://b", "s3"]),
            "--endpoint-url=http://b s3"
        );
    }
}
