//! Decides what becomes of a column's values before its encoder takes them: masks, decimal types and time zones.

use jiff::tz::TimeZone;

use crate::model::{ColumnKind, DecimalType, FileColumn, Layout, LayoutError, Style, TreatAs};
use crate::text::{Conversion, Masker, NotOneInstant, zone_name};

/// What becomes of a column's values.
#[derive(Debug)]
pub(super) enum Treatment {
    /// They stay as they are.
    Unchanged,
    /// They are written as something else. `NULL` stays.
    Rewritten(Rewrite),
    /// They are moved to another clock than the one on which they arrive.
    Moved(Conversion),
}

/// What values are written as instead.
#[derive(Debug)]
pub(super) enum Rewrite {
    /// What the mask shows. It takes instants in UTC, so that the same instant has the same pseudonym in every zone.
    Mask { mask: Masker, kind: ColumnKind, to_utc: Option<Conversion> },
    /// Numbers with the digits of a type.
    Decimal(DecimalType),
}

impl Treatment {
    /// Decides the treatment of a column.
    ///
    /// # Errors
    /// When a mask has no key, or the style cannot show the column's instants.
    pub(super) fn of(column: &FileColumn, layout: &Layout, style: &Style) -> Result<Self, LayoutError> {
        let kind = column.source_kind;
        let is_instant = matches!(kind, ColumnKind::Timestamp { .. });
        // A DATETIME that is treated as an instant holds UTC in every session.
        let utc = TimeZone::UTC;
        let arrives_in = if is_instant { style.session_zone() } else { &utc };
        let conversion = |to: &TimeZone| {
            Conversion::new(arrives_in, to).map_err(|NotOneInstant| LayoutError::NotOneInstant {
                column: column.name.clone(),
                zone: zone_name(arrives_in).to_owned(),
                shown_in: zone_name(to).to_owned(),
            })
        };
        Ok(match (layout.masker(column)?, column.kind, column.treat_as) {
            // This mask shows nothing of the instant.
            (Some(mask @ Masker::Fixed), ..) => Self::Rewritten(Rewrite::Mask { mask, kind, to_utc: None }),
            (Some(mask), ..) => {
                let to_utc = if is_instant { conversion(&utc)? } else { None };
                Self::Rewritten(Rewrite::Mask { mask, kind, to_utc })
            }
            (None, ColumnKind::Timestamp { .. }, _) => {
                conversion(&style.time_zone())?.map_or(Self::Unchanged, Self::Moved)
            }
            (None, _, Some(TreatAs::Decimal(decimal))) => Self::Rewritten(Rewrite::Decimal(decimal)),
            (None, ..) => Self::Unchanged,
        })
    }
}
