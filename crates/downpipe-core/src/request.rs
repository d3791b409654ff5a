//! An accepted request: a message held against the catalog, every value typed.

use std::collections::BTreeMap;
use std::str::FromStr;

use downpipe_format::{Profile, UnknownName};

use crate::catalog::Catalog;
use crate::definition::{AFTER, Compression, Definition, Format, REQUESTED_BY};
use crate::job::JobId;
use crate::message::ExportMessage;
use crate::params::Value;
use crate::rejection::{Rejection, Rejections};
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
    /// How CSV is written.
    pub profile: Profile,
    /// The file format.
    pub format: Format,
    /// How the file is compressed.
    pub compression: Compression,
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
        Self::accept_for(definition, message)
    }

    /// Holds a message against a definition without asking who sent it: for a person who has the database's own
    /// credentials in hand.
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
        let output = &definition.output;
        let profile = choice("profile", message.profile.as_deref(), output.profile, &mut wrong);
        let format = choice("format", message.format.as_deref(), output.format, &mut wrong);
        let compression =
            choice("compression", message.compression.as_deref(), output.compression, &mut wrong);
        Rejections::none_of(wrong)?;
        let requested_by = message.requested_by.clone();
        Ok(Self { definition, params, requested_by, profile, format, compression })
    }

    /// The definition's SQL with a value at every placeholder.
    #[must_use]
    pub fn sql(&self) -> Vec<SqlPiece> {
        let value_of = |name: &str| match name {
            REQUESTED_BY => Some(Value::String(self.requested_by.clone())),
            AFTER => self.definition.resume.as_ref().map(|resume| resume.start.clone()),
            name => self.params.get(name).cloned(),
        };
        self.definition.sql.bind(value_of).unwrap_or_else(|| {
            unreachable!("a definition with a placeholder that has no value is refused when it is read")
        })
    }

    /// What the file is called.
    #[must_use]
    pub fn file_name(&self) -> String {
        let value_of = |name: &str| self.params.get(name).map(Value::to_string);
        self.definition.output.filename.render(value_of, self.format)
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

/// A choice that the message may override.
fn choice<T: FromStr<Err = UnknownName>>(
    field: &str,
    asked: Option<&str>,
    default: T,
    wrong: &mut Vec<Rejection>,
) -> T {
    match asked.map(str::parse) {
        None => default,
        Some(Ok(choice)) => choice,
        Some(Err(UnknownName { allowed, actual })) => {
            wrong.push(Rejection::new(
                field,
                format!("one of {}", allowed.join(", ")),
                format!("{actual:?}"),
            ));
            default
        }
    }
}
