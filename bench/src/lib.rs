//! Holds what the benchmark programs share.

pub mod cases;
