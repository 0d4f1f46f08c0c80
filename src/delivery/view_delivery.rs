//! Renders records for people as the last step before the output.

use super::{Delivered, Delivery, DeliveryEnd};
use crate::source::position::Position;
use crate::view::View;
use kata_records::Encoded;

/// The capacity that the buffer keeps. Only giant records exceed it.
const MAX_KEPT: usize = 4 << 20;

/// A delivery that renders records and passes their lines on.
#[derive(Debug)]
pub struct ViewDelivery {
    inner: Box<dyn Delivery>,
    view: View,
    /// Nobody knows when the next record comes, so none is held back while the inputs are idle. Inputs with an end keep
    /// their last record, so that the output does not depend on the pauses between reads.
    is_followed: bool,
    /// The rendered lines. The buffer is reused.
    lines: Vec<u8>,
    /// The reason why the inner delivery accepts no more.
    end: Option<DeliveryEnd>,
}

impl ViewDelivery {
    /// Returns a delivery that shows records of inputs in this view. `is_followed` says that the inputs have no end.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, view: View, is_followed: bool) -> ViewDelivery {
        ViewDelivery { inner, view, is_followed, lines: Vec::new(), end: None }
    }

    /// Delivers the record that the view holds back.
    fn release(&mut self) {
        let mut held = Encoded::default();
        self.view.release(&mut held.bytes);
        if self.end.is_none() && !held.bytes.is_empty() {
            self.end = self.inner.deliver(&mut held, None).err();
        }
    }
}

impl Delivery for ViewDelivery {
    fn inner(&mut self) -> Option<&mut dyn Delivery> {
        Some(self.inner.as_mut())
    }

    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        if let Some(end) = self.end {
            return Err(end);
        }
        self.lines.clear();
        self.lines.shrink_to(MAX_KEPT);
        self.view.render(&out.bytes, &mut self.lines);
        // Lines are no records, so nothing behind this step may look at rows.
        out.rows.clear();
        std::mem::swap(&mut out.bytes, &mut self.lines);
        self.inner.deliver(out, position).inspect_err(|end| self.end = Some(*end))
    }

    fn idle(&mut self) {
        if self.is_followed {
            self.release();
        }
        self.inner.idle();
    }

    fn flush(&mut self) {
        self.release();
        self.inner.flush();
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(mut self: Box<Self>) -> Delivered {
        self.release();
        let mut delivered = self.inner.finish();
        delivered.end = delivered.end.or(self.end);
        delivered
    }
}
