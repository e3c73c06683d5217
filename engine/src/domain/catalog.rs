//! The catalogue: every item of one sale, in a fixed order.
//!
//! A [`Catalog`] never changes once it is made. Its items are numbered 0, 1, 2, … without a
//! gap, its ids are unique, and every text in it fits the limits below, so what reads a
//! catalogue need not look again. Names and addresses are data from outside: whoever shows
//! them must escape them.

mod index;
mod names;

use std::fmt;

use index::IdIndex;

/// The most items that one sale holds.
pub const MAX_ITEMS: u32 = 1_000_000;
/// The longest item id, in characters (all of them ASCII).
pub const MAX_ID_LENGTH: usize = 128;
/// The longest item name, in characters.
pub const MAX_NAME_LENGTH: usize = 200;
/// The longest image address, in bytes.
pub const MAX_IMAGE_URL_LENGTH: usize = 2048;

const HEADER: [&str; 3] = ["id", "name", "image_url"];

/// One unique thing in a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place in the catalogue, from 0.
    pub idx: u32,
    /// Its id: 1 to 128 characters of `[A-Za-z0-9._:@+-]`, unique in the catalogue.
    pub id: String,
    /// What people read: 1 to 200 characters, no control characters.
    pub name: String,
    /// Where its picture is: `http://…`, `https://…`, a path from `/`, or empty for none.
    pub image_url: String,
}

/// The items of one sale. Cheap to look up in, never changed.
#[derive(Clone)]
pub struct Catalog {
    items: Vec<Item>,
    by_id: IdIndex,
}

/// Why something is no catalogue. Each message says where, what was found and what was
/// expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not one item.
    #[error("the catalogue holds no item; expected 1 to {MAX_ITEMS}")]
    Empty,
    /// More than [`MAX_ITEMS`] items.
    #[error("{place}: more than {MAX_ITEMS} items; expected 1 to {MAX_ITEMS}")]
    TooMany {
        /// Where the first item too many is.
        place: Place,
    },
    /// The first line does not name the columns.
    #[error("line 1: found the header `{found}`; expected `id,name,image_url`")]
    Header {
        /// The line that was found, shortened.
        found: String,
    },
    /// A line has a column too few or too many.
    #[error(
        "{place}: found {found} columns; expected 3 (id,name,image_url; quote a text that holds a comma)"
    )]
    Columns {
        /// Where.
        place: Place,
        /// How many columns the line has.
        found: usize,
    },
    /// A value is not allowed in its field.
    #[error("{place}: {field}: found {found}; expected {expected}")]
    Value {
        /// Where.
        place: Place,
        /// The column: id, name or image_url.
        field: &'static str,
        /// The value, shortened, or what it is.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// An id is there twice.
    #[error("{place}: id: found `{id}` again, it is at {first} already; expected every id once")]
    Duplicate {
        /// The second place.
        place: Place,
        /// The first place.
        first: Place,
        /// The id.
        id: String,
    },
    /// The numbers of items read back are not 0, 1, 2, ….
    #[error(
        "item {expected}: found the number {found}; expected the numbers 0, 1, 2, … without a gap"
    )]
    Gap {
        /// The number that should be here.
        expected: u32,
        /// The number that is.
        found: u32,
    },
    /// The text could not be read to its end.
    #[error("the catalogue could not be read: {0}")]
    Read(String),
}

/// Where in its source an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of a CSV text, from 1.
    Line(u64),
    /// The number of an item, from 0.
    Item(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Item(idx) => write!(f, "item {idx}"),
        }
    }
}

impl Catalog {
    /// Makes `count` items (1 to [`MAX_ITEMS`]) named for people, always the same ones.
    ///
    /// Ids are `<prefix>-<n>`, n from 00001. With the UTC start of the sale
    /// (`yyyymmddThhmmZ`) as `prefix`, an id of one sale means nothing in another.
    pub fn generate(count: u32, prefix: &str) -> Result<Self, CatalogError> {
        let capacity = count.min(MAX_ITEMS + 1);
        let items = (0..capacity).map(|idx| {
            let number = idx + 1;
            let id = format!("{prefix}-{number:05}");
            let image_url = format!("https://images.example.com/{id}.webp");
            Item {
                idx,
                id,
                name: names::made_up(idx),
                image_url,
            }
        });
        Self::build(items, |item| Place::Item(item.idx))
    }

    /// Reads a CSV of `id,name,image_url` with that header. A byte order mark and lines that
    /// end in CRLF are fine, empty lines are skipped.
    pub fn from_csv(csv: &[u8]) -> Result<Self, CatalogError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(csv);
        let mut row = csv::ByteRecord::new();
        let mut next_line = |row: &mut csv::ByteRecord| match reader.read_byte_record(row) {
            Ok(true) => Ok(row.position().map(|start| line_of(csv, start))),
            Ok(false) => Ok(None),
            Err(error) => Err(CatalogError::Read(error.to_string())),
        };
        if next_line(&mut row)?.is_none() {
            return Err(CatalogError::Header {
                found: String::new(),
            });
        }
        check_header(&row)?;

        let mut items = Vec::new();
        let mut lines: Vec<u32> = Vec::new();
        while let Some(line) = next_line(&mut row)? {
            let place = Place::Line(line);
            if items.len() == MAX_ITEMS as usize {
                return Err(CatalogError::TooMany { place });
            }
            items.push(item_of_row(&row, items.len() as u32, place)?);
            // A line number beyond u32 would need more bytes than a million items may have.
            lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        }
        Self::build(items, |item| {
            Place::Line(u64::from(lines[item.idx as usize]))
        })
    }

    /// Takes items that were stored before, in the order of their numbers.
    pub fn from_items(items: Vec<Item>) -> Result<Self, CatalogError> {
        for (expected, item) in (0..).zip(&items) {
            if item.idx != expected {
                return Err(CatalogError::Gap {
                    expected,
                    found: item.idx,
                });
            }
        }
        Self::build(items, |item| Place::Item(item.idx))
    }

    /// The only way to a catalogue: everything that must hold is checked here.
    fn build(
        items: impl IntoIterator<Item = Item>,
        place_of: impl Fn(&Item) -> Place,
    ) -> Result<Self, CatalogError> {
        let items: Vec<Item> = items.into_iter().collect();
        if items.is_empty() {
            return Err(CatalogError::Empty);
        }
        if let Some(item) = items.get(MAX_ITEMS as usize) {
            return Err(CatalogError::TooMany {
                place: place_of(item),
            });
        }
        for item in &items {
            check(item).map_err(|(field, found, expected)| CatalogError::Value {
                place: place_of(item),
                field,
                found,
                expected,
            })?;
        }
        let by_id = IdIndex::build(&items).map_err(|(first, second)| CatalogError::Duplicate {
            place: place_of(second),
            first: place_of(first),
            id: second.id.clone(),
        })?;
        Ok(Self { items, by_id })
    }

    /// The item with this number.
    pub fn get(&self, idx: u32) -> Option<&Item> {
        self.items.get(idx as usize)
    }

    /// The item with this id.
    pub fn by_id(&self, id: &str) -> Option<&Item> {
        self.by_id.find(&self.items, id)
    }

    /// How many items there are: 1 to [`MAX_ITEMS`].
    #[expect(clippy::len_without_is_empty, reason = "a catalogue is never empty")]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// All items, in the order of their numbers.
    pub fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.items.iter()
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog({} items)", self.items.len())
    }
}

/// The line on which a record begins. The position of a record is where the one before it has
/// ended, so the empty lines between them come on top.
fn line_of(csv: &[u8], start: &csv::Position) -> u64 {
    let rest = csv.get(start.byte() as usize..).unwrap_or_default();
    let line_ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    start.line() + line_ends.filter(|byte| **byte == b'\n').count() as u64
}

/// Says the field, what was found and what was expected, if the item breaks a limit.
fn check(item: &Item) -> Result<(), (&'static str, String, &'static str)> {
    const ID: &str = "1 to 128 characters of A-Z a-z 0-9 . _ : @ + -";
    const NAME: &str = "1 to 200 characters without control characters";
    const IMAGE_URL: &str =
        "http://…, https://… or a path from /, up to 2,048 bytes without blanks, or nothing";

    let id_character = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+-".contains(&byte);
    if item.id.is_empty() || item.id.len() > MAX_ID_LENGTH || !item.id.bytes().all(id_character) {
        return Err(("id", found(&item.id), ID));
    }
    // Characters are never more than bytes, so the slow count is for long names only.
    let name_too_long =
        item.name.len() > MAX_NAME_LENGTH && item.name.chars().count() > MAX_NAME_LENGTH;
    if item.name.is_empty() || name_too_long || item.name.chars().any(char::is_control) {
        return Err(("name", found(&item.name), NAME));
    }
    let url = item.image_url.as_str();
    let is_address = url.is_empty()
        || ["http://", "https://", "/"]
            .iter()
            .any(|start| url.starts_with(start));
    let blank = |c: char| c.is_whitespace() || c.is_control();
    if !is_address || url.len() > MAX_IMAGE_URL_LENGTH || url.contains(blank) {
        return Err(("image_url", found(url), IMAGE_URL));
    }
    Ok(())
}

/// A value as an error shows it.
fn found(value: &str) -> String {
    match value.chars().count() {
        0 => "nothing".to_owned(),
        count if count > SHOWN => format!("`{}` ({count} characters)", shortened(value)),
        _ => format!("`{}`", shortened(value)),
    }
}

const SHOWN: usize = 60;

/// The first characters of a text, control characters made visible.
fn shortened(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(|c| {
            let escape = c.is_control();
            escape
                .then(|| c.escape_default())
                .into_iter()
                .flatten()
                .chain((!escape).then_some(c))
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn check_header(row: &csv::ByteRecord) -> Result<(), CatalogError> {
    let columns = row.iter().map(<[u8]>::trim_ascii);
    if columns.eq(HEADER.map(str::as_bytes)) {
        return Ok(());
    }
    let columns: Vec<_> = row.iter().map(String::from_utf8_lossy).collect();
    Err(CatalogError::Header {
        found: shortened(&columns.join(",")),
    })
}

fn item_of_row(row: &csv::ByteRecord, idx: u32, place: Place) -> Result<Item, CatalogError> {
    if row.len() != HEADER.len() {
        return Err(CatalogError::Columns {
            place,
            found: row.len(),
        });
    }
    let text = |column: usize| -> Result<String, CatalogError> {
        let bytes = row.get(column).unwrap_or_default().trim_ascii();
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| CatalogError::Value {
                place,
                field: HEADER[column],
                found: format!(
                    "`{}`, which is not UTF-8",
                    shortened(&String::from_utf8_lossy(bytes))
                ),
                expected: "UTF-8 text",
            })
    };
    Ok(Item {
        idx,
        id: text(0)?,
        name: text(1)?,
        image_url: text(2)?,
    })
}

#[cfg(test)]
mod tests;
