//! An accepted request: a message held against the catalog, every value typed.

use std::collections::BTreeMap;

use downpipe_format::{Compression, Format, Style, UnknownName};
use sha2::{Digest as _, Sha256};

use crate::catalog::{AFTER, Catalog, Definition, REQUESTED_BY, SqlPiece, Value};
use crate::job::{JobId, Key};
use crate::message::{ExportMessage, Rejection, Rejections, one_of};
use crate::requester::Requester;
use crate::store::folder_prefix;
use crate::untrusted_text::is_hidden;

/// A request that was checked against the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest<'c> {
    /// What is exported.
    pub definition: &'c Definition,
    /// A value for every parameter.
    pub params: BTreeMap<String, Value>,
    /// The requester.
    pub requested_by: Requester,
    /// The file's profile, format and compression.
    pub style: Style,
}

impl<'c> ExportRequest<'c> {
    /// Holds a message against the catalog and the requester against the definition's access.
    ///
    /// # Errors
    /// Everything that is wrong with the message, each with its field. A requester who has no access learns that and nothing else.
    pub fn accept(message: &ExportMessage, catalog: &'c Catalog) -> Result<Self, Rejections> {
        let may_ask = |definition: &Definition| definition.access.allows(&message.requested_by);
        let definition = find(message, catalog, may_ask)?;
        if !definition.access.allows(&message.requested_by) {
            let expected = format!("a requester who may ask for {:?}", definition.name);
            return Err(Rejection::new("requested_by", expected, &message.requested_by).into());
        }
        let request = Self::accept_for(definition, message)?;
        let formats = catalog.longest_run().and_then(|run| definition.limits.formats_beyond(run));
        if let Some(expected) = formats.filter(|_| !request.style.is_resumable()) {
            let actual = format!("{:?}", request.style.extension());
            return Err(Rejection::new("format", expected, actual).into());
        }
        Ok(request)
    }

    /// Holds a message against the catalog without the definition's access and without the limit of one run: for a person who has
    /// the database's own credentials.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn accept_unrestricted(message: &ExportMessage, catalog: &'c Catalog) -> Result<Self, Rejections> {
        Self::accept_for(find(message, catalog, |_| true)?, message)
    }

    fn accept_for(definition: &'c Definition, message: &ExportMessage) -> Result<Self, Rejections> {
        let mut wrong = Vec::new();
        let mut params = BTreeMap::new();
        for (name, param) in &definition.params {
            match param.read(&format!("params.{name}"), message.params.get(name), &definition.time_zone) {
                Ok(value) => {
                    wrong.extend(unfit_for_file_name(definition, name, &value));
                    params.insert(name.clone(), value);
                }
                Err(rejection) => wrong.push(rejection),
            }
        }
        for name in message.params.keys().filter(|name| !definition.params.contains_key(*name)) {
            let known = definition.params.keys();
            let expected = if known.len() == 0 { "no parameters".to_owned() } else { one_of(known) };
            wrong.push(Rejection::new(format!("params.{name}"), expected, "an unknown parameter"));
        }
        let style = style(definition, message, &mut wrong);
        Rejections::none_of(wrong)?;
        Ok(Self { definition, params, requested_by: message.requested_by.clone(), style })
    }

    /// Returns the definition's SQL with a value at every placeholder: all rows, or those after a key.
    #[must_use]
    pub fn sql(&self, after: Option<&Key>) -> Vec<SqlPiece> {
        let start = || self.definition.resume.as_ref().map(|resume| resume.start.clone());
        let value_of = |name: &str| match name {
            REQUESTED_BY => Some(Value::String(self.requested_by.to_string())),
            AFTER => after.map(Key::to_value).or_else(start),
            name => self.params.get(name).cloned(),
        };
        self.definition.sql.bind(value_of).unwrap_or_else(|| {
            unreachable!("a definition with a placeholder that has no value is refused when it is read")
        })
    }

    /// Returns a digest of requester, definition and version, parameters and style. Requests with the same one are the same.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.digest(Some(&self.requested_by))
    }

    /// Returns the digest without the requester, if the definition's requesters share results. Any requester's request with the same
    /// one has the same file.
    #[must_use]
    pub fn shared_fingerprint(&self) -> Option<String> {
        self.definition.access.shares_results().then(|| self.digest(None))
    }

    fn digest(&self, requester: Option<&Requester>) -> String {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        // No requester is empty.
        field(requester.map_or("", Requester::as_str));
        field(&self.definition.name);
        field(&self.definition.version());
        field(&self.style.extension());
        field(&self.style.profile().name);
        for (name, value) in &self.params {
            field(name);
            field(&value.to_json().to_string());
        }
        hex::encode(hash.finalize())
    }

    /// Returns the file's name.
    #[must_use]
    pub fn file_name(&self) -> String {
        let value_of = |name: &str| self.params.get(name).map(Value::to_string);
        self.definition.output.filename.render(value_of, &self.style)
    }

    /// Returns the key of the finished object: `PREFIX/<export>/<yyyy>/<mm>/<dd>/<job id>/<file name>`. The day is the one the
    /// job was accepted on (UTC), so that every attempt has the same key.
    #[must_use]
    pub fn object_key(&self, prefix: &str, job: &JobId, accepted: jiff::Timestamp) -> String {
        let day = accepted.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
        let path = format!("{}/{day}/{job}/{}", self.definition.name, self.file_name());
        format!("{}{path}", folder_prefix(prefix))
    }
}

/// Finds the definition of the message's name. Where there is none, the rejection names those that the requester may ask for.
fn find<'c>(
    message: &ExportMessage,
    catalog: &'c Catalog,
    may_ask: impl Fn(&Definition) -> bool,
) -> Result<&'c Definition, Rejections> {
    catalog.get(&message.export).ok_or_else(|| {
        let mut names = catalog.names().filter(|name| catalog.get(name).is_some_and(&may_ask)).peekable();
        let expected = match names.peek() {
            None => "no export: there are none".to_owned(),
            Some(_) => one_of(names),
        };
        Rejection::new("export", expected, format!("{:?}", message.export)).into()
    })
}

/// Refuses a value after which a file cannot be named: a listing of S3 cannot carry some characters, and others deceive the reader
/// of the name.
fn unfit_for_file_name(definition: &Definition, name: &str, value: &Value) -> Option<Rejection> {
    let named_after = definition.output.filename.params().any(|param| param == name);
    let is_refused = named_after && value.to_string().contains(is_hidden);
    let expected = "no invisible character and no line break, as a file is named after it";
    is_refused.then(|| Rejection::new(format!("params.{name}"), expected, format!("{:?}", value.to_string())))
}

/// Returns the definition's style with the choices of the message.
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
        // A requester of another format cannot know that the definition's compression does not go with it.
        let fits = format.compressions().contains(&default.compression());
        if asked_for_format && !fits { Compression::None } else { default.compression() }
    });
    let style =
        Style::new(profile, format, compression).map(|style| style.arriving_in(definition.time_zone.clone()));
    style.unwrap_or_else(|UnknownName { allowed, actual }| {
        let expected = format!("{} with format {:?}", one_of(allowed), format.as_str());
        wrong.push(Rejection::new("compression", expected, format!("{actual:?}")));
        default.clone()
    })
}

/// Reads a choice of the message, if there is one.
fn choice<T>(
    field: &str,
    asked: &Option<String>,
    wrong: &mut Vec<Rejection>,
    read: impl Fn(&str) -> Result<T, UnknownName>,
) -> Option<T> {
    match read(asked.as_deref()?) {
        Ok(choice) => Some(choice),
        Err(UnknownName { allowed, actual }) => {
            wrong.push(Rejection::new(field, one_of(allowed), format!("{actual:?}")));
            None
        }
    }
}
