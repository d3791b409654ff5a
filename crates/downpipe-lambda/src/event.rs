//! Reads what Lambda delivers.

use aws_lambda_events::sqs::SqsEvent;
use serde::Deserialize;
use serde_json::Value;

/// What Lambda delivers.
#[derive(Debug)]
pub(crate) enum Event {
    /// Messages of the queue.
    Messages(SqsEvent),
    /// What the schedule or an operator asks for.
    Action(Action),
}

/// What the function does besides handling messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// `{"sweep":{}}`, as the template's schedule sends it: repairs what was lost.
    Sweep(NoFields),
    /// `{"check":{}}`, as an operator sends it: checks the cache and the ledger.
    Check(NoFields),
}

/// An action without options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "{}")]
pub(crate) struct NoFields {}

/// The event is none that the function knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownEvent {
    /// It has records, which are no messages of SQS.
    #[error("event: expected the messages of SQS in `Records`, got something else: {0}")]
    Messages(serde_json::Error),
    /// It asks for what the function does not do.
    #[error(
        r#"event: expected messages of SQS, {{"sweep":{{}}}} or {{"check":{{}}}}, got something else: {0}"#
    )]
    Action(serde_json::Error),
}

impl Event {
    /// Reads an event.
    pub(crate) fn read(payload: Value) -> Result<Self, UnknownEvent> {
        if payload.get("Records").is_some() {
            serde_json::from_value(payload).map(Self::Messages).map_err(UnknownEvent::Messages)
        } else {
            serde_json::from_value(payload).map(Self::Action).map_err(UnknownEvent::Action)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(payload: Value) -> String {
        Event::read(payload).unwrap_err().to_string()
    }

    #[test]
    fn event_of_each_shape_is_recognised() {
        let messages = json!({ "Records": [{ "messageId": "m", "body": r#"{"sweep":{}}"# }] });
        let Ok(Event::Messages(messages)) = Event::read(messages) else { panic!("messages") };
        assert_eq!(messages.records[0].message_id.as_deref(), Some("m"));
        for (payload, expected) in [
            (json!({ "sweep": {} }), Action::Sweep(NoFields {})),
            (json!({ "check": {} }), Action::Check(NoFields {})),
        ] {
            let Ok(Event::Action(action)) = Event::read(payload) else { panic!("{expected:?}") };
            assert_eq!(action, expected);
        }
    }

    #[test]
    fn event_that_is_unknown_is_refused_with_a_list_of_the_known_ones() {
        let expected =
            r#"event: expected messages of SQS, {"sweep":{}} or {"check":{}}, got something else: "#;
        for (payload, reason) in [
            (json!({ "chek": {} }), "unknown variant `chek`, expected `sweep` or `check`"),
            (json!({ "check": { "verbose": true } }), "unknown field `verbose`, there are no fields"),
            (json!({ "check": true }), "invalid type: boolean `true`, expected {}"),
            (json!({ "sweep": {}, "check": {} }), "invalid value: map, expected map with a single key"),
            (json!({}), "invalid value: map, expected map with a single key"),
            (json!(null), "invalid type: null, expected string or map"),
        ] {
            assert_eq!(refused(payload), format!("{expected}{reason}"));
        }
        let words = refused(json!({ "Records": true }));
        assert!(words.starts_with("event: expected the messages of SQS in `Records`, got something else: "));
    }
}
