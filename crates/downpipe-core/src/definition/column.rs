//! A definition's wishes for its columns: `[columns.<name>]`.

use downpipe_format::{ColumnOptions, Mask, TreatAs};
use serde::Deserialize;

/// `[columns.<name>]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumn {
    label: Option<String>,
    #[serde(default)]
    hide: bool,
    order: Option<std::num::NonZeroU32>,
    #[serde(rename = "as")]
    treat_as: Option<RawTreatAs>,
    mask: Option<RawMask>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawTreatAs {
    Text,
    Number,
    Timestamp,
}

/// `"fixed"`, `"hash"`, `{ hash = "salt" }` or `{ keep_last = 4 }`.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"fixed\", \"hash\", { hash = \"a salt\" } or { keep_last = a number }"
)]
enum RawMask {
    Named(RawNamedMask),
    Hash(RawHash),
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
struct RawHash {
    hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeepLast {
    keep_last: std::num::NonZeroUsize,
}

impl From<RawColumn> for ColumnOptions {
    fn from(raw: RawColumn) -> Self {
        let treat_as = raw.treat_as.map(|treat_as| match treat_as {
            RawTreatAs::Text => TreatAs::Text,
            RawTreatAs::Number => TreatAs::Number,
            RawTreatAs::Timestamp => TreatAs::Timestamp,
        });
        let mask = raw.mask.map(|mask| match mask {
            RawMask::Named(RawNamedMask::Fixed) => Mask::Fixed,
            RawMask::Named(RawNamedMask::Hash) => Mask::Hash { salt: String::new() },
            RawMask::Hash(RawHash { hash }) => Mask::Hash { salt: hash },
            RawMask::KeepLast(RawKeepLast { keep_last }) => Mask::KeepLast(keep_last.get()),
        });
        let order = raw.order.map(std::num::NonZeroU32::get);
        Self { label: raw.label, hide: raw.hide, order, treat_as, mask }
    }
}
