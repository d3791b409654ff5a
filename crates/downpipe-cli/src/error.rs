//! Errors of the command, with their exit status.

use std::error::Error;
use std::process::ExitCode;

use downpipe_app::config::ConfigError;
use downpipe_core::error_chain::error_chain;
use downpipe_core::export::ExportError;
use downpipe_core::failure;
use downpipe_core::language::Language;
use downpipe_core::message::Rejections;
use downpipe_core::untrusted_text::escaped;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The request or the environment is wrong. Exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The export failed. Exit status 1.
    #[error("{}", explain(.0))]
    Export(ExportError),
    /// Another part failed. Exit status 1.
    #[error("{}", error_chain(.0.as_ref()))]
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

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
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

/// Explains a failure in one line. The person at the terminal is the operator, so the database's own words are added.
fn explain(error: &ExportError) -> String {
    let (_, failure) = failure::of_export(error);
    let message = failure.words(Language::En).message;
    match failure.detail {
        Some(detail) => format!("{message} ({})", escaped(&detail)),
        None => message,
    }
}
