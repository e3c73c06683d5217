//! Which keys of a sale a Redis master has. A failover or a moved slot changes that during a run.

use flashsale_load::client::run_id::RunId;

use super::CallRecord;

/// The keys of the sale that a master has at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedKeys {
    /// The master, by its number.
    pub master: usize,
    /// Whether it has the sale's slot.
    pub sale: bool,
    /// Whether it has each cart partition.
    pub partitions: Vec<bool>,
}

impl OwnedKeys {
    /// Whether a call needs some of them.
    #[must_use]
    pub fn has_keys_of(&self, record: &CallRecord, run: &RunId) -> bool {
        let partition = partition_of_user(&run.user(record.user), self.partitions.len());
        let of_partition = self.partitions.get(partition) == Some(&true);
        of_partition || (record.is_purchase() && self.sale)
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
    use flashsale_load::client::answer::Answer;
    use flashsale_load::client::call::Call;

    use super::*;

    #[test]
    fn a_call_needs_the_partition_of_its_user_and_a_purchase_the_slot_of_the_sale() {
        let run = RunId::from("r");
        let checkout = CallRecord {
            request: 0,
            user: 3,
            target: 0,
            call: Call::Checkout { user: 3, item: 0 },
            due_us: 0,
            began_us: 0,
            ended_us: 0,
            answer: Answer::None,
            no_answer: None,
        };
        let purchase = CallRecord {
            call: Call::Purchase {
                user: 3,
                code: "c".into(),
            },
            ..checkout.clone()
        };
        let partition = partition_of_user(&run.user(3), 4);
        let keys = |sale, own| OwnedKeys {
            master: 5,
            sale,
            partitions: (0..4).map(|number| (number == partition) == own).collect(),
        };
        let needed =
            |keys: OwnedKeys| [&checkout, &purchase].map(|record| keys.has_keys_of(record, &run));
        assert_eq!(needed(keys(false, true)), [true, true]);
        assert_eq!(needed(keys(true, false)), [false, true]);
        assert_eq!(needed(keys(false, false)), [false, false]);
    }

    #[test]
    fn users_have_the_partition_that_the_product_gives_them() {
        // The product's own test has the same user.
        assert_eq!(partition_of_user("alice", 16), 12);
        assert_eq!(partition_of_user("alice", 0), 0);
    }
}
