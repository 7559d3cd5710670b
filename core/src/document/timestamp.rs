//! Points in time: the MessagePack timestamp extension, and RFC 3339 text.
//!
//! ```text
//!   d6 ff | seconds: u32                          1970 .. 2106, no nanoseconds
//!   d7 ff | nanoseconds: 30 bits, seconds: 34     1970 .. 2514
//!   c7 0c ff | nanoseconds: u32 | seconds: i64    all others
//! ```
//!
//! The shortest form that fits is written. Text is UTC with as many digits of the fraction as needed
//! (none, 3, 6 or 9); it covers the years 0001 to 9999.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::msgpack::{self, TIMESTAMP_EXT};
use crate::error::{Error, Result};

const NANOS_PER_SEC: u32 = 1_000_000_000;
const SECS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const TEXT_SECS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A point in time to the nanosecond: seconds since 1970-01-01T00:00:00Z, without leap seconds, and
/// nanoseconds after that second.
///
/// ```
/// use nyro::Timestamp;
/// let when: Timestamp = "2024-01-02T03:04:05.123456789Z".parse()?;
/// assert_eq!((when.secs(), when.nanos()), (1_704_164_645, 123_456_789));
/// assert_eq!(when.to_string(), "2024-01-02T03:04:05.123456789Z");
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    secs: i64,
    /// Below `NANOS_PER_SEC`.
    nanos: u32,
}

impl Timestamp {
    /// The point `nanos` nanoseconds after second `secs`, or `None` if `nanos` is a second or more.
    pub fn new(secs: i64, nanos: u32) -> Option<Timestamp> {
        (nanos < NANOS_PER_SEC).then_some(Timestamp { secs, nanos })
    }

    /// The point `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp { secs: millis.div_euclid(1000), nanos: millis.rem_euclid(1000) as u32 * 1_000_000 }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, negative before.
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds after the second, below 1 000 000 000.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, the rest cut off towards the past; `None` if an `i64` can't hold
    /// them.
    pub fn millis(self) -> Option<i64> {
        let millis = i128::from(self.secs) * 1000 + i128::from(self.nanos / 1_000_000);
        i64::try_from(millis).ok()
    }

    /// As the system's time, or `None` outside the range that the system can express.
    pub fn to_system_time(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.secs.unsigned_abs());
        let second = if self.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        second?.checked_add(Duration::from_nanos(u64::from(self.nanos)))
    }

    /// Reads the payload of a timestamp extension.
    pub(crate) fn from_ext(payload: &[u8]) -> Option<Timestamp> {
        match payload.len() {
            4 => Timestamp::new(i64::from(u32::from_be_bytes(payload.try_into().ok()?)), 0),
            8 => {
                let both = u64::from_be_bytes(payload.try_into().ok()?);
                Timestamp::new((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
            }
            12 => {
                let (nanos, secs) = payload.split_at(4);
                let secs = i64::from_be_bytes(secs.try_into().ok()?);
                Timestamp::new(secs, u32::from_be_bytes(nanos.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// The payload of the extension: the bytes and how many of them count.
    pub(crate) fn to_ext(self) -> ([u8; 12], usize) {
        let mut payload = [0; 12];
        let len = match (u64::try_from(self.secs), self.nanos) {
            (Ok(secs @ 0..=0xffff_ffff), 0) => {
                payload[..4].copy_from_slice(&(secs as u32).to_be_bytes());
                4
            }
            (Ok(secs @ 0..=0x3_ffff_ffff), nanos) => {
                payload[..8].copy_from_slice(&(u64::from(nanos) << 34 | secs).to_be_bytes());
                8
            }
            _ => {
                payload[..4].copy_from_slice(&self.nanos.to_be_bytes());
                payload[4..].copy_from_slice(&self.secs.to_be_bytes());
                12
            }
        };
        (payload, len)
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) -> Result<()> {
        let (payload, len) = self.to_ext();
        msgpack::write_ext(out, TIMESTAMP_EXT, &payload[..len])
    }

    /// Whether [`Display`](fmt::Display) gives RFC 3339: in the years 0001 to 9999.
    pub(crate) fn has_text(self) -> bool {
        TEXT_SECS.contains(&self.secs)
    }

    /// Parses RFC 3339; the error is the reason.
    pub(crate) fn parse(text: &str) -> std::result::Result<Timestamp, &'static str> {
        let mut rest = Digits(text.as_bytes());
        let year = rest.number(4)?;
        rest.byte(b"-")?;
        let month = rest.number(2)?;
        rest.byte(b"-")?;
        let day = rest.number(2)?;
        rest.byte(b"Tt ")?;
        let hour = rest.number(2)?;
        rest.byte(b":")?;
        let minute = rest.number(2)?;
        rest.byte(b":")?;
        let second = rest.number(2)?;
        let nanos = rest.fraction()?;
        let offset_secs = rest.offset_secs()?;
        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err("the date is not in the calendar");
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err("the time of day is out of range (leap seconds are not supported)");
        }
        let in_day = hour * 3600 + minute * 60 + second;
        let secs = days_from_civil(year, month, day) * SECS_PER_DAY + in_day - offset_secs;
        if year == 0 || !TEXT_SECS.contains(&secs) {
            return Err("the year is not from 0001 to 9999");
        }
        Ok(Timestamp { secs, nanos })
    }
}

/// The text of a timestamp that is still to be read.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn byte(&mut self, wanted: &[u8]) -> std::result::Result<u8, &'static str> {
        match self.0 {
            [first, rest @ ..] if wanted.contains(first) => {
                let first = *first;
                self.0 = rest;
                Ok(first)
            }
            _ => Err("a timestamp looks like 2024-01-02T03:04:05.678Z"),
        }
    }

    fn number(&mut self, digits: usize) -> std::result::Result<i64, &'static str> {
        (0..digits).try_fold(0, |number, _| Ok(number * 10 + i64::from(self.byte(b"0123456789")? - b'0')))
    }

    fn fraction(&mut self) -> std::result::Result<u32, &'static str> {
        if self.byte(b".").is_err() {
            return Ok(0);
        }
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len > 9 {
            return Err("a timestamp has at most nine digits after the point");
        }
        let digits = self.number(len.max(1))? as u32;
        Ok(digits * 10_u32.pow(9 - len as u32))
    }

    /// `Z`, `+hh:mm` or `+hhmm`, and the end.
    fn offset_secs(&mut self) -> std::result::Result<i64, &'static str> {
        let sign = self.byte(b"Zz+-")?;
        let mut offset = 0;
        if matches!(sign, b'+' | b'-') {
            let hours = self.number(2)?;
            let _ = self.byte(b":");
            let minutes = self.number(2)?;
            if hours > 23 || minutes > 59 {
                return Err("the offset from UTC is out of range");
            }
            offset = hours * 3600 + minutes * 60;
        }
        if !self.0.is_empty() {
            return Err("text follows the timestamp");
        }
        Ok(if sign == b'-' { -offset } else { offset })
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of a year, in eras of 400 years (146 097 days).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; outside the years 0001 to 9999, where that has no form, `@` and the seconds since 1970.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.has_text() {
            return write!(f, "@{}+{:09}ns", self.secs, self.nanos);
        }
        let (year, month, day) = civil_from_days(self.secs.div_euclid(SECS_PER_DAY));
        let in_day = self.secs.rem_euclid(SECS_PER_DAY);
        let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.nanos {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Parses RFC 3339 with any offset and at most nine digits of the fraction.
    fn from_str(text: &str) -> Result<Timestamp> {
        Timestamp::parse(text).map_err(|reason| Error::InvalidArgument(format!("timestamp {text:?}: {reason}")))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let (secs, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
            Err(before) => match (-i128::from(before.duration().as_secs()), before.duration().subsec_nanos()) {
                (secs, 0) => (secs, 0),
                (secs, nanos) => (secs - 1, NANOS_PER_SEC - nanos),
            },
        };
        // No system's time reaches these bounds and passes them.
        Timestamp { secs: secs.clamp(i64::MIN.into(), i64::MAX.into()) as i64, nanos }
    }
}
