//! An accepted request: a message held against the catalog, every value typed.

use std::collections::BTreeMap;

use downpipe_format::{Compression, Format, Style, UnknownName};
use sha2::{Digest as _, Sha256};

use crate::catalog::Catalog;
use crate::definition::{AFTER, Definition, Limits, REQUESTED_BY};
use crate::job::{JobId, hex};
use crate::message::ExportMessage;
use crate::params::Value;
use crate::rejection::{Rejection, Rejections};
use crate::resume::Key;
use crate::sql::SqlPiece;

/// A request that nothing is wrong with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest<'c> {
    /// What is exported.
    pub definition: &'c Definition,
    /// A value for every parameter.
    pub params: BTreeMap<String, Value>,
    /// Who asked.
    pub requested_by: String,
    /// What the file is like.
    pub style: Style,
}

impl<'c> ExportRequest<'c> {
    /// Holds a message against the catalog and the requester against the definition's access.
    ///
    /// # Errors
    /// Everything that is wrong with the message, each with its field. A requester who may not ask is told so and
    /// nothing else.
    pub fn accept(message: &ExportMessage, catalog: &'c Catalog) -> Result<Self, Rejections> {
        let definition = find(message, catalog)?;
        if !definition.access.allows(&message.requested_by) {
            let expected = format!("somebody who may ask for {:?}", definition.name);
            return Err(Rejection::new("requested_by", expected, &message.requested_by).into());
        }
        let request = Self::accept_for(definition, message)?;
        if definition.limits.exceed_a_run() && !request.style.is_continuable() {
            let actual = format!("{:?}", request.style.extension());
            return Err(Rejection::new("format", Limits::NEEDS_CONTINUING, actual).into());
        }
        Ok(request)
    }

    /// Holds a message against a definition without asking who sent it, or whether one run is long enough: for a person who
    /// has the database's own credentials in hand, and all day.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn accept_unrestricted(message: &ExportMessage, catalog: &'c Catalog) -> Result<Self, Rejections> {
        Self::accept_for(find(message, catalog)?, message)
    }

    fn accept_for(definition: &'c Definition, message: &ExportMessage) -> Result<Self, Rejections> {
        let mut wrong = Vec::new();
        let mut params = BTreeMap::new();
        for (name, param) in &definition.params {
            match param.read(&format!("params.{name}"), message.params.get(name)) {
                Ok(value) => drop(params.insert(name.clone(), value)),
                Err(rejection) => wrong.push(rejection),
            }
        }
        for name in message.params.keys().filter(|name| !definition.params.contains_key(*name)) {
            let known: Vec<&str> = definition.params.keys().map(String::as_str).collect();
            let expected = if known.is_empty() {
                "no parameters".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            wrong.push(Rejection::new(format!("params.{name}"), expected, "an unknown parameter"));
        }
        let style = style(definition, message, &mut wrong);
        Rejections::none_of(wrong)?;
        Ok(Self { definition, params, requested_by: message.requested_by.clone(), style })
    }

    /// The definition's SQL with a value at every placeholder: all rows, or those after a key.
    #[must_use]
    pub fn sql(&self, after: Option<&Key>) -> Vec<SqlPiece> {
        let start = || self.definition.resume.as_ref().map(|resume| resume.start.clone());
        let value_of = |name: &str| match name {
            REQUESTED_BY => Some(Value::String(self.requested_by.clone())),
            AFTER => after.map(Key::to_value).or_else(start),
            name => self.params.get(name).cloned(),
        };
        self.definition.sql.bind(value_of).unwrap_or_else(|| {
            unreachable!("a definition with a placeholder that has no value is refused when it is read")
        })
    }

    /// What makes two requests the same, as a digest: who asks, for which version of which definition, with which parameters, and
    /// what the file is to be like.
    #[must_use]
    pub fn sameness(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        field(&self.requested_by);
        field(&self.definition.name);
        field(&self.definition.sha256);
        field(&self.style.extension());
        field(&self.style.profile().name);
        for (name, value) in &self.params {
            field(name);
            field(&value.to_json().to_string());
        }
        hex(&hash.finalize())
    }

    /// What the file is called.
    #[must_use]
    pub fn file_name(&self) -> String {
        let value_of = |name: &str| self.params.get(name).map(Value::to_string);
        self.definition.output.filename.render(value_of, &self.style)
    }

    /// The key of the finished object: `PREFIX/<export>/<yyyy>/<mm>/<dd>/<job id>/<file name>`. The day is the one the
    /// job was accepted on (UTC), so that every attempt has the same key.
    #[must_use]
    pub fn object_key(&self, prefix: &str, job: &JobId, accepted: jiff::Timestamp) -> String {
        let day = accepted.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
        let path = format!("{}/{day}/{job}/{}", self.definition.name, self.file_name());
        match prefix.trim_matches('/') {
            "" => path,
            prefix => format!("{prefix}/{path}"),
        }
    }
}

fn find<'c>(message: &ExportMessage, catalog: &'c Catalog) -> Result<&'c Definition, Rejections> {
    catalog.get(&message.export).ok_or_else(|| {
        let names: Vec<&str> = catalog.names().collect();
        let expected = if names.is_empty() {
            "no export: there are none".to_owned()
        } else {
            format!("one of {}", names.join(", "))
        };
        Rejection::new("export", expected, format!("{:?}", message.export)).into()
    })
}

/// The definition's style with what the message asks for in its place.
fn style(definition: &Definition, message: &ExportMessage, wrong: &mut Vec<Rejection>) -> Style {
    let default = &definition.output.style;
    let (profile, format, compression) = (
        choice("profile", &message.profile, wrong, |name| definition.profile(name)),
        choice("format", &message.format, wrong, str::parse::<Format>),
        choice("compression", &message.compression, wrong, str::parse::<Compression>),
    );
    let profile = profile.unwrap_or_else(|| default.profile().clone());
    let asked_for_format = format.is_some();
    let format = format.unwrap_or(default.format());
    let compression = compression.unwrap_or_else(|| {
        // Who asks for another format cannot know that the definition's compression does not go with it.
        let fits = format.compressions().contains(&default.compression());
        if asked_for_format && !fits { Compression::None } else { default.compression() }
    });
    Style::new(profile, format, compression).unwrap_or_else(|UnknownName { allowed, actual }| {
        let expected = format!("one of {} with format {:?}", allowed.join(", "), format.as_str());
        wrong.push(Rejection::new("compression", expected, format!("{actual:?}")));
        default.clone()
    })
}

/// A choice that the message makes, if it makes one.
fn choice<T>(
    field: &str,
    asked: &Option<String>,
    wrong: &mut Vec<Rejection>,
    read: impl Fn(&str) -> Result<T, UnknownName>,
) -> Option<T> {
    match read(asked.as_deref()?) {
        Ok(choice) => Some(choice),
        Err(UnknownName { allowed, actual }) => {
            let expected = format!("one of {}", allowed.join(", "));
            wrong.push(Rejection::new(field, expected, format!("{actual:?}")));
            None
        }
    }
}
