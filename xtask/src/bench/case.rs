//! The cases of the bench and how much each needs.

use clap::ValueEnum;

/// The longest measurement. Every checkout leaves a cart in memory, six times over.
pub const MAX_SECONDS: u32 = 120;
/// Load that is not measured, before what is.
pub const WARM_UP_SECONDS: u32 = 2;
/// Longest measurement in an open loop.
pub const OPEN_SECONDS: u32 = 10;
/// A million items, three for every four requests, last 44 s at 30,000 requests/s, and the
/// warm-up and the open loop need their share of them.
const MAX_SECONDS_MIXED: u32 = 35;
/// So many different users for each second that next to none of them fills his cart.
const USERS_PER_SECOND: u32 = 100_000;
const MIN_USERS: u32 = 1_000_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Checkouts of random users and items.
    Checkout,
    /// Three checkouts, then a purchase.
    Mixed,
    /// Checkouts when everything is sold.
    Refused,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Checkout, Self::Mixed, Self::Refused];

    /// Also the load generator's profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Mixed => "mixed",
            Self::Refused => "refused",
        }
    }

    /// How long its measurement takes when so long was asked for.
    pub fn seconds(self, asked: u32) -> u32 {
        match self {
            Self::Mixed => asked.min(MAX_SECONDS_MIXED),
            Self::Checkout | Self::Refused => asked,
        }
    }

    /// Mixed: so many that nothing runs out. Refused: so few that it soon has.
    pub fn items(self) -> u32 {
        match self {
            Self::Checkout => 10_000,
            Self::Mixed => 1_000_000,
            Self::Refused => 1_000,
        }
    }

    /// As [`Case::items`], for at most so many requests.
    pub fn items_for(self, requests: u32) -> u32 {
        match self {
            // Three of four requests take an item; some more, because loops start together.
            Self::Mixed => (requests / 4 * 3 + requests / 8).clamp(1_000, self.items()),
            Self::Checkout | Self::Refused => self.items(),
        }
    }
}

/// How many different users load of so many seconds draws from.
pub fn users(seconds: u32) -> u32 {
    (seconds * USERS_PER_SECOND).max(MIN_USERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_runs_out_of_items_or_users_within_its_time() {
        for asked in [1, 10, MAX_SECONDS] {
            for case in Case::ALL {
                let seconds = case.seconds(asked);
                assert!(seconds <= asked);
                let open = seconds.min(OPEN_SECONDS);
                let closed = seconds + WARM_UP_SECONDS;
                // Half as much again as the fastest machine so far.
                let requests = 30_000 * (2 * closed + open) / 2;
                if case == Case::Mixed {
                    assert!(requests * 3 / 4 <= case.items(), "{asked}");
                }
                // With so many users one in 10⁹ gets more than ten of as many checkouts.
                assert!(requests <= users(closed + open), "{asked} {requests}");
            }
        }
    }

    #[test]
    fn a_fixed_number_of_requests_needs_no_more_items_than_it_takes() {
        for requests in [100, 36_000, 1_000_000] {
            let items = Case::Mixed.items_for(requests);
            assert!(items >= requests * 3 / 4 && items <= Case::Mixed.items());
        }
        assert!(Case::Mixed.items_for(36_000) < 40_000);
        assert_eq!(Case::Refused.items_for(36_000), Case::Refused.items());
    }
}
