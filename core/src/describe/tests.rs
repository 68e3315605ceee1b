//! What each form looks like. The scenes compare many more.

use alloc::format;

use super::entry::whole_change;
use crate::proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2,
};

#[test]
fn a_refused_change_is_told_as_a_whole_and_the_old_form_like_the_new() {
    let single = |kind: ConfChangeType, node_id| {
        let change_type = kind.into();
        ConfChangeSingle { change_type, node_id }
    };
    let mut change = ConfChangeV2::default();
    assert_eq!(whole_change(&change), "transition:ConfChangeTransitionAuto");
    change.set_transition(ConfChangeTransition::Explicit);
    change.changes.push(single(ConfChangeType::AddNode, 10));
    change.changes.push(single(ConfChangeType::RemoveNode, 1));
    change.context = b"why\n"[..].into();
    let both = "changes:{type:ConfChangeAddNode node_id:10} \
                changes:{type:ConfChangeRemoveNode node_id:1}";
    let whole = format!(r#"transition:ConfChangeTransitionJointExplicit {both} context:"why\n""#);
    assert_eq!(whole_change(&change), whole);

    let mut old = ConfChange { node_id: 3, ..ConfChange::default() };
    old.set_change_type(ConfChangeType::AddLearnerNode);
    let learner = "changes:{type:ConfChangeAddLearnerNode node_id:3}";
    let whole = format!("transition:ConfChangeTransitionAuto {learner}");
    assert_eq!(whole_change(&old.into()), whole);
}
