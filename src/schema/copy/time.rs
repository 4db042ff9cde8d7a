//! Parses times as SQLite projects store them, counted as in PostgreSQL from the year 2000.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// Parses a timestamp, in microseconds since 2000; without a time zone it is UTC.
pub(super) fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(moment) = usual(text) {
        return Some(moment);
    }
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(zoned.timestamp_micros() - EPOCH);
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(zoned) = DateTime::parse_from_str(text, form) {
            return Some(zoned.timestamp_micros() - EPOCH);
        }
    }
    let forms = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let plain = forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let plain = plain.or_else(|| {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0)
    })?;
    Some(plain.and_utc().timestamp_micros() - EPOCH)
}

/// Parses SQLite's own format, `2026-01-05 10:00:00`, before all others, for speed.
fn usual(text: &str) -> Option<i64> {
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b' ' || byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 19 || !text.bytes().enumerate().all(shape) {
        return None;
    }
    let number = |from: usize| text.get(from..from + 2)?.parse::<u32>().ok();
    let year = text.get(..4)?.parse::<i32>().ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(5)?, number(8)?)?;
    let moment = day.and_hms_opt(number(11)?, number(14)?, number(17)?)?;
    Some(moment.and_utc().timestamp_micros() - EPOCH)
}

/// Parses a number as seconds since 1970, or as milliseconds if it would be after the year 5000.
pub(super) fn counted(number: i64) -> Option<i64> {
    const FAR: i64 = 100_000_000_000;
    let factor = if number.abs() >= FAR {
        1_000
    } else {
        1_000_000
    };
    number.checked_mul(factor)?.checked_sub(EPOCH)
}

/// Parses a date, in days since 2000.
pub(super) fn day(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    let first = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    i32::try_from((day - first).num_days()).ok()
}

/// Parses a time of day, in microseconds.
pub(super) fn of_day(text: &str) -> Option<i64> {
    let forms = ["%H:%M:%S%.f", "%H:%M"];
    let time = forms
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text.trim(), form).ok())?;
    (time - NaiveTime::MIN).num_microseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_projects_write_is_read() {
        let second = 1_000_000;
        assert_eq!(moment("2000-01-01 00:00:01"), Some(second));
        assert_eq!(moment("2000-01-01T00:00:01.5Z"), Some(second * 3 / 2));
        assert_eq!(moment("2000-01-01 02:00:01+02:00"), Some(second));
        assert_eq!(moment("2000-01-02"), Some(86_400 * second));
        assert_eq!(moment("1999-12-31T23:59:59"), Some(-second));
        assert_eq!(moment("2000-02-30 00:00:00"), None);
        assert_eq!(moment("yesterday"), None);
        assert_eq!(counted(946_684_801), Some(second));
        assert_eq!(counted(946_684_801_000), Some(second));
        assert_eq!(day("2000-02-01"), Some(31));
        assert_eq!(of_day("00:01"), Some(60 * second));
    }
}
