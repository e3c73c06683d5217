//! Prints for the developer what becomes of the sales: how long until one opens, that it is open,
//! sold out, over.

use jiff::{SignedDuration, Timestamp};

use crate::{session::Session, status::Status};

/// Prints each thing once.
#[derive(Default)]
pub struct News {
    printed: Option<String>,
}

impl News {
    /// Prints what is new in a status.
    pub fn print(&mut self, session: &Session, status: &Status) {
        if let Some(line) = self.line(status, Timestamp::now()) {
            session.say(line);
        }
    }

    fn line(&mut self, status: &Status, now: Timestamp) -> Option<String> {
        let line = line(status, now);
        if line == self.printed {
            return None;
        }
        self.printed.clone_from(&line);
        line
    }
}

fn line(status: &Status, now: Timestamp) -> Option<String> {
    let phase = status.phase.as_deref();
    if let Some(sale) = &status.active_sale {
        let (id, total, until) = (&sale.id, sale.total, sale.ends_at);
        return Some(match phase {
            Some("SoldOut") => format!("Sold out: all {total} items of {id}"),
            _ => format!("Open: {id} sells {total} items until {until}"),
        });
    }
    if let Some(sale) = &status.next_sale {
        let (id, at) = (&sale.id, sale.starts_at);
        let left = about(at.duration_since(now));
        return Some(format!("{id} opens in {left:#}, at {at}"));
    }
    match (phase?, status.history.first()) {
        ("Settling", _) => Some("The sale is over; bringing Postgres up to date".to_owned()),
        ("Pending", _) => None,
        (phase, Some(sale)) => {
            let sold = match sale.total {
                Some(total) => format!("{} of {total} items sold", sale.sold),
                None => "not held".to_owned(),
            };
            Some(format!("{} is over, {sold}; {phase}", sale.id))
        }
        (phase, None) => Some(format!("No sale is to come; {phase}")),
    }
}

/// Rounded up, so coarsely that it makes a line now and then, and more of them near the end.
fn about(left: SignedDuration) -> SignedDuration {
    let seconds = left.as_secs().max(1);
    let step = match seconds {
        ..11 => 5,
        11..61 => 10,
        61..601 => 60,
        601..7_201 => 600,
        _ => 3_600,
    };
    SignedDuration::from_secs((seconds + step - 1) / step * step)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(moments: &[(&str, &str)]) -> Vec<String> {
        let mut news = News::default();
        let line = |(now, status): &(&str, &str)| {
            let now = format!("2026-11-23T{now}Z").parse().unwrap();
            news.line(&Status::read(status), now)
        };
        moments.iter().filter_map(line).collect()
    }

    #[test]
    fn the_wait_is_reported_in_few_lines_and_each_change_once() {
        let next = r#"{"phase": "Scheduled", "nextSale": {"id": "s", "startsAt": "2026-11-23T08:00:00Z"}}"#;
        let sale = |phase: &str| {
            let sale = r#"{"id": "s", "endsAt": "2026-11-23T09:00:00Z", "total": 7}"#;
            format!(r#"{{"phase": "{phase}", "activeSale": {sale}}}"#)
        };
        let (open, sold_out) = (sale("Selling"), sale("SoldOut"));
        let over = r#"{"phase": "Finished", "history": [{"id": "s", "result": "Successful", "total": 7, "sold": 7}]}"#;
        let printed = lines(&[
            ("06:10:00", ""),
            ("06:10:00", next),
            ("06:10:01", next),
            ("07:58:01", next),
            ("07:58:30", next),
            ("07:59:59", next),
            ("08:00:00", &open),
            ("08:00:01", &open),
            ("08:00:02", &sold_out),
            ("09:00:00", r#"{"phase": "Settling"}"#),
            ("09:00:01", over),
        ]);
        assert_eq!(
            printed,
            [
                "s opens in 1h 50m, at 2026-11-23T08:00:00Z",
                "s opens in 2m, at 2026-11-23T08:00:00Z",
                "s opens in 5s, at 2026-11-23T08:00:00Z",
                "Open: s sells 7 items until 2026-11-23T09:00:00Z",
                "Sold out: all 7 items of s",
                "The sale is over; bringing Postgres up to date",
                "s is over, 7 of 7 items sold; Finished",
            ]
        );
        let nothing = lines(&[("08:00:00", r#"{"phase": "Suspended"}"#)]);
        assert_eq!(nothing, ["No sale is to come; Suspended"]);
    }
}
