//! Records to a stream of bytes and back.
//!
//! The stream is an encoded `RaftSnapshotData`: its records one after the other, each with a tag
//! and its length before it. So it can be cut anywhere, and be read before its end has come.

use bytes::Bytes;
use prost::Message;
use raft_core::proto::raft_serverpb::{KeyValue, RaftSnapshotData};

use crate::engine::Record;
use crate::keys;

/// What stands before a record: field 3 of `RaftSnapshotData`, with a length.
const RECORD_TAG: u8 = 3 << 3 | 2;
/// A length has at most so many bytes.
const LENGTH_BYTES_MAX: usize = 10;

/// Some records of a snapshot.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) records: Vec<Record>,
    pub(crate) last: bool,
}

/// The sending end: takes records and gives pieces of a fixed size.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    /// Bytes that are in no piece yet.
    rest: Bytes,
    /// There are no more records.
    at_end: bool,
}

impl Encoder {
    /// The next `size` bytes, fewer only at the end of the stream, and whether this is the end.
    /// `read` gives the next records, at least so many bytes of them unless they end.
    pub(super) fn next(
        &mut self,
        size: usize,
        mut read: impl FnMut(usize) -> Piece,
    ) -> (Bytes, bool) {
        while self.rest.len() < size && !self.at_end {
            let Piece { records, last } = read(size - self.rest.len());
            let pair = |(key, value): Record| KeyValue { key: key.to_bytes(), value };
            let data = records.into_iter().map(pair).collect();
            let more = RaftSnapshotData { data, ..RaftSnapshotData::default() };
            let mut bytes = Vec::with_capacity(self.rest.len() + more.encoded_len());
            bytes.extend_from_slice(&self.rest);
            bytes.extend(more.encode_to_vec());
            (self.rest, self.at_end) = (bytes.into(), last);
        }
        let data = self.rest.split_to(size.min(self.rest.len()));
        (data, self.at_end && self.rest.is_empty())
    }
}

/// The receiving end: takes bytes and gives records.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a record whose end has not come.
    rest: Vec<u8>,
    records: Vec<Record>,
}

impl Decoder {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Why they cannot be part of a snapshot.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), &'static str> {
        self.rest.extend_from_slice(data);
        let whole = whole_records(&self.rest)?;
        if whole == 0 {
            return Ok(());
        }
        let rest = self.rest.split_off(whole);
        let data = std::mem::replace(&mut self.rest, rest);
        let data = RaftSnapshotData::decode(Bytes::from(data)).map_err(|_| "it does not decode")?;
        // Whatever else a store keeps, its promises above all, is no business of a snapshot.
        if !data.data.iter().all(|pair| keys::is_state(&pair.key)) {
            return Err("it has keys that are not state");
        }
        self.records.extend(data.data.into_iter().map(|pair| (pair.key.into(), pair.value)));
        Ok(())
    }

    /// Whether the stream may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// How many bytes at the front are records with all that belongs to them.
fn whole_records(stream: &[u8]) -> Result<usize, &'static str> {
    let mut whole = 0;
    loop {
        let Some((&tag, after)) = stream[whole..].split_first() else { return Ok(whole) };
        if tag != RECORD_TAG {
            return Err("it does not decode");
        }
        let Ok(length) = prost::decode_length_delimiter(after) else {
            let cut = after.len() < LENGTH_BYTES_MAX;
            return if cut { Ok(whole) } else { Err("it does not decode") };
        };
        let header = 1 + prost::length_delimiter_len(length);
        match length.checked_add(header) {
            Some(length) if length <= stream.len() - whole => whole += length,
            _ => return Ok(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn records() -> Vec<Record> {
        let sizes = [0usize, 1, 200, 3, 70_000, 0, 127, 128];
        let record = |(n, size): (u8, usize)| {
            (keys::data("default", &[b'k', n]), Bytes::from(vec![b'v'; size]))
        };
        (0..).zip(sizes).map(record).collect()
    }

    /// All pieces of a stream, its records read one by one.
    fn cut(size: usize) -> Vec<Bytes> {
        let mut records = records().into_iter();
        let mut encoder = Encoder::default();
        let mut pieces = Vec::new();
        loop {
            let (piece, last) = encoder.next(size, |_| {
                let records: Vec<_> = records.by_ref().take(1).collect();
                Piece { last: records.is_empty(), records }
            });
            pieces.push(piece);
            if last {
                return pieces;
            }
        }
    }

    #[test]
    fn pieces_have_the_size_that_was_asked_for_wherever_records_end() {
        for size in [1, 7, 100, 65_536, 1 << 20] {
            let pieces = cut(size);
            let (last, full) = pieces.split_last().unwrap();
            assert!(full.iter().all(|piece| piece.len() == size), "{size}");
            assert!(last.len() <= size, "{size}");
            let mut decoder = Decoder::default();
            for piece in &pieces {
                decoder.take(piece).unwrap();
            }
            assert!(decoder.is_whole());
            assert_eq!(decoder.into_records(), records(), "{size}");
        }
    }

    #[test]
    fn a_stream_that_stops_in_a_record_is_not_whole() {
        let stream = cut(1 << 20).concat();
        for end in 1..300 {
            let mut decoder = Decoder::default();
            decoder.take(&stream[..end]).unwrap();
            let records = decoder.records.len();
            let mut whole = Decoder::default();
            whole.take(&stream[..end - decoder.rest.len()]).unwrap();
            assert_eq!((whole.is_whole(), whole.records.len()), (true, records));
        }
        let mut decoder = Decoder::default();
        decoder.take(&stream[..stream.len() - 1]).unwrap();
        assert!(!decoder.is_whole());
    }

    #[test]
    fn bytes_that_are_no_records_are_refused() {
        let endless = [RECORD_TAG, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        let huge = [RECORD_TAG, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        let garbled = [RECORD_TAG, 2, 255, 255];
        assert!(Decoder::default().take(b"nonsense").is_err());
        assert!(Decoder::default().take(&endless).is_err());
        assert!(Decoder::default().take(&garbled).is_err());
        let mut decoder = Decoder::default();
        assert_eq!((decoder.take(&huge), decoder.is_whole()), (Ok(()), false));
    }

    #[test]
    fn keys_that_are_not_state_are_refused() {
        let keys = [
            keys::raft_state(1),
            keys::raft_log(1, 6),
            keys::apply_state(1),
            keys::region_state(1),
            keys::STORE_IDENT.into(),
            b"other_k"[..].into(),
            Key::from(b""),
        ];
        for key in keys {
            let pair = KeyValue { key: key.to_bytes(), value: Bytes::new() };
            let data = RaftSnapshotData { data: vec![pair], ..RaftSnapshotData::default() };
            assert!(Decoder::default().take(&data.encode_to_vec()).is_err(), "{key:?}");
        }
    }
}
