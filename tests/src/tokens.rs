//! Takes tokens of IAM apart, to compare them.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Returns the time at which a token was signed.
pub fn signed_at(token: &str) -> SystemTime {
    let mut parameters = token.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    let date = parameters.find(|(name, _)| *name == "X-Amz-Date").unwrap().1;
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
    date.to_zoned(TimeZone::UTC).unwrap().timestamp().into()
}

/// Returns a token's address and its parameters in order. The signature covers the sorted ones.
pub fn sorted(token: &str) -> Vec<&str> {
    let (address, parameters) = token.split_once('?').unwrap();
    let mut parameters: Vec<&str> = parameters.split('&').collect();
    parameters.sort_unstable();
    parameters.insert(0, address);
    parameters
}
