//! What the programs of this folder have in common.

pub mod cases;
