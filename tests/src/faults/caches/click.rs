//! A click, and what its worker logged of the cache.

use downpipe_core::job::{Job, JobState};
use serde_json::Value;

use crate::faults::scene::Run;
use crate::faults::workers::scene::ExportOptions;

/// How much later than its limit an operation may end on a busy machine, in milliseconds.
const MAX_LATENESS: u64 = 200;

/// A click: its job in the end, and what its worker logged.
#[derive(Debug, Clone)]
pub(super) struct Click {
    pub(super) job: Job,
    pub(super) options: ExportOptions,
    pub(super) log: Vec<Value>,
}

/// The longest operations of caches, in milliseconds: one that connects, and any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Longest {
    pub(super) first: u64,
    pub(super) other: u64,
}

impl Longest {
    /// Returns the longest of both.
    pub(super) fn max(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), other: self.other.max(other.other) }
    }
}

impl Click {
    /// Returns the key of the receipt in the cache.
    pub(super) fn key(&self) -> String {
        format!("receipt:{}", self.job.fingerprint.as_ref().unwrap())
    }

    /// Returns what is wrong with the cache, as the log says first.
    pub(super) fn fault(&self) -> Option<&str> {
        self.line("the cache did not answer")?["fault"].as_str()
    }

    /// Returns what the cache said when it was asked for a file.
    pub(super) fn answer(&self) -> Option<&str> {
        self.line("the cache was asked for a file")?["cache"].as_str()
    }

    /// Returns whether the cache was too slow when it was asked for a file.
    pub(super) fn found_no_answer_in_time(&self) -> bool {
        self.answer() == Some("fault") && self.fault() == Some("timeout")
    }

    /// Returns whether the worker has found the cached file to be of no use.
    pub(super) fn found_it_useless(&self) -> bool {
        self.line("the cached file is of no use any more").is_some()
    }

    fn line(&self, message: &str) -> Option<&Value> {
        self.log.iter().find(|line| line["message"] == message)
    }

    /// Checks that the job has ended well, and that no operation of the cache has kept the worker longer than it may.
    pub(super) fn inspect(&self, run: &mut Run, longest: &mut Longest) {
        let Self { job, log, .. } = self;
        if job.state != JobState::Ready || job.notified_at.is_none() || job.attempts_since_progress > 1 {
            let (state, failure) = (job.state, &job.failure);
            run.wrong
                .push(format!("job {} is {state:?}, notified at {:?}: {failure:?}", job.id, job.notified_at));
        }
        let operations = log.iter().filter(|line| line["message"] == "the cache was used");
        let mut count = 0;
        for operation in operations {
            let (took, limit) =
                (operation["milliseconds"].as_u64().unwrap(), operation["limit"].as_u64().unwrap());
            // The export goes on beside the heartbeat, which shows the progress.
            let holds_up = operation["operation"] != "set"
                || !operation["key"].as_str().unwrap().starts_with("progress:");
            count += 1;
            if !holds_up {
                continue;
            }
            if took > limit + MAX_LATENESS {
                run.wrong.push(format!("an operation of the cache took {took} ms: {operation}"));
            }
            let of = if count == 1 { &mut longest.first } else { &mut longest.other };
            *of = took.max(*of);
        }
        if count == 0 {
            run.wrong.push(format!("the worker of job {} has not used the cache", job.id));
        }
    }
}
