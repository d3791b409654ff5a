//! The notifier that the configuration names.

use downpipe_core::notice::{Notice, Notifier, NotifyError};

use crate::ses::SesMailer;
use crate::sns::SnsTopic;

/// Notifies people by a topic or by mail.
#[derive(Debug, Clone)]
pub enum AnyNotifier {
    /// A topic of SNS.
    Sns(SnsTopic),
    /// SES.
    Ses(SesMailer),
}

impl Notifier for AnyNotifier {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        match self {
            Self::Sns(topic) => topic.publish(notice).await,
            Self::Ses(mailer) => mailer.publish(notice).await,
        }
    }
}
