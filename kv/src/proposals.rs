//! Who waits for which log entry.

use std::collections::VecDeque;

use raft_core::EntryId;

use crate::peer::Token;

/// Proposals of this peer that are not answered yet, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    waiting: VecDeque<(EntryId, Token)>,
}

/// What an applied entry means to those who wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Their entries can no longer be applied under this peer's name: answer that they are stale.
    pub(crate) stale: Vec<Token>,
    /// This one proposed the entry.
    pub(crate) proposer: Option<Token>,
}

impl Proposals {
    pub(crate) fn push(&mut self, id: EntryId, token: Token) {
        self.waiting.push_back((id, token));
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Entry `id` is being applied. Index *and* term must match: at the same index another leader
    /// may have put another entry. And once an entry of a later term is applied, nothing of an
    /// earlier term can follow it.
    pub(crate) fn settle(&mut self, id: EntryId) -> Settled {
        let mut settled = Settled::default();
        while let Some(&(waiting, token)) = self.waiting.front() {
            if waiting == id {
                settled.proposer = Some(token);
            } else if waiting.index <= id.index || waiting.term < id.term {
                settled.stale.push(token);
            } else {
                break;
            }
            self.waiting.pop_front();
        }
        settled
    }

    /// A snapshot up to `id` was installed: whether what was proposed at its indices is part of it
    /// nobody can tell.
    pub(crate) fn overtaken(&mut self, id: EntryId) -> Vec<Token> {
        let gone = self
            .waiting
            .partition_point(|(waiting, _)| waiting.index <= id.index || waiting.term < id.term);
        self.waiting.drain(..gone).map(|(_, token)| token).collect()
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> Vec<Token> {
        self.waiting.drain(..).map(|(_, token)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(ids: &[(u64, u64)]) -> Proposals {
        let mut proposals = Proposals::default();
        for (&(term, index), token) in ids.iter().zip(1..) {
            proposals.push(EntryId::new(term, index), Token(token));
        }
        proposals
    }

    fn settled(stale: &[u64], proposer: Option<u64>) -> Settled {
        let stale = stale.iter().map(|&token| Token(token)).collect();
        Settled { stale, proposer: proposer.map(Token) }
    }

    #[test]
    fn a_proposal_is_answered_when_its_own_entry_is_applied() {
        let mut proposals = waiting(&[(2, 7), (2, 8)]);
        assert_eq!(proposals.settle(EntryId::new(2, 6)), settled(&[], None));
        assert_eq!(proposals.settle(EntryId::new(2, 7)), settled(&[], Some(1)));
        assert_eq!(proposals.settle(EntryId::new(2, 8)), settled(&[], Some(2)));
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn an_overwritten_slot_makes_it_and_all_later_ones_stale() {
        let mut proposals = waiting(&[(2, 7), (2, 8)]);
        assert_eq!(proposals.settle(EntryId::new(3, 7)), settled(&[1, 2], None));
    }

    #[test]
    fn a_proposal_of_a_later_term_waits_on() {
        let mut proposals = waiting(&[(2, 7), (4, 8)]);
        assert_eq!(proposals.settle(EntryId::new(3, 7)), settled(&[1], None));
        assert_eq!(proposals.settle(EntryId::new(4, 8)), settled(&[], Some(2)));
    }

    #[test]
    fn what_was_skipped_is_stale() {
        let mut proposals = waiting(&[(2, 7), (2, 9)]);
        assert_eq!(proposals.settle(EntryId::new(2, 9)), settled(&[1], Some(2)));
    }
}
