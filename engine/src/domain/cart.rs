//! Carts: what a user has put together under a checkout code. A cart reserves nothing.

use crate::domain::code::CodeSuffix;

/// A cart that is being bought, or is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// Whose it is.
    pub user: String,
    /// Item indexes, comma separated, in the order in which they were added: the form in which
    /// Redis holds them and the claim takes them.
    pub items: String,
}

impl Cart {
    /// The item indexes, in the order in which they were added.
    pub fn indexes(&self) -> impl Iterator<Item = u32> {
        self.items.split(',').filter_map(|idx| idx.parse().ok())
    }
}

/// A cart with its code, from the log of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedCart {
    /// Its code.
    pub suffix: CodeSuffix,
    /// What it holds.
    pub cart: Cart,
    /// Whether it is the user's latest, which further checkouts go to.
    pub is_latest: bool,
}

/// What became of an item that a checkout added to a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// The item is in the cart now.
    Added,
    /// It was there before; it counts once.
    InCart,
    /// The cart holds as many as a checkout may.
    CartFull,
    /// The sale has not begun, or is over, by the clock of Redis.
    NotActive,
}

/// The answer of Redis to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// What became of the item.
    pub outcome: AddOutcome,
    /// The code of the cart; none where the sale is not active.
    pub suffix: Option<CodeSuffix>,
    /// Items in the cart.
    pub items_count: u32,
}
