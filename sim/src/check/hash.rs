//! Fingerprints for the checkers: they stay in one process, so that speed is all they need.

/// Eight bytes at a time, folded by a multiplication. Not for digests that are written down: those
/// are [`Digest`](crate::digest::Digest)s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) const fn number(self, number: u64) -> Self {
        let mixed = (self.0 ^ number).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        Self(mixed ^ (mixed >> 32))
    }

    /// Bytes with their length, so that `ab, c` and `a, bc` differ.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut hash = self.number(bytes.len() as u64);
        for word in words {
            hash = hash.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash.number(u64::from_le_bytes(last))
    }

    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_orders_and_boundaries_count() {
        let of =
            |parts: &[&[u8]]| parts.iter().fold(Hash::new(), |hash, part| hash.bytes(part)).value();
        let long = [7; 20];
        let samples: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[b"\0"],
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"bc", b"a"],
            &[&long],
            &[&long[1..]],
        ];
        let mut values: Vec<_> = samples.iter().map(|parts| of(parts)).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), samples.len());
    }
}
