//! `[columns.<name>]`: label, order, mask and type of a column.

use downpipe_format::{ColumnOptions, InvalidDecimalType, Mask, TreatAs};
use serde::Deserialize;

/// `[columns.<name>]` as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumn {
    label: Option<String>,
    #[serde(default)]
    hide: bool,
    position: Option<std::num::NonZeroU32>,
    #[serde(rename = "as")]
    treat_as: Option<RawTreatAs>,
    mask: Option<RawMask>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RawTreatAs(TreatAs);

impl TryFrom<String> for RawTreatAs {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(Self(match text.as_str() {
            "text" => TreatAs::Text,
            "number" => TreatAs::Number,
            "timestamp" => TreatAs::Timestamp,
            decimal if decimal.starts_with("decimal") => {
                TreatAs::Decimal(decimal.parse().map_err(|error: InvalidDecimalType| error.to_string())?)
            }
            _ => {
                return Err(format!(
                    "expected one of \"text\", \"number\", \"timestamp\", \"decimal(precision,scale)\", got {text:?}"
                ));
            }
        }))
    }
}

/// `"fixed"`, `"hash"` or `{ keep_last = 4 }`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"fixed\", \"hash\" or { keep_last = a number }")]
enum RawMask {
    Named(RawNamedMask),
    KeepLast(RawKeepLast),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawNamedMask {
    Fixed,
    Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeepLast {
    keep_last: std::num::NonZeroUsize,
}

impl From<RawColumn> for ColumnOptions {
    fn from(raw: RawColumn) -> Self {
        let treat_as = raw.treat_as.map(|RawTreatAs(treat_as)| treat_as);
        let mask = raw.mask.map(|mask| match mask {
            RawMask::Named(RawNamedMask::Fixed) => Mask::Fixed,
            RawMask::Named(RawNamedMask::Hash) => Mask::Hash,
            RawMask::KeepLast(RawKeepLast { keep_last }) => Mask::KeepLast(keep_last.get()),
        });
        let position = raw.position.map(std::num::NonZeroU32::get);
        Self { label: raw.label, hide: raw.hide, position, treat_as, mask }
    }
}
