//! Finds the parameter of a value that the database has refused, so that the requester reads what to correct.

use crate::catalog::{REQUESTED_BY, Value};
use crate::message::Rejection;
use crate::request::ExportRequest;
use crate::source::{SourceError, ValueFault};

/// Names the parameter whose value the server has refused. Where it could be one of several, names the one that the server's message
/// quotes, else all of them. Without such a parameter, the query itself has failed.
pub(crate) fn name_parameter(error: SourceError, request: &ExportRequest<'_>) -> SourceError {
    let SourceError::ValueRefused { fault, code, message } = error else { return error };
    let requester = Value::String(request.requested_by.to_string());
    let uses_requester = request.definition.sql.placeholders().any(|name| name == REQUESTED_BY);
    let params = request.params.iter().map(|(name, value)| (format!("params.{name}"), value));
    let candidates: Vec<(String, &Value)> = params
        .chain(uses_requester.then(|| (REQUESTED_BY.to_owned(), &requester)))
        .filter(|(_, value)| fault.can_be_of(value))
        .collect();
    let quoted: Vec<(String, &Value)> =
        candidates.iter().filter(|(_, value)| quotes(&message, value)).cloned().collect();
    // The rows can leave a type's range as well. The server quotes the expression, with `?` or the value for a parameter.
    let is_of_rows = fault == ValueFault::Number
        && quoted.is_empty()
        && !message.contains('?')
        && !message.contains("stmt_execute");
    let named = if quoted.is_empty() { candidates } else { quoted };
    if named.is_empty() || is_of_rows {
        return SourceError::QueryFailed { code, message };
    }
    let (fields, values): (Vec<_>, Vec<_>) =
        named.into_iter().map(|(field, value)| (field, format!("{:?}", value.to_string()))).unzip();
    let rejection = Rejection::new(fields.join(" or "), fault.to_string(), values.join(" and "));
    SourceError::ParamRefused { rejection, detail: message }
}

/// Whether the server's message quotes a value. It cuts long ones, and may write bytes that are not ASCII as `\xE6`.
fn quotes(message: &str, value: &Value) -> bool {
    const ENOUGH: usize = 6;
    let text = value.to_string();
    let cut = text.char_indices().nth(ENOUGH).filter(|_| !text.is_ascii()).map_or(text.len(), |(at, _)| at);
    let text = &text[..cut.min(32)];
    let escaped =
        |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\x{byte:02X}") };
    mentions(message, text) || mentions(message, &text.bytes().map(escaped).collect::<String>())
}

/// Whether a text stands in another, and not as a part of a longer word or number.
fn mentions(message: &str, text: &str) -> bool {
    let continues = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !text.is_empty()
        && message.match_indices(text).any(|(at, _)| {
            let (before, after) =
                (message[..at].chars().next_back(), message[at + text.len()..].chars().next());
            !(continues(before) && text.starts_with(char::is_alphanumeric))
                && (!continues(after) || text.len() >= 24)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, DefinitionFile};
    use crate::message::Message;

    const DEFINITION: &str = "title = 'T'\nsql = 'SELECT :text, :other, :number, :requested_by'
        params.text.type = 'string'\nparams.other.type = 'string'\nparams.number.type = 'integer'";

    /// Returns what the requester reads of a refusal, with these values of the parameters `text`, `other` and `number`.
    fn named(fault: ValueFault, message: &str, values: [&str; 3]) -> String {
        let file = DefinitionFile { file: "t.toml".to_owned(), text: DEFINITION.to_owned() };
        let catalog = Catalog::parse(&[file]).unwrap();
        let [text, other, number] = values;
        let params = serde_json::json!({ "text": text, "other": other, "number": number });
        let body = serde_json::json!({ "export": "t", "params": params }).to_string();
        let Ok(Message::Export(export)) = Message::parse(&body) else { panic!("{body}") };
        let request = ExportRequest::accept(&export, &catalog).unwrap();
        let refused = SourceError::ValueRefused { fault, code: 1, message: message.to_owned() };
        match name_parameter(refused, &request) {
            SourceError::ParamRefused { rejection, .. } => {
                format!("{}: {}", rejection.field, rejection.actual)
            }
            error => error.to_string(),
        }
    }

    #[test]
    fn parameter_with_other_characters_is_named_among_those_without() {
        let message =
            "Conversion from collation utf8mb4_0900_ai_ci into latin1_swedish_ci impossible for parameter";
        assert_eq!(named(ValueFault::Characters, message, ["a", "😀", "1"]), r#"params.other: "😀""#);
        let both = named(ValueFault::Characters, message, ["日", "😀", "1"]);
        assert_eq!(both, r#"params.other or params.text: "😀" and "日""#);
        assert_eq!(named(ValueFault::Characters, message, ["a", "b", "1"]), "the database reported error 1");
    }

    #[test]
    fn parameter_quoted_in_the_message_is_named_alone() {
        let message = r"Cannot convert string '\xE6\x97\xA5\xE6\x9C\xAC' from utf8mb4 to latin1";
        assert_eq!(named(ValueFault::Characters, message, ["日本", "é", "1"]), r#"params.text: "日本""#);
        let message = "Incorrect DATE value: 'soon'";
        assert_eq!(named(ValueFault::Date, message, ["later", "soon", "1"]), r#"params.other: "soon""#);
        let message = "Incorrect string value: 'a' for function uuid_to_bin";
        assert_eq!(named(ValueFault::Argument, message, ["a", "str", "1"]), r#"params.text: "a""#);
    }

    #[test]
    fn number_out_of_range_names_a_parameter_only_if_the_expression_has_one() {
        let named = |message: &str| named(ValueFault::Number, message, ["", "", "9"]);
        let rows = "BIGINT UNSIGNED value is out of range in '(`t`.`u` - `t`.`i`)'";
        assert_eq!(named(rows), "the database reported error 1");
        let value = "BIGINT UNSIGNED value is out of range in '`t`.`u` - 9'";
        assert_eq!(named(value), r#"params.number: "9""#);
        let mark = "BIGINT UNSIGNED value is out of range in '(`t`.`u` - ?)'";
        assert!(named(mark).starts_with("params.number or params.other or params.text"), "{}", named(mark));
    }

    #[test]
    fn requester_used_by_the_query_is_a_candidate() {
        let message = "Syntax error in regular expression on line 1, character 1.";
        let all = named(ValueFault::Pattern, message, ["(", ")", "1"]);
        assert_eq!(all, r#"params.other or params.text or requested_by: ")" and "(" and "operator""#);
    }
}
