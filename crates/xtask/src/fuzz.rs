//! `cargo xtask fuzz`: arbitrary input for readers and writers, until the time is up or a target fails.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, workspace};

/// How long a single input may take, in seconds. What takes longer is a finding.
const INPUT_SECONDS: u32 = 20;

/// The characters that are shown of a finding's message, which may be long.
const WHAT_CHARS: usize = 300;

/// What to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct FuzzOptions<'a> {
    /// One target; all of them otherwise.
    pub target: Option<&'a str>,
    /// For each target.
    pub seconds: u32,
}

/// The result of a target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    runs: u64,
    /// The file with the input, and what it did.
    finding: Option<(String, String)>,
}

/// Runs the targets one after another and returns whether none of them found anything.
pub fn run(options: FuzzOptions<'_>) -> Result<bool> {
    let targets = targets(options.target)?;
    check_tools()?;
    let logs = cargo::target_dir()?.join("fuzz");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    // All at once, and where one can see it: it takes minutes.
    ensure!(cargo_fuzz().arg("build").status()?.success(), "the targets cannot be built");
    let mut found = false;
    for target in targets {
        let log = logs.join(format!("{target}.log"));
        println!("── {target}: {} s, with everything it says in {}", options.seconds, log.display());
        let outcome = fuzz(&target, options.seconds, &log)?;
        match &outcome.finding {
            None => println!("{} runs, no findings", outcome.runs),
            Some((input, what)) => {
                found = true;
                println!("{} runs, 1 finding: {what}", outcome.runs);
                println!("again:  cargo +nightly fuzz run {target} {input}");
            }
        }
    }
    Ok(!found)
}

/// Returns the names of the files with targets, or the one that is wanted.
fn targets(wanted: Option<&str>) -> Result<Vec<String>> {
    let folder = workspace::path("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = file?.path();
        targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    match wanted {
        None => Ok(targets),
        Some(wanted) if targets.iter().any(|target| target == wanted) => Ok(vec![wanted.to_owned()]),
        Some(wanted) => bail!("target: expected one of {}, got {wanted:?}", targets.join(", ")),
    }
}

/// Checks that a nightly compiler and cargo-fuzz are installed: only nightly compilers have the fuzzer.
fn check_tools() -> Result<()> {
    let works = |command: &mut Command| {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    ensure!(
        works(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])),
        "fuzzing needs a nightly compiler:  rustup toolchain install nightly --profile minimal"
    );
    ensure!(
        works(cargo_fuzz().arg("--version")),
        "fuzzing needs cargo-fuzz:  cargo install --locked cargo-fuzz"
    );
    Ok(())
}

/// `cargo fuzz` of the nightly toolchain. The cargo that runs this program is a stable one.
fn cargo_fuzz() -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(workspace::root()).args(["run", "nightly", "cargo", "fuzz"]);
    command
}

fn fuzz(target: &str, seconds: u32, log: &Path) -> Result<Outcome> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = cargo_fuzz();
    command.args(["run", target, "--", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={INPUT_SECONDS}"));
    let status = command.stdout(file.try_clone()?).stderr(file).status().context("cannot run cargo-fuzz")?;
    // Inputs are not always text.
    let outcome = Outcome::of(&String::from_utf8_lossy(&fs::read(log)?));
    ensure!(
        status.success() || outcome.finding.is_some(),
        "{target} stopped without a finding; {} says why",
        log.display()
    );
    Ok(outcome)
}

impl Outcome {
    /// Reads the output of libFuzzer.
    fn of(log: &str) -> Self {
        let runs = log.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let input = log.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1));
        let panic = log.lines().zip(log.lines().skip(1)).find_map(|(line, next)| {
            let (_, place) = line.split_once(" panicked at ")?;
            Some(format!("{place} {next}"))
        });
        let error = || log.lines().find_map(|line| Some(line.split_once("ERROR: ")?.1.to_owned()));
        let what = panic.or_else(error).unwrap_or_else(|| "no word of why".to_owned());
        Self {
            runs: runs.and_then(|runs| runs.trim().parse().ok()).unwrap_or(0),
            finding: input.map(|input| (input.to_owned(), what.chars().take(WHAT_CHARS).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_log_names_runs_and_findings() {
        let quiet =
            "#2\tINITED cov: 9\nDone 124613 runs in 41 second(s)\nstat::number_of_executed_units: 124613\n";
        assert_eq!(Outcome::of(quiet), Outcome { runs: 124_613, finding: None });

        let panic = "thread '<unnamed>' (9182) panicked at src/read.rs:31:61:\n\"0.0\" behind a field\nstack backtrace:\n\
            SUMMARY: libFuzzer: deadly signal\nstat::number_of_executed_units: 17\n\
            artifact_prefix='a/'; Test unit written to /w/fuzz/artifacts/csv/crash-2fd5\n";
        let what = "src/read.rs:31:61: \"0.0\" behind a field".to_owned();
        let finding = Some(("/w/fuzz/artifacts/csv/crash-2fd5".to_owned(), what));
        assert_eq!(Outcome::of(panic), Outcome { runs: 17, finding });

        let slow = "==1== ERROR: libFuzzer: timeout after 20 seconds\nTest unit written to a/timeout-1\n";
        let finding = Some(("a/timeout-1".to_owned(), "libFuzzer: timeout after 20 seconds".to_owned()));
        assert_eq!(Outcome::of(slow), Outcome { runs: 0, finding });
    }

    #[test]
    fn unknown_target_is_refused_with_the_known_ones() {
        let error = targets(Some("pdf")).unwrap_err().to_string();
        assert_eq!(error, "target: expected one of csv, jsonl, packer, params, parquet, xlsx, got \"pdf\"");
        assert_eq!(targets(Some("csv")).unwrap(), ["csv"]);
    }
}
