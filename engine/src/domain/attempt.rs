//! Checkout attempts: one for each answered call of `POST /checkout`, whatever the answer.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::cart::{AddOutcome, Added};
use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::sale::SaleId;

/// Declares an enum of reasons with the stable number and word of each, and the list of all of them.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = ($number:literal, $word:literal),)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word: the code of the HTTP answer and the outcome in the log of
            /// attempts.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The stable number of the outcome in the log of attempts.
            const fn number(self) -> i16 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }
        }
    };
}

reasons! {
    /// Why a checkout is refused.
    Refusal {
        /// No sale is active.
        SaleNotActive = (10, "sale_not_active"),
        /// No sale has such an item.
        UnknownItem = (11, "unknown_item"),
        /// Another sale has it.
        ItemOfAnotherSale = (12, "item_of_another_sale"),
        /// It is sold.
        AlreadySold = (13, "already_sold"),
        /// The sale has sold as many as it may.
        SoldOut = (14, "sold_out"),
        /// The user has bought as many as one may.
        LimitReached = (15, "limit_reached"),
        /// The cart holds as many as it may.
        CartFull = (16, "cart_full"),
    }
}

reasons! {
    /// Why a request is no checkout.
    InvalidCheckout {
        /// The user id does not have the shape of one.
        UserId = (30, "invalid_user_id"),
        /// The item id does not have the shape of one.
        ItemId = (31, "invalid_item_id"),
        /// The request's body is not one.
        Body = (32, "invalid_request"),
        /// The request's body is larger than is read.
        BodyTooLarge = (33, "body_too_large"),
        /// The request's body did not come in time.
        RequestTimeout = (34, "request_timeout"),
    }
}

/// How an attempt was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The item is in the cart now.
    Added,
    /// It was there before.
    InCart,
    /// It is not, and why.
    Refused(Refusal),
    /// The request is no checkout.
    Invalid(InvalidCheckout),
}

impl AttemptOutcome {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let refused = Refusal::ALL.iter().map(|refusal| Self::Refused(*refusal));
        let invalid = InvalidCheckout::ALL.iter().map(|why| Self::Invalid(*why));
        Self::IN_A_CART.into_iter().chain(refused).chain(invalid)
    }

    /// Those that tell a user that the item is in the cart. A call whose first reply was lost is
    /// repeated: the attempt is answered and logged as `InCart`, and nothing else says that the item
    /// was added.
    pub const IN_A_CART: [Self; 2] = [Self::Added, Self::InCart];

    /// The number in `attempts.outcome`, which is stored: it never changes. A new outcome gets a new
    /// number and, by a migration, a row in the table `attempt_outcomes`.
    pub const fn number(self) -> i16 {
        match self {
            Self::Added => 0,
            Self::InCart => 1,
            Self::Refused(refusal) => refusal.number(),
            Self::Invalid(invalid) => invalid.number(),
        }
    }

    /// The word in `checkout_attempts.outcome`: `added`, `in_cart`, or the code of the HTTP answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::InCart => "in_cart",
            Self::Refused(refusal) => refusal.code(),
            Self::Invalid(invalid) => invalid.code(),
        }
    }
}

impl From<AddOutcome> for AttemptOutcome {
    fn from(outcome: AddOutcome) -> Self {
        match outcome {
            AddOutcome::Added => Self::Added,
            AddOutcome::InCart => Self::InCart,
            AddOutcome::CartFull => Self::Refused(Refusal::CartFull),
            AddOutcome::NotActive => Self::Refused(Refusal::SaleNotActive),
        }
    }
}

/// What a client asked for in an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRequest {
    /// Drawn by the process that answers.
    pub id: Uuid,
    /// When it was answered, Unix time in microseconds.
    pub at_us: i64,
    /// None where the client sent no valid one.
    pub user: Option<UserId>,
    /// None where the client sent no valid one.
    pub item: Option<ItemId>,
    /// The request's id.
    pub request_id: RequestId,
}

/// One answered call of `POST /checkout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What the client asked for.
    pub request: AttemptRequest,
    /// The sale that was active; none where there was none.
    pub sale: Option<Arc<SaleId>>,
    /// The code of the cart; none where nothing is in a cart.
    pub suffix: Option<CodeSuffix>,
    /// How it was answered.
    pub outcome: AttemptOutcome,
}

impl Attempt {
    /// An attempt that Redis decided.
    pub fn decided(request: AttemptRequest, sale: Arc<SaleId>, added: &Added) -> Self {
        Self {
            request,
            sale: Some(sale),
            suffix: added.suffix,
            outcome: added.outcome.into(),
        }
    }

    /// The whole checkout code, where something is in a cart.
    pub fn code(&self) -> Option<String> {
        let (sale, suffix) = (self.sale.as_deref()?, self.suffix.as_ref()?);
        Some(CheckoutCode::format(sale, suffix))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_outcome_has_a_word_and_a_number_of_its_own() {
        let words: HashSet<&str> = AttemptOutcome::all().map(AttemptOutcome::as_str).collect();
        let numbers: HashSet<i16> = AttemptOutcome::all().map(AttemptOutcome::number).collect();
        let all = Refusal::ALL.len() + InvalidCheckout::ALL.len() + 2;
        assert_eq!((words.len(), numbers.len()), (all, all));
        assert!(words.contains("added") && words.contains("cart_full"));
    }
}
