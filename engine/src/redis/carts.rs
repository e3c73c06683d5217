//! Reads all open carts of a cart partition, for their restoration.

use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::redis::commands::{Redis, call};
use crate::redis::keys::PartitionKeys;

/// About how many carts one call reads.
const PAGE: usize = 1_000;

/// The codes of all open carts of a partition. A cart that is opened or frozen meanwhile may be
/// missing; while the partition refuses there is none.
pub(crate) async fn read_open_codes(
    redis: &impl Redis,
    keys: &PartitionKeys,
) -> Result<Vec<CodeSuffix>, BackendError> {
    let mut codes = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut command = redis::cmd("HSCAN");
        command.arg(&keys.carts).arg(cursor).arg("COUNT").arg(PAGE);
        let (next, carts): (u64, Vec<(String, String)>) =
            call(redis, "restore", &keys.carts, &command).await?;
        for (_, cart) in carts {
            codes.push(keys.format.decode_cart(&cart)?.0);
        }
        match next {
            0 => return Ok(codes),
            next => cursor = next,
        }
    }
}
