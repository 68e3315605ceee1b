//! A cluster that is not as it should be: other rules, or a driver with mistakes.

use raft_core::Rules;
use raft_kv::StoreRules;

use crate::flaws::Flaws;

/// What the peers of a cluster follow and how they are driven. `Variant::default()` is honest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variant {
    /// The rules of the protocol.
    pub rules: Rules,
    /// The rules of the store.
    pub store_rules: StoreRules,
    /// The mistakes of the driver.
    pub flaws: Flaws,
}

impl Variant {
    /// The same on a machine with another word.
    pub(crate) fn elsewhere(self) -> Self {
        let order = self.flaws.order.elsewhere();
        Self { flaws: Flaws { order, ..self.flaws }, ..self }
    }
}

impl From<Rules> for Variant {
    fn from(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }
}

impl From<StoreRules> for Variant {
    fn from(store_rules: StoreRules) -> Self {
        Self { store_rules, ..Self::default() }
    }
}

impl From<Flaws> for Variant {
    fn from(flaws: Flaws) -> Self {
        Self { flaws, ..Self::default() }
    }
}
