//! Tests the rules of Downpipe through the crate's public API, on the fakes of its ports.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod broken;
mod contracts;
mod definition;
mod failure;
mod failure_words;
mod fit;
mod job;
mod message;
mod notice;
mod params;
mod parts;
mod pipeline;
mod request;
mod resume;
mod samples;
mod split;
mod sql;
mod store;
mod style;
mod support;
mod throttle;
mod time_zone;
