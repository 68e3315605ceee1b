//! What the lab's tests do to a cluster and ask of it.

use std::rc::Rc;

use crate::TIME_MAX_MS;
use crate::server::{Command, Server};
use crate::time::{Handle, Shared, sleep, spawn};
use crate::world::{Setup, World};

/// The time that the lab grants an election, generously.
pub(crate) const ELECTION_TIMEOUT_MS: u64 = 1000;

/// A cluster under test.
#[derive(Clone)]
pub(crate) struct Tester {
    shared: Rc<Shared>,
    pub(crate) servers: usize,
}

/// A command that is a number.
pub(crate) fn number(number: u64) -> Command {
    number.to_string().into_bytes()
}

impl Tester {
    /// A cluster whose servers run and are connected.
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let shared = Rc::new(Shared::new(World::new(seed, setup)));
        let tester = Self { shared, servers: setup.servers };
        for server in 0..setup.servers {
            tester.start_server(server);
            tester.connect(server);
        }
        tester
    }

    pub(crate) fn shared(&self) -> Rc<Shared> {
        self.shared.clone()
    }

    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.shared.world.borrow_mut())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.with(|world| world.queue.now_us / 1000)
    }

    pub(crate) async fn sleep_ms(&self, ms: u64) {
        sleep(&self.shared, ms * 1000).await;
    }

    /// Begins a task, some 0 to 200 µs from now: nobody knows which of several comes first.
    pub(crate) fn spawn<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> Handle<T> {
        let (shared, delay) = (self.shared(), self.below(200));
        let later = async move {
            sleep(&shared, delay).await;
            task.await
        };
        spawn(&self.shared, later)
    }

    pub(crate) async fn join<T>(&self, handle: Handle<T>) -> T {
        handle.join(&self.shared).await
    }

    /// One of `0..count`.
    pub(crate) fn below(&self, count: u64) -> u64 {
        self.with(|world| world.draw.below(count))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.with(|world| world.draw.percent(percent))
    }

    /// Any server.
    pub(crate) fn any_server(&self) -> usize {
        let count = self.servers;
        self.with(|world| world.draw.place(count))
    }

    /// The server that comes so many places after another one.
    pub(crate) fn after(&self, server: usize, places: usize) -> usize {
        (server + places) % self.servers
    }

    /// A command that is most likely new.
    pub(crate) fn random(&self) -> Command {
        number(self.below(u64::MAX))
    }

    /// A command of so many random bytes.
    pub(crate) fn random_bytes(&self, length: usize) -> Command {
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    pub(crate) fn connect(&self, server: usize) {
        self.with(|world| world.network.connect(server, true));
    }

    pub(crate) fn disconnect(&self, server: usize) {
        self.with(|world| world.network.connect(server, false));
    }

    pub(crate) fn is_connected(&self, server: usize) -> bool {
        self.with(|world| world.network.is_connected(server))
    }

    /// The lab's `crash1`: cut off, then gone but for its disk.
    pub(crate) fn crash(&self, server: usize) {
        self.with(|world| world.crash(server));
    }

    /// The lab's `start1`: crashes it if it runs, and starts it from its disk, not connected.
    pub(crate) fn start_server(&self, server: usize) {
        self.with(|world| world.start(server));
    }

    pub(crate) fn is_up(&self, server: usize) -> bool {
        self.with(|world| world.servers[server].node.is_some())
    }

    pub(crate) fn make_reliable(&self) {
        self.with(|world| world.network.reliable = true);
    }

    pub(crate) fn reorder_replies(&self) {
        self.with(|world| world.network.long_reordering = true);
    }

    /// The lab's `Start`: index and term, if the server believes to lead.
    pub(crate) fn start(&self, server: usize, command: Command) -> Option<(u64, u64)> {
        self.with(|world| world.propose(server, command))
    }

    /// A server's term, 0 if it is down.
    pub(crate) fn term(&self, server: usize) -> u64 {
        self.with(|world| world.servers[server].state().map_or(0, |(term, _)| term))
    }

    /// Requests that all servers were sent.
    pub(crate) fn requests(&self) -> u64 {
        let servers = 0..self.servers;
        self.with(|world| servers.map(|server| world.network.requests(server)).sum())
    }

    /// Bytes that went over the network.
    pub(crate) fn bytes(&self) -> u64 {
        self.with(|world| world.network.bytes)
    }

    /// The most that any server keeps on disk beside its snapshot, in bytes.
    pub(crate) fn state_size_max(&self) -> usize {
        self.with(|world| world.servers.iter().map(Server::state_size).max()).unwrap_or(0)
    }

    fn connected_states(&self) -> Vec<(usize, u64, bool)> {
        let servers = (0..self.servers).filter(|&server| self.is_connected(server));
        let state = |server: usize| {
            let (term, leads) = self.with(|world| world.servers[server].state())?;
            Some((server, term, leads))
        };
        servers.filter_map(state).collect()
    }

    /// The leader of the latest term. Waits up to five seconds for one.
    pub(crate) async fn check_one_leader(&self) -> usize {
        for _ in 0..10 {
            self.sleep_ms(450 + self.below(100)).await;
            let mut leaders: Vec<_> =
                self.connected_states().into_iter().filter(|&(.., leads)| leads).collect();
            leaders.sort_by_key(|&(_, term, _)| term);
            for pair in leaders.windows(2) {
                assert_ne!(pair[0].1, pair[1].1, "a term has more than one leader");
            }
            if let Some(&(leader, ..)) = leaders.last() {
                return leader;
            }
        }
        panic!("expected one leader, got none");
    }

    /// The term that all connected servers are in.
    pub(crate) fn check_terms(&self) -> u64 {
        let mut terms = self.connected_states().into_iter().map(|(_, term, _)| term);
        let first = terms.next().unwrap_or(0);
        assert!(terms.all(|term| term == first), "servers disagree on the term");
        first
    }

    /// No connected server believes to lead.
    pub(crate) fn check_no_leader(&self) {
        for (server, _, leads) in self.connected_states() {
            assert!(!leads, "expected no leader, but server {server} claims to be one");
        }
    }

    /// How many servers have applied something at an index, and what.
    pub(crate) fn committed(&self, index: u64) -> (usize, Option<Command>) {
        let Some(place) = index.checked_sub(1).and_then(|place| usize::try_from(place).ok()) else {
            return (0, None);
        };
        self.with(|world| {
            let mut values = world.servers.iter().filter_map(|server| server.commands.get(place));
            let Some(first) = values.next() else {
                return (0, None);
            };
            let others =
                values.inspect(|&value| assert_eq!(value, first, "committed values differ"));
            (1 + others.count(), Some(first.clone()))
        })
    }

    /// Waits until so many servers have applied an index. None if some server has left
    /// `term` before that.
    pub(crate) async fn wait(
        &self,
        index: u64,
        expected: usize,
        term: Option<u64>,
    ) -> Option<Command> {
        let mut pause_ms = 10;
        for _ in 0..30 {
            if self.committed(index).0 >= expected {
                break;
            }
            self.sleep_ms(pause_ms).await;
            if pause_ms < 1000 {
                pause_ms *= 2;
            }
            if let Some(term) = term
                && (0..self.servers).any(|server| self.term(server) > term)
            {
                return None;
            }
        }
        let (count, command) = self.committed(index);
        assert!(count >= expected, "only {count} decided for index {index}; wanted {expected}");
        command
    }

    /// Some connected server that takes the command; servers are asked in turn.
    fn propose_somewhere(&self, command: &Command, next: &mut usize) -> Option<u64> {
        for _ in 0..self.servers {
            *next = (*next + 1) % self.servers;
            if self.is_connected(*next)
                && let Some((index, _)) = self.start(*next, command.clone())
            {
                return Some(index);
            }
        }
        None
    }

    /// The lab's `one`: agreement on a command among so many servers within ten seconds. Returns
    /// its index. With `retry`, a leader that does not get it done within two seconds may be
    /// followed by another.
    pub(crate) async fn one(&self, command: Command, expected: usize, retry: bool) -> u64 {
        let (begin, mut next) = (self.now_ms(), 0);
        while self.now_ms() - begin < 10_000 {
            let Some(index) = self.propose_somewhere(&command, &mut next) else {
                self.sleep_ms(50).await;
                continue;
            };
            let since = self.now_ms();
            while self.now_ms() - since < 2_000 {
                let (count, known) = self.committed(index);
                if count >= expected && known.as_ref() == Some(&command) {
                    return index;
                }
                self.sleep_ms(20).await;
            }
            assert!(retry, "one({}) failed to reach agreement", shown(&command));
        }
        let at = self.now_ms();
        panic!("one({}) failed to reach agreement, {at} of {TIME_MAX_MS} ms", shown(&command));
    }
}

/// A command in words.
fn shown(command: &Command) -> String {
    let text = String::from_utf8_lossy(command);
    if command.len() > 24 { format!("{} bytes", command.len()) } else { text.into_owned() }
}
