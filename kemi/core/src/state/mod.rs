//! What all workers share: fixed tables in shared memory, changed by atomic operations only.
