//! When a desk trades: windows of days and hours in a timezone, days off, and the time at which a trading day's limits begin anew.
//!
//! Pure: told an instant, it says whether a window is open and when that changes next. The runtime turns the changes into control
//! events, so a replay needs no calendar. Where a clock change skips a time, the time an hour later is meant; where it
//! repeats one, the first.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use linchpin_core::time::Nanos;

use super::text::{Wrong, words};

words! {
    /// What becomes of open orders and positions when a window ends.
    pub enum AtClose {
        Drain = "drain",
        Cancel = "cancel",
        Flatten = "flatten",
        Keep = "keep",
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub zone: Zone,
    /// Empty: always open.
    pub windows: Vec<Window>,
    pub days_off: Vec<Date>,
    pub at_close: AtClose,
    /// When a new trading day begins for limits by day; `None`: never.
    pub daily_reset: Option<Time>,
}

/// A timezone under the name that the tz database gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// `mon-fri 08:00-16:30`: days on which it begins, and from when to when. An end that is not after the beginning is on the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// A bit a weekday, Monday first.
    days: u8,
    start: Time,
    end: Time,
}

/// What changes, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Opens,
    Closes,
    NewDay,
}

/// Changes are looked for this far ahead: past any run of days off that a desk would write.
const HORIZON_DAYS: i64 = 40;

impl Schedule {
    pub fn is_open(&self, at: Nanos) -> bool {
        if self.windows.is_empty() {
            return true;
        }
        let Some(today) = self.date_of(at) else { return false };
        // A window of yesterday may reach into today.
        let yesterday = today.yesterday().ok();
        yesterday
            .into_iter()
            .chain([today])
            .any(|date| self.spans_of(date).any(|(start, end)| (start..end).contains(&at)))
    }

    /// The next change after `at`; the opening comes before the new day where both fall on one instant.
    pub fn next(&self, at: Nanos) -> Option<(Nanos, Change)> {
        let today = self.date_of(at)?;
        let mut date = today.yesterday().ok()?;
        let mut changes = Vec::new();
        for _ in 0..HORIZON_DAYS {
            for (start, end) in self.spans_of(date) {
                changes.push((start, Change::Opens));
                changes.push((end, Change::Closes));
            }
            if let Some(reset) = self.daily_reset.and_then(|time| self.instant(date, time)) {
                changes.push((reset, Change::NewDay));
            }
            date = date.tomorrow().ok()?;
        }
        changes.sort_by_key(|(instant, change)| (*instant, *change as u8));
        let open = |instant: Nanos| self.is_open(instant);
        changes.into_iter().filter(|(instant, _)| *instant > at).find(|(instant, change)| match change {
            // Windows that touch or overlap are one.
            Change::Opens => !open(*instant - Nanos::new(1)),
            Change::Closes => !open(*instant),
            Change::NewDay => true,
        })
    }

    fn spans_of(&self, date: Date) -> impl Iterator<Item = (Nanos, Nanos)> + '_ {
        let off = self.days_off.contains(&date);
        let bit = 1u8 << date.weekday().to_monday_zero_offset();
        self.windows.iter().filter(move |window| !off && window.days & bit != 0).filter_map(move |window| {
            let last = if window.end > window.start { date } else { date.tomorrow().ok()? };
            Some((self.instant(date, window.start)?, self.instant(last, window.end)?))
        })
    }

    fn date_of(&self, at: Nanos) -> Option<Date> {
        let stamp = Timestamp::from_nanosecond(i128::from(at.raw())).ok()?;
        Some(stamp.to_zoned(self.zone.0.clone()).date())
    }

    fn instant(&self, date: Date, time: Time) -> Option<Nanos> {
        let zoned = self.zone.0.to_zoned(date.to_datetime(time)).ok()?;
        u64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Nanos::new)
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl FromStr for Window {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                "expected days and hours, such as \"mon-fri 08:00-16:30\", \"sun 22:00-02:00\" or \"mon,wed 09:00-17:00\"",
            )
        };
        let (days, hours) = text.split_once(' ').ok_or_else(wrong)?;
        let (start, end) = hours.trim().split_once('-').ok_or_else(wrong)?;
        let start = parse_time(start).map_err(|_| wrong())?;
        // "24:00" is how people write the end of a day.
        let end = if end == "24:00" { Time::midnight() } else { parse_time(end).map_err(|_| wrong())? };
        let mut set = 0u8;
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |name: &str| DAYS.iter().position(|day| *day == name);
            let (Some(mut day), Some(last)) = (number(first), number(last)) else { return Err(wrong()) };
            loop {
                set |= 1 << day;
                if day == last {
                    break;
                }
                day = (day + 1) % DAYS.len();
            }
        }
        Ok(Self { days: set, start, end })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = DAYS
            .iter()
            .enumerate()
            .filter(|(at, _)| self.days & (1 << at) != 0)
            .map(|(_, day)| *day)
            .collect();
        write!(f, "{} {}-{}", days.join(","), show_time(self.start), show_time(self.end))
    }
}

impl FromStr for Zone {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match TimeZone::get(text) {
            // A zone without a name could not be written into the journal's configuration.
            Ok(zone) if zone.iana_name().is_some() => Ok(Self(zone)),
            _ => Err(Wrong::new("is no timezone; expected a name such as \"UTC\" or \"Europe/London\"")),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

pub(super) fn parse_time(text: &str) -> Result<Time, Wrong> {
    let wrong = || Wrong::new("expected a time of day, \"HH:MM\" or \"HH:MM:SS\"");
    let number = |text: &str| match text.len() {
        2 => text.parse::<i8>().map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    let mut parts = text.splitn(3, ':').map(number);
    let (Some(hour), Some(minute)) = (parts.next(), parts.next()) else { return Err(wrong()) };
    let second = parts.next().unwrap_or(Ok(0));
    Time::new(hour?, minute?, second?, 0).map_err(|_| wrong())
}

pub(super) fn show_time(time: Time) -> String {
    let minutes = format!("{:02}:{:02}", time.hour(), time.minute());
    if time.second() == 0 { minutes } else { format!("{minutes}:{:02}", time.second()) }
}

pub(super) fn parse_date(text: &str) -> Result<Date, Wrong> {
    text.parse().map_err(|_| Wrong::new("expected a date, \"YYYY-MM-DD\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(zone: &str, windows: &[&str]) -> Schedule {
        Schedule {
            zone: zone.parse().unwrap(),
            windows: windows.iter().map(|text| text.parse().unwrap()).collect(),
            days_off: Vec::new(),
            at_close: AtClose::Cancel,
            daily_reset: None,
        }
    }

    fn at(text: &str) -> Nanos {
        let stamp: Timestamp = text.parse().unwrap();
        Nanos::new(stamp.as_nanosecond() as u64)
    }

    #[test]
    fn a_window_is_open_from_its_start_to_just_before_its_end() {
        let desk = schedule("UTC", &["mon-fri 08:00-16:30"]);
        // 2026-11-20 is a Friday.
        assert!(!desk.is_open(at("2026-11-20T07:59:59.999Z")));
        assert!(desk.is_open(at("2026-11-20T08:00:00Z")));
        assert!(desk.is_open(at("2026-11-20T16:29:59Z")));
        assert!(!desk.is_open(at("2026-11-20T16:30:00Z")));
        assert!(!desk.is_open(at("2026-11-21T12:00:00Z")), "Saturday");
        assert_eq!(desk.next(at("2026-11-20T16:30:00Z")), Some((at("2026-11-23T08:00:00Z"), Change::Opens)));
        assert_eq!(desk.next(at("2026-11-20T12:00:00Z")), Some((at("2026-11-20T16:30:00Z"), Change::Closes)));
    }

    #[test]
    fn hours_are_those_of_the_timezone_through_a_clock_change() {
        // London leaves summer time on 2026-10-25.
        let desk = schedule("Europe/London", &["mon-sun 08:00-09:00"]);
        assert!(desk.is_open(at("2026-10-24T07:30:00Z")) && !desk.is_open(at("2026-10-24T08:30:00Z")));
        assert!(!desk.is_open(at("2026-10-25T07:30:00Z")) && desk.is_open(at("2026-10-25T08:30:00Z")));
    }

    #[test]
    fn a_window_through_midnight_belongs_to_the_day_on_which_it_began() {
        let desk = schedule("UTC", &["fri 22:00-02:00"]);
        assert!(desk.is_open(at("2026-11-21T01:59:59Z")), "Saturday morning, of Friday's window");
        assert!(!desk.is_open(at("2026-11-20T01:00:00Z")), "Friday morning");
        assert_eq!(desk.next(at("2026-11-20T23:00:00Z")), Some((at("2026-11-21T02:00:00Z"), Change::Closes)));
    }

    #[test]
    fn windows_that_touch_are_one_and_a_whole_week_never_changes() {
        let desk = schedule("UTC", &["mon-fri 08:00-12:00", "mon-fri 12:00-16:00"]);
        assert_eq!(desk.next(at("2026-11-20T09:00:00Z")), Some((at("2026-11-20T16:00:00Z"), Change::Closes)));
        let week = schedule("UTC", &["mon-sun 00:00-24:00"]);
        assert!(week.is_open(at("2026-11-20T00:00:00Z")) && week.is_open(at("2026-11-20T23:59:59Z")));
        assert_eq!(week.next(at("2026-11-20T09:00:00Z")), None);
        assert_eq!(schedule("UTC", &[]).next(at("2026-11-20T09:00:00Z")), None, "always");
    }

    #[test]
    fn a_day_off_has_no_window_and_a_new_day_comes_all_the_same() {
        let mut desk = schedule("UTC", &["mon-fri 08:00-16:00"]);
        desk.days_off = vec![parse_date("2026-12-25").unwrap()];
        assert!(!desk.is_open(at("2026-12-25T09:00:00Z")));
        assert_eq!(desk.next(at("2026-12-24T16:00:00Z")), Some((at("2026-12-28T08:00:00Z"), Change::Opens)));
        desk.daily_reset = Some(parse_time("00:00").unwrap());
        assert_eq!(desk.next(at("2026-12-24T16:00:00Z")), Some((at("2026-12-25T00:00:00Z"), Change::NewDay)));
    }

    #[test]
    fn a_window_reads_back_as_it_was_shown_and_nonsense_is_refused() {
        for text in ["mon-fri 08:00-16:30", "sat-tue 22:00-02:00", "wed 00:00-24:00", "mon 09:29:58-15:59:45"]
        {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
        }
        for text in [
            "",
            "mon",
            "mon 8:00-16:00",
            "mon 08:00",
            "mon-fry 08:00-16:00",
            "mon 08:00-25:00",
            "mon 08:61-09:00",
            "mon 08:00:60-09:00",
            "mon 08:00:5-09:00",
            "mon 08:00:00:00-09:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        assert_eq!("mon 08:00:00-09:00:07".parse::<Window>().unwrap().to_string(), "mon 08:00-09:00:07");
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        assert_eq!("Europe/London".parse::<Zone>().unwrap().to_string(), "Europe/London");
    }
}
