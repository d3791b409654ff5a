//! One message handled.
//!
//! What lives here: the [configuration](config) read from the environment, the [way of a message](handle) from the queue
//! to the e-mail, and how [Lambda](lambda) brings the messages. What does not: the rules about requests, jobs and files
//! (`downpipe-core`) and how databases and clouds are spoken to (`downpipe-mysql`, `downpipe-aws`).

pub mod config;
pub mod handle;
pub mod lambda;
pub mod logging;
pub mod services;
