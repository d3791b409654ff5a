//! `downpipe subscribe`: subscribes an address to the notices of one requester.

use downpipe_aws::SnsTopic;
use downpipe_core::requester::Requester;

use crate::error::CliError;

pub(crate) async fn subscribe(email: &Requester, requester: Option<&Requester>) -> Result<(), CliError> {
    let topic_arn = super::from_env(|env| env.topic_arn())?;
    let aws = downpipe_aws::load_config().await;
    SnsTopic::new(&aws, topic_arn)
        .subscribe(email, requester.unwrap_or(email))
        .await
        .map_err(CliError::failed)?;
    eprintln!("{email} will get an e-mail that asks to confirm the subscription");
    Ok(())
}
