//! Which Redis master has the keys of a call.

use flashsale_load::client::run_id::RunId;

use super::CallRecord;

/// The masters, by their numbers, of the sale's slot and of each cart partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Of the sale's slot.
    pub sale: usize,
    /// Of each cart partition.
    pub partitions: Vec<usize>,
}

impl Placement {
    /// Whether a call needs keys of this master.
    #[must_use]
    pub fn needs(&self, record: &CallRecord, run: &RunId, master: usize) -> bool {
        let partition = partition_of_user(&run.user(record.user), self.partitions.len());
        let of_partition = self.partitions.get(partition) == Some(&master);
        of_partition || (record.is_purchase() && self.sale == master)
    }
}

/// The cart partition of a user: FNV-1a of the user id. It is part of the product's stored data, so
/// it never changes.
#[must_use]
pub fn partition_of_user(user: &str, partitions: usize) -> usize {
    let hash = user.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % partitions.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_the_partition_that_the_product_gives_them() {
        // The product's own test has the same user.
        assert_eq!(partition_of_user("alice", 16), 12);
        assert_eq!(partition_of_user("alice", 0), 0);
    }
}
