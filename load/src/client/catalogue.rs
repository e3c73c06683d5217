//! The items of the sale, numbered from 0 in the order the API lists them.
//!
//! A generated catalogue of a million items is a pattern, not a list: it takes no
//! memory and no thousand pages of listing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::client::connection::Client;
use crate::client::encoding::push_encoded;
use crate::error::LoadError;

/// Number of an item within the catalogue, from 0.
pub type ItemNo = u32;

/// Above this many items a generated catalogue is not listed page by page.
const LIST_AT_MOST: u32 = 50_000;
const PAGE: usize = 1_000;

/// `GET /sales/active`, as far as the generator reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Sale {
    /// Its id.
    pub id: String,
    /// Items of the catalogue.
    pub total_items: u32,
    /// Items that are sold, as far as the answering process knows.
    pub items_sold: u32,
    /// When it began; the reference programs of a bench do not say.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ends; the reference programs of a bench do not say.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

impl Sale {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_sold_out(&self) -> bool {
        self.items_sold >= self.total_items
    }

    /// For how long it has been open, where the API says so.
    #[must_use]
    pub fn open_for(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(now.duration_since(self.started_at?)).ok()
    }

    /// How long until it starts; `None` where it has started, or the API does not say.
    #[must_use]
    pub fn starts_in(&self, now: Timestamp) -> Option<Duration> {
        let wait = self.started_at?.duration_since(now);
        Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
    }

    /// How long it still goes on, where the API says so.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let left = self.ended_at?.duration_since(now);
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<PageItem>,
    #[serde(default)]
    next_cursor: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct PageItem {
    id: String,
    #[serde(default)]
    sold: bool,
}

enum Ids {
    Listed {
        ids: Vec<String>,
        numbers: HashMap<String, ItemNo>,
    },
    /// `<prefix>-<number>`, from 1, zero-padded to `width` digits and growing beyond.
    Generated {
        prefix: String,
        width: usize,
        count: u32,
    },
}

/// The ids of the items of one sale.
pub struct Catalogue {
    sale: String,
    ids: Ids,
}

impl Catalogue {
    /// A catalogue from a list of ids.
    #[must_use]
    pub fn listed<S: Into<String>>(sale: &str, ids: impl IntoIterator<Item = S>) -> Self {
        let ids: Vec<String> = ids.into_iter().map(Into::into).collect();
        let numbers = (0..).zip(&ids).map(|(no, id)| (id.clone(), no)).collect();
        Self {
            sale: sale.to_owned(),
            ids: Ids::Listed { ids, numbers },
        }
    }

    /// The catalogue that goes on as its first page began; `None` where the ids show no pattern.
    #[must_use]
    pub fn generated(sale: &str, first_page: &[&str], count: u32) -> Option<Self> {
        let (prefix, digits) = first_page.first()?.rsplit_once('-')?;
        let width = digits.len();
        let follows = |(number, id): (usize, &&str)| *id == format!("{prefix}-{number:0width$}");
        (width >= 5 && (1..).zip(first_page).all(follows)).then(|| Self {
            sale: sale.to_owned(),
            ids: Ids::Generated {
                prefix: prefix.to_owned(),
                width,
                count,
            },
        })
    }

    /// The id of the sale.
    #[must_use]
    pub fn sale(&self) -> &str {
        &self.sale
    }

    /// How many items there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        match &self.ids {
            Ids::Listed { ids, .. } => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            Ids::Generated { count, .. } => *count,
        }
    }

    /// The id of an item; empty for a number beyond the catalogue.
    #[must_use]
    pub fn id(&self, item: ItemNo) -> Cow<'_, str> {
        match &self.ids {
            Ids::Listed { ids, .. } => {
                Cow::Borrowed(ids.get(item as usize).map_or("", String::as_str))
            }
            Ids::Generated { prefix, width, .. } => {
                Cow::Owned(format!("{prefix}-{:0width$}", u64::from(item) + 1))
            }
        }
    }

    /// The number of an item; `None` for an id that the catalogue does not hold.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<ItemNo> {
        match &self.ids {
            Ids::Listed { numbers, .. } => numbers.get(id).copied(),
            Ids::Generated { prefix, count, .. } => {
                let digits = id.strip_prefix(prefix.as_str())?.strip_prefix('-')?;
                let number: u32 = digits.parse().ok()?;
                (1..=*count).contains(&number).then(|| number - 1)
            }
        }
    }

    /// Lists the catalogue of a sale, and the items that are sold already, where the
    /// catalogue is small enough to be listed whole.
    ///
    /// # Errors
    /// When a page does not come or holds no items.
    pub async fn fetch(client: &mut Client, sale: &Sale) -> Result<(Self, Vec<ItemNo>), LoadError> {
        let (mut ids, mut sold) = (Vec::new(), Vec::new());
        let mut cursor = None;
        loop {
            let page = fetch_page(client, sale, cursor.as_deref(), None).await?;
            let before = ids.len();
            for item in page.items {
                if item.sold {
                    sold.push(ids.len() as ItemNo);
                }
                ids.push(item.id);
            }
            if before == 0 && sale.total_items > LIST_AT_MOST {
                let first: Vec<&str> = ids.iter().map(String::as_str).collect();
                if let Some(generated) = Self::generated(&sale.id, &first, sale.total_items) {
                    return Ok((generated, Vec::new()));
                }
            }
            cursor = next_cursor(page.next_cursor);
            if cursor.is_none() || ids.len() == before || ids.len() >= sale.total_items as usize {
                break;
            }
        }
        if ids.is_empty() {
            return Err(LoadError::Catalogue {
                path: page_path(sale, None, None),
                found: "an empty page".to_owned(),
            });
        }
        Ok((Self::listed(&sale.id, ids), sold))
    }

    /// Items that are sold already: a page of them is enough to be refused.
    ///
    /// # Errors
    /// When the page does not come, or when nothing is sold yet.
    pub async fn sold(&self, client: &mut Client, sale: &Sale) -> Result<Vec<ItemNo>, LoadError> {
        let page = fetch_page(client, sale, None, Some(false)).await?;
        let sold: Vec<_> = page.items.iter().filter_map(|i| self.item(&i.id)).collect();
        if sold.is_empty() {
            return Err(LoadError::NothingSold {
                sale: sale.id.clone(),
            });
        }
        Ok(sold)
    }
}

/// The id of an item that is for sale; `None` where everything is sold.
///
/// # Errors
/// When the page does not come.
pub async fn first_free(client: &mut Client, sale: &Sale) -> Result<Option<String>, LoadError> {
    let page = fetch_page(client, sale, None, Some(true)).await?;
    Ok(page.items.into_iter().next().map(|item| item.id))
}

fn next_cursor(value: Option<serde_json::Value>) -> Option<String> {
    match value? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn page_path(sale: &Sale, cursor: Option<&str>, available: Option<bool>) -> String {
    let mut path = String::from("/sales/");
    push_encoded(&mut path, &sale.id);
    path.push_str(&format!("/items?limit={PAGE}"));
    if let Some(available) = available {
        path.push_str(&format!("&available={available}"));
    }
    if let Some(cursor) = cursor {
        path.push_str("&cursor=");
        push_encoded(&mut path, cursor);
    }
    path
}

async fn fetch_page(
    client: &mut Client,
    sale: &Sale,
    cursor: Option<&str>,
    available: Option<bool>,
) -> Result<Page, LoadError> {
    let path = page_path(sale, cursor, available);
    let found = match client.get(&path).await {
        Ok((200, body)) => match serde_json::from_slice(&body) {
            Ok(page) => return Ok(page),
            Err(error) => format!("a body that is no page: {error}"),
        },
        Ok((status, body)) => format!("{status} {}", String::from_utf8_lossy(&body)),
        Err(error) => error.to_string(),
    };
    Err(LoadError::Catalogue { path, found })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_million_generated_items_grow_beyond_the_padding() {
        let page = ["20261123T0800Z-00001", "20261123T0800Z-00002"];
        let catalogue = Catalogue::generated("s", &page, 1_000_000).unwrap();
        for (no, id) in [
            (0, "20261123T0800Z-00001"),
            (99_998, "20261123T0800Z-99999"),
            (999_999, "20261123T0800Z-1000000"),
        ] {
            assert_eq!(catalogue.id(no), id);
            assert_eq!(catalogue.item(id), Some(no));
        }
        assert_eq!(catalogue.item("20261123T0800Z-1000001"), None);
        assert_eq!(catalogue.item("20261123T0800Z-00000"), None);
        assert_eq!(catalogue.item("other-00001"), None);
    }

    #[test]
    fn ids_without_a_pattern_are_not_guessed() {
        for page in [&["a-00001", "a-00003"][..], &["a-1"], &["x"], &[]] {
            assert!(
                Catalogue::generated("s", page, 60_000).is_none(),
                "{page:?}"
            );
        }
    }

    #[test]
    fn cursors_are_passed_on_as_they_came() {
        let sale = Sale {
            id: "ns.s.1".into(),
            total_items: 3,
            items_sold: 0,
            started_at: None,
            ended_at: None,
        };
        assert_eq!(
            page_path(&sale, Some("a+b"), Some(false)),
            "/sales/ns.s.1/items?limit=1000&available=false&cursor=a%2Bb"
        );
        assert_eq!(
            next_cursor(Some(serde_json::json!(1000))),
            Some("1000".into())
        );
        assert_eq!(next_cursor(Some(serde_json::Value::Null)), None);
    }
}
