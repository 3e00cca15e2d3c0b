//! The lines of the decision log, from one definition of their fields.
