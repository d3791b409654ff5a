//! Estimates how much a request will be, from earlier jobs of the same definition. The database is not asked.
//!
//! Where two parameters are dates, a job of the past tells rows by the time between them. Bytes are told by jobs whose files were
//! written alike, and seconds by how long a row took.

use downpipe_core::catalog::{Definition, ParamType, Value};
use downpipe_core::job::{Job, Receipt};
use downpipe_core::request::ExportRequest;
use jiff::civil::DateTime;
use serde_json::Map;

/// How many jobs of the past are asked.
pub const HISTORY: u32 = 20;

/// The fewest jobs with the same other parameters from which alone an estimate is made.
const ENOUGH_ALIKE: usize = 3;

/// A day: the shortest time between two dates that counts. A range may include its last day.
const A_DAY: u64 = 24 * 3600;

/// What a number will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Hardly less than this.
    pub low: u64,
    /// About this.
    pub likely: u64,
    /// Hardly more than this.
    pub high: u64,
}

/// How much a request will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Rows.
    pub rows: Spread,
    /// Bytes of all files. `None` where no file was written like this one.
    pub bytes: Option<Spread>,
    /// Seconds from the first attempt to the end.
    pub seconds: Option<Spread>,
    /// From how many jobs.
    pub jobs: usize,
}

/// Estimates a request from jobs that made files with the same version of its definition. `None` if none of them tells anything.
#[must_use]
pub fn estimate(request: &ExportRequest<'_>, history: &[Job]) -> Option<Estimate> {
    let range = DateRange::of(request.definition);
    let told: Vec<Told<'_>> = history.iter().filter_map(|job| Told::of(job, request, range)).collect();
    let alike = told.iter().filter(|told| told.is_alike(request, range)).count();
    let asked: Vec<&Told<'_>> =
        told.iter().filter(|told| alike < ENOUGH_ALIKE || told.is_alike(request, range)).collect();
    let rows = spread(asked.iter().map(|told| told.rows))?;
    let written_alike = asked.iter().filter(|told| told.is_written_alike(request));
    Some(Estimate {
        rows,
        bytes: spread(
            written_alike.filter_map(|told| scaled(told.receipt.bytes, rows.likely, told.receipt.rows)),
        ),
        seconds: spread(asked.iter().filter_map(|told| told.seconds_for(rows.likely))),
        jobs: asked.len(),
    })
}

/// The two parameters of a definition that are dates, if there are two.
#[derive(Debug, Clone, Copy)]
struct DateRange<'a>(&'a str, &'a str);

impl<'a> DateRange<'a> {
    fn of(definition: &'a Definition) -> Option<Self> {
        let is_date = |kind| matches!(kind, ParamType::Date | ParamType::DateTime);
        let mut dates =
            definition.params.iter().filter(|(_, param)| is_date(param.kind)).map(|(name, _)| name);
        match (dates.next(), dates.next(), dates.next()) {
            (Some(one), Some(other), None) => Some(Self(one, other)),
            _ => None,
        }
    }

    fn has(self, name: &str) -> bool {
        [self.0, self.1].contains(&name)
    }

    /// Returns the seconds between the dates, at least a day.
    fn seconds(self, date: impl Fn(&str) -> Option<DateTime>) -> Option<u64> {
        let seconds = date(self.0)?.duration_since(date(self.1)?).as_secs();
        Some(seconds.unsigned_abs().max(A_DAY))
    }
}

/// What a job of the past tells of a request.
struct Told<'a> {
    job: &'a Job,
    receipt: &'a Receipt,
    /// How many rows the request would have if it were like the job.
    rows: u64,
}

impl<'a> Told<'a> {
    fn of(job: &'a Job, request: &ExportRequest<'_>, range: Option<DateRange<'_>>) -> Option<Self> {
        let receipt = job.receipt.as_ref()?;
        let rows = match range {
            None => receipt.rows,
            Some(range) => {
                let asked = range.seconds(|name| civil(request.params.get(name)?))?;
                let told = range.seconds(|name| parsed(&receipt.params, name))?;
                scaled(receipt.rows, asked, told)?
            }
        };
        Some(Self { job, receipt, rows })
    }

    /// Returns whether the parameters that are no dates of the range are the same.
    fn is_alike(&self, request: &ExportRequest<'_>, range: Option<DateRange<'_>>) -> bool {
        let mut others =
            request.params.iter().filter(|(name, _)| range.is_none_or(|range| !range.has(name.as_str())));
        others.all(|(name, value)| self.receipt.params.get(name) == Some(&value.to_json()))
    }

    fn is_written_alike(&self, request: &ExportRequest<'_>) -> bool {
        let (Receipt { format, profile, compression, .. }, style) = (self.receipt, &request.style);
        format == style.format().as_str()
            && compression == style.compression().as_str()
            && *profile == style.profile().name
    }

    /// Returns how long so many rows would take.
    fn seconds_for(&self, rows: u64) -> Option<u64> {
        let took = self.job.finished_at?.duration_since(self.job.started_at?);
        let milliseconds = u64::try_from(took.as_millis()).ok()?;
        scaled(milliseconds, rows, self.receipt.rows).map(|milliseconds| milliseconds.div_ceil(1000).max(1))
    }
}

fn civil(value: &Value) -> Option<DateTime> {
    match value {
        Value::Date(date) => Some(date.to_datetime(jiff::civil::Time::midnight())),
        Value::DateTime(at) => Some(*at),
        _ => None,
    }
}

/// Reads a date of a receipt, with or without a time.
fn parsed(params: &Map<String, serde_json::Value>, name: &str) -> Option<DateTime> {
    params.get(name)?.as_str()?.parse().ok()
}

/// Returns what a number becomes when what it belongs to becomes `to` instead of `from`.
fn scaled(number: u64, to: u64, from: u64) -> Option<u64> {
    let scaled = (u128::from(number) * u128::from(to)).checked_div(u128::from(from))?;
    u64::try_from(scaled).ok()
}

/// Returns the spread of numbers: without the lowest and the highest tenth.
fn spread(numbers: impl Iterator<Item = u64>) -> Option<Spread> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    let last = numbers.len().checked_sub(1)?;
    let tenth = numbers.len() / 10;
    Some(Spread { low: numbers[tenth], likely: numbers[numbers.len() / 2], high: numbers[last - tenth] })
}
