//! Checks framing and header set: what makes a message unreadable, ambiguous, or merely odd.
