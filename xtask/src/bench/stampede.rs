//! A sale that is loaded until its last item is sold, as a value.

use std::fmt;

use serde_json::{Value, json};

use super::load::LoadResult;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Stampede {
    /// Over all targets.
    pub connections: u32,
    /// Items of the sale.
    pub items: u32,
    /// What the load generator saw.
    pub load: LoadResult,
}

impl Stampede {
    /// From the first call to the answer that sold the last item, in seconds; `None` where not
    /// every item was sold.
    pub fn seconds(&self) -> Option<f64> {
        let is_sold_out = self.load.sold == u64::from(self.items);
        self.load.last_sold_s.filter(|_| is_sold_out)
    }

    /// Requests with an unexpected answer or none; a sale that is not sold out is one more.
    pub fn errors(&self) -> u64 {
        self.load.errors + u64::from(self.seconds().is_none())
    }

    /// For `latest.json`.
    pub fn json(&self) -> Value {
        let load = &self.load;
        json!({
            "connections": self.connections,
            "items": self.items,
            "sold": load.sold,
            "seconds": self.seconds(),
            "requests": load.requests,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "max_ms": load.max_ms,
            "errors": self.errors(),
            "endpoints": load.endpoints,
        })
    }
}

impl fmt::Display for Stampede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stampede over {} connections: ", self.connections)?;
        match self.seconds() {
            Some(seconds) => write!(f, "all {} items sold in {seconds:.2} s", self.items)?,
            None => write!(f, "only {} of {} items sold", self.load.sold, self.items)?,
        }
        writeln!(
            f,
            ", {} requests, {} errors",
            self.load.requests,
            self.errors()
        )?;
        for endpoint in &self.load.endpoints {
            writeln!(
                f,
                "  {:<22}{:>10} requests, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                endpoint.name, endpoint.count, endpoint.p50_ms, endpoint.p99_ms, endpoint.max_ms
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stampede(sold: u64) -> Stampede {
        Stampede {
            connections: 64,
            items: 10_000,
            load: LoadResult {
                requests: 25_000,
                sold,
                last_sold_s: Some(2.5),
                ..LoadResult::default()
            },
        }
    }

    #[test]
    fn the_time_is_that_until_the_last_item_is_sold() {
        let sold_out = stampede(10_000);
        assert_eq!(sold_out.json()["seconds"], json!(2.5));
        assert_eq!(sold_out.errors(), 0);
        let text = sold_out.to_string();
        assert!(text.contains("all 10000 items sold in 2.50 s"), "{text}");
    }

    #[test]
    fn a_sale_that_is_not_sold_out_has_no_time_and_fails() {
        let unsold = stampede(9_999);
        assert_eq!(unsold.json()["seconds"], json!(null));
        assert_eq!(unsold.errors(), 1);
        assert!(unsold.to_string().contains("only 9999 of 10000 items sold"));
    }
}
