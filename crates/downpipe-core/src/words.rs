//! Texts for people, in every [`Language`]: Fluent files in `locales/`, which are part of the program.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use serde_json::{Map, Value};

use crate::language::Language;

/// What a text names: strings and numbers by name, as JSON keeps them.
pub(crate) type Args = Map<String, Value>;

type Bundle = FluentBundle<FluentResource>;

static EN: LazyLock<Bundle> = LazyLock::new(|| {
    bundle(
        Language::En,
        [include_str!("../locales/en/failure.ftl"), include_str!("../locales/en/notice.ftl")],
    )
});

static JA: LazyLock<Bundle> = LazyLock::new(|| {
    bundle(
        Language::Ja,
        [include_str!("../locales/ja/failure.ftl"), include_str!("../locales/ja/notice.ftl")],
    )
});

/// Returns a text, or one of its attributes. `None` where the language has none of this name. A name in it that has no argument stays
/// as `{$name}`.
pub(crate) fn text(language: Language, id: &str, attribute: Option<&str>, args: &Args) -> Option<String> {
    let bundle: &Bundle = match language {
        Language::En => &EN,
        Language::Ja => &JA,
    };
    let message = bundle.get_message(id)?;
    let pattern = match attribute {
        Some(name) => message.get_attribute(name)?.value(),
        None => message.value()?,
    };
    let args: FluentArgs<'_> = args.iter().map(|(name, value)| (name.as_str(), argument(value))).collect();
    Some(bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned())
}

/// Returns a text of the program's own, whose name is right. A name that is wrong is returned itself.
pub(crate) fn own(language: Language, id: &str, args: &Args) -> String {
    let text = text(language, id, None, args);
    debug_assert!(text.is_some(), "{id} has no words in {language}");
    text.unwrap_or_else(|| id.to_owned())
}

/// Makes arguments.
pub(crate) fn args<const N: usize>(named: [(&str, Value); N]) -> Args {
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn argument(value: &Value) -> FluentValue<'_> {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.to_string().into(),
        },
        other => other.to_string().into(),
    }
}

/// Reads the texts. A mistake in them leaves the rest as it is; a test finds it.
fn bundle(language: Language, texts: [&str; 2]) -> Bundle {
    let mut bundle = Bundle::new_concurrent(vec![language.as_str().parse().unwrap_or_default()]);
    // Marks of direction around every argument would show in a mail as boxes.
    bundle.set_use_isolating(false);
    for text in texts {
        let resource = match FluentResource::try_new(text.to_owned()) {
            Ok(resource) => resource,
            Err((resource, mistakes)) => {
                debug_assert!(false, "{mistakes:?}");
                resource
            }
        };
        let added = bundle.add_resource(resource);
        debug_assert!(added.is_ok(), "{added:?}");
    }
    let added = bundle.add_function("GROUPED", |arguments, _| match arguments {
        [FluentValue::Number(number)] => match format!("{:.0}", number.value).parse() {
            Ok(number) => grouped(number).into(),
            Err(_) => number.as_string().into_owned().into(),
        },
        _ => FluentValue::Error,
    });
    debug_assert!(added.is_ok(), "{added:?}");
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the names of the texts in a file, with their attributes and arguments.
    fn names(text: &str) -> BTreeSet<String> {
        let name = |line: &str| line.split_once(" =").map(|(name, _)| name.trim().to_owned());
        text.lines().filter(|line| !line.starts_with('#')).filter_map(name).collect()
    }

    #[test]
    fn texts_exist_in_both_languages() {
        for (en, ja) in [
            (include_str!("../locales/en/failure.ftl"), include_str!("../locales/ja/failure.ftl")),
            (include_str!("../locales/en/notice.ftl"), include_str!("../locales/ja/notice.ftl")),
        ] {
            assert_eq!(names(en), names(ja));
        }
    }

    #[test]
    fn number_in_a_text_is_grouped_and_chooses_the_plural() {
        let tried = |attempts: u32| {
            text(Language::En, "failure-tried", None, &args([("attempts", attempts.into())])).unwrap()
        };
        assert_eq!(tried(1), "It was tried once.");
        assert_eq!(tried(4), "It was tried 4 times.");
        let most = args([("most", 1_234_567.into())]);
        let too_large = text(Language::Ja, "failure-too_large-rows", None, &most).unwrap();
        assert_eq!(too_large, "結果が上限の1,234,567行を超えています。");
        assert_eq!(text(Language::En, "no-such-text", None, &most), None);
    }
}
