//! The FlashSale of a run.

use std::time::Duration;

use jiff::Timestamp;

/// Users come back for a second cart, so that some reach it.
const PER_USER: u32 = 4;

/// Its manifest. Redis keeps the sale for some minutes after its close, so that it can be compared
/// with Postgres.
pub(super) fn text(
    namespace: &str,
    name: &str,
    starts_at: Timestamp,
    open_for: Duration,
    items: u32,
) -> String {
    let seconds = open_for.as_secs();
    format!(
        "apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata:
  name: {name}
  namespace: {namespace}
spec:
  startAt: \"{starts_at}\"
  duration: {seconds}s
  catalog:
    generate:
      count: {items}
  limits:
    perUser: {PER_USER}
    perCheckout: {PER_USER}
    total: {items}
  redis:
    secretKeyRef: {{name: redis, key: url}}
  postgres:
    secretKeyRef: {{name: postgres, key: url}}
  api:
    replicas: {{idle: 2, sale: 2}}
    warmUp: 5m
    coolDown: 5m
"
    )
}
