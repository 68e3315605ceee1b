//! What kinds of messages there are.

use crate::error::Malformed;
use crate::proto::eraftpb::{Message, MessageType};

/// The type of `message`, decoded strictly: an unknown number must not pass for `MsgHup`, which is
/// 0.
pub(crate) fn message_type(message: &Message) -> Result<MessageType, Malformed> {
    let number = message.msg_type;
    MessageType::try_from(number).map_err(|_| Malformed::UnknownType(number))
}

/// Types that only a peer's own application may use.
pub(crate) fn is_local(kind: MessageType) -> bool {
    use MessageType::{MsgBeat, MsgCheckQuorum, MsgHup, MsgSnapStatus, MsgUnreachable};
    matches!(kind, MsgHup | MsgBeat | MsgUnreachable | MsgSnapStatus | MsgCheckQuorum)
}

/// Types whose term means nothing.
pub(crate) fn is_termless(kind: MessageType) -> bool {
    is_local(kind) || matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex)
}

/// Answers that only members may give. One to a read is none of them: its leader may have been
/// removed a moment ago.
pub(crate) fn is_response(kind: MessageType) -> bool {
    use MessageType::{
        MsgAppendResponse, MsgHeartbeatResponse, MsgRequestPreVoteResponse, MsgRequestVoteResponse,
    };
    matches!(
        kind,
        MsgAppendResponse
            | MsgHeartbeatResponse
            | MsgRequestVoteResponse
            | MsgRequestPreVoteResponse
    )
}

/// Types that only the leader of a term sends.
pub(crate) fn is_from_leader(kind: MessageType) -> bool {
    use MessageType::{MsgAppend, MsgHeartbeat, MsgSnapshot};
    matches!(kind, MsgAppend | MsgHeartbeat | MsgSnapshot)
}
