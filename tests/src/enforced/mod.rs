//! Runs the deployed worker under the role of its template, where AWS asks for every permission.
//!
//! `cargo xtask enforce` starts such an AWS, a MiniStack with `AUTH=true` and TLS, and runs the example that calls
//! [`try_permissions`].

mod age;
mod calls;
mod logins;
mod place;
mod role;
mod site;
mod steps;
mod watch;

use std::collections::BTreeSet;

use xtask::enforce::{Finding, Trial};

use self::place::Place;
use self::site::{LedgerPlace, Site};
use self::steps::Step;

/// Actions of the role that no step can show, and why.
const NOT_ASKED: [(&str, &str); 5] = [
    ("logs:CreateLogStream", "Lambda writes the log; MiniStack does not ask for it"),
    ("logs:PutLogEvents", "Lambda writes the log; MiniStack does not ask for it"),
    ("s3:PutObjectTagging", "MiniStack asks only for `s3:PutObject` where an object comes with its tags"),
    ("sqs:DeleteMessage", "Lambda's poller deletes messages; MiniStack's does not ask for it"),
    ("sqs:ReceiveMessage", "Lambda's poller receives messages; MiniStack's does not ask for it"),
];

/// Runs every step with all permissions, with both ledgers. Then removes each action in turn, if `removals` says so, and tries what
/// the role does not allow.
pub async fn try_permissions(removals: bool, report: &mut dyn FnMut(Finding)) {
    let place = Place::from_env().await;
    let site = Site::deploy(&place, LedgerPlace::MySql).await;
    run_steps(&site, report).await;
    site.close().await;

    let site = Site::deploy(&place, LedgerPlace::DynamoDb).await;
    let asked = run_steps(&site, report).await;
    for finding in calls::try_all(&site).await.into_iter().chain(logins::try_all(&place)) {
        report(finding);
    }
    if removals {
        remove_each(&site, &asked, report).await;
    }
    site.close().await;
}

/// Runs all steps, and returns the actions that they asked for.
async fn run_steps(site: &Site<'_>, report: &mut dyn FnMut(Finding)) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for step in Step::ALL {
        site.begin_step();
        let outcome = step.run(site).await;
        let asked = site.asked();
        let words = asked.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(", ");
        report(Finding {
            trial: Trial::Step,
            subject: format!("{}, with {}", step.name(), site.ledger_place.name()),
            is_well: outcome.is_ok(),
            outcome: outcome.err().unwrap_or(words),
        });
        all.extend(asked);
    }
    all
}

/// Removes each action of the role in turn, and runs the steps until one fails.
async fn remove_each(site: &Site<'_>, asked: &BTreeSet<String>, report: &mut dyn FnMut(Finding)) {
    for action in site.role.actions() {
        let (outcome, is_well) = match NOT_ASKED.iter().find(|(name, _)| *name == action) {
            Some((_, reason)) => ((*reason).to_owned(), !asked.contains(&action)),
            None if !asked.contains(&action) => ("no step asks for it".to_owned(), false),
            None => {
                site.role.allow_all_but(site.place.aws(), &action);
                site.restart_worker().await;
                first_failure(site, &action).await
            }
        };
        report(Finding { trial: Trial::Removal, subject: format!("`{action}`"), outcome, is_well });
    }
    site.role.allow_all(site.place.aws());
    site.restart_worker().await;
}

/// Runs the steps until one fails, and returns in words what failed. It must be that the action is refused, and no other.
async fn first_failure(site: &Site<'_>, action: &str) -> (String, bool) {
    for step in Step::ALL {
        site.begin_step();
        let began = jiff::Timestamp::now();
        if let Err(error) = step.run(site).await {
            let refused = site.refused();
            if !refused.iter().eq([action]) {
                return (format!("{}: {error}; refused: {refused:?}", step.name()), false);
            }
            // The command says itself what is wrong, and not the function's log.
            let is_command = step == Step::Check;
            let words = if is_command { error } else { site.complaint(began).await };
            return (format!("{}: {words}", step.name()), true);
        }
    }
    ("no step fails".to_owned(), false)
}
