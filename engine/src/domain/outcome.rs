//! The outcome of a code: which items of its cart it got, and why not the others.

use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::sale::SaleId;

/// What became of one item of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOutcome {
    /// The code has it.
    Sold {
        /// Which of the user's `1..=perUser` places it takes.
        user_slot: u32,
        /// Which of the sale's `1..=total` places it takes; 0 where the sale needs none.
        sale_slot: u32,
    },
    /// Another code has it.
    AlreadySold,
    /// The user, or the sale, may have no more.
    LimitReached,
}

/// An [`ItemOutcome`] without its slots: the list of what can become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemResultKind {
    /// The code has it.
    Sold,
    /// Another code has it.
    AlreadySold,
    /// The user, or the sale, may have no more.
    LimitReached,
}

impl ItemResultKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sold, Self::AlreadySold, Self::LimitReached];

    /// The word that `orders.results` and the HTTP answer use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sold => "sold",
            Self::AlreadySold => "already_sold",
            Self::LimitReached => "limit_reached",
        }
    }

    /// Reads the word of `orders.results`.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl ItemOutcome {
    /// What became of the item, without slots.
    pub const fn kind(self) -> ItemResultKind {
        match self {
            Self::Sold { .. } => ItemResultKind::Sold,
            Self::AlreadySold => ItemResultKind::AlreadySold,
            Self::LimitReached => ItemResultKind::LimitReached,
        }
    }

    /// The word that `orders.results` and the HTTP answer use.
    pub const fn as_str(self) -> &'static str {
        self.kind().as_str()
    }
}

/// Why a code that bought nothing bought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingSold {
    /// Other codes have all its items.
    AlreadySold,
    /// The limit of the user or of the sale kept it from an item that was free.
    LimitReached,
}

impl NothingSold {
    /// The stable code of the HTTP answer.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlreadySold => ItemResultKind::AlreadySold.as_str(),
            Self::LimitReached => ItemResultKind::LimitReached.as_str(),
        }
    }
}

/// An item of a cart with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemResult {
    /// Index in the sale's catalogue.
    pub idx: u32,
    /// What became of it.
    pub outcome: ItemOutcome,
}

/// The outcome of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whose cart it was.
    pub user: String,
    /// The request that decided it.
    pub request_id: String,
    /// When Redis decided it, Unix time in milliseconds.
    pub at_ms: i64,
    /// In the order of the cart.
    pub results: Vec<ItemResult>,
}

impl Outcome {
    /// How many items the code got.
    pub fn sold_count(&self) -> usize {
        let sold = |r: &&ItemResult| r.outcome.kind() == ItemResultKind::Sold;
        self.results.iter().filter(sold).count()
    }

    /// The indexes of the cart, and the kinds of their results, in parallel.
    pub fn kinds(&self) -> impl Iterator<Item = (u32, ItemResultKind)> {
        self.results
            .iter()
            .map(|result| (result.idx, result.outcome.kind()))
    }

    /// Whether both sell and refuse the same items; slots may differ.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.user == other.user && self.kinds().eq(other.kinds())
    }
}

/// An outcome that Redis decided, on its way to Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The code.
    pub code: CheckoutCode,
    /// What Redis decided.
    pub outcome: Outcome,
    /// Whether Redis had decided it before: Postgres probably has it.
    pub replayed: bool,
}

impl Claim {
    /// The sale it belongs to.
    pub fn sale(&self) -> &SaleId {
        &self.code.sale
    }

    /// The code, short form.
    pub fn suffix(&self) -> CodeSuffix {
        self.code.suffix
    }
}

/// One sold item, as Postgres keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// Index in the sale's catalogue.
    pub idx: u32,
    /// Who has it.
    pub user: String,
    /// Which of the user's places it takes.
    pub user_slot: u32,
    /// Which of the sale's places it takes; 0 where the sale needs none.
    pub sale_slot: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(request_id: &str, results: &[(u32, ItemOutcome)]) -> Outcome {
        let result = |(idx, outcome): &(u32, ItemOutcome)| ItemResult {
            idx: *idx,
            outcome: *outcome,
        };
        Outcome {
            user: "ann".to_owned(),
            request_id: request_id.to_owned(),
            at_ms: 1,
            results: results.iter().map(result).collect(),
        }
    }

    fn sold(user_slot: u32) -> ItemOutcome {
        ItemOutcome::Sold {
            user_slot,
            sale_slot: 0,
        }
    }

    #[test]
    fn outcomes_agree_when_they_sell_the_same_whatever_the_slots() {
        let one = outcome("r1", &[(7, sold(1)), (9, ItemOutcome::AlreadySold)]);
        let same = outcome("r2", &[(7, sold(3)), (9, ItemOutcome::AlreadySold)]);
        let refused = [(7, ItemOutcome::AlreadySold), (9, ItemOutcome::AlreadySold)];
        let other = outcome("r1", &refused);
        assert!(one.agrees_with(&same));
        assert!(!one.agrees_with(&other));
        assert_eq!((one.sold_count(), other.sold_count()), (1, 0));
    }

    #[test]
    fn every_word_of_a_result_reads_back() {
        for kind in ItemResultKind::ALL {
            assert_eq!(ItemResultKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ItemResultKind::parse("invalid"), None);
    }
}
