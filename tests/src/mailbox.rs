//! What SES has sent: MiniStack keeps every mail.

use aws_config::SdkConfig;
use downpipe_core::requester::Requester;
use serde_json::Value;

use crate::{STACK, unique};

/// Returns a new address that SES has verified.
pub async fn verified(config: &SdkConfig, name: &str) -> Requester {
    let address = format!("{}@example.com", unique(name));
    let client = aws_sdk_sesv2::Client::new(config);
    client.create_email_identity().email_identity(&address).send().await.unwrap();
    address.parse().unwrap()
}

/// Returns the mails that SES has sent to an address, in order.
pub async fn mails_to(address: &Requester) -> Vec<Value> {
    let url = format!("{}/_ministack/ses/messages", STACK.aws_endpoint_url);
    let read = tokio::task::spawn_blocking(move || {
        ureq::get(&url).call().unwrap().body_mut().read_json::<Value>().unwrap()
    });
    let all = read.await.unwrap();
    let accounts = all["messages"].as_object().unwrap().values();
    let mails = accounts.flat_map(|mails| mails.as_array().unwrap());
    mails.filter(|mail| mail["To"] == serde_json::json!([address.as_str()])).cloned().collect()
}
