//! What all FlashSales are carried out with, and what this process remembers of each.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::Client;
use kube::runtime::events::Reporter;

use super::carry::Carried;
use super::cluster::Copies;
use crate::resources::PodDefaults;
use crate::backends::SharedStores;

/// What every FlashSale is carried out with.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) reporter: Reporter,
    pub(super) defaults: PodDefaults,
    pub(super) copies: Copies,
    pub(super) stores: SharedStores,
    /// By uid.
    pub(super) carried: Mutex<HashMap<String, Carried>>,
}

impl Context {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Carried>> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what is remembered of a FlashSale. No two looks at one are on their way at once.
    pub(super) fn take(&self, uid: &str) -> Carried {
        self.all().remove(uid).unwrap_or_default()
    }

    /// Puts it back.
    pub(super) fn keep(&self, uid: String, this: Carried) {
        self.all().insert(uid, this);
    }

    /// Forgets all that are not there any more: who takes our finalizer away by hand tells nobody.
    pub(super) fn forget_others(&self, there: &HashSet<String>) {
        self.all().retain(|uid, _| there.contains(uid));
    }

    /// How many are remembered.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }
}
