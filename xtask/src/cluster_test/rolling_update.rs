//! API pods are replaced in the middle of a sale: no request is lost.

use anyhow::Result;

use super::fixture::Fixture;

/// See the module.
pub fn under_load(fixture: &Fixture) -> Result<()> {
    let session = fixture.session;
    let (shop, sale) = fixture.open_sale("rolled")?;
    let before = shop.pod_ids()?;
    fixture.under_load(&shop, &sale, || {
        session.say("Changing what is in a pod");
        let annotations = serde_json::json!({"flashsale.dev/test": "rolled"});
        let spec = serde_json::json!({"api": {"podTemplate": {"annotations": annotations}}});
        shop.patch(session, &spec)?;
        shop.await_replaced(session, &before)
    })?;
    shop.delete(session)
}
