//! What all workers share: fixed tables in shared memory, changed by atomic operations only.

pub mod clock;
pub mod counters;
pub mod dialogs;
pub mod earned;
#[cfg(not(all(loom, test)))]
pub mod halves;
pub mod hash;
pub mod marks;
#[cfg(not(all(loom, test)))]
pub mod memory;
pub mod region;
pub mod retransmissions;
#[cfg(not(all(loom, test)))]
#[cfg(not(all(loom, test)))]
pub mod snapshot;
pub mod sparse;
pub mod tallies;
pub mod waiting;

#[cfg(all(not(loom), test))]
mod cost;
#[cfg(all(loom, test))]
mod interleavings;
