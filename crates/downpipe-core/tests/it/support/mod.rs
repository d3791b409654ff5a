//! Fixtures of the tests that need more than samples.

pub(crate) mod table_source;
