//! The cases of the bench and how much each needs.

use clap::{ValueEnum, builder::PossibleValue};

/// The longest measurement. Every checkout leaves a cart in memory, six times over.
pub const MAX_SECONDS: u32 = 120;
/// Load that is not measured, before what is.
pub const WARM_UP_SECONDS: u32 = 2;
/// Longest measurement in an open loop at half load.
pub const OPEN_SECONDS: u32 = 10;
/// A million items, three for every four requests, last 44 s at 30,000 requests/s, and the
/// warm-up and the open loop need their share of them.
const MAX_SECONDS_MIXED: u32 = 35;
/// Carts are filled for so many purchases a second: more than two cores can make.
pub const PURCHASES_PER_SECOND: u32 = 10_000;
/// Longer measurements would need more than a million items, and minutes to fill their carts.
const MAX_SECONDS_PURCHASES: u32 = 15;
/// So many different users for each second that next to none of them fills his cart.
const USERS_PER_SECOND: u32 = 100_000;
/// Half as much again as the fastest machine so far.
pub const MAX_REQUESTS_PER_SECOND: u32 = 30_000;
const MIN_USERS: u32 = 1_000_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Checkouts of random users and items.
    Checkout,
    /// Three checkouts, then a purchase.
    Mixed,
    /// Checkouts when everything is sold.
    Refused,
    /// Purchases alone, of carts that are filled before.
    Purchases,
    /// The active sale and pages of its items.
    Browsing,
    /// Checkouts over 1,000 connections.
    Connections,
    /// An open loop from the very start of a sale.
    Opening,
    /// A small sale until its last item is sold.
    Stampede,
    /// Carts that the slot of one sale claims.
    Claims,
    /// An open loop at 80% of the rate that a closed loop reaches.
    Knee,
    /// The mixed flow at one rate, with more of one thing at a time.
    Scale,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Checkout,
        Self::Mixed,
        Self::Refused,
        Self::Purchases,
        Self::Browsing,
        Self::Connections,
        Self::Opening,
        Self::Stampede,
        Self::Claims,
        Self::Knee,
        Self::Scale,
    ];
    /// Those that are measured unless one is named.
    pub const DEFAULT: [Self; 3] = [Self::Checkout, Self::Mixed, Self::Refused];

    /// On the command line and in the result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Mixed => "mixed",
            Self::Refused => "refused",
            Self::Purchases => "purchases",
            Self::Browsing => "browsing",
            Self::Connections => "connections",
            Self::Opening => "opening",
            Self::Stampede => "stampede",
            Self::Claims => "claims",
            Self::Knee => "knee",
            Self::Scale => "scale",
        }
    }

    /// The load generator's profile.
    pub fn profile(self) -> &'static str {
        match self {
            Self::Connections | Self::Opening => Self::Checkout.name(),
            Self::Knee | Self::Scale => Self::Mixed.name(),
            Self::Stampede => "heavy",
            _ => self.name(),
        }
    }

    /// Whether two revisions can be measured in it in turn, at a fixed rate and for a fixed time.
    pub fn is_comparable(self) -> bool {
        Self::DEFAULT.contains(&self)
    }

    /// How long its measurement takes when so long was asked for.
    pub fn seconds(self, asked: u32) -> u32 {
        match self {
            Self::Mixed => asked.min(MAX_SECONDS_MIXED),
            Self::Purchases => asked.min(MAX_SECONDS_PURCHASES),
            _ => asked,
        }
    }

    /// Where items are bought without an end: so many that nothing runs out. Refused: so few
    /// that everything soon is sold.
    pub fn items(self) -> u32 {
        match self {
            Self::Mixed | Self::Purchases | Self::Knee => 1_000_000,
            Self::Refused => 1_000,
            _ => 10_000,
        }
    }

    /// As [`Case::items`], for a closed loop of so many seconds with what is around it.
    pub fn items_in(self, seconds: u32) -> u32 {
        match self {
            Self::Purchases => {
                let open = PURCHASES_PER_SECOND / 2 * seconds.min(OPEN_SECONDS);
                let closed = PURCHASES_PER_SECOND * (WARM_UP_SECONDS + seconds);
                // Some more, because calls that are due at the end of a loop start behind it.
                (3 * (closed + open) + 3_000).min(self.items())
            }
            _ => self.items(),
        }
    }

    /// As [`Case::items`], for at most so many requests.
    pub fn items_for(self, requests: u32) -> u32 {
        match self {
            // Three of four requests take an item; some more, because loops start together.
            Self::Mixed => (requests / 4 * 3 + requests / 8).clamp(1_000, self.items()),
            _ => self.items(),
        }
    }
}

/// What a command line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// One case.
    One(Case),
    /// Every case.
    All,
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [Choice; Case::ALL.len() + 1] = {
            let mut variants = [Choice::All; Case::ALL.len() + 1];
            let mut index = 0;
            while index < Case::ALL.len() {
                variants[index] = Choice::One(Case::ALL[index]);
                index += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::One(case) => case.name(),
            Self::All => "all",
        }))
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
            for case in Case::DEFAULT {
                let seconds = case.seconds(asked);
                assert!(seconds <= asked);
                let open = seconds.min(OPEN_SECONDS);
                let closed = seconds + WARM_UP_SECONDS;
                let requests = MAX_REQUESTS_PER_SECOND * (2 * closed + open) / 2;
                if case == Case::Mixed {
                    assert!(requests * 3 / 4 <= case.items(), "{asked}");
                }
                // With so many users one in 10⁹ gets more than ten of as many checkouts.
                assert!(requests <= users(closed + open), "{asked} {requests}");
            }
        }
    }

    #[test]
    fn a_million_items_fill_the_carts_of_the_longest_purchases() {
        let seconds = Case::Purchases.seconds(MAX_SECONDS);
        let closed = PURCHASES_PER_SECOND * (WARM_UP_SECONDS + seconds);
        let open = PURCHASES_PER_SECOND / 2 * seconds.min(OPEN_SECONDS);
        assert!(3 * (closed + open) <= Case::Purchases.items_in(seconds));
        // A short measurement does not wait for a million items.
        assert!(Case::Purchases.items_in(1) < 120_000);
        assert_eq!(Case::Mixed.items_in(1), Case::Mixed.items());
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

    #[test]
    fn every_case_can_be_named_and_so_can_all_of_them() {
        let named = |name| Choice::from_str(name, false);
        for case in Case::ALL {
            assert_eq!(named(case.name()), Ok(Choice::One(case)));
        }
        assert_eq!(named("all"), Ok(Choice::All));
        assert!(named("nothing").is_err());
    }
}
