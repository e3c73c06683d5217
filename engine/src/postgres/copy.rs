//! Rows in the binary format of `COPY … FROM STDIN`: the cheapest way into Postgres for rows that
//! are new. Nothing is parsed on the way and a page is written at a time.
//!
//! Promises: what it builds is a whole stream, header and trailer included. It knows the types of
//! the columns only by the methods that were called; their order is the statement's.

use uuid::Uuid;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
const NULL: i32 = -1;

/// From the Unix epoch to that of Postgres, 2000-01-01, in microseconds.
const EPOCH_US: i64 = 946_684_800_000_000;

/// A stream of rows that is being put together.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    columns: i16,
}

impl Rows {
    /// Begins a stream of rows of so many columns.
    pub fn new(columns: i16, expected_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(expected_bytes + HEADER.len() + 2);
        bytes.extend_from_slice(HEADER);
        Self { bytes, columns }
    }

    /// Begins a row; its columns follow, each by a call.
    pub fn row(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        self
    }

    /// A column of type `uuid`.
    pub fn uuid(&mut self, id: Uuid) -> &mut Self {
        self.column(id.as_bytes())
    }

    /// A column of type `timestamptz`: Unix time in microseconds.
    pub fn time(&mut self, unix_us: i64) -> &mut Self {
        self.column(&(unix_us - EPOCH_US).to_be_bytes())
    }

    /// A column of type `integer`.
    pub fn integer(&mut self, number: i32) -> &mut Self {
        self.column(&number.to_be_bytes())
    }

    /// A column of type `smallint`.
    pub fn smallint(&mut self, number: i16) -> &mut Self {
        self.column(&number.to_be_bytes())
    }

    /// A column of type `text`.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.column(text.as_bytes())
    }

    /// A column of type `text` that may be null.
    pub fn text_or_null(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.bytes.extend_from_slice(&NULL.to_be_bytes());
                self
            }
        }
    }

    /// Ends the stream.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&TRAILER.to_be_bytes());
        self.bytes
    }

    fn column(&mut self, value: &[u8]) -> &mut Self {
        // Ids and words of some dozen bytes; no column comes near the limit of the format.
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }
}
