//! Watches over an open disk: how it is lost, reported once.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::IdbVersionChangeEvent;

use super::error::Loss;
use super::idb::Database;

/// Remembers the first loss and passes it on.
#[derive(Default)]
pub(super) struct Watch {
    loss: RefCell<Option<Loss>>,
    report: RefCell<Option<Box<Report>>>,
}

type Report = dyn FnOnce(Loss);

impl Watch {
    /// Closes the database when another tab needs it gone, and notices when the browser closes it.
    pub(super) fn guard(self: &Rc<Self>, database: &Database) {
        let watch = Rc::clone(self);
        let ours = database.clone();
        let make_room = Closure::once_into_js(move |event: IdbVersionChangeEvent| {
            // A transaction that is running still completes.
            ours.close();
            let upgrade = event.new_version().is_some();
            watch.lose(if upgrade { Loss::Upgraded } else { Loss::Deleted });
        });
        database.set_onversionchange(Some(make_room.unchecked_ref()));
        let watch = Rc::clone(self);
        // Never fires for our own `close`.
        let closed = Closure::once_into_js(move || drop(watch.lose(Loss::Closed)));
        database.set_onclose(Some(closed.unchecked_ref()));
    }

    /// Notes a loss and returns the one that counts, the first: what follows from it, such as an
    /// aborted transaction, is not news.
    pub(super) fn lose(&self, loss: Loss) -> Loss {
        if let Some(first) = self.loss() {
            return first;
        }
        *self.loss.borrow_mut() = Some(loss.clone());
        let report = self.report.borrow_mut().take();
        if let Some(report) = report {
            report(loss.clone());
        }
        loss
    }

    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss.borrow().clone()
    }

    /// Reports a loss from now on, and at once if the disk turned out to be full. Any other loss
    /// so far is an error of opening.
    pub(super) fn report_to(&self, report: impl FnOnce(Loss) + 'static) -> Result<(), Loss> {
        match self.loss() {
            None => *self.report.borrow_mut() = Some(Box::new(report)),
            Some(Loss::Full) => report(Loss::Full),
            Some(loss) => return Err(loss),
        }
        Ok(())
    }
}
