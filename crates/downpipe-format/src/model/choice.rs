//! Choices that messages and definitions make by name.

/// A name that is not among the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, got {actual:?}", allowed.join(", "))]
pub struct UnknownName {
    /// The allowed names.
    pub allowed: Vec<String>,
    /// The name that came.
    pub actual: String,
}

/// Implements a choice by name: `ALL`, `as_str`, and a `FromStr` whose error lists the allowed names.
#[macro_export]
macro_rules! named_choice {
    ($type:ident, $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every choice, in the order in which messages list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in messages, definitions and receipts.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == name).ok_or_else(|| $crate::UnknownName {
                    allowed: Self::ALL.iter().map(|choice| choice.as_str().to_owned()).collect(),
                    actual: name.to_owned(),
                })
            }
        }
    };
}
