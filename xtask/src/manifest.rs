//! FlashSale manifests: reading a name out of one, and filling in the sample.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::project;

/// The YAML documents of a manifest, one of them a FlashSale.
#[derive(Debug, Clone)]
pub struct Manifest {
    documents: Vec<Value>,
    flash_sale: usize,
}

impl Manifest {
    /// Reads a manifest from a file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("could not read the manifest {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in the manifest {}", file.display()))
    }

    /// The project's sample: one sale of 10,000 items.
    pub fn sample() -> Result<Self> {
        Self::read(&project::sample_of(&project::root()))
    }

    fn parse(text: &str) -> Result<Self> {
        let documents = serde_yaml_ng::Deserializer::from_str(text)
            .map(|document| Value::deserialize(document).context("it is no YAML"))
            .collect::<Result<Vec<_>>>()?;
        let is_flash_sale =
            |value: &Value| value.get("kind").and_then(Value::as_str) == Some("FlashSale");
        let flash_sale = documents
            .iter()
            .position(is_flash_sale)
            .context("expected a document with `kind: FlashSale`, found none")?;
        Ok(Self {
            documents,
            flash_sale,
        })
    }

    /// The FlashSale's name as the API wants it: `<namespace>.<name>`.
    pub fn name(&self) -> Result<String> {
        let metadata = &self.documents[self.flash_sale]["metadata"];
        let name = metadata
            .get("name")
            .and_then(Value::as_str)
            .context("expected text in metadata.name of the FlashSale")?;
        let namespace = metadata.get("namespace").and_then(Value::as_str);
        Ok(format!("{}.{name}", namespace.unwrap_or("default")))
    }

    /// The sale starts `delay` from now, in whole seconds.
    pub fn start_in(&mut self, delay: SignedDuration) -> Result<()> {
        let start = (Timestamp::now() + delay).round(Unit::Second)?;
        self.set(&["startAt"], start.to_string());
        Ok(())
    }

    /// The sale is open for so many seconds.
    pub fn last(&mut self, seconds: u32) {
        self.set(&["duration"], format!("{seconds}s"));
    }

    /// With the FlashSale its rows in Postgres go too.
    pub fn leave_no_rows(&mut self) {
        self.set(&["deletionPolicy"], "Delete");
    }

    /// The sale sells so many generated items, all of them.
    pub fn sell(&mut self, items: u32) {
        self.set(&["catalog", "generate", "count"], items);
        self.set(&["limits", "total"], items);
    }

    /// The FlashSale has this name.
    pub fn call(&mut self, namespace: &str, name: &str) {
        let metadata = &mut self.documents[self.flash_sale]["metadata"];
        metadata["namespace"] = namespace.into();
        metadata["name"] = name.into();
    }

    /// So many API pods, while no sale is near and for a sale.
    pub fn replicas(&mut self, idle: u32, sale: u32) {
        self.set(&["api", "replicas", "idle"], idle);
        self.set(&["api", "replicas", "sale"], sale);
    }

    /// From so many seconds before the start to so many after the end.
    pub fn prepared(&mut self, warm_up_seconds: u32, cool_down_seconds: u32) {
        self.set(&["api", "warmUp"], format!("{warm_up_seconds}s"));
        self.set(&["api", "coolDown"], format!("{cool_down_seconds}s"));
    }

    fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let mut place = &mut self.documents[self.flash_sale]["spec"];
        for field in path {
            place = &mut place[*field];
        }
        *place = value.into();
    }

    /// Writes all its documents.
    pub fn write(&self, file: &Path) -> Result<()> {
        let documents = self
            .documents
            .iter()
            .map(serde_yaml_ng::to_string)
            .collect::<Result<Vec<_>, _>>()?;
        fs::write(file, documents.join("---\n"))
            .with_context(|| format!("could not write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_sample_is_filled_in_and_keeps_the_rest() {
        let mut manifest = Manifest::sample().unwrap();
        assert_eq!(manifest.name().unwrap(), "default.demo");
        manifest.sell(7);
        manifest.last(35);
        manifest.start_in(SignedDuration::from_secs(8)).unwrap();
        let spec = &manifest.documents[0]["spec"];
        assert_eq!(spec["catalog"]["generate"]["count"], Value::from(7));
        assert_eq!(spec["limits"]["total"], Value::from(7));
        assert_eq!(spec["limits"]["perUser"], Value::from(10));
        assert_eq!(spec["duration"], Value::from("35s"));
        let start: Timestamp = spec["startAt"].as_str().unwrap().parse().unwrap();
        assert!(start > Timestamp::now() && start.subsec_nanosecond() == 0);
    }

    #[test]
    fn a_flash_sale_is_found_among_other_documents() {
        let text = "kind: Secret\n---\nkind: FlashSale\nmetadata: {name: shoes}\n";
        assert_eq!(
            Manifest::parse(text).unwrap().name().unwrap(),
            "default.shoes"
        );
        let text = "kind: FlashSale\nmetadata: {name: shoes, namespace: shop}\n";
        assert_eq!(Manifest::parse(text).unwrap().name().unwrap(), "shop.shoes");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text| format!("{:#}", Manifest::parse(text).unwrap_err());
        assert!(wrong("kind: Secret\n").contains("`kind: FlashSale`"));
        assert!(wrong("kind: [\n").contains("no YAML"));
        let nameless = Manifest::parse("kind: FlashSale\n").unwrap();
        assert!(
            nameless
                .name()
                .unwrap_err()
                .to_string()
                .contains("metadata.name")
        );
    }
}
