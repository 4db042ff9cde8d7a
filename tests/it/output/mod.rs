//! What the program writes: it never waits for a reader while a server waits for it, nothing in it is obeyed by a terminal
//! or a CI runner, and no secret is in it.

mod hostile;
mod readers;
mod secrets;
