//! Keys of records.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// Bytes of a key that need no memory of their own: enough for all that a peer writes for itself,
/// and for a user's key of 15 in the default family.
const SHORT: usize = 23;

/// A key of an engine, ordered byte by byte. Short ones are stored in place and compared a word at a
/// time, since maps do little else.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    /// Zeroes follow the first `len` bytes.
    Short { len: u8, bytes: [u8; SHORT] },
    /// More than [`SHORT`] bytes.
    Long(Bytes),
}

impl Key {
    /// The bytes of these parts, one behind the other.
    #[inline]
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let Some(len) = u8::try_from(len).ok().filter(|&len| usize::from(len) <= SHORT) else {
            return Self(Repr::Long(parts.concat().into()));
        };
        let mut bytes = [0; SHORT];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        Self(Repr::Short { len, bytes })
    }

    /// The key, if it needs no memory of its own.
    #[inline]
    pub(crate) fn short(key: &[u8]) -> Option<Self> {
        (key.len() <= SHORT).then(|| Self::of(&[key]))
    }

    /// The key's bytes, shared if they can be.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Short { .. } => Bytes::copy_from_slice(self),
            Repr::Long(bytes) => bytes.clone(),
        }
    }
}

impl Deref for Key {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Long(bytes) => bytes,
        }
    }
}

/// A short key as three words. The last overlaps the second: where it does, both keys are equal by
/// then.
#[inline]
fn words(bytes: &[u8; SHORT]) -> [u64; 3] {
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
    [word(0), word(8), word(SHORT - 8)]
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Short { len, bytes }, Repr::Short { len: others_len, bytes: others }) => {
                // With its zeroes a key looks like one that ends in zeroes of its own, and is longer.
                words(bytes).cmp(&words(others)).then_with(|| len.cmp(others_len))
            }
            _ => self[..].cmp(&other[..]),
        }
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self[..].hash(state);
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Key {
    fn from(key: &T) -> Self {
        Self::of(&[key.as_ref()])
    }
}

impl<const N: usize> From<[u8; N]> for Key {
    fn from(key: [u8; N]) -> Self {
        Self::of(&[&key])
    }
}

impl From<Bytes> for Key {
    fn from(key: Bytes) -> Self {
        Self::short(&key).unwrap_or(Self(Repr::Long(key)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_key_takes_no_more_room_than_shared_bytes() {
        assert_eq!(size_of::<Key>(), size_of::<Bytes>());
    }

    /// Keys that share much, end in zeroes, and lie on both sides of what is short.
    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0), Just(0), Just(1), Just(0x80), Just(0xff), any::<u8>()];
        prop_oneof![
            prop::collection::vec(byte.clone(), 0..5),
            prop::collection::vec(byte, 20..27),
            prop::collection::vec(Just(0), 0..27),
        ]
    }

    proptest! {
        #[test]
        fn keys_are_ordered_like_their_bytes(a in keys(), b in keys()) {
            let (left, right) = (Key::from(&a[..]), Key::from(&b[..]));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left == right, a == b);
        }

        #[test]
        fn a_key_gives_back_its_bytes(key in keys(), at in 0..27_usize) {
            let (start, end) = key.split_at(at.min(key.len()));
            prop_assert_eq!(&Key::of(&[start, end])[..], &key[..]);
            prop_assert_eq!(&Key::from(Bytes::from(key.clone())).to_bytes()[..], &key[..]);
        }
    }
}
