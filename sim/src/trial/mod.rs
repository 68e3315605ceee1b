//! One run with a verdict: faults, healing, and what the cluster owes then; and many of them added
//! up.
//!
//! [`judge`] needs nothing but a scenario, so that a file says all there is to say about a failure.
//! [`Batch`] adds verdicts up and tells what was tested too little ([`Batch::shortfall`]): a batch
//! that met few faults proves little.

mod batch;
mod branches;
mod busy;
mod coverage;
mod observer;

pub use self::batch::{Batch, Failure, Least, name_of};
pub use self::branches::{Branch, counting};
pub use self::busy::{BUSY_CLIENTS, BUSY_PEERS, BUSY_REQUESTS, BUSY_US, Load, busy};
pub use self::coverage::{Coverage, Effect};

use crate::check::{Invariant, Violation, liveness};
use crate::command::Command;
use crate::event::Happening;
use crate::linear;
use crate::nemesis::{LATE_MAX_US, Nemesis, NemesisSettings};
use crate::scenario::{Scenario, ScenarioError, Settings};
use crate::shrink::{Shrunk, shrink};
use crate::variant::Variant;
use crate::world::World;
use observer::Observer;

/// Heartbeats for which a cluster must be quiet.
const QUIET_HEARTBEATS: u32 = 20;
/// Election time-outs that a follower is away for.
const ABSENCE_TIMEOUTS: u64 = 1;
/// Events of all runs that it may take to shrink a scenario: about half a minute.
const SHRINK_EVENTS_MAX: u64 = 60_000_000;
/// How long to search for an order of a history that may still change.
const UNSETTLED_STATES_MAX: u64 = 100_000;
/// Election time-outs that a run goes on for after its last command, if that does not heal.
const SETTLE_TIMEOUTS: u64 = 10;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was run: it is all that it takes to run it again.
    pub scenario: Scenario,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// How long it took, in the world's time.
    pub virtual_us: u64,
    /// Events of the world.
    pub events: u64,
    /// The world's fingerprint at the end.
    pub digest: u64,
    /// What was met on the way.
    pub coverage: Coverage,
}

impl Verdict {
    /// Whether two runs were the same.
    fn is_as(&self, other: &Self) -> bool {
        (self.digest, self.events) == (other.digest, other.events)
    }
}

/// Runs a scenario to its end. If its last command heals everything, the cluster then has to
/// recover, be quiet, take back who was away and live with links that are cut one way if it is set up
/// for that, and live on with a minority dead for good (L1 to L4).
///
/// # Errors
/// A scenario that cannot be run.
pub fn judge(scenario: &Scenario, variant: Variant) -> Result<Verdict, ScenarioError> {
    judge_owned(scenario.clone(), variant)
}

fn judge_owned(scenario: Scenario, variant: Variant) -> Result<Verdict, ScenarioError> {
    let world = World::with_variant(&scenario, variant)?;
    Ok(play(world, scenario, Observer::new(None), &Until::default()))
}

/// As [`judge`], and tells what happens: in order, but while a healed cluster recovers only the end
/// of each step. With `inside`, what goes on inside the peers, too.
///
/// # Errors
/// A scenario that cannot be run.
pub fn watch(
    scenario: &Scenario,
    variant: Variant,
    inside: bool,
    listener: &mut dyn FnMut(&Happening),
) -> Result<Verdict, ScenarioError> {
    let mut world = World::with_variant(scenario, variant)?;
    if inside {
        world.listen();
    }
    Ok(play(world, scenario.clone(), Observer::new(Some(listener)), &Until::default()))
}

/// Where to stop even if no rule is broken.
struct Until {
    time_us: u64,
    /// The rule that matters, if only one does.
    rule: Option<Invariant>,
}

impl Default for Until {
    fn default() -> Self {
        Self { time_us: u64::MAX, rule: None }
    }
}

fn play(
    mut world: World,
    scenario: Scenario,
    mut observer: Observer<'_>,
    until: &Until,
) -> Verdict {
    branches::forget();
    world.keep_history();
    observer.prepare(&mut world);
    let last_us = scenario.commands.last().map_or(0, |timed| timed.at_us);
    let healed = scenario.commands.last().is_some_and(|c| c.command == Command::HealAll);
    let election_us = scenario.settings.tick_us * u64::from(scenario.settings.election_tick);
    let lives = if healed {
        let calm_us = u64::from(NemesisSettings::default().calm_timeouts) * election_us;
        observer.run_until(&mut world, last_us.saturating_add(calm_us).min(until.time_us));
        let quiet_us = last_us.saturating_add(calm_us.max(late_us(&scenario)));
        recovers(&mut world, quiet_us, &mut observer, until)
    } else {
        let end_us = last_us.saturating_add(SETTLE_TIMEOUTS * election_us);
        observer.run_until(&mut world, end_us.min(until.time_us));
        is_linearizable(&mut world, false)
    };
    let violation = world.violation().cloned().or(lives.err());
    observer.look(&world);
    let (tally, branches) = (world.tally().clone(), branches::taken());
    let coverage = Coverage { tally, branches, ..Coverage::default() };
    Verdict {
        scenario,
        violation,
        virtual_us: world.now_us(),
        events: world.events_handled(),
        digest: world.digest(),
        coverage,
    }
}

/// What a healed cluster owes.
fn recovers(
    world: &mut World,
    quiet_us: u64,
    observer: &mut Observer<'_>,
    until: &Until,
) -> Result<(), Violation> {
    if world.violation().is_some() || world.now_us() >= until.time_us {
        return Ok(());
    }
    liveness::converges(world)?;
    if until.rule == Some(Invariant::Convergence) && until.time_us <= quiet_us {
        return Ok(());
    }
    observer.run_until(world, quiet_us);
    liveness::stays_quiet(world, QUIET_HEARTBEATS)?;
    observer.look(world);
    if until.rule == Some(Invariant::Quiet) {
        return Ok(());
    }
    lives_with_cuts(world)?;
    if until.rule == Some(Invariant::Convergence) {
        return Ok(());
    }
    is_linearizable(world, true)?;
    if matches!(until.rule, Some(Invariant::Linearizability | Invariant::AcknowledgedWrites)) {
        return Ok(());
    }
    if world.scenario().settings.pre_vote {
        liveness::returns_quietly(world, ABSENCE_TIMEOUTS)?;
    }
    // Another minority each time.
    let voters = liveness::voters(world);
    let minority = voters.len().saturating_sub(1) / 2;
    let first = world.scenario().seed % (voters.len() as u64).max(1);
    let first = usize::try_from(first).unwrap_or_default();
    let dead: Vec<_> = voters.iter().cycle().skip(first).take(minority).copied().collect();
    liveness::majority_suffices(world, &dead)?;
    Ok(())
}

/// L1 unhealed, which a cluster owes in which leaders check their quorum and candidates ask first. It
/// is asked of a copy: what is cut there stays cut.
fn lives_with_cuts(world: &World) -> Result<(), Violation> {
    let Settings { pre_vote, check_quorum, .. } = world.scenario().settings;
    // Of two voters each is needed.
    if !pre_vote || !check_quorum || liveness::voters(world).len() < 3 {
        return Ok(());
    }
    liveness::serves_while_cut(&mut world.clone())
}

/// I16, of all that clients saw. Only once the world has settled is it known what became of writes
/// that were never answered, and what is left of all of them (I18); before, a history that is too
/// hard to judge is let pass.
pub(crate) fn is_linearizable(world: &mut World, settled: bool) -> Result<(), Violation> {
    // Without sessions a write that was sent twice may take effect twice, and nothing is promised.
    if world.violation().is_some() || !world.scenario().settings.sessions {
        return Ok(());
    }
    let verdict = if settled {
        world.judge_end()
    } else {
        linear::check_within(&world.history(), UNSETTLED_STATES_MAX)
    };
    if settled && matches!(verdict, linear::Verdict::Undecided) {
        world.tally_mut().undecided += 1;
    }
    let linear::Verdict::NotLinearizable(why) = verdict else { return Ok(()) };
    let linear::Explanation { before, now, .. } = *why;
    // What contradicts nothing that a client saw contradicts what is left at the end.
    let seen = !settled || matches!(world.judge_history(), linear::Verdict::NotLinearizable(_));
    let invariant = if seen { Invariant::Linearizability } else { Invariant::AcknowledgedWrites };
    let at_us = world.now_us();
    Err(Violation { invariant, at_us, peer: 0, entry: None, before, now })
}

/// After that long nothing of the faults is on its way any more, and every client has had the time
/// to ask everybody.
fn late_us(scenario: &Scenario) -> u64 {
    LATE_MAX_US + (scenario.stores() + 1) * scenario.settings.client_timeout_us
}

/// What a seed is tried with.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What the nemesis may do.
    pub nemesis: NemesisSettings,
    /// What differs from an honest cluster.
    pub variant: Variant,
    /// Changes some settings after the nemesis drew them.
    pub tweak: fn(&mut Settings),
}

impl Trial {
    /// An honest cluster whose decisions are counted.
    pub fn honest(nemesis: NemesisSettings) -> Self {
        Self { nemesis, variant: counting(), tweak: |_| {} }
    }

    /// What `seed` is run with.
    pub fn scenario(&self, seed: u64) -> Scenario {
        self.plan(seed).scenario
    }

    fn plan(&self, seed: u64) -> Nemesis {
        let mut nemesis = Nemesis::new(seed, &self.nemesis);
        (self.tweak)(&mut nemesis.scenario.settings);
        nemesis
    }

    /// Runs a seed.
    ///
    /// # Errors
    /// Settings with which nothing can be run.
    pub fn run(&self, seed: u64) -> Result<Verdict, ScenarioError> {
        let nemesis = self.plan(seed);
        let mut verdict = judge_owned(nemesis.scenario, self.variant)?;
        verdict.coverage.faults = nemesis.classes.into_iter().map(|(c, n)| (c, n.into())).collect();
        Ok(verdict)
    }

    /// Runs a seed twice. Two runs that differ break I20.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_twice(&self, seed: u64) -> Result<Verdict, ScenarioError> {
        let verdict = self.run(seed)?;
        self.again(verdict)
    }

    /// Runs once more what a verdict is about. Two runs that differ break I20.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn again(&self, mut verdict: Verdict) -> Result<Verdict, ScenarioError> {
        let again = judge(&verdict.scenario, self.variant.elsewhere())?;
        if verdict.violation.is_none() && !verdict.is_as(&again) {
            let run = |verdict: &Verdict| {
                format!("digest {:016x} after {} events", verdict.digest, verdict.events)
            };
            verdict.violation = Some(Violation {
                invariant: Invariant::Determinism,
                at_us: verdict.virtual_us,
                peer: 0,
                entry: None,
                before: run(&verdict),
                now: run(&again),
            });
        }
        Ok(verdict)
    }

    /// The least that breaks the same rule, and no later, as far as so many runs find it. A run that
    /// goes round in circles has millions of events, so those of all runs are bounded, too. `tried`
    /// hears of each run.
    pub fn shrink(
        &self,
        scenario: &Scenario,
        violation: &Violation,
        tries: usize,
        mut tried: impl FnMut(),
    ) -> Shrunk {
        let mut events = 0;
        let mut fails = |scenario: &Scenario| {
            tried();
            if events > SHRINK_EVENTS_MAX {
                return false;
            }
            let (fails, more) = self.breaks_again(scenario, violation);
            events += more;
            fails
        };
        let shrunk = shrink(scenario, tries, &mut fails);
        Shrunk { finished: shrunk.finished && events <= SHRINK_EVENTS_MAX, ..shrunk }
    }

    /// Whether a scenario breaks that rule by then, and the events that it took to tell.
    fn breaks_again(&self, scenario: &Scenario, violation: &Violation) -> (bool, u64) {
        let rule = violation.invariant;
        let heals = scenario.commands.last().is_some_and(|c| c.command == Command::HealAll);
        // What only a healed cluster owes needs no run to tell.
        let world = World::with_variant(scenario, self.variant);
        let Some(world) = world.ok().filter(|_| heals || !rule.is_liveness()) else {
            return (false, 0);
        };
        let until = Until { time_us: violation.at_us, rule: Some(rule) };
        let verdict = play(world, scenario.clone(), Observer::new(None), &until);
        if rule == Invariant::Determinism {
            let again = World::with_variant(scenario, self.variant.elsewhere());
            let again =
                again.map(|world| play(world, scenario.clone(), Observer::new(None), &until));
            return again.map_or((false, 0), |again| {
                (!verdict.is_as(&again), verdict.events + again.events)
            });
        }
        let again = verdict.violation.is_some_and(|again| again.invariant == rule);
        (again, verdict.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flaws::{Flaws, Order};
    use crate::scenario::TimedCommand;

    #[test]
    fn a_healed_run_is_asked_to_recover_and_any_other_is_not() {
        let mut scenario = Scenario::new(1);
        let all = Command::Partition { groups: vec![vec![1], vec![2], vec![3], vec![4]] };
        scenario.commands = vec![TimedCommand { at_us: 1_000_000, command: all }];
        assert_eq!(judge(&scenario, Variant::default()).unwrap().violation, None);
        scenario.commands.push(TimedCommand { at_us: 2_000_000, command: Command::HealAll });
        let healed = judge(&scenario, Variant::default()).unwrap();
        assert_eq!(healed.violation, None);
        assert!(healed.coverage.commits() > 0 && healed.coverage.reads() > 0);
    }

    #[test]
    fn who_never_elects_anybody_breaks_convergence() {
        let rules = raft_core::Rules { vote_in_term: |_, _, vote| vote, ..Default::default() };
        let mut scenario = Scenario::new(1);
        let campaigns = |at_us| {
            (1..=5).map(move |peer| TimedCommand { at_us, command: Command::Campaign { peer } })
        };
        scenario.commands = campaigns(1_000).chain(campaigns(5_000_000)).collect();
        scenario.commands.push(TimedCommand { at_us: 6_000_000, command: Command::HealAll });
        let verdict = judge(&scenario, Variant::from(rules)).unwrap();
        assert_eq!(verdict.violation.map(|v| v.invariant), Some(Invariant::Convergence));
    }

    fn short() -> NemesisSettings {
        NemesisSettings { faults_us: Some(5_000_000), ..NemesisSettings::default() }
    }

    #[test]
    fn i20_refuses_a_run_that_something_outside_decides() {
        for order in [Order::Map, Order::Hash { bits: 64 }] {
            let flaws = Flaws { order, ..Flaws::default() };
            let variant = Variant { flaws, ..Variant::default() };
            let trial = Trial { variant, ..Trial::honest(short()) };
            let rule = trial.run_twice(1).unwrap().violation.map(|violation| violation.invariant);
            assert_eq!(rule, Some(Invariant::Determinism), "{order:?}");
        }
    }

    #[test]
    fn i20_accepts_a_run_that_is_watched_and_one_that_is_not() {
        let scenario = Trial::honest(short()).scenario(1);
        let mut heard = 0;
        let watched = watch(&scenario, Variant::default(), true, &mut |_| heard += 1).unwrap();
        let alone = judge(&scenario, counting()).unwrap();
        assert!(watched.is_as(&alone) && heard > 1_000, "{heard}");
    }

    #[test]
    fn a_verdict_is_the_same_twice_and_counting_changes_nothing() {
        let nemesis = NemesisSettings { faults_us: Some(5_000_000), ..NemesisSettings::default() };
        let trial = Trial::honest(nemesis);
        for seed in 0..3 {
            let (one, two) = (trial.run(seed).unwrap(), trial.run(seed).unwrap());
            assert_eq!((one.digest, &one.coverage), (two.digest, &two.coverage));
            assert_eq!(trial.run_twice(seed).unwrap().violation, None);
            let plain = judge(&one.scenario, Variant::default()).unwrap();
            assert_eq!((plain.digest, plain.events), (one.digest, one.events));
        }
    }
}
