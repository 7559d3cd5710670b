//! Timestamps as text and as the system's time.

use std::time::{Duration, UNIX_EPOCH};

use super::super::Timestamp;
use super::random::Random;
use super::seed;

fn at(secs: i64, nanos: u32) -> Timestamp {
    Timestamp::new(secs, nanos).unwrap()
}

#[test]
fn known_dates_have_their_text() {
    for (timestamp, text) in [
        (at(0, 0), "1970-01-01T00:00:00Z"),
        (at(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
        (at(951_782_400, 0), "2000-02-29T00:00:00Z"),
        (at(951_868_800, 1_000), "2000-03-01T00:00:00.000001Z"),
        (at(-2_203_891_200, 0), "1900-03-01T00:00:00Z"),
        (at(4_107_542_400, 1_000_000), "2100-03-01T00:00:00.001Z"),
        (at(253_402_300_799, 999_999_999), "9999-12-31T23:59:59.999999999Z"),
        (at(-62_135_596_800, 0), "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(text.parse::<Timestamp>().unwrap(), timestamp);
    }
    assert_eq!("2024-01-02T03:04:05.5+05:30".parse::<Timestamp>().unwrap().to_string(), "2024-01-01T21:34:05.500Z");
    assert_eq!("2024-01-02t03:04:05-0100".parse::<Timestamp>().unwrap().to_string(), "2024-01-02T04:04:05Z");
}

#[test]
fn every_day_of_the_calendar_is_its_own() {
    let mut expected = (1_i32, 1_u32, 1_u32);
    for day in 0..3_652_059_i64 {
        if day % 7 == 0 {
            let text = at(-62_135_596_800 + day * 86_400, 0).to_string();
            let (year, month, date) = expected;
            assert_eq!(&text[..10], &format!("{year:04}-{month:02}-{date:02}"));
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        let (year, month, date) = &mut expected;
        let leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
        let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][*month as usize - 1];
        *date += 1;
        if *date > days {
            (*date, *month) = (1, *month + 1);
        }
        if *month > 12 {
            (*month, *year) = (1, *year + 1);
        }
    }
    assert_eq!(expected, (10_000, 1, 1));
}

#[test]
fn text_that_is_no_timestamp_is_refused() {
    for text in [
        "",
        "2024",
        "2024-01-02",
        "2024-01-02T03:04:05",
        "2024-1-02T03:04:05Z",
        "2024-00-02T03:04:05Z",
        "2024-13-02T03:04:05Z",
        "2024-02-30T03:04:05Z",
        "2023-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2024-01-02T24:00:00Z",
        "2024-01-02T03:60:05Z",
        "2024-01-02T23:59:60Z",
        "2024-01-02T03:04:05.Z",
        "2024-01-02T03:04:05.1234567890Z",
        "2024-01-02T03:04:05+24:00",
        "2024-01-02T03:04:05Zx",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
        "２024-01-02T03:04:05Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn the_extension_and_the_systems_time_keep_every_nanosecond() {
    let mut random = Random::new(seed());
    for _ in 0..10_000 {
        let timestamp = random.timestamp();
        let (payload, len) = timestamp.to_ext();
        assert_eq!(Timestamp::from_ext(&payload[..len]), Some(timestamp), "seed {}", seed());
        if let Some(time) = timestamp.to_system_time() {
            assert_eq!(Timestamp::from(time), timestamp, "seed {}", seed());
        }
        if let Some(millis) = timestamp.millis() {
            assert_eq!(Timestamp::from_millis(millis).millis(), Some(millis));
            assert!(Timestamp::from_millis(millis) <= timestamp);
        }
    }
    let before = UNIX_EPOCH - Duration::new(1, 1);
    assert_eq!(Timestamp::from(before), at(-2, 999_999_999));
    assert_eq!(at(-2, 999_999_999).to_system_time(), Some(before));
    assert_eq!(Timestamp::new(0, 1_000_000_000), None);
    assert_eq!(at(i64::MAX, 0).millis(), None);
}

#[test]
fn timestamps_order_in_time() {
    let mut ascending = [at(i64::MIN, 5), at(-1, 0), at(-1, 999_999_999), at(0, 0), at(0, 1), at(i64::MAX, 0)];
    let expected = ascending;
    ascending.reverse();
    ascending.sort();
    assert_eq!(ascending, expected);
}
