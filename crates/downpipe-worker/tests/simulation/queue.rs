//! A queue that behaves as SQS does: it delivers at least once, in any order, and later what is not deleted.

use std::time::Duration;

use downpipe_core::queue::{Queue, QueueError};
use tokio::time::Instant;

use crate::world::{Hand, World};

/// The visibility timeout of the template.
const VISIBILITY: Duration = Duration::from_secs(5400);

/// The template's `maxReceiveCount`.
const MAX_RECEIVES: u32 = downpipe_worker::handle::MAX_RECEIVES;

#[derive(Default)]
pub(crate) struct Messages {
    waiting: Vec<Message>,
    dead: Vec<Message>,
    pub(crate) died: u64,
    handed_out: u64,
    sent: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) receives: u32,
    /// By which handle whoever received it last speaks of it.
    pub(crate) handle: u64,
    visible_at: Option<Instant>,
}

impl Messages {
    pub(crate) fn send(&mut self, body: &str, delay: Duration) -> String {
        self.sent += 1;
        let (id, visible_at) = (format!("m-{}", self.sent), Some(Instant::now() + delay));
        self.waiting.push(Message {
            id: id.clone(),
            body: body.to_owned(),
            receives: 0,
            handle: 0,
            visible_at,
        });
        id
    }

    /// Any of the messages that may be received now.
    pub(crate) fn receive(&mut self, rng: &mut fastrand::Rng) -> Option<Message> {
        let now = Instant::now();
        let visible = |message: &Message| message.visible_at.is_none_or(|at| at <= now);
        let (dead, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|m| visible(m) && m.receives >= MAX_RECEIVES);
        self.waiting = waiting;
        self.died += dead.len() as u64;
        self.dead.extend::<Vec<Message>>(dead);
        let visible: Vec<&mut Message> = self.waiting.iter_mut().filter(|message| visible(message)).collect();
        let message = rng.choice(visible)?;
        self.handed_out += 1;
        (message.receives, message.handle) = (message.receives + 1, self.handed_out);
        message.visible_at = Some(now + VISIBILITY);
        Some(message.clone())
    }

    /// When the next message may be received.
    pub(crate) fn next_visible(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|message| message.visible_at).min()
    }

    /// Delivers a message that somebody has in hand once more.
    pub(crate) fn duplicate(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        let received: Vec<&mut Message> =
            self.waiting.iter_mut().filter(|message| message.receives > 0).collect();
        let message = rng.choice(received)?;
        message.visible_at = Some(Instant::now());
        Some(message.id.clone())
    }

    /// Puts the dead letters back, as the operator does.
    pub(crate) fn redrive(&mut self) -> usize {
        let dead = std::mem::take(&mut self.dead);
        let count = dead.len();
        let fresh = |message| Message { receives: 0, visible_at: Some(Instant::now()), ..message };
        self.waiting.extend(dead.into_iter().map(fresh));
        count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dead.is_empty()
    }

    /// A handle that is not the last does nothing.
    fn held(&mut self, handle: &str) -> Option<usize> {
        self.waiting.iter().position(|message| message.handle.to_string() == handle)
    }
}

impl Hand {
    /// What Lambda does with a message that was dealt with.
    pub(crate) async fn delete(&self, handle: &str) {
        let delete = async {
            let messages = &mut self.world.lock().messages;
            if let Some(at) = messages.held(handle) {
                messages.waiting.remove(at);
            }
            Ok(())
        };
        let _ = self.call("queue.delete", delete, || broken("deleting a message")).await;
    }
}

impl Queue for Hand {
    async fn send(&self, body: &str) -> Result<String, QueueError> {
        let send = async { Ok(self.world.lock().messages.send(body, Duration::ZERO)) };
        self.call("queue.send", send, || broken("sending a message")).await
    }

    async fn return_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let postpone = async {
            let messages = &mut self.world.lock().messages;
            if let Some(at) = messages.held(receipt_handle) {
                messages.waiting[at].visible_at = Some(Instant::now() + delay);
            }
            Ok(())
        };
        self.call("queue.return", postpone, || broken("hiding a message")).await
    }
}

impl World {
    pub(crate) fn send(&self, body: &str) -> String {
        let id = self.lock().messages.send(body, Duration::ZERO);
        self.note(format!("{id} is sent: {body}"));
        id
    }
}

fn broken(operation: &'static str) -> QueueError {
    QueueError { operation, source: "the queue was told to fail".into() }
}
