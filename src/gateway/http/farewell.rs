//! How connections come to their end at a drain: in steps, so that no request meets a connection that has just been closed
//! (docs/decisions/0170).

use std::{cell::Cell, rc::Rc};

use super::carrier::Carrier;

/// How far the end has come. Each step holds for those after it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum FarewellStep {
    /// Connections are kept.
    #[default]
    None,
    /// Every answer says that its connection closes with it.
    Announced,
    /// Connections end that have had a request, and have none under way.
    Kept,
    /// Those end, too, that have not said anything.
    All,
}

/// The step that all connections of a gateway share.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell(Rc<Cell<FarewellStep>>);

impl Farewell {
    /// Goes on to this step. Connections have to be woken to notice it.
    pub(super) fn reach(&self, step: FarewellStep) {
        self.0.set(self.0.get().max(step));
    }

    /// Whether answers are the last ones of their connections.
    pub(super) fn is_announced(&self) -> bool {
        self.0.get() >= FarewellStep::Announced
    }

    /// Whether a connection ends that has nothing under way.
    pub(super) fn ends(&self, carrier: Carrier) -> bool {
        match carrier {
            Carrier::New => self.0.get() >= FarewellStep::All,
            Carrier::Idle | Carrier::Http | Carrier::Stream => self.0.get() >= FarewellStep::Kept,
        }
    }

    /// The step at which the HTTP library begins no request on a connection any more that it takes over now.
    pub(super) fn last_of_next(&self) -> FarewellStep {
        // What is new now has its first request before it.
        if self.0.get() < FarewellStep::Kept { FarewellStep::Kept } else { FarewellStep::All }
    }

    /// Whether this step has come.
    pub(super) fn has_come(&self, step: FarewellStep) -> bool {
        self.0.get() >= step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_request_so_far_outlasts_those_that_had_one() {
        let farewell = Farewell::default();
        assert!(!farewell.is_announced() && !farewell.ends(Carrier::Idle));
        farewell.reach(FarewellStep::Announced);
        assert!(
            farewell.is_announced() && !farewell.ends(Carrier::Idle) && farewell.last_of_next() == FarewellStep::Kept
        );
        farewell.reach(FarewellStep::Kept);
        assert!(
            farewell.ends(Carrier::Idle)
                && !farewell.ends(Carrier::New)
                && farewell.last_of_next() == FarewellStep::All
        );
        farewell.reach(FarewellStep::All);
        farewell.reach(FarewellStep::Announced);
        assert!(farewell.ends(Carrier::New), "there is no way back");
    }
}
