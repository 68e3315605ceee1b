//! Membership changes as log entries, in their old and their new form.

use crate::error::{ConfChangeError, Malformed};
use crate::proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry,
    EntryType,
};

/// Whether `change` goes through a joint configuration, and if so whether the leader leaves it by
/// itself.
///
/// # Errors
/// A transition with a number that is not in the schema.
pub fn enters_joint(change: &ConfChangeV2) -> Result<Option<bool>, ConfChangeError> {
    let number = change.transition;
    match ConfChangeTransition::try_from(number) {
        Ok(ConfChangeTransition::Auto) => Ok((change.changes.len() > 1).then_some(true)),
        Ok(ConfChangeTransition::Implicit) => Ok(Some(true)),
        Ok(ConfChangeTransition::Explicit) => Ok(Some(false)),
        Err(_) => Err(ConfChangeError::UnknownTransition(number)),
    }
}

/// Whether `change` leaves a joint configuration: it says nothing, except perhaps its context.
pub fn leaves_joint(change: &ConfChangeV2) -> bool {
    change.transition == i32::from(ConfChangeTransition::Auto) && change.changes.is_empty()
}

/// Refuses a change that no peer could ever apply.
///
/// # Errors
/// A type or a transition with a number that is not in the schema.
pub fn check(change: &ConfChangeV2) -> Result<(), ConfChangeError> {
    enters_joint(change)?;
    for single in &change.changes {
        let number = single.change_type;
        ConfChangeType::try_from(number).map_err(|_| ConfChangeError::UnknownType(number))?;
    }
    Ok(())
}

impl From<ConfChange> for ConfChangeV2 {
    fn from(change: ConfChange) -> Self {
        let single = ConfChangeSingle { change_type: change.change_type, node_id: change.node_id };
        Self { transition: 0, changes: [single].to_vec(), context: change.context }
    }
}

impl From<ConfChange> for Entry {
    /// An entry that proposes the change, in the form that TinyKV and every older peer understand.
    fn from(change: ConfChange) -> Self {
        let data = prost::Message::encode_to_vec(&change).into();
        Self { entry_type: EntryType::EntryConfChange.into(), data, ..Self::default() }
    }
}

impl From<ConfChangeV2> for Entry {
    /// An entry that proposes the change.
    fn from(change: ConfChangeV2) -> Self {
        let data = prost::Message::encode_to_vec(&change).into();
        Self { entry_type: EntryType::EntryConfChangeV2.into(), data, ..Self::default() }
    }
}

/// The membership change that a committed entry carries; none if it is an ordinary entry.
///
/// # Errors
/// [`Malformed`] if its type or its data does not decode.
pub fn conf_change_of(entry: &Entry) -> Result<Option<ConfChangeV2>, Malformed> {
    let decoded = match EntryType::try_from(entry.entry_type) {
        Ok(EntryType::EntryNormal) => return Ok(None),
        Ok(EntryType::EntryConfChange) => {
            <ConfChange as prost::Message>::decode(entry.data.clone()).map(ConfChangeV2::from)
        }
        Ok(EntryType::EntryConfChangeV2) => prost::Message::decode(entry.data.clone()),
        Err(_) => return Err(Malformed::UnknownEntryType(entry.entry_type)),
    };
    decoded.map(Some).map_err(|_| Malformed::ConfChange)
}
