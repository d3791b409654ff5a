//! A definition as the API shows it: what a person may choose.

use downpipe_core::catalog::{Catalog, Definition, Param, ParamType, Value};
use downpipe_core::language::Language;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;

/// The exports that a person may ask for.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportList {
    /// In the order of their names.
    pub(crate) exports: Vec<ExportSummary>,
}

/// An export in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportSummary)]
pub(crate) struct ExportSummary {
    /// Its name in requests.
    name: String,
    /// Its name for people.
    title: String,
    /// What it is.
    description: Option<String>,
}

/// An export, with all that a form needs.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportView {
    /// Its name in requests.
    name: String,
    /// Its name for people.
    title: String,
    /// What it is.
    description: Option<String>,
    /// The zone in which dates and times are meant, by its IANA name.
    time_zone: Option<String>,
    /// The parameters that the person may give. Those that the token fixes, or that are locked, are left out.
    params: Vec<ParamView>,
    /// The profiles of text files.
    profiles: Vec<String>,
    /// The formats, each with its compressions.
    formats: Vec<FormatView>,
    /// The profile of a request that names none.
    profile: String,
    /// The format of a request that names none.
    format: String,
    /// The compression of a request that names none.
    compression: String,
    /// How many days a file is kept.
    kept_days: i32,
}

/// A parameter.
#[derive(Serialize, ToSchema)]
#[schema(as = Param)]
struct ParamView {
    /// Its name in requests.
    name: String,
    /// `string`, `integer`, `decimal`, `boolean`, `date` or `datetime`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether a request must give it.
    required: bool,
    /// The value of a request that leaves it out.
    default: serde_json::Value,
    /// The only values allowed; empty allows all.
    one_of: Vec<serde_json::Value>,
    /// What a form calls it.
    label: Option<String>,
    /// What a form says below it.
    help: Option<String>,
    /// The most characters of a string.
    max_length: Option<usize>,
}

/// A format, and how its files may be compressed.
#[derive(Serialize, ToSchema)]
#[schema(as = Format)]
struct FormatView {
    /// Its name in requests.
    format: &'static str,
    /// Its compressions.
    compressions: Vec<&'static str>,
}

impl ExportSummary {
    pub(crate) fn of(definition: &Definition, language: Language) -> Self {
        Self {
            name: definition.name.clone(),
            title: definition.title_in(language).to_owned(),
            description: definition.description_in(language).map(str::to_owned),
        }
    }
}

impl ExportView {
    /// Returns an export as this person may ask for it.
    pub(crate) fn of(
        definition: &Definition,
        catalog: &Catalog,
        caller: &Caller,
        language: Language,
    ) -> Self {
        let ExportSummary { name, title, description } = ExportSummary::of(definition, language);
        let is_free = |(name, param): &(&String, &Param)| !param.locked && !caller.params.contains_key(*name);
        let in_order =
            definition.param_order().iter().filter_map(|name| definition.params.get_key_value(name));
        let params = in_order.filter(is_free);
        let choices = catalog.choices(definition);
        let formats = choices.formats.into_iter();
        let style = &definition.output.style;
        Self {
            name,
            title,
            description,
            time_zone: definition.time_zone.iana_name().map(str::to_owned),
            params: params.map(|(name, param)| ParamView::of(definition, name, param, language)).collect(),
            profiles: choices.profiles,
            formats: formats
                .map(|choice| FormatView { format: choice.format, compressions: choice.compressions })
                .collect(),
            profile: style.profile().name.to_string(),
            format: style.format().as_str().to_owned(),
            compression: style.compression().as_str().to_owned(),
            kept_days: definition.output.retention.days(),
        }
    }
}

impl ParamView {
    fn of(definition: &Definition, name: &str, param: &Param, language: Language) -> Self {
        let kind = match param.kind {
            ParamType::String => "string",
            ParamType::Integer => "integer",
            ParamType::Decimal => "decimal",
            ParamType::Boolean => "boolean",
            ParamType::Date => "date",
            ParamType::DateTime => "datetime",
        };
        Self {
            name: name.to_owned(),
            kind,
            required: param.required,
            default: param.default.as_ref().map(Value::to_json).unwrap_or_default(),
            one_of: param.one_of.iter().map(Value::to_json).collect(),
            label: definition.label_in(language, name).map(str::to_owned),
            help: definition.help_in(language, name).map(str::to_owned),
            max_length: param.max_length,
        }
    }
}
