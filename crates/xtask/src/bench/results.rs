//! Results, kept in `target/bench/results` from one command to the next.

use std::{fmt, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::statistics::Spread;
use crate::cargo;

/// One run of one program.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Sample {
    /// What was read, by its name.
    pub(super) query: String,
    pub(super) program: String,
    /// Runs of the same round are compared with each other.
    pub(super) round: u32,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    /// None when the server is not on this machine.
    pub(super) server_cpu_seconds: Option<f64>,
    pub(super) peak_kib: u64,
    /// What was written; what was read, when nothing was.
    pub(super) bytes: u64,
}

/// One of the figures of a run.
pub(super) type Figure = fn(&Sample) -> f64;

impl Sample {
    pub(super) fn wall(&self) -> f64 {
        self.wall_seconds
    }

    pub(super) fn cpu(&self) -> f64 {
        self.cpu_seconds
    }

    pub(super) fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    pub(super) fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, cpu, peak) = (self.wall(), self.cpu(), self.peak_mib());
        write!(f, "{}  {wall:8.3} s {cpu:8.3} s CPU {peak:7.1} MiB  {}", self.round, self.program)
    }
}

/// A program that could not be run, or did not do its work.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Absent {
    pub(super) query: String,
    pub(super) program: String,
    pub(super) why: String,
}

/// Where and when it was measured. No names: it goes into the documents.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) processor: String,
    pub(super) kernel: String,
    pub(super) mysql: String,
    pub(super) day: String,
}

impl Machine {
    /// Returns this machine today, with this version of MySQL.
    pub(super) fn here(mysql: String) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let processors = read("/proc/cpuinfo")?;
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let day = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("cannot run date")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.map_or("unknown processor", |(_, name)| name).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            mysql,
            day: String::from_utf8_lossy(&day.stdout).trim().to_owned(),
        })
    }
}

/// All runs of one measurement.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Results {
    pub(super) machine: Machine,
    /// In the table of orders.
    pub(super) orders: u64,
    pub(super) samples: Vec<Sample>,
    pub(super) absent: Vec<Absent>,
}

impl Results {
    /// Returns empty results.
    pub(super) fn new(machine: Machine, orders: u64) -> Self {
        Self { machine, orders, samples: Vec::new(), absent: Vec::new() }
    }

    /// Removes all runs of programs that failed in some round.
    pub(super) fn forget_failed(&mut self) {
        let absent = &self.absent;
        self.samples.retain(|sample| {
            !absent.iter().any(|absent| absent.query == sample.query && absent.program == sample.program)
        });
    }

    /// Returns the runs of a program on a query, in the order of rounds.
    pub(super) fn of<'a>(&'a self, query: &'a str, program: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.query == query && sample.program == program)
    }

    /// Returns the programs that ran on a query, the quickest first.
    pub(super) fn programs(&self, query: &str) -> Vec<&str> {
        let mut programs: Vec<(&str, f64)> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.query == query) {
            if !programs.iter().any(|(name, _)| *name == sample.program) {
                let wall = self.spread(query, &sample.program, |sample| sample.wall_seconds);
                programs.push((&sample.program, wall.map_or(f64::INFINITY, |wall| wall.median)));
            }
        }
        programs.sort_by(|a, b| a.1.total_cmp(&b.1));
        programs.into_iter().map(|(name, _)| name).collect()
    }

    /// Returns a figure of a program's runs.
    pub(super) fn spread(
        &self,
        query: &str,
        program: &str,
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<Spread> {
        Spread::of(self.of(query, program).map(figure))
    }

    /// Returns a figure of a program's runs divided by that of another program's run in the same round: what slows a round slows
    /// both.
    pub(super) fn ratio(
        &self,
        query: &str,
        program: &str,
        base: &str,
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<Spread> {
        let pairs = self.of(query, program).filter_map(|sample| {
            let base = self.of(query, base).find(|base| base.round == sample.round)?;
            Some(figure(sample) / figure(base))
        });
        Spread::of(pairs)
    }
}

/// Saves the results of a command.
pub(super) fn save(name: &str, results: &impl Serialize) -> Result<()> {
    let path = file(name)?;
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let json = serde_json::to_string_pretty(results).context("cannot encode the results")?;
    fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))
}

/// Loads the results of a command; `None` when it has never run.
pub(super) fn load<T: DeserializeOwned>(name: &str) -> Result<Option<T>> {
    let path = file(name)?;
    if !path.exists() {
        return Ok(None);
    }
    let json = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let results = serde_json::from_str(&json);
    results.map(Some).with_context(|| format!("{} is of another version: measure again", path.display()))
}

fn file(name: &str) -> Result<PathBuf> {
    Ok(cargo::target_dir()?.join("bench/results").join(format!("{name}.json")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Results with these runs: query, program, round, seconds.
    pub(in crate::bench) fn results(runs: &[(&str, &str, u32, f64)]) -> Results {
        let machine = Machine {
            cores: 2,
            processor: "Example CPU".into(),
            kernel: "6.1".into(),
            mysql: "9.7.4".into(),
            day: "2026-11-20".into(),
        };
        let mut results = Results::new(machine, 3_000_000);
        results.samples.extend(runs.iter().map(|(query, program, round, seconds)| Sample {
            query: (*query).into(),
            program: (*program).into(),
            round: *round,
            wall_seconds: *seconds,
            cpu_seconds: seconds / 2.0,
            server_cpu_seconds: None,
            peak_kib: 10_240,
            bytes: 600_000_000,
        }));
        results
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let results =
            results(&[("q", "a", 1, 2.0), ("q", "b", 1, 1.0), ("q", "a", 2, 40.0), ("q", "b", 2, 10.0)]);
        let ratio = results.ratio("q", "a", "b", |sample| sample.wall_seconds);
        assert_eq!(ratio, Some(Spread { median: 3.0, least: 2.0, most: 4.0 }));
        assert_eq!(results.ratio("q", "a", "c", |sample| sample.wall_seconds), None);
    }

    #[test]
    fn program_that_failed_once_has_no_figures() {
        let mut results = results(&[("q", "a", 1, 2.0), ("q", "b", 1, 1.0), ("p", "a", 1, 1.0)]);
        let [query, program, why] = ["q", "a", "failed"].map(str::to_owned);
        results.absent.push(Absent { query, program, why });
        results.forget_failed();
        assert_eq!((results.programs("q"), results.programs("p")), (vec!["b"], vec!["a"]));
    }

    #[test]
    fn programs_are_ordered_by_wall_time() {
        let results =
            results(&[("q", "a", 1, 2.0), ("q", "b", 1, 1.0), ("p", "c", 1, 0.5), ("q", "a", 2, 2.5)]);
        assert_eq!(results.programs("q"), ["b", "a"]);
    }
}
