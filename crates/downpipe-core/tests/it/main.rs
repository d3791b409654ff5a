//! The rules of Downpipe, tried through the crate's public face and on the fakes of its ports.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod broken;
mod contracts;
mod definition;
mod failure;
mod go_on;
mod job;
mod message;
mod notice;
mod pace;
mod params;
mod parts;
mod pipeline;
mod request;
mod samples;
mod split;
mod sql;
mod store;
mod style;
