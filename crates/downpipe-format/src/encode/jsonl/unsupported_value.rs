//! Why a value cannot be in JSON.

/// What the column takes, and what came instead.
pub(super) struct UnsupportedValue {
    pub(super) expected: &'static str,
    pub(super) actual: &'static str,
}

impl UnsupportedValue {
    pub(super) const NOT_FINITE: Self = Self { expected: "finite numbers", actual: "infinity or NaN" };
    pub(super) const NO_DECIMAL: Self = Self { expected: "decimal numbers", actual: "something else" };
}
