//! TinyKV's clients: each writes its own keys one after the other and reads them all, again and
//! again, and knows exactly what it has to find.

use raft_sim::{Op, Reply};

use crate::calls::Call;
use crate::cluster::Cluster;

/// One client. It waits for each answer before it asks again.
pub(crate) struct Client {
    number: u64,
    written: u64,
    /// All its values, one after the other.
    expected: String,
    waiting: Option<Waiting>,
}

struct Waiting {
    call: Call,
    /// What it writes; none if it reads.
    value: Option<String>,
}

impl Client {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, written: 0, expected: String::new(), waiting: None }
    }

    fn key(&self, count: u64) -> String {
        format!("{} {count:08}", self.number)
    }

    fn value(&self, count: u64) -> String {
        format!("x {} {count} y", self.number)
    }

    /// Takes an answer if one has come.
    pub(crate) fn listen(&mut self, cluster: &mut Cluster) {
        let Some(waiting) = &mut self.waiting else { return };
        let Some(reply) = waiting.call.answer(cluster) else { return };
        match (&waiting.value, reply) {
            (Some(value), Reply::Written) => {
                self.expected.push_str(value);
                self.written += 1;
            }
            (None, Reply::Pairs(pairs)) => {
                let found: String = pairs.into_iter().map(|(_, value)| value).collect();
                assert_eq!(found, self.expected, "client {} gets a wrong value", self.number);
            }
            (_, other) => panic!("{other:?}"),
        }
        self.waiting = None;
    }

    /// Asks again if it waits for nothing: it writes or reads, as a coin decides.
    pub(crate) fn go_on(&mut self, cluster: &mut Cluster) {
        if self.waiting.is_some() {
            return;
        }
        let next = self.key(self.written);
        let (op, value) = if cluster.dice.roll(2) == 0 {
            let value = self.value(self.written);
            (Op::Put { key: next, value: value.clone() }, Some(value))
        } else {
            (Op::Scan { start: self.key(0), end: next, limit: 0 }, None)
        };
        let call = Call::new(cluster, self.number, op);
        self.waiting = Some(Waiting { call, value });
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Every value is there once and in order, and nothing else; then all of it is deleted.
    pub(crate) fn check_and_clean_up(&self, cluster: &mut Cluster) {
        let found = cluster.scan(&self.key(0), &self.key(self.written));
        let all: Vec<_> = (0..self.written).map(|count| self.value(count)).collect();
        assert_eq!(found, all, "client {}", self.number);
        let keys: Vec<_> = (0..self.written).map(|count| self.key(count)).collect();
        cluster.delete_all(&keys);
    }
}
