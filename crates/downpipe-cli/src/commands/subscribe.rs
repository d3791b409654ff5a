//! `downpipe subscribe`: a person's e-mail, filtered to what is theirs.

use downpipe_aws::SnsTopic;

use crate::error::CliError;

pub(crate) async fn subscribe(email: &str, requester: Option<&str>) -> Result<(), CliError> {
    let topic_arn = super::from_env(|env| env.topic_arn())?;
    if !email.contains('@') {
        return Err(CliError::Usage(format!("EMAIL: expected an e-mail address, got {email:?}")));
    }
    let aws = downpipe_aws::load_config().await;
    SnsTopic::new(&aws, topic_arn)
        .subscribe(email, requester.unwrap_or(email))
        .await
        .map_err(CliError::failed)?;
    eprintln!("{email} will get an e-mail that asks to confirm the subscription");
    Ok(())
}
