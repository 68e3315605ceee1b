//! What a person should know, and the way on.

use yew::prelude::*;

use crate::session::{Notice, Remedy};

#[derive(Properties, PartialEq)]
pub(super) struct NoticesProps {
    pub(super) notices: Vec<Notice>,
    /// The person chose the notice's remedy.
    pub(super) on_remedy: Callback<Notice>,
    /// The person has read it.
    pub(super) on_dismiss: Callback<Notice>,
}

/// The banners.
#[component]
pub(super) fn Notices(props: &NoticesProps) -> Html {
    let banner = |notice: &Notice| {
        let remedy = match notice.remedy {
            Remedy::Dismiss => None,
            Remedy::Reload => Some("Reload"),
            Remedy::TakeOver => Some("Take over here"),
            Remedy::Erase => Some("Delete and start anew"),
        };
        let act = {
            let notice = notice.clone();
            props.on_remedy.reform(move |_: MouseEvent| notice.clone())
        };
        let dismiss = {
            let notice = notice.clone();
            props.on_dismiss.reform(move |_: MouseEvent| notice.clone())
        };
        html! {
            <div class="notice" role="alert">
                <p>{ &notice.text }</p>
                if let Some(label) = remedy {
                    <button onclick={act}>{ label }</button>
                }
                <button onclick={dismiss}>{ "Dismiss" }</button>
            </div>
        }
    };
    html! { <div class="notices">{ for props.notices.iter().map(banner) }</div> }
}
