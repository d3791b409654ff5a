//! What a request may choose of its file.

use downpipe_format::{Compression, Format, Profile};

use super::{Catalog, Definition};

/// The profiles and formats among which a request chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// Names of profiles: those that are built in, and the definition's own.
    pub profiles: Vec<String>,
    /// Formats, each with its compressions.
    pub formats: Vec<FormatChoice>,
}

/// A format, and how its files may be compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatChoice {
    /// The format's name.
    pub format: &'static str,
    /// Names of compressions.
    pub compressions: Vec<&'static str>,
}

impl Catalog {
    /// Returns what a request for this definition may choose. Formats that are refused because the query may take longer than a run
    /// are left out.
    #[must_use]
    pub fn choices(&self, definition: &Definition) -> Choices {
        let must_resume =
            self.longest_run().is_some_and(|run| definition.limits.formats_beyond(run).is_some());
        let profiles = Profile::ALL.iter().chain(definition.profiles.values());
        let formats = Format::ALL.iter().filter(|format| !must_resume || format.is_resumable());
        Choices {
            profiles: profiles.map(|profile| profile.name.to_string()).collect(),
            formats: formats.map(|format| choice(*format, must_resume)).collect(),
        }
    }
}

fn choice(format: Format, must_resume: bool) -> FormatChoice {
    let fits = |compression: &&Compression| !must_resume || **compression != Compression::Zip;
    let compressions = format.compressions().iter().filter(fits);
    FormatChoice {
        format: format.as_str(),
        compressions: compressions.map(|compression| compression.as_str()).collect(),
    }
}
