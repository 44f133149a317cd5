//! Unix nanoseconds as UTC text. Cold; no leap seconds, as the venues have none.

use std::fmt;

/// `2024-08-08T11:26:40.123456789Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utc(pub u64);

impl Utc {
    /// `11:26:40.123456`: what a person needs of a moment of today.
    pub fn of_day(self) -> impl fmt::Display {
        let (_, second, nanos) = self.parts();
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{hour:02}:{minute:02}:{second:02}.{:06}", nanos / 1_000)
    }

    /// Days since 1970, seconds of the day, nanoseconds of the second.
    fn parts(self) -> (u64, u64, u64) {
        let seconds = self.0 / 1_000_000_000;
        (seconds / 86_400, seconds % 86_400, self.0 % 1_000_000_000)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second, nanos) = self.parts();
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

/// The Gregorian date of a day since 1970. Years are counted from March, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01; 146,097 days make 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days, twice and again: 153 days in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_the_calendar_has_them() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Utc(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(Utc(1_723_116_400_123_456_789).to_string(), "2024-08-08T11:26:40.123456789Z");
        assert_eq!(Utc(1_723_116_400_123_456_789).of_day().to_string(), "11:26:40.123456");
    }

    #[test]
    fn each_day_follows_the_one_before_for_five_centuries() {
        let mut last = date(0);
        for days in 1..186_000 {
            let (year, month, day) = date(days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let next = match last {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, 2, 28) if !leap => (y, 3, 1),
                (y, 2, 29) => (y, 3, 1),
                (y, m @ (4 | 6 | 9 | 11), 30) => (y, m + 1, 1),
                (y, m, 31) => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, day), next);
            last = next;
        }
    }
}
