//! Counts the instructions of the inner loops for each row, beside a committed baseline. A count does not depend on how busy the
//! machine is, so it shows a change of a few per cent that a clock would not.
//!
//! Each case runs twice under valgrind, the second time with twice as many rows: the difference is the cost of the rows alone.
//! Counts are those of one compiler, one C library and the instructions that valgrind knows (no SHA extensions, no AVX-512), and
//! say nothing of caches and branches. Where a library seeds its hash tables at random (Parquet's, and the workbook's), they differ in
//! the fourth digit from run to run; all others are the same but for a handful of instructions at the start.

mod export;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::measure;
use crate::{
    cargo,
    stack::{self, Paths, Steps},
    workspace,
};

/// Where the baseline is, from the root of the workspace.
const BASELINE: &str = "bench/instructions.csv";

/// Rows of the shorter run. A thousand are prepared and repeated.
const ROWS: u32 = 10_000;

/// How much more than its baseline a case may take, as a share: far above chance, and still a small regression.
const TOLERANCE: f64 = 0.03;

/// How instructions are counted.
#[derive(Args, Clone, Copy, Debug, Eq, PartialEq)]
pub struct InstructionsOptions {
    /// Write the counts as the new baseline
    #[arg(long)]
    pub bless: bool,
    /// Keep the files of valgrind, which show where the instructions are
    #[arg(long)]
    pub keep: bool,
    /// Also count whole exports; needs the stack, and builds the command
    #[arg(long)]
    pub export: bool,
}

/// What a case takes, as a line of the baseline.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Count {
    case: String,
    instructions_per_row: f64,
    bytes_per_row: f64,
}

/// The committed counts, and the compiler they were made with.
#[derive(Debug, PartialEq)]
struct Baseline {
    compiler: String,
    counts: Vec<Count>,
}

/// What one run took, and made.
#[derive(Clone, Copy, Debug)]
struct Run {
    instructions: u64,
    bytes: u64,
}

/// Counts every case and returns whether none got worse than the baseline allows.
pub(super) fn run(InstructionsOptions { bless, keep, export }: InstructionsOptions) -> Result<bool> {
    let valgrind = valgrind()?;
    let folder = cargo::target_dir()?.join("bench/callgrind");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kept = keep.then_some(folder.as_path());
    let mut counts = inner_loops(&valgrind, kept)?;
    if export {
        counts.extend(export::counts(&valgrind, kept)?);
    }
    let compiler =
        output(Command::new("rustc").arg("--version").current_dir(workspace::root()))?.0.trim().to_owned();
    let mut now = Baseline { compiler, counts };
    if keep {
        println!("Where the instructions are:  callgrind_annotate {}", folder.join("CASE.out").display());
    }
    let file = workspace::path(BASELINE);
    let before = fs::read_to_string(&file).ok().map(|text| Baseline::parse(&text)).transpose()?;
    if bless {
        // What was not counted this time stays.
        let exports =
            before.into_iter().flat_map(|before| before.counts).filter(|count| !export && is_export(count));
        now.counts.extend(exports);
        fs::write(&file, now.to_csv()?).with_context(|| format!("cannot write {BASELINE}"))?;
        println!("{BASELINE} has {} cases, counted with {}", now.counts.len(), now.compiler);
        return Ok(true);
    }
    let mut before = before.with_context(|| format!("cannot read {BASELINE}; --bless makes it"))?;
    before.counts.retain(|count| export || !is_export(count));
    let (report, passed) = compare(&before, &now);
    print!("{report}");
    Ok(passed)
}

fn is_export(count: &Count) -> bool {
    count.case.starts_with(export::PREFIX)
}

/// Returns valgrind. Installs it when it is missing and this process may.
fn valgrind() -> Result<PathBuf> {
    if let Some(path) = stack::find_program("valgrind") {
        return Ok(path);
    }
    stack::install_packages(&Paths::of_workspace(), &Steps::start(), "valgrind", &["valgrind"])?;
    let path = stack::find_program("valgrind");
    path.context(
        "counting instructions needs valgrind:  sudo apt-get install --no-install-recommends valgrind",
    )
}

/// Returns the cases of `encode`.
fn inner_loops(valgrind: &Path, kept: Option<&Path>) -> Result<Vec<Count>> {
    let program = measure::build_tools(Some("encode"))?.join("encode");
    let names = output(&mut Command::new(&program))?.0;
    let count = |case| {
        count(case, ROWS, |rows| {
            let mut encode = Command::new(&program);
            encode.arg(case).arg(rows.to_string());
            let (instructions, bytes) = collected(valgrind, &encode, case, kept)?;
            let bytes =
                bytes.trim().parse().with_context(|| format!("{case}: expected bytes, got {bytes:?}"))?;
            Ok(Run { instructions, bytes })
        })
    };
    names.lines().map(count).collect()
}

/// Returns what one row of a case takes: the difference that twice as many rows make. The longer run is last, so its files are kept.
fn count(case: &str, rows: u32, run: impl Fn(u32) -> Result<Run>) -> Result<Count> {
    let (few, many) = (run(rows)?, run(2 * rows)?);
    let a_row = |few: u64, many: u64| (many as f64 - few as f64) / f64::from(rows);
    Ok(Count {
        case: case.to_owned(),
        instructions_per_row: a_row(few.instructions, many.instructions),
        bytes_per_row: a_row(few.bytes, many.bytes),
    })
}

/// Returns the instructions of one run, and what the program printed. It gets a fixed environment: the size of that moves the stack,
/// and an address can change how data is copied.
fn collected(valgrind: &Path, program: &Command, case: &str, kept: Option<&Path>) -> Result<(u64, String)> {
    let out = kept.map_or("/dev/null".into(), |folder| folder.join(format!("{case}.out")));
    let mut command = Command::new(valgrind);
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program.get_program()).args(program.get_args());
    let (answer, said) = output(&mut command)?;
    let instructions = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let instructions =
        instructions.with_context(|| format!("{case}: valgrind gave no count; it said\n{said}"))?;
    Ok((instructions, answer))
}

/// Returns what a program prints, on standard output and on standard error.
fn output(command: &mut Command) -> Result<(String, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    ensure!(output.status.success(), "{program} failed ({}): {error}", output.status);
    Ok((out, error))
}

impl Baseline {
    /// Returns a line with the compiler, and a table.
    fn to_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for count in &self.counts {
            let rounded = |value: f64| (value * 10.0).round() / 10.0;
            writer.serialize(Count {
                instructions_per_row: rounded(count.instructions_per_row),
                bytes_per_row: rounded(count.bytes_per_row),
                ..count.clone()
            })?;
        }
        let table = String::from_utf8(writer.into_inner().context("a table in memory is whole")?)?;
        Ok(format!("# {}\n{table}", self.compiler))
    }

    fn parse(text: &str) -> Result<Self> {
        let line = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let compiler = line.with_context(|| format!("{BASELINE}: expected `# ` and the compiler first"))?;
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
        let counts = reader.deserialize().collect::<Result<_, _>>().with_context(|| BASELINE.to_owned())?;
        Ok(Self { compiler: compiler.to_owned(), counts })
    }

    fn of(&self, case: &str) -> Option<&Count> {
        self.counts.iter().find(|count| count.case == case)
    }
}

/// Returns a table for people with what follows from it, and whether nothing got worse.
fn compare(baseline: &Baseline, now: &Baseline) -> (String, bool) {
    let mut report =
        format!("{:<22}{:>14}{:>14}{:>10}{:>12}\n", "case", "baseline/row", "now/row", "change", "now/byte");
    let (mut worse, mut better, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for Count { case, instructions_per_row: now, bytes_per_row } in &now.counts {
        let before = baseline.of(case).map(|count| count.instructions_per_row);
        let change = before.map(|before| now / before - 1.0);
        match change {
            None => unknown.push(case.as_str()),
            Some(change) if change > TOLERANCE => worse.push(case.as_str()),
            Some(change) if change < -TOLERANCE => better.push(case.as_str()),
            Some(_) => {}
        }
        let shown = before.map_or("-".to_owned(), |before| format!("{before:.1}"));
        // Rounded first, and zero added: there is no -0.00.
        let percent = |change: f64| format!("{:+.2} %", (change * 10_000.0).round() / 100.0 + 0.0);
        let change = change.map_or("-".to_owned(), percent);
        let a_byte = now / bytes_per_row;
        // Writing into a string cannot fail.
        let _ = writeln!(report, "{case:<22}{shown:>14}{now:>14.1}{change:>10}{a_byte:>12.2}");
    }
    let gone: Vec<&str> = baseline
        .counts
        .iter()
        .map(|count| count.case.as_str())
        .filter(|case| now.of(case).is_none())
        .collect();
    if baseline.compiler != now.compiler {
        let _ = writeln!(
            report,
            "\nThe baseline was counted with {}, this with {}: what differs may be the compiler's doing.",
            baseline.compiler, now.compiler
        );
    }
    let percent = TOLERANCE * 100.0;
    for (cases, what) in [
        (
            &worse,
            format!("more than {percent} % worse; make it better, or say why in the commit that blesses it"),
        ),
        (&better, format!("more than {percent} % better; keep it with --bless")),
        (&unknown, "not in the baseline; add it with --bless".to_owned()),
        (&gone, "in the baseline, but no case any more; remove it with --bless".to_owned()),
    ] {
        if !cases.is_empty() {
            let _ = writeln!(report, "\n{}: {what}", cases.join(", "));
        }
    }
    (report, worse.is_empty() && unknown.is_empty() && gone.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(compiler: &str, counts: &[(&str, f64)]) -> Baseline {
        let count = |(case, instructions_per_row): &(&str, f64)| Count {
            case: (*case).to_owned(),
            instructions_per_row: *instructions_per_row,
            bytes_per_row: 10.0,
        };
        Baseline { compiler: compiler.to_owned(), counts: counts.iter().map(count).collect() }
    }

    #[test]
    fn baseline_is_read_as_it_was_written() {
        let written = baseline("rustc 1.95.0", &[("csv-date", 3725.3), ("pack-zip", 0.1)]);
        let text = written.to_csv().unwrap();
        assert_eq!(
            text,
            "# rustc 1.95.0\ncase,instructions_per_row,bytes_per_row\ncsv-date,3725.3,10.0\npack-zip,0.1,10.0\n"
        );
        assert_eq!(Baseline::parse(&text).unwrap(), written);
    }

    #[test]
    fn case_fails_only_when_it_got_worse() {
        let before = baseline("rustc 1", &[("a", 100.0), ("b", 100.0), ("c", 100.0)]);
        let (report, passed) =
            compare(&before, &baseline("rustc 1", &[("a", 102.9), ("b", 90.0), ("c", 97.1)]));
        assert!(passed);
        assert_eq!(
            report,
            "case                    baseline/row       now/row    change    now/byte\n\
             a                              100.0         102.9   +2.90 %       10.29\n\
             b                              100.0          90.0  -10.00 %        9.00\n\
             c                              100.0          97.1   -2.90 %        9.71\n\
             \nb: more than 3 % better; keep it with --bless\n"
        );
        let (report, passed) =
            compare(&before, &baseline("rustc 2", &[("a", 103.1), ("b", 100.0), ("c", 100.0)]));
        assert!(!passed);
        assert!(report.contains("counted with rustc 1, this with rustc 2"), "{report}");
        assert!(report.contains("\na: more than 3 % worse"), "{report}");
    }

    #[test]
    fn case_without_a_baseline_is_named() {
        let (report, passed) =
            compare(&baseline("rustc", &[("old", 1.0)]), &baseline("rustc", &[("new", 1.0)]));
        assert!(!passed);
        assert!(report.contains("new: not in the baseline"), "{report}");
        assert!(report.contains("old: in the baseline, but no case any more"), "{report}");
    }
}
