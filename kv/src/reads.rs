//! Reads that do not go through the log (section 8, thesis 6.4): each asks for an index, waits
//! until it is applied, and is then served from the state machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::proto::raft_cmdpb::Request;

use crate::peer::Token;

/// Reads that are not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    /// Tells this start of the peer from earlier ones.
    salt: u64,
    asked: u64,
    /// By number, so in the order of asking.
    waiting: BTreeMap<u64, Read>,
}

/// One read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) token: Token,
    pub(crate) requests: Vec<Request>,
    /// The peer's tick at which nobody waits any longer.
    deadline: u64,
    /// What must be applied first; none until that is known.
    pub(crate) index: Option<u64>,
}

impl Reads {
    pub(crate) fn new(salt: u64) -> Self {
        Self { salt, asked: 0, waiting: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A name for the next read, to ask the core with.
    pub(crate) fn next_context(&mut self) -> Bytes {
        self.asked += 1;
        [self.salt.to_be_bytes(), self.asked.to_be_bytes()].concat().into()
    }

    /// The read that was named last waits.
    pub(crate) fn push(&mut self, token: Token, requests: Vec<Request>, deadline: u64) {
        self.waiting.insert(self.asked, Read { token, requests, deadline, index: None });
    }

    fn number(&self, context: &[u8]) -> Option<u64> {
        let (salt, number) = context.split_first_chunk::<8>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        (u64::from_be_bytes(*salt) == self.salt).then_some(number)
    }

    /// The core says what must be applied before the read. An answer to a read that nobody waits
    /// for any more changes nothing.
    pub(crate) fn confirm(&mut self, context: &[u8], index: u64) {
        let number = self.number(context);
        if let Some(read) = number.and_then(|number| self.waiting.get_mut(&number)) {
            read.index.get_or_insert(index);
        }
    }

    /// The core will not answer.
    pub(crate) fn drop_read(&mut self, context: &[u8]) -> Option<Token> {
        let read = self.waiting.remove(&self.number(context)?)?;
        Some(read.token)
    }

    /// Takes the reads that may be served now, in the order of asking.
    pub(crate) fn take_servable(&mut self, may_serve: impl Fn(u64) -> bool) -> Vec<Read> {
        let servable = |read: &Read| read.index.is_some_and(&may_serve);
        if !self.waiting.values().any(servable) {
            return Vec::new();
        }
        self.take(servable)
    }

    /// Takes the reads that have waited for too long.
    pub(crate) fn take_expired(&mut self, tick: u64) -> Vec<Token> {
        // Deadlines are in the order of asking.
        if self.waiting.values().next().is_none_or(|read| read.deadline > tick) {
            return Vec::new();
        }
        self.take(|read| read.deadline <= tick).into_iter().map(|read| read.token).collect()
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.waiting).into_values().map(|read| read.token).collect()
    }

    fn take(&mut self, wanted: impl Fn(&Read) -> bool) -> Vec<Read> {
        self.waiting.extract_if(.., |_, read| wanted(read)).map(|(_, read)| read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(count: u64) -> (Reads, Vec<Bytes>) {
        let mut reads = Reads::new(7);
        let ask = |number| {
            let context = reads.next_context();
            reads.push(Token(number), Vec::new(), 10 * number);
            context
        };
        let contexts = (1..=count).map(ask).collect();
        (reads, contexts)
    }

    fn tokens(reads: &[Read]) -> Vec<u64> {
        reads.iter().map(|read| read.token.0).collect()
    }

    #[test]
    fn a_read_is_served_once_its_index_is_applied() {
        let (mut reads, contexts) = reads(3);
        reads.confirm(&contexts[0], 9);
        reads.confirm(&contexts[2], 8);
        assert_eq!(tokens(&reads.take_servable(|index| index <= 8)), [3]);
        assert_eq!(tokens(&reads.take_servable(|index| index <= 9)), [1]);
        assert_eq!(tokens(&reads.take_servable(|_| true)), [0; 0], "2 is not confirmed");
        assert_eq!(reads.len(), 1);
    }

    #[test]
    fn an_answer_to_a_read_of_an_earlier_start_confirms_nothing() {
        let (mut reads, contexts) = reads(1);
        let mut earlier = Reads::new(6);
        assert_ne!(earlier.next_context(), contexts[0]);
        let mut old = contexts[0].to_vec();
        old[7] = 6;
        reads.confirm(&old, 1);
        reads.confirm(b"short", 1);
        reads.confirm(b"", 1);
        assert_eq!(tokens(&reads.take_servable(|_| true)), [0; 0]);
    }

    #[test]
    fn reads_expire_in_order_and_each_is_taken_once() {
        let (mut reads, contexts) = reads(3);
        assert_eq!(reads.take_expired(9), []);
        assert_eq!(reads.take_expired(20), [Token(1), Token(2)]);
        assert_eq!(reads.drop_read(&contexts[0]), None);
        assert_eq!(reads.drop_read(&contexts[2]), Some(Token(3)));
        assert_eq!(reads.take_all(), []);
    }

    #[test]
    fn a_second_confirmation_does_not_lower_the_index() {
        let (mut reads, contexts) = reads(1);
        reads.confirm(&contexts[0], 9);
        reads.confirm(&contexts[0], 1);
        assert!(reads.take_servable(|index| index <= 1).is_empty());
    }
}
