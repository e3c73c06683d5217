//! The state that the scripts should keep, in plain maps.

use std::collections::{BTreeMap, VecDeque};

use super::{PER_CHECKOUT, PER_USER, TOTAL};
use crate::domain::cart::{AddOutcome, Added};
use crate::domain::code::CodeSuffix;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    Sold { user_slot: usize, sale_slot: usize },
    AlreadySold,
    Limit,
}

/// The state that the scripts should keep, in plain maps.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Open carts: user to code and items.
    pub(super) open: BTreeMap<String, (CodeSuffix, Vec<u32>)>,
    /// Frozen carts: code to user and items.
    pub(super) frozen: BTreeMap<CodeSuffix, (String, Vec<u32>)>,
    pub(super) sold: BTreeMap<u32, ()>,
    pub(super) slots: BTreeMap<String, Vec<bool>>,
    pub(super) outcomes: BTreeMap<CodeSuffix, (String, Vec<(u32, Got)>)>,
    pub(super) given_back: VecDeque<usize>,
    pub(super) next_slot: usize,
    pub(super) codes: Vec<CodeSuffix>,
}

impl Model {
    pub(super) fn add(&mut self, user: &str, new_code: CodeSuffix, item: u32) -> Added {
        let added = |outcome, code: CodeSuffix, count: usize| Added {
            outcome,
            suffix: Some(code),
            items_count: count as u32,
        };
        if !self.open.contains_key(user) {
            if let Some((_, items)) = self.frozen.get(&new_code) {
                return added(AddOutcome::InCart, new_code, items.len());
            }
            self.open.insert(user.to_owned(), (new_code, vec![item]));
            self.codes.push(new_code);
            return added(AddOutcome::Added, new_code, 1);
        }
        let (code, items) = self.open.get_mut(user).unwrap();
        if items.contains(&item) {
            return added(AddOutcome::InCart, *code, items.len());
        }
        if items.len() >= PER_CHECKOUT {
            return added(AddOutcome::CartFull, *code, items.len());
        }
        items.push(item);
        added(AddOutcome::Added, *code, items.len())
    }

    pub(super) fn freeze(&mut self, code: CodeSuffix) -> Option<(String, Vec<u32>)> {
        let owner = self.open.iter().find(|(_, (c, _))| *c == code);
        if let Some(user) = owner.map(|(user, _)| user.clone()) {
            let (_, items) = self.open.remove(&user).unwrap();
            self.frozen.insert(code, (user, items));
        }
        self.frozen.get(&code).cloned()
    }

    pub(super) fn claim(&mut self, code: CodeSuffix, user: &str, items: &[u32]) -> Vec<(u32, Got)> {
        if let Some((_, outcome)) = self.outcomes.get(&code) {
            return outcome.clone();
        }
        let mut outcome = Vec::new();
        for item in items {
            let slots = self.slots.entry(user.to_owned()).or_default();
            let free = slots.iter().position(|taken| !taken).unwrap_or(slots.len());
            let got = if self.sold.contains_key(item) {
                Got::AlreadySold
            } else if free >= PER_USER || self.sold.len() >= TOTAL {
                Got::Limit
            } else {
                if free == slots.len() {
                    slots.push(true);
                } else {
                    slots[free] = true;
                }
                self.sold.insert(*item, ());
                let sale_slot = self.given_back.pop_front().unwrap_or_else(|| {
                    self.next_slot += 1;
                    self.next_slot
                });
                Got::Sold {
                    user_slot: free + 1,
                    sale_slot,
                }
            };
            outcome.push((*item, got));
        }
        self.outcomes
            .insert(code, (user.to_owned(), outcome.clone()));
        outcome
    }

    /// Takes the first sold item from a code; returns the outcome that Redis must then hold.
    pub(super) fn take_away(&mut self, code: CodeSuffix, nobody: bool) -> Option<Vec<(u32, Got)>> {
        let (user, outcome) = self.outcomes.get_mut(&code)?;
        let place = outcome
            .iter()
            .position(|(_, got)| matches!(got, Got::Sold { .. }))?;
        let (item, got) = outcome[place].clone();
        let Got::Sold {
            user_slot,
            sale_slot,
        } = got
        else {
            return None;
        };
        self.slots.get_mut(user).unwrap()[user_slot - 1] = false;
        self.given_back.push_back(sale_slot);
        if nobody {
            self.sold.remove(&item);
        }
        outcome[place].1 = if nobody { Got::Limit } else { Got::AlreadySold };
        Some(outcome.clone())
    }
}
