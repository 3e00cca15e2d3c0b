//! Finds which rules fire on which parts of a message.
