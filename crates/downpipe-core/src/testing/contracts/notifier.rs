//! The contract of [`Notifier`].

use crate::notice::Notifier;
use crate::requester::Requester;
use crate::testing::sample_notices;

/// Publishes a notice of each kind in each language, and the short one that replaces it, to this requester and the operator.
///
/// # Panics
/// When one is not taken.
pub async fn notifier_contract(notifier: &impl Notifier, requester: &Requester) {
    for (name, notice) in sample_notices(requester) {
        for notice in [notice.shortened(), notice] {
            if let Err(error) = notifier.publish(&notice).await {
                panic!("the notice {name} is taken: {error:?}");
            }
        }
    }
}
