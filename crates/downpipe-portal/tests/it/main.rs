//! Tests the API on the fakes of its ports, through its routes.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod clicks;
mod document;
mod embed;
mod exports;
mod files;
mod guards;
mod jobs;
mod links;
mod routes;
mod support;
