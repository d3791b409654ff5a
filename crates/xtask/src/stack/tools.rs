//! Commands in `target/stack/bin`, for people and tests that have sourced the `env` file.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context, Result};

use super::{aws::LocalStack, env::quote, install, part::Part, paths::Paths, venv};

/// Puts the AWS CLI and cfn-lint into the folder.
pub(super) fn install(paths: &Paths) -> Result<()> {
    for name in LocalStack::TOOLS {
        let program = venv::program(paths, LocalStack.name(), name)?;
        let path = paths.bin().join(name);
        if name == "aws" {
            install::write_whole(&path, &aws_wrapper(&program), 0o755)?;
        } else {
            fs::create_dir_all(paths.bin())
                .with_context(|| format!("cannot create {}", paths.bin().display()))?;
            install::remove_file(&path)?;
            symlink(&program, &path).with_context(|| format!("cannot link {}", path.display()))?;
        }
    }
    Ok(())
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
    fn the_endpoint_is_passed_on_unless_the_caller_names_one() {
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
