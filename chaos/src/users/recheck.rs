//! Items that were refused as sold, to be asked for again: a refusal of an item that nobody has
//! bought must not last.

use std::collections::VecDeque;

use flashsale_load::client::catalogue::ItemNo;

/// So many are kept; the oldest leave first.
const KEPT: usize = 1_000;

/// Items that were refused as sold, oldest first.
#[derive(Default)]
pub(super) struct Refused(VecDeque<ItemNo>);

impl Refused {
    /// Keeps an item to be asked for again.
    pub(super) fn push(&mut self, item: ItemNo) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(item);
    }

    /// The item that waits longest.
    pub(super) fn take(&mut self) -> Option<ItemNo> {
        self.0.pop_front()
    }
}
