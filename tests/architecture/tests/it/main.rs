//! The rules on this workspace, and on made-up ones that break each rule.

mod made_up;
mod this_workspace;
