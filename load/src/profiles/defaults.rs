//! The numbers of each profile: defaults of flags, and how its users behave.

use std::time::Duration;

use crate::profiles::profile::Profile;
use crate::profiles::shopper::Crowd;

/// What a profile sets unless a flag says otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// Length of the run in seconds; for stress at most that long.
    pub duration_s: u64,
    /// Connections over all targets.
    pub connections: u32,
    /// Users at the same time; for checkout and refused: different users.
    pub users: u32,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
}

impl Profile {
    /// The defaults.
    #[must_use]
    pub fn defaults(self) -> Defaults {
        let (duration_s, connections, users, rate) = match self {
            Self::Light => (30, 8, 20, None),
            Self::Heavy => (60, 64, 64, None),
            Self::Stress => (180, 256, 256, Some(500.0)),
            Self::Realistic => (60, 200, 1_000, None),
            Self::Checkout => (10, 64, 1_000_000, None),
            Self::Mixed => (10, 64, 64, None),
            Self::Refused => (10, 64, 1_000_000, None),
            Self::Purchases | Self::Browsing => (10, 64, 64, None),
        };
        Defaults {
            duration_s,
            connections,
            users,
            rate,
        }
    }

    /// How its users behave.
    pub(crate) fn crowd(self) -> Crowd {
        let (think_ms, browses, abandons, skew) = match self {
            Self::Light => (100, 0.3, 0.1, 1.0),
            Self::Realistic => (1_000, 0.4, 0.2, 2.0),
            _ => (0, 0.1, 0.0, 1.0),
        };
        Crowd {
            think: Duration::from_millis(think_ms),
            browses,
            abandons,
            skew,
        }
    }
}
