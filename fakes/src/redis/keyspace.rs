//! The keys of the fake server with their values and their times of expiry.

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;

use crate::redis::reply::CommandError;
use crate::redis::stream_value::Stream;

/// A string value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(pub Vec<u8>);

/// A hash, in the order in which fields came: the order of a small hash in Redis.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hash(pub IndexMap<Vec<u8>, Vec<u8>>);

/// A list.
#[derive(Debug, Clone, Default)]
pub(crate) struct List(pub VecDeque<Vec<u8>>);

/// The value of a key.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Text(Text),
    Hash(Hash),
    List(List),
    Stream(Stream),
}

impl Data {
    /// The type as `TYPE` names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Stream(_) => "stream",
        }
    }

    fn is_empty_collection(&self) -> bool {
        match self {
            Self::Hash(hash) => hash.0.is_empty(),
            Self::List(list) => list.0.is_empty(),
            Self::Text(_) | Self::Stream(_) => false,
        }
    }
}

/// A type of value.
pub(crate) trait Kind: Default {
    /// The value, where it has this type.
    fn of(data: &Data) -> Option<&Self>;
    /// The value to be changed, where it has this type.
    fn of_mut(data: &mut Data) -> Option<&mut Self>;
    /// Wraps a value of this type.
    fn wrap(self) -> Data;
}

macro_rules! kinds {
    ($($kind:ident),*) => {
        $(impl Kind for $kind {
            fn of(data: &Data) -> Option<&Self> {
                match data {
                    Data::$kind(value) => Some(value),
                    _ => None,
                }
            }

            fn of_mut(data: &mut Data) -> Option<&mut Self> {
                match data {
                    Data::$kind(value) => Some(value),
                    _ => None,
                }
            }

            fn wrap(self) -> Data {
                Data::$kind(self)
            }
        })*
    };
}

kinds!(Text, Hash, List, Stream);

/// All keys, and the time of the command that is being run.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    values: BTreeMap<Vec<u8>, Data>,
    expiries: BTreeMap<Vec<u8>, i64>,
    now_us: i64,
    stream_changes: u64,
    /// How many commands have run, those of scripts included.
    pub commands: u64,
    /// What the server would evict when its memory is full.
    pub maxmemory_policy: Vec<u8>,
    /// The memory limit that it shows, in bytes; 0 for none.
    pub maxmemory: u64,
    /// What a server draws when it starts and when it becomes a master.
    pub replication_id: u64,
}

impl Keyspace {
    /// No keys.
    pub fn new() -> Self {
        Self {
            values: BTreeMap::new(),
            expiries: BTreeMap::new(),
            now_us: 0,
            stream_changes: 0,
            commands: 0,
            maxmemory_policy: b"noeviction".to_vec(),
            maxmemory: 0,
            replication_id: 1,
        }
    }

    /// Starts a command at this time: keys that have expired are gone. A script keeps the time of
    /// its start.
    pub fn begin(&mut self, now_us: i64) {
        self.now_us = now_us;
        let now_ms = self.now_ms();
        let values = &mut self.values;
        self.expiries.retain(|key, expires_ms| {
            let alive = *expires_ms > now_ms;
            if !alive {
                values.remove(key);
            }
            alive
        });
    }

    /// The time of the command, Unix time in microseconds.
    pub fn now_us(&self) -> i64 {
        self.now_us
    }

    /// The time of the command, Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_us / 1_000
    }

    /// The value of a key, of any type.
    pub fn data(&self, key: &[u8]) -> Option<&Data> {
        self.values.get(key)
    }

    /// The value of a key that must have this type, if there is one.
    pub fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, CommandError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(data) => K::of(data).map(Some).ok_or_else(CommandError::wrong_type),
        }
    }

    /// The value of a key to be changed, which must have this type, if there is one.
    pub fn existing<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, CommandError> {
        match self.values.get_mut(key) {
            None => Ok(None),
            Some(data) => K::of_mut(data)
                .map(Some)
                .ok_or_else(CommandError::wrong_type),
        }
    }

    /// The value of a key to be changed, which must have this type; an empty one where there is
    /// none.
    pub fn write<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, CommandError> {
        let data = self
            .values
            .entry(key.to_vec())
            .or_insert_with(|| K::default().wrap());
        K::of_mut(data).ok_or_else(CommandError::wrong_type)
    }

    /// Gives a key a new value and no time of expiry.
    pub fn replace(&mut self, key: &[u8], data: Data) {
        self.remove(key);
        self.values.insert(key.to_vec(), data);
    }

    /// Removes a key. Returns whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.expiries.remove(key);
        let removed = self.values.remove(key);
        if matches!(removed, Some(Data::Stream(_))) {
            self.stream_changed();
        }
        removed.is_some()
    }

    /// Removes a hash or a list that has become empty.
    pub fn remove_if_empty(&mut self, key: &[u8]) {
        if self.values.get(key).is_some_and(Data::is_empty_collection) {
            self.remove(key);
        }
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        self.values.clear();
        self.expiries.clear();
        self.stream_changed();
    }

    /// Takes the keys of an earlier time.
    pub fn return_to(&mut self, earlier: &Self) {
        self.values.clone_from(&earlier.values);
        self.expiries.clone_from(&earlier.expiries);
        self.stream_changed();
    }

    /// All keys, in the order of their bytes.
    pub fn keys(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.values.keys()
    }

    /// When a key expires, Unix time in milliseconds, if it does.
    pub fn expires_ms(&self, key: &[u8]) -> Option<i64> {
        self.expiries.get(key).copied()
    }

    /// Makes a key expire at this time, or never.
    pub fn set_expiry(&mut self, key: &[u8], expires_ms: Option<i64>) {
        match expires_ms {
            Some(at) => self.expiries.insert(key.to_vec(), at),
            None => self.expiries.remove(key),
        };
    }

    /// Counts a change that a blocked read may wait for.
    pub fn stream_changed(&mut self) {
        self.stream_changes += 1;
    }

    /// How many changes there were that a blocked read may wait for.
    pub fn stream_changes(&self) -> u64 {
        self.stream_changes
    }
}
