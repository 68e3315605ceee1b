//! Each kind of violation, and the odd but legal history next to it.
