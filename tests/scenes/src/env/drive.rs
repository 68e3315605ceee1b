//! Commands that move work and messages: `process-ready`, the threads, `deliver-msgs`, `stabilize`.

use raft_core::eraftpb::{Entry, EntryType, Message, Snapshot};
use raft_core::{EntryId, Ready, Response, Storage, conf_change_of, describe};

use super::network::{Cargo, Filter, Packet};
use super::node::AppendWork;
use super::{Env, Flag, refused};
use crate::script::Call;
use crate::{Result, Trouble, nonsense};

/// What `stabilize` and `process-…` do with one peer.
type Work = fn(&mut Env, u64) -> Result<()>;

impl Env {
    pub(super) fn drive(&mut self, call: &mut Call) -> Result<()> {
        match call.name.as_str() {
            "process-ready" => self.for_each(call, "handling Ready", Self::process_ready),
            "process-append-thread" => {
                self.for_each(call, "processing append thread", Self::process_append)
            }
            "process-apply-thread" => {
                self.for_each(call, "processing apply thread", Self::process_apply)
            }
            "stabilize" => self.stabilize_with_level(call),
            "send-snapshot" => self.send_snapshot(call),
            "send-msg" => self.send_msg(call),
            "deliver-msgs" => self.deliver_msgs(call),
            "release-msgs" => {
                for packet in self.network.release() {
                    self.out.line(&format!("released: {}", packet.describe()));
                }
                Ok(())
            }
            _ => self.hold_or_duplicate(call),
        }
    }

    /// Works for each peer named, under a title if there are several.
    fn for_each(&mut self, call: &mut Call, title: &str, work: Work) -> Result<()> {
        let ids: Vec<u64> = call.words("a peer")?;
        for &id in &ids {
            match ids.as_slice() {
                [only] => work(self, *only)?,
                _ => self.titled(id, title, work)?,
            }
        }
        Ok(())
    }

    fn titled(&mut self, id: u64, title: &str, work: Work) -> Result<()> {
        self.out.line(&format!("> {id} {title}"));
        self.out.begin_indent();
        let done = work(self, id);
        self.out.end_indent();
        done
    }

    fn process_ready(&mut self, id: u64) -> Result<()> {
        let ready = self.act(id, raft_core::RawNode::ready)?;
        let reads = ready.read_states.clone();
        self.process(id, ready)?;
        for read in reads {
            let verdict = self.judge.served(id, &read.context, read.index);
            self.heed(verdict)?;
        }
        Ok(())
    }

    fn process(&mut self, id: u64, ready: Ready) -> Result<()> {
        let node = self.node(id)?;
        if !node.config.async_persist {
            self.out.raw(&describe::ready(&ready));
            self.write(id, &AppendWork { ready: ready.clone(), responses: Vec::new() })?;
            self.apply(id, &ready.committed_entries)?;
            for message in &ready.messages {
                self.send(id, Packet::message(message.clone()))?;
            }
            return self.act(id, |raw| raw.advance(ready));
        }
        let responses = node.raw.take_responses(ready.number);
        let asks = describe::storage_append(id, &ready, &responses).is_some();
        if !ready.committed_entries.is_empty() {
            node.apply_work.push_back(ready.committed_entries.clone());
        }
        self.out.raw(&describe::async_ready(id, &ready, &responses));
        for message in &ready.messages {
            self.send(id, Packet::message(message.clone()))?;
        }
        if asks {
            self.node(id)?.append_work.push_back(AppendWork { ready, responses });
        }
        Ok(())
    }

    fn process_append(&mut self, id: u64) -> Result<()> {
        let Some(work) = self.node(id)?.append_work.pop_front() else {
            self.out.raw("no append work to perform");
            return Ok(());
        };
        let text = describe::storage_append(id, &work.ready, &[]).unwrap_or_else(|| {
            // A write of nothing: what it releases waits for the writes before it.
            format!("{id:x}->AppendThread MsgStorageAppend Term:0 Log:0/0")
        });
        self.out.line("Processing:");
        self.out.line(&text);
        self.write(id, &work)?;
        let responses = work.responses.into_iter();
        self.respond(id, responses.map(|response| Packet::response(id, response)))
    }

    fn process_apply(&mut self, id: u64) -> Result<()> {
        let Some(entries) = self.node(id)?.apply_work.pop_front() else {
            self.out.raw("no apply work to perform");
            return Ok(());
        };
        self.out.line("Processing:");
        self.out.line(&describe::storage_apply(id, &entries, false).unwrap_or_default());
        self.apply(id, &entries)?;
        self.respond(id, [Packet::applied(id, entries)])
    }

    fn respond(&mut self, id: u64, packets: impl IntoIterator<Item = Packet>) -> Result<()> {
        self.out.line("Responses:");
        for packet in packets {
            self.out.line(&packet.describe());
            self.send(id, packet)?;
        }
        Ok(())
    }

    /// Writes the log, the hard state and the snapshot of a `Ready`.
    fn write(&mut self, id: u64, work: &AppendWork) -> Result<()> {
        let ready = &work.ready;
        let disk = self.node(id)?.raw.store_mut();
        disk.write(ready.hard_state, ready.snapshot.as_deref(), &ready.entries)
            .map_err(|error| refused(&error.into()))?;
        let Some(snapshot) = &ready.snapshot else {
            return Ok(());
        };
        let index = EntryId::of_snapshot(snapshot).index;
        let verdict = self.judge.restored(id, index, &snapshot.data);
        self.heed(verdict)
    }

    fn apply(&mut self, id: u64, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            let change = conf_change_of(entry).map_err(|error| refused(&error.into()))?;
            let (data, members) = match &change {
                None => (&entry.data, None),
                Some(change) => {
                    (&change.context, Some(self.act(id, |raw| raw.apply_conf_change(change))?))
                }
            };
            let disk = self.node(id)?.raw.store_mut();
            disk.apply(EntryId::of(entry), data, members);
            let state = disk.data().clone();
            let verdict = self.judge.applied(id, entry.index, &state);
            self.heed(verdict)?;
        }
        Ok(())
    }

    /// Puts something under way that peer `sender` lets out.
    fn send(&mut self, sender: u64, packet: Packet) -> Result<()> {
        if let Cargo::Response(Response::Send(message)) = &packet.cargo {
            let disk = self.node(sender)?.raw.store();
            let last = disk.last_index().map_err(|error| refused(&error.into()))?;
            let hard_state = disk.hard_state();
            let verdict = self.judge.sent(message, hard_state, last);
            self.heed(verdict)?;
        }
        self.network.send(packet);
        Ok(())
    }

    /// `deliver-msgs 1 2 drop=(3) type=MsgApp`: in the order in which the peers are named.
    fn deliver_msgs(&mut self, call: &mut Call) -> Result<()> {
        let filter = Filter::take(call)?;
        let ids: Vec<u64> = call.words("a peer")?;
        let lost: Vec<u64> = call.list("drop")?.unwrap_or_default();
        if let Some(both) = lost.iter().find(|id| ids.contains(id)) {
            return nonsense(format!("messages to {both} are to be delivered and dropped"));
        }
        let mut count = 0;
        for (to, lose) in ids.iter().map(|id| (*id, false)).chain(lost.iter().map(|id| (*id, true)))
        {
            count += self.deliver(to, &filter, lose)?;
        }
        if count == 0 {
            self.out.line("no messages");
        }
        Ok(())
    }

    /// Delivers or loses what matches. Returns how much that was.
    fn deliver(&mut self, to: u64, filter: &Filter, lose: bool) -> Result<usize> {
        let packets = self.network.take(to, filter, lose);
        let count = packets.len();
        for packet in packets {
            let text = packet.describe();
            if lose {
                self.out.line(&format!("dropped: {text}"));
                continue;
            }
            self.out.line(&text);
            match self.hand_over(packet) {
                Err(Trouble::Refused(reason)) => self.out.line(&reason),
                done => done?,
            }
        }
        Ok(count)
    }

    fn hand_over(&mut self, packet: Packet) -> Result<()> {
        let to = packet.to;
        match packet.cargo {
            Cargo::Response(Response::Send(message)) => {
                self.act(to, |raw| raw.step(message)).map(drop)
            }
            Cargo::Response(Response::Own(receipt)) => {
                self.act(to, |raw| raw.receive(receipt)).map(drop)
            }
            Cargo::Applied(entries) => {
                let last = entries.last().map_or(0, |entry| entry.index);
                self.act(to, |raw| raw.on_applied(last))
            }
        }
    }

    /// `hold-msgs 3 from=1` keeps messages back, `duplicate-msgs 3` sends them once more.
    fn hold_or_duplicate(&mut self, call: &mut Call) -> Result<()> {
        let filter = Filter::take(call)?;
        let hold = call.name == "hold-msgs";
        let mut count = 0;
        for to in call.words("a peer")? {
            let packets = match hold {
                true => self.network.take(to, &filter, true),
                false => self.network.copy(to, &filter),
            };
            count += packets.len();
            for packet in packets {
                let what = if hold { "held" } else { "duplicated" };
                self.out.line(&format!("{what}: {}", packet.describe()));
                match hold {
                    true => self.network.hold(packet),
                    false => self.network.send(packet),
                }
            }
        }
        if count == 0 {
            self.out.line("no messages");
        }
        Ok(())
    }

    fn stabilize_with_level(&mut self, call: &mut Call) -> Result<()> {
        let old = self.out.level();
        if let Some(level) = call.find::<String>("log-level")? {
            self.out.set_level_by_name(&level)?;
        }
        let ids = self.named_or_all(call)?;
        let done = self.stabilize(&ids);
        self.out.set_level(old);
        done
    }

    /// Works and delivers among these peers until nothing is left to do.
    pub(super) fn stabilize(&mut self, ids: &[u64]) -> Result<()> {
        const LIMIT: usize = 1_000;
        for _ in 0..LIMIT {
            let mut idle = true;
            for &id in ids {
                if self.node(id)?.raw.has_ready() {
                    self.titled(id, "handling Ready", Self::process_ready)?;
                    idle = false;
                }
            }
            for &id in ids {
                if self.network.has_for(id) {
                    let receive: Work =
                        |env, id| env.deliver(id, &Filter::default(), false).map(drop);
                    self.titled(id, "receiving messages", receive)?;
                    idle = false;
                }
            }
            for &id in ids {
                if !self.node(id)?.append_work.is_empty() {
                    self.drain(id, "processing append thread", Self::process_append)?;
                    idle = false;
                }
            }
            for &id in ids {
                if !self.node(id)?.apply_work.is_empty() {
                    self.drain(id, "processing apply thread", Self::process_apply)?;
                    idle = false;
                }
            }
            if idle {
                return Ok(());
            }
        }
        nonsense(format!("no rest after {LIMIT} rounds"))
    }

    /// Lets a thread do all its work under one title.
    fn drain(&mut self, id: u64, title: &str, work: Work) -> Result<()> {
        self.out.line(&format!("> {id} {title}"));
        self.out.begin_indent();
        let node = self.node(id)?;
        let count = match title.contains("append") {
            true => node.append_work.len(),
            false => node.apply_work.len(),
        };
        let done = (0..count).try_for_each(|_| work(self, id));
        self.out.end_indent();
        done
    }

    /// `send-snapshot 1 3`: peer 1's newest state, as if its leader's code had sent it.
    fn send_snapshot(&mut self, call: &mut Call) -> Result<()> {
        let (from, to) = (call.need("a sender")?, call.need("a receiver")?);
        let raw = &self.node(from)?.raw;
        let term = raw.raft().hard_state().term;
        let snapshot: Snapshot = raw.store().snapshot().map_err(|error| refused(&error.into()))?;
        let message = Message {
            msg_type: raft_core::eraftpb::MessageType::MsgSnapshot.into(),
            from,
            to,
            term,
            snapshot: Some(Box::new(snapshot)),
            ..Message::default()
        };
        self.out.raw(&describe::message(&message));
        self.send(from, Packet::message(message))
    }

    /// `send-msg 2 1 type=MsgHeartbeat term=3 commit=99 …`: a message that no peer made.
    fn send_msg(&mut self, call: &mut Call) -> Result<()> {
        let (from, to) = (call.need("a sender")?, call.need("a receiver")?);
        let mut message = Message { from, to, ..Message::default() };
        let kind: String = call.need_key("type")?;
        let Some(kind) = describe::message_type_of(&kind) else {
            return nonsense(format!("there is no message type `{kind}`"));
        };
        message.set_msg_type(kind);
        for (key, slot) in [
            ("term", &mut message.term),
            ("log-term", &mut message.log_term),
            ("index", &mut message.index),
            ("commit", &mut message.commit),
            ("hint", &mut message.reject_hint),
        ] {
            call.set(key, slot)?;
        }
        message.reject = call.find::<Flag>("reject")?.is_some_and(|flag| flag.0);
        let terms: Vec<u64> = call.list("entries")?.unwrap_or_default();
        let entries = (message.index + 1..).zip(terms).map(|(index, term)| Entry {
            entry_type: EntryType::EntryNormal.into(),
            term,
            index,
            ..Entry::default()
        });
        message.entries = entries.collect();
        self.out.raw(&describe::message(&message));
        self.network.send(Packet::message(message));
        Ok(())
    }
}
