//! What is running, as a value and as a table.

use std::{fmt, path::PathBuf};

use anyhow::Result;

use super::{
    database::{External, Server},
    part::{Part, address},
    paths::Paths,
    record::Record,
};

/// The state of all parts.
#[derive(Debug)]
pub struct Status {
    /// In a fixed order: MySQL, MiniStack, LocalStack, Moto, MariaDB, Valkey, its judge, Memcached.
    pub parts: [PartStatus; 8],
}

/// The state of one part.
#[derive(Debug)]
pub struct PartStatus {
    /// The part's name.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// Where it listens, or last listened.
    pub address: Option<String>,
    /// Its process; none for a server that was given from outside.
    pub pid: Option<i32>,
    /// What it prints; none for a server that was given from outside.
    pub log: Option<PathBuf>,
}

/// How a part is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It runs and answers.
    Healthy,
    /// It runs and does not answer.
    Unhealthy,
    /// It does not run.
    Stopped,
}

impl Status {
    /// Returns whether every part runs and answers.
    pub fn all_healthy(&self) -> bool {
        self.parts.iter().all(|part| part.state == State::Healthy)
    }

    pub(super) fn new(parts: [PartStatus; 8]) -> Self {
        Self { parts }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<11} {:<10} {:<22} {:<8} log", "part", "state", "address", "pid")?;
        for part in &self.parts {
            let address = part.address.as_deref().unwrap_or("-");
            let pid = part.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let log = part.log.as_ref().map_or_else(|| "-".to_owned(), |log| log.display().to_string());
            writeln!(f, "{:<11} {:<10} {address:<22} {pid:<8} {log}", part.name, part.state.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Stopped => "stopped",
        })
    }
}

pub(super) fn of_part(part: &dyn Part, paths: &Paths) -> Result<PartStatus> {
    let record = Record::load(paths, part.name())?;
    let process = record.process.filter(super::process::Identity::is_alive);
    let address = record.port.map(address);
    let state = match (&process, &address) {
        (Some(_), Some(address)) if part.check(address).is_ok() => State::Healthy,
        (Some(_), _) => State::Unhealthy,
        (None, _) => State::Stopped,
    };
    let log = Some(paths.log(part.name())).filter(|log| log.exists());
    Ok(PartStatus { name: part.name(), state, address, pid: process.map(|process| process.pid), log })
}

pub(super) fn of_external(server: Server, external: &External) -> PartStatus {
    let state = if external.check(server).is_ok() { State::Healthy } else { State::Unhealthy };
    PartStatus { name: server.name(), state, address: Some(external.address.clone()), pid: None, log: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &'static str, state: State) -> PartStatus {
        PartStatus { name, state, address: Some("127.0.0.1:3306".into()), pid: Some(42), log: None }
    }

    #[test]
    fn status_with_one_unhealthy_part_is_unhealthy() {
        let with = |state| {
            Status::new([
                part("mysql", State::Healthy),
                part("ministack", state),
                part("localstack", State::Healthy),
                part("moto", State::Healthy),
                part("mariadb", State::Healthy),
                part("valkey", State::Healthy),
                part("judge", State::Healthy),
                part("memcached", State::Healthy),
            ])
        };
        assert!(with(State::Healthy).all_healthy());
        assert!(!with(State::Unhealthy).all_healthy());
        assert!(!with(State::Stopped).all_healthy());
    }

    #[test]
    fn status_has_a_line_for_each_part() {
        let status = Status::new([
            part("mysql", State::Healthy),
            part("a", State::Stopped),
            part("b", State::Unhealthy),
            part("c", State::Healthy),
            part("d", State::Healthy),
            part("e", State::Healthy),
            part("f", State::Healthy),
            part("g", State::Healthy),
        ]);
        let table = status.to_string();
        assert_eq!(table.lines().count(), 9);
        assert!(table.contains("mysql       healthy    127.0.0.1:3306         42       -\n"), "{table}");
    }
}
