//! A queue that behaves as SQS does: it delivers at least once, in any order, and again what is not deleted.

use std::time::Duration;

use downpipe_core::queue::{BatchError, Delivery, Queue, QueueError};
use tokio::time::Instant;

use crate::world::{FaultyPorts, SimWorld, State};

/// The visibility timeout of the template.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(5400);

#[derive(Default)]
pub(crate) struct Messages {
    /// How often a message is delivered before it is a dead letter.
    pub(crate) max_receives: Option<u32>,
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
    /// The handle of its last delivery.
    handle: u64,
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

    /// Receives any of the messages that are visible.
    pub(crate) fn receive(&mut self, rng: &mut fastrand::Rng, visibility: Duration) -> Option<Message> {
        let now = Instant::now();
        let visible = |message: &Message| message.visible_at.is_none_or(|at| at <= now);
        let (dead, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|m| visible(m) && self.max_receives.is_some_and(|limit| m.receives >= limit));
        self.waiting = waiting;
        self.died += dead.len() as u64;
        self.dead.extend::<Vec<Message>>(dead);
        let visible: Vec<&mut Message> = self.waiting.iter_mut().filter(|message| visible(message)).collect();
        let message = rng.choice(visible)?;
        self.handed_out += 1;
        (message.receives, message.handle) = (message.receives + 1, self.handed_out);
        message.visible_at = Some(now + visibility);
        Some(message.clone())
    }

    /// Returns when the next message becomes visible.
    pub(crate) fn next_visible(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|message| message.visible_at).min()
    }

    /// Delivers a message once more that a worker has in hand.
    pub(crate) fn duplicate(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        let received: Vec<&mut Message> =
            self.waiting.iter_mut().filter(|message| message.receives > 0).collect();
        let message = rng.choice(received)?;
        message.visible_at = Some(Instant::now());
        Some(message.id.clone())
    }

    /// Puts the dead letters back, as an operator does.
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

    /// Returns the place of the message with this handle. An older handle than its last has no effect.
    fn held(&mut self, handle: &str) -> Option<usize> {
        self.waiting.iter().position(|message| message.handle.to_string() == handle)
    }
}

impl Message {
    pub(crate) fn delivery(self) -> Delivery {
        Delivery {
            message_id: self.id,
            receipt_handle: self.handle.to_string(),
            body: self.body,
            receive_count: self.receives,
        }
    }
}

impl Queue for FaultyPorts {
    async fn send_after(&self, body: &str, delay: Duration) -> Result<String, QueueError> {
        let send = async { Ok(self.world.lock().messages.send(body, delay)) };
        self.call("queue.send", send, || broken("sending a message")).await
    }

    /// A fault may come between any two messages of the batch, or lose the answer after one.
    async fn send_batch(&self, bodies: &[String]) -> Result<(), BatchError> {
        for (number, body) in bodies.iter().enumerate() {
            if let Err(source) = self.send(body).await {
                return Err(BatchError { unsent: bodies.len() - number, source });
            }
        }
        Ok(())
    }

    async fn receive(&self, _: Duration, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        let receive = async {
            let State { messages, invocations, .. } = &mut *self.world.lock();
            let received = messages.receive(&mut invocations[self.number].rng, visibility);
            Ok(received.map(Message::delivery))
        };
        self.call("queue.receive", receive, || broken("receiving a message")).await
    }

    async fn delete(&self, receipt_handle: &str) -> Result<(), QueueError> {
        let delete = async {
            let messages = &mut self.world.lock().messages;
            if let Some(at) = messages.held(receipt_handle) {
                messages.waiting.remove(at);
            }
            Ok(())
        };
        self.call("queue.delete", delete, || broken("deleting a message")).await
    }

    async fn count(&self) -> Result<u64, QueueError> {
        let count = async { Ok(self.world.lock().messages.waiting.len() as u64) };
        self.call("queue.count", count, || broken("counting the messages")).await
    }

    async fn max_receives(&self) -> Result<Option<u32>, QueueError> {
        let ask = async { Ok(self.world.lock().messages.max_receives) };
        self.call("queue.max_receives", ask, || broken("asking for the redrive policy")).await
    }

    async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
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

impl SimWorld {
    pub(crate) fn send(&self, body: &str) -> String {
        let id = self.lock().messages.send(body, Duration::ZERO);
        self.note(format!("{id} is sent: {body}"));
        id
    }
}

fn broken(operation: &'static str) -> QueueError {
    QueueError { operation, source: "the queue was told to fail".into() }
}
