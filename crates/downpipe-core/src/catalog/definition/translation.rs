//! `[ja]`: what people read of a definition, in Japanese.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::source_text::Source;
use super::{Definition, DefinitionError};
use crate::catalog::params::Param;
use crate::language::Language;

/// A definition's texts in another language. What is left out is read in the definition's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Translation {
    title: Option<String>,
    description: Option<String>,
    params: BTreeMap<String, ParamTexts>,
}

/// A parameter's texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamTexts {
    label: Option<String>,
    help: Option<String>,
}

/// The section as the file has it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTranslation {
    title: Option<Spanned<String>>,
    description: Option<String>,
    #[serde(default)]
    params: BTreeMap<Spanned<String>, ParamTexts>,
}

impl Definition {
    /// Returns its name for people in a language.
    #[must_use]
    pub fn title_in(&self, language: Language) -> &str {
        self.in_japanese(language).and_then(|ja| ja.title.as_deref()).unwrap_or(&self.title)
    }

    /// Returns what it is in a language.
    #[must_use]
    pub fn description_in(&self, language: Language) -> Option<&str> {
        let translated = self.in_japanese(language).and_then(|ja| ja.description.as_deref());
        translated.or(self.description.as_deref())
    }

    /// Returns what a form calls a parameter in a language.
    #[must_use]
    pub fn label_in(&self, language: Language, name: &str) -> Option<&str> {
        let translated = self.texts_in(language, name).and_then(|texts| texts.label.as_deref());
        translated.or_else(|| self.params.get(name)?.label.as_deref())
    }

    /// Returns what a form says below a parameter in a language.
    #[must_use]
    pub fn help_in(&self, language: Language, name: &str) -> Option<&str> {
        let translated = self.texts_in(language, name).and_then(|texts| texts.help.as_deref());
        translated.or_else(|| self.params.get(name)?.help.as_deref())
    }

    fn in_japanese(&self, language: Language) -> Option<&Translation> {
        (language == Language::Ja).then_some(&self.ja)
    }

    fn texts_in(&self, language: Language, name: &str) -> Option<&ParamTexts> {
        self.in_japanese(language)?.params.get(name)
    }
}

/// Reads the section, whose parameters must be declared.
pub(super) fn read_translation(
    source: &Source<'_>,
    raw: RawTranslation,
    params: &BTreeMap<String, Param>,
) -> Result<Translation, DefinitionError> {
    if let Some(title) = raw.title.as_ref().filter(|title| title.get_ref().trim().is_empty()) {
        return Err(source.wrong(title.span(), "ja.title: expected some text, got none".to_owned()));
    }
    if let Some(name) = raw.params.keys().find(|name| !params.contains_key(name.get_ref())) {
        let reason = format!("ja.params.{}: expected a parameter of [params]", name.get_ref());
        return Err(source.wrong(name.span(), reason));
    }
    let params = raw.params.into_iter().map(|(name, texts)| (name.into_inner(), texts)).collect();
    Ok(Translation { title: raw.title.map(Spanned::into_inner), description: raw.description, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(ja: &str) -> Result<Definition, DefinitionError> {
        let text = "title = \"Orders\"\nsql = \"SELECT :to, :from\"\n[params.to]\ntype = \"date\"\nlabel = \"To\"\n\
                    [params.from]\ntype = \"date\"\nhelp = \"The first day.\"\n";
        Definition::parse("orders.toml", &format!("{text}{ja}"))
    }

    #[test]
    fn texts_are_read_in_the_language_and_else_in_the_definitions_own() {
        let definition = parse("[ja]\ntitle = \"注文\"\nparams.to.label = \"まで\"\n").unwrap();
        assert_eq!(definition.title_in(Language::Ja), "注文");
        assert_eq!(definition.title_in(Language::En), "Orders");
        assert_eq!(definition.label_in(Language::Ja, "to"), Some("まで"));
        assert_eq!(definition.label_in(Language::En, "to"), Some("To"));
        assert_eq!(definition.help_in(Language::Ja, "from"), Some("The first day."));
        assert_eq!(definition.param_order(), ["to", "from"], "as the file has them");
    }

    #[test]
    fn section_that_is_wrong_is_refused_naming_the_key() {
        for (ja, reason) in [
            ("[ja]\ntitle = \" \"\n", "orders.toml:10: ja.title: expected some text, got none"),
            (
                "[ja.params.day]\nlabel = \"日\"\n",
                "orders.toml:9: ja.params.day: expected a parameter of [params]",
            ),
        ] {
            assert_eq!(parse(ja).unwrap_err().to_string(), reason);
        }
        assert!(parse("[ja]\nsql = \"SELECT 1\"\n").is_err(), "an unknown key");
    }
}
