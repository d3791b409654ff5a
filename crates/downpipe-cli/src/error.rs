//! What goes wrong on a command line, and its exit status.

use std::error::Error;
use std::process::ExitCode;

use downpipe_core::failure::{self, chain};
use downpipe_core::pipeline::ExportError;
use downpipe_core::rejection::Rejections;
use downpipe_worker::config::ConfigError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The request, or the environment, is not what it should be. Exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The export failed. Exit status 1.
    #[error("{}", explain(.0))]
    Export(#[from] ExportError),
    /// Something else failed. Exit status 1.
    #[error("{}", chain(.0.as_ref()))]
    Failed(Box<dyn Error + Send + Sync>),
}

impl CliError {
    pub(crate) fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Export(_) | Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<Rejections> for CliError {
    fn from(rejections: Rejections) -> Self {
        Self::Usage(rejections.to_string())
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Whoever runs an export by hand is the operator: besides the words for everybody they get the database's own.
fn explain(error: &ExportError) -> String {
    let (_, failure) = failure::of_export(error);
    match failure.detail {
        Some(detail) => format!("{} ({detail})", failure.message),
        None => failure.message,
    }
}
