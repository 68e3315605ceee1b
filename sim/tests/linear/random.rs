//! Histories drawn by chance: legal ones, from a store that does one thing at a time, and damaged
//! ones.

use raft_sim::linear::{Answer, Call, History, Operation, Outcome, Store};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws numbers.
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What is drawn, each of 100.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) operations: usize,
    pub(crate) clients: u64,
    pub(crate) keys: u64,
    /// 0: every value is written once.
    pub(crate) values: u64,
    pub(crate) get: u64,
    pub(crate) cas: u64,
    pub(crate) delete: u64,
    pub(crate) scan: u64,
    pub(crate) delete_range: u64,
    pub(crate) batch: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    /// How long an operation takes, at most.
    pub(crate) span: u64,
}

impl Mix {
    /// A little of everything, small enough to try every order.
    pub(crate) fn small(operations: usize) -> Self {
        Self {
            operations,
            clients: 4,
            keys: 3,
            values: 3,
            get: 25,
            cas: 20,
            delete: 5,
            scan: 15,
            delete_range: 8,
            batch: 10,
            unknown: 15,
            refused: 5,
            span: 8,
        }
    }

    /// Anything.
    pub(crate) fn any(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let mut up_to = |end: u64| dice.below(end + 1);
        Self {
            operations: 20 + up_to(180) as usize,
            clients: 2 + up_to(10),
            keys: 1 + up_to(8),
            values: up_to(5),
            get: up_to(30),
            cas: up_to(30),
            delete: up_to(10),
            scan: up_to(15),
            delete_range: up_to(8),
            batch: up_to(15),
            unknown: up_to(10),
            refused: up_to(3),
            span: 1 + up_to(200),
        }
    }

    /// The mix that the checker's speed is stated for.
    pub(crate) fn contended(operations: usize) -> Self {
        Self {
            operations,
            clients: 20,
            keys: 10,
            values: 0,
            get: 25,
            cas: 30,
            delete: 3,
            scan: 10,
            delete_range: 1,
            batch: 2,
            unknown: 2,
            refused: 1,
            span: 1_000,
        }
    }
}

pub(crate) struct Source {
    pub(crate) dice: Dice,
    mix: Mix,
    written: u64,
}

impl Source {
    pub(crate) fn new(seed: u64, mix: Mix) -> Self {
        Self { dice: Dice::new(seed), mix, written: 0 }
    }

    fn key(&mut self) -> String {
        format!("k{}", self.dice.below(self.mix.keys))
    }

    pub(crate) fn value(&mut self) -> String {
        self.written += 1;
        match self.mix.values {
            0 => self.written.to_string(),
            values => match self.dice.below(values) {
                0 => String::new(),
                value => value.to_string(),
            },
        }
    }

    fn range(&mut self) -> (String, String) {
        let (start, end) = (self.key(), self.key());
        if self.dice.percent(30) { (start, String::new()) } else { (start, end) }
    }

    /// `now` is what the store holds about now: a compare-and-swap should have a chance.
    fn call(&mut self, now: &Store, may_batch: bool) -> Call {
        let mix = self.mix;
        let mut left = self.dice.below(100);
        let mut is = |percent: u64| {
            let hit = left < percent;
            left = left.wrapping_sub(percent);
            if !hit && left > 100 {
                left = 100;
            }
            hit
        };
        if is(mix.get) {
            Call::Get { key: self.key() }
        } else if is(mix.cas) {
            self.cas(now)
        } else if is(mix.delete) {
            Call::Delete { key: self.key() }
        } else if is(mix.scan) {
            let (start, end) = self.range();
            let limit = if self.dice.percent(30) { 1 + (self.dice.below(3) as u32) } else { 0 };
            Call::Scan { start, end, limit }
        } else if is(mix.delete_range) {
            let (start, end) = self.range();
            Call::DeleteRange { start, end }
        } else if is(mix.batch) && may_batch {
            let calls = 2 + self.dice.below(2);
            Call::Batch((0..calls).map(|_| self.call(now, false)).collect())
        } else {
            Call::Put { key: self.key(), value: self.value() }
        }
    }

    fn cas(&mut self, now: &Store) -> Call {
        let key = self.key();
        let found = match now.clone().call(&Call::Get { key: key.clone() }) {
            Answer::Value(found) if self.dice.percent(70) => found,
            _ if self.dice.percent(80) => Some(self.value()),
            _ => None,
        };
        let new = if self.dice.percent(90) { Some(self.value()) } else { None };
        Call::Cas { key, expected: found, new }
    }

    /// A history that has an order: the operations took effect at the times that were drawn.
    pub(crate) fn legal(&mut self) -> History {
        let mut store = Store::new();
        // When each client sends its next operation.
        let clients = 0..self.mix.clients;
        let mut free: Vec<u64> = clients.map(|_| self.dice.below(self.mix.span)).collect();
        // Operations under way: when they take effect, and their place.
        let mut under_way: Vec<(u64, usize)> = Vec::new();
        let mut operations: Vec<Operation> = Vec::new();
        for at in 0..self.mix.operations {
            let client = (0..free.len()).min_by_key(|client| free[*client]).unwrap();
            let now = free[client];
            self.catch_up(&mut store, &mut under_way, &mut operations, now);
            let call = self.call(&store, true);
            let end = now + self.dice.below(self.mix.span);
            free[client] = end + 1 + self.dice.below(self.mix.span / 2 + 1);
            let mut effect = now + self.dice.below(end - now + 1);
            let mut outcome = Outcome::Done { at: end, answer: Answer::Done };
            if self.dice.percent(self.mix.refused) {
                outcome = Outcome::Refused;
                effect = u64::MAX;
            } else if self.dice.percent(self.mix.unknown) {
                outcome = Outcome::Unknown;
                let late = self.dice.below(4 * self.mix.span);
                effect = if self.dice.percent(40) { u64::MAX } else { now + late };
            }
            under_way.push((effect, at));
            let id = at as u64 + 1;
            operations.push(Operation { id, client: client as u64, invoked: now, call, outcome });
        }
        self.catch_up(&mut store, &mut under_way, &mut operations, u64::MAX);
        let mut history = History::new();
        for operation in operations {
            history.push(operation).unwrap();
        }
        history
    }

    fn catch_up(
        &mut self,
        store: &mut Store,
        under_way: &mut Vec<(u64, usize)>,
        operations: &mut [Operation],
        now: u64,
    ) {
        under_way.sort_unstable();
        let due = under_way.partition_point(|(effect, _)| *effect < now);
        for (_, at) in under_way.drain(..due) {
            let operation = &mut operations[at];
            let mut full = store.call(&operation.call);
            if let Outcome::Done { answer, .. } = &mut operation.outcome {
                self.keep_quiet(&mut full);
                *answer = full;
            }
        }
    }

    /// Some stores do not tell what a compare-and-swap found.
    fn keep_quiet(&mut self, answer: &mut Answer) {
        match answer {
            Answer::Swapped { found, .. } if self.dice.percent(30) => *found = None,
            Answer::Batch(answers) => answers.iter_mut().for_each(|a| self.keep_quiet(a)),
            _ => {}
        }
    }

    /// The same history with one or two answers changed or exchanged.
    pub(crate) fn damaged(&mut self, history: &History) -> History {
        let mut operations = history.operations().to_vec();
        for _ in 0..=self.dice.below(2) {
            let at = self.dice.below(operations.len() as u64) as usize;
            let with = self.dice.below(operations.len() as u64) as usize;
            let other = operations[with].outcome.clone();
            match (&mut operations[at].outcome, other) {
                (Outcome::Done { answer, .. }, Outcome::Done { answer: other, .. })
                    if self.dice.percent(50) && same_kind(answer, &other) =>
                {
                    *answer = other;
                }
                (Outcome::Done { answer, .. }, _) => self.change(answer),
                (outcome, _) => *outcome = Outcome::Refused,
            }
        }
        let mut history = History::new();
        operations.into_iter().for_each(|operation| history.push(operation).unwrap());
        history
    }

    fn change(&mut self, answer: &mut Answer) {
        match answer {
            Answer::Done => {}
            Answer::Value(value) => *value = self.dice.percent(70).then(|| self.value()),
            Answer::Pairs(pairs) => {
                if self.dice.percent(50) && !pairs.is_empty() {
                    let at = self.dice.below(pairs.len() as u64) as usize;
                    if self.dice.percent(50) {
                        pairs.remove(at);
                    } else {
                        pairs[at].1 = self.value();
                    }
                } else {
                    pairs.push((self.key(), self.value()));
                    pairs.sort();
                }
            }
            Answer::Swapped { swapped, found } => {
                *swapped = !*swapped;
                *found = None;
            }
            Answer::Batch(answers) => {
                let at = self.dice.below(answers.len() as u64) as usize;
                self.change(&mut answers[at]);
            }
        }
    }
}

fn same_kind(one: &Answer, other: &Answer) -> bool {
    !matches!(one, Answer::Batch(_)) && std::mem::discriminant(one) == std::mem::discriminant(other)
}
