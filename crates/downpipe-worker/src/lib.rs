//! One message handled.
//!
//! What lives here: the [configuration](config) read from the environment, the [way of a message](handle) from the queue to the
//! e-mail, and how they are brought: by [Lambda](lambda), or by [asking for them](poll). What does not: the rules about requests,
//! jobs and files (`downpipe-core`) and how databases and clouds are spoken to (`downpipe-mysql`, `downpipe-aws`).

pub mod config;
pub mod deliver;
pub mod handle;
pub mod lambda;
pub mod logging;
pub mod poll;
mod pulse;
pub mod redrive;
pub mod services;
pub mod sweep;
